"""`payer-exchange mtls-bundle`: publish a mutual-TLS endpoint, and take one from what is read."""

from __future__ import annotations

from pathlib import Path

import click

from ..reference.clock import SystemClock
from ..reference.errors import SettingsError
from ..reference.fhir import json
from ..reference.parties import PayerIdentity
from ..reference.registration.mtls_bundle import MtlsEndpoint, make_bundle, read_bundle
from ..reference.settings import FILE_NAME
from ..reference.trust.pki import read_issued
from ..reference.trust.udap.chains import read_trust

_FILE = click.Path(path_type=Path, dir_okay=False)
_TOML = """\
# From the mTLS endpoint bundle of {name}; its signature was checked.
[target]
fhir_base = {base}

[target.auth]
method = "mtls"
client_id = ""                  # the id that the payer gives you
token_url = {token}

[target.tls]
authorities = "authorities.pem"
certificate = ""                # your own certificate chain, and its key
key = ""
"""


@click.group("mtls-bundle")
def mtls_bundle() -> None:
    """The signed Bundle that payers find mutual-TLS endpoints by (PDex 2.0)."""


@mtls_bundle.command()
@click.option("--fhir-base", required=True, help="Where the FHIR API answers.")
@click.option("--token-url", required=True, help="Where its tokens are asked for.")
@click.option("--support-url", required=True, help="A page for the members' questions.")
@click.option("--payer", nargs=3, required=True, metavar="SYSTEM VALUE NAME",
              help="The payer: its identifier and its name.")  # fmt: skip
@click.option("--authorities", type=_FILE, required=True,
              help="What the endpoint's certificates lead to (PEM).")  # fmt: skip
@click.option("--certificate", type=_FILE, required=True, help="The signer's chain (PEM).")
@click.option("--key", type=_FILE, required=True, help="The signer's private key (PEM).")
@click.option("--out", type=_FILE, required=True, help="The file to write.")
def make(
    fhir_base: str, token_url: str, support_url: str, payer: tuple[str, str, str],
    authorities: Path, certificate: Path, key: Path, out: Path,
) -> None:  # fmt: skip
    """Sign a Bundle that tells of an endpoint."""
    read_trust(authorities)  # what nobody can read is not published
    told = MtlsEndpoint(PayerIdentity(*payer), fhir_base, token_url, support_url,
                        authorities.read_text(encoding="ascii"))  # fmt: skip
    signer = read_issued(certificate, key)
    out.write_bytes(json.write(make_bundle(told, signer, SystemClock().now())))
    click.echo(f"Publish {out}. It tells of {fhir_base} and is signed.")


@mtls_bundle.command()
@click.argument("file", type=_FILE)
@click.option("--trust-anchors", type=_FILE, required=True,
              help="The roots that the signer's certificate has to lead to (PEM).")  # fmt: skip
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), required=True,
              help=f"Write {FILE_NAME} and authorities.pem into this folder.")  # fmt: skip
def read(file: Path, trust_anchors: Path, folder: Path) -> None:
    """Check a Bundle's signature, and write the settings of a client from it."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise SettingsError(f"The bundle {file} cannot be read: {error.strerror}.") from error
    told = read_bundle(content, read_trust(trust_anchors), SystemClock().now())
    settings = folder / FILE_NAME
    if settings.exists():
        raise SettingsError(f"{settings} is there already. Name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "authorities.pem").write_text(told.certificates, encoding="ascii")
    settings.write_text(_toml(told), encoding="utf-8")
    click.echo(f"{settings} is for {told.fhir_base}. Fill in client_id, certificate and key.")


def _toml(told: MtlsEndpoint) -> str:
    """The settings; each text of the other payer as a JSON string, which TOML reads alike."""
    base, token = (
        json.write(text).decode() for text in (told.fhir_base, told.authorization_server)
    )
    name = " ".join(told.payer.name.split())  # a comment is one line
    return _TOML.format(name=name, base=base, token=token)
