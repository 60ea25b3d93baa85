"""`payer-exchange init` and `payer-exchange settings`."""

from __future__ import annotations

import json
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from ..reference.clock import SystemClock
from ..reference.errors import SettingsError
from ..reference.settings import FILE_NAME, Settings, described, find_settings, read_settings
from ..reference.trust import keys, pki

_console = Console()
_TEMPLATE = """\
# How payer-exchange reaches the payer under test. payer-exchange settings says what is in force.
[target]
fhir_base = "https://payer.example/fhir"
pdex_version = "2.2.0"

[target.auth]
method = "smart-backend-services"
client_id = "the id the payer gave you"
private_key = "requesting-payer.jwk.json"

[identity]
system = "https://example.org/payer-id"
value = "the identifier the payer knows you by"

[members]
file = "members.json"
"""


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
@click.option("--algorithm", type=click.Choice(list(keys.ALGORITHMS)), default="ES384",
              show_default=True)  # fmt: skip
@click.option(
    "--test-pki",
    is_flag=True,
    help="Write a certificate authority for tests into FOLDER/test-pki, nothing else.",
)
@click.option("--client-uri", default="https://requesting-payer.example/udap", show_default=True,
              help="The URI that the client's test certificate is for.")  # fmt: skip
def init(folder: Path, algorithm: str, test_pki: bool, client_uri: str) -> None:
    """Write payer-exchange.toml, a key pair and the public JWKS to register."""
    folder.mkdir(parents=True, exist_ok=True)
    if test_pki:
        _write_test_pki(folder / "test-pki", client_uri)
        return
    jwk = keys.generate(algorithm)
    key = folder / "requesting-payer.jwk.json"
    jwks = folder / "requesting-payer.jwks.json"
    for path in (folder / FILE_NAME, key, jwks):
        if path.exists():
            raise SettingsError(
                f"{path} is there already. Remove it first, or name another folder."
            )
    key.touch(mode=0o600)
    key.write_text(json.dumps(jwk, indent=1), encoding="utf-8")
    jwks.write_text(json.dumps(keys.public_set(jwk), indent=1), encoding="utf-8")
    (folder / FILE_NAME).write_text(_TEMPLATE, encoding="utf-8")
    _console.print(f"Register {jwks} with the payer, then fill in {folder / FILE_NAME}.")


def _write_test_pki(folder: Path, client_uri: str) -> None:
    """Write the authority, a server's certificate for loopback and a client's for its URI."""
    authority = pki.TestAuthority.create(SystemClock(), intermediate=True)
    # The second URI is for the registrations that a judge makes and cancels.
    uris = [client_uri, f"{client_uri}-probe"]
    revoked = authority.issue(uris=uris, key="RSA", subject="TEST revoked")
    authority.revoke(revoked)
    authority.write(folder)
    revoked.write(folder, "test-revoked")
    authority.localhost().write(folder, "test-server")
    # UDAP asks for RS256 of everybody.
    authority.issue(uris=uris, key="RSA", subject="TEST client").write(folder, "test-client")
    _console.print(f"Trust {folder / 'test-root.pem'} in tests on this machine, and nowhere else.")


@click.command()
@click.option("--config", type=click.Path(path_type=Path))
def settings(config: Path | None) -> None:
    """Show the settings in force, secrets masked."""
    path = config or find_settings(Path.cwd())
    found = read_settings(path) if path else Settings()
    table = Table("setting", "value", "default", title=str(path or "defaults: no file found"))
    for row in described(found):
        table.add_row(*row)
    _console.print(table)
