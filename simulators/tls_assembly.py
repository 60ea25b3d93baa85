"""Certificates of a simulated pair: the user's own files, or those of a test authority on loopback.

The test authority and what it issued lie in the payer's data folder, for as long as that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..reference.clock import Clock
from ..reference.errors import SettingsError
from ..reference.fhir import json
from ..reference.registration.mtls_bundle import MtlsEndpoint, make_bundle
from ..reference.tls import ServerTls, Tls
from ..reference.trust.pki import Issued, TestAuthority
from .answers import fhir_answer
from .responding import RespondingSimulator

TEST = "test"
CLIENT_URI = "https://requesting-payer.example.org/mutual-tls"
SIGNER_URI = "https://responding-payer.example.org/endpoint-bundle"
BUNDLE_PATH = "/mtls-endpoint-bundle.json"
_SUPPORT = "https://responding-payer.example.org/members"
_FOLDER = "tls"
_ROOT, _SERVER, _CLIENT = "test-root", "server", "requesting-payer"


@dataclass(frozen=True, slots=True)
class TlsKit:
    """What a listener is given, and what a client of it needs."""

    server: ServerTls
    client: Tls
    authority: Path | None = None
    """The folder of the test authority, if it is one's own."""

    def toml(self, root: str) -> str:
        """The section of payer-exchange.toml for a client of the payer at that root URL."""
        files = {"authorities": self.client.authorities, "certificate": self.client.certificate,
                 "key": self.client.key, "test_authority": self.authority}  # fmt: skip
        told = {name: _slashed(value) for name, value in files.items() if value}
        if self.authority:
            told["endpoint_bundle"] = f"{root}{BUNDLE_PATH}"
        return "[target.tls]\n" + "".join(f'{k} = "{v}"\n' for k, v in told.items()) + "\n"


def publish_bundle(simulator: RespondingSimulator, folder: Path) -> None:
    """Have the payer publish the signed Bundle of its endpoint, signed by its test authority."""
    payer = simulator.payer
    settings, authority = payer.settings, TestAuthority.read(folder, payer.clock)
    signer = authority.issue(uris=[SIGNER_URI], subject="TEST signer")
    told = MtlsEndpoint(
        settings.identity, settings.fhir_base, settings.token_url, _SUPPORT,
        (folder / f"{_ROOT}.pem").read_text(encoding="ascii"),
    )  # fmt: skip
    content = make_bundle(told, signer, payer.clock.now())
    simulator.app.add_url_rule(BUNDLE_PATH, "mtls_bundle", lambda: fhir_answer(json.write(content)))


def tls_kit(
    data_dir: Path, clock: Clock, *, test: bool, certificate: str, key: str, client_ca: str
) -> TlsKit | None:
    """The certificates that options name or that the test authority makes; None for plain http.

    Raises SettingsError when an option lacks another.
    """
    if test:
        if certificate or key:
            raise SettingsError("Give --tls test, or --tls-certificate with --tls-key.")
        return _test_kit(data_dir / _FOLDER, clock)
    if not (certificate and key):
        if certificate or key or client_ca:
            raise SettingsError("TLS needs both --tls-certificate and --tls-key.")
        return None
    return TlsKit(ServerTls(certificate, key, client_ca), Tls())


def _test_kit(folder: Path, clock: Clock) -> TlsKit:
    if not (folder / f"{_ROOT}.pem").is_file():
        TestAuthority.create(clock, name="TLS").write(folder)
    authority = TestAuthority.read(folder, clock)
    # Issued at each start: what is kept may have expired.
    server = _written(folder, _SERVER, authority.localhost())
    client = _written(folder, _CLIENT, authority.issue(uris=[CLIENT_URI], subject="TEST client"))
    root = str(folder / f"{_ROOT}.pem")
    return TlsKit(ServerTls(*server, client_authorities=root), Tls(root, *client), folder)


def _written(folder: Path, name: str, issued: Issued) -> tuple[str, str]:
    for path in (folder / f"{name}.pem", folder / f"{name}.key.pem"):
        path.unlink(missing_ok=True)
    chain, key = issued.write(folder, name)
    return str(chain.resolve()), str(key.resolve())


def _slashed(path: Path | str) -> str:
    return str(Path(path).resolve()).replace("\\", "/")
