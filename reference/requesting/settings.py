"""What a requesting payer is told about itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..egress import EgressRules
from ..errors import SettingsError
from ..fhir.pdex import BULK_MEMBER_MATCH
from ..http import Exchange, HttpClient
from ..intake.archive import MODES
from ..intake.conformance import MODES as PROFILE_CHECKS
from ..intake.transform import TAG_SYSTEM
from ..parties import PayerIdentity
from ..registration.servers import BULK_EXPORT_METHODS, EXPORT_METHODS, Server
from ..schedule import EASTERN
from ..secret import Secret, new_token
from ..tls import Tls


@dataclass(frozen=True, slots=True)
class RequestingSettings:
    """What a requesting payer is told about itself."""

    fhir_base: str
    """The FHIR base URL that others see."""
    identity: PayerIdentity
    """How consents and coverages name this payer."""
    data_dir: Path
    """Where files are staged while an exchange runs."""
    patient_system: str = "https://requesting-payer.example.org/member-id"
    """Reference System used by Target Patient: a local Patient has exactly one such identifier."""
    responder_identifier_system: str = ""
    """The system under which source ids are kept as identifiers; empty: the source's FHIR base."""
    tag_system: str = TAG_SYSTEM
    """The system of the `migrated` tag."""
    archive_mode: str = "seed"
    """seed: the Binary inside the DocumentReference; binary: beside it, named by attachment.url."""
    export_method: str = "export"
    """export, everything or search, unless the server definition says otherwise."""
    bulk_export_method: str = "davinci-data-export"
    """How the records of a matched Group are asked for: davinci-data-export, or export."""
    bulk_match_scope: str = BULK_MEMBER_MATCH
    """The scope asked for before $bulk-member-match; it is spelt otherwise before PDex 2.2.0."""
    batch_size: int = 1000
    """How many members a bulk match submits at most."""
    intake_workers: int = 0
    """How many processes help to check and rewrite what bulk exports bring; 0: none."""
    profile_check: str = "off"
    """Whether received resources are held to their profiles: off, report or quarantine."""
    profile_packages: tuple[str, ...] = ()
    """FHIR packages that stand before the shipped tables when they are: .tgz files or folders."""
    accepted_status: int = 200
    """What an accepted invoke-export is answered with: 200, or 202."""
    exchange_threads: int = 4
    """How many exchanges run at the same time."""
    timeout_s: float = 30.0
    """How long to wait for a connection and for each next byte, in seconds."""
    export_limit_s: float = 3600.0
    """How long to wait for an export to be finished, in seconds."""
    tls: Tls = field(default_factory=Tls)
    """Whose certificates are trusted, and this payer's own for mutual TLS."""
    allowed_networks: tuple[str, ...] = ()
    """Networks that are not public and hold a source payer, as 10.20.0.0/16."""
    allow_loopback: bool = False
    """For tests alone: source payers on this machine, and plain http to them."""
    time_zone: str = EASTERN
    """Where this payer's days begin and end: an IANA name."""
    admin_token: Secret = field(default_factory=new_token)
    """The bearer token of the admin API."""
    operator_token: Secret = field(default_factory=new_token)
    """The bearer token of the FHIR API."""

    def client(self, server: Server, observer: Callable[[Exchange], None] | None) -> HttpClient:
        """A client for an exchange with one source payer, which goes where it is registered."""
        rules = EgressRules(
            server.origins(), networks=self.allowed_networks, allow_loopback=self.allow_loopback
        )
        return HttpClient(rules, timeout_s=self.timeout_s, observer=observer, tls=self.tls)

    def checked(self) -> RequestingSettings:
        """The settings, with an Organization id for this payer.

        Raises SettingsError naming the setting that cannot be so.
        """
        for name, allowed in (("archive_mode", MODES), ("export_method", EXPORT_METHODS),
                              ("bulk_export_method", BULK_EXPORT_METHODS),
                              ("profile_check", PROFILE_CHECKS),
                              ("accepted_status", (200, 202))):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise SettingsError(f"{name} is one of {', '.join(map(str, allowed))}.")
        EgressRules(networks=self.allowed_networks)
        if self.batch_size < 1 or self.intake_workers < 0:
            raise SettingsError("batch_size is at least 1, intake_workers at least 0.")
        return replace(self, identity=with_organization(self.identity))


def with_organization(identity: PayerIdentity) -> PayerIdentity:
    """The identity with an Organization id, made of its identifier when it has none.

    So registering the same payer twice makes one Organization.
    """
    if identity.organization_id:
        return identity
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in identity.value)
    return replace(identity, organization_id=f"payer-{kept}".lower()[:64])


def reference_to(identity: PayerIdentity) -> dict[str, Any]:
    """A Reference to the payer's Organization here, with its identifier."""
    return {"reference": f"Organization/{identity.organization_id}", **identity.reference()}
