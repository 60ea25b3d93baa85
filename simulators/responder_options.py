"""How a simulated responding payer is to be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ..reference.clock import Clock
from ..reference.errors import SettingsError
from ..reference.fhir.pdex import NEWEST
from ..reference.trust.mutual_tls import OFF, OPTIONAL
from .tls_assembly import TEST, TlsKit, tls_kit


@dataclass(frozen=True, slots=True)
class ResponderOptions:
    """How a simulated responding payer is to be."""

    host: str = "127.0.0.1"
    port: int = 0
    public_url: str = ""
    members: int = 25
    seed: int = 1
    data_dir: Path | None = None
    database: str = ""
    load: tuple[Path, ...] = ()
    defects: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    """What goes wrong by chance, each as NAME=HOW MUCH."""
    scope: Path | None = None
    limits: Path | None = None
    """A TOML file of how much the payer bears of a client."""
    strategy: str = "strict"
    token_lifetime_s: int = 300
    pdex_version: str = NEWEST
    single_member: bool = True
    bulk: bool = True
    gzip: bool = False
    parameters_envelope: bool = False
    threads: int = 16
    tls: str = ""
    """test: https with certificates of a test authority of its own."""
    tls_certificate: str = ""
    tls_key: str = ""
    client_ca: str = ""
    """A PEM file of the authorities of client certificates, for mutual TLS."""
    client_certificates: str = ""
    """off, optional or required; empty: optional where their authorities are known."""

    @property
    def mutual_tls(self) -> str:
        """Whether client certificates are asked for, in the payer's own words."""
        known = OPTIONAL if self.tls == TEST or self.client_ca else OFF
        return OFF if self.client_certificates == "off" else self.client_certificates or known

    def kit(self, data_dir: Path, clock: Clock) -> TlsKit | None:
        """The certificates of the listener and of its client; None for plain http."""
        found = tls_kit(
            data_dir, clock, test=self.tls == TEST, certificate=self.tls_certificate,
            key=self.tls_key, client_ca=self.client_ca,
        )  # fmt: skip
        if self.mutual_tls and not (found and found.server.client_authorities):
            raise SettingsError("Client certificates need TLS and --client-ca.")
        if found and not self.mutual_tls:
            return replace(found, server=replace(found.server, client_authorities=""))
        return found

    udap: bool = False
    """UDAP beside SMART, with test authorities of its own."""
