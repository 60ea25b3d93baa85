"""Certificates of a simulated pair: the user's own files, or those of a test authority on loopback.

The test authority and what it issued lie in the payer's data folder, for as long as that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..reference.clock import Clock
from ..reference.errors import SettingsError
from ..reference.tls import ServerTls, Tls
from ..reference.trust.pki import Issued, TestAuthority

TEST = "test"
CLIENT_URI = "https://requesting-payer.example.org/mutual-tls"
_FOLDER = "tls"
_ROOT, _SERVER, _CLIENT = "test-root", "server", "requesting-payer"


@dataclass(frozen=True, slots=True)
class TlsKit:
    """What a listener is given, and what a client of it needs."""

    server: ServerTls
    client: Tls
    authority: Path | None = None
    """The folder of the test authority, if it is one's own."""

    def toml(self) -> str:
        """The section of payer-exchange.toml for a client."""
        told = {"authorities": self.client.authorities, "certificate": self.client.certificate,
                "key": self.client.key, "test_authority": self.authority}  # fmt: skip
        lines = (f'{name} = "{_slashed(value)}"\n' for name, value in told.items() if value)
        return "[target.tls]\n" + "".join(lines) + "\n"


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
