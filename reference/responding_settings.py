"""What a responding payer is told about itself."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from .egress import EgressRules
from .export.scope import DataScope
from .fhir.pdex import NEWEST
from .limits import Limits
from .parties import PayerIdentity
from .schedule import EASTERN
from .secret import Secret, new_token
from .tls import Tls
from .trust.tokens import LIFETIME_S
from .trust.udap.authority import UdapSettings


@dataclass(frozen=True, slots=True)
class RespondingSettings:
    """What a responding payer is told about itself."""

    fhir_base: str
    """The FHIR base URL that others see."""
    token_url: str
    """The token endpoint that others see: the audience of client assertions."""
    identity: PayerIdentity
    """How consents and coverages name this payer."""
    data_dir: Path
    """Where export files are written."""
    scope: DataScope = field(default_factory=DataScope)
    """What may leave."""
    strategy: str = "strict"
    """The matching strategy: a registered name, or module:Class."""
    token_lifetime_s: int = LIFETIME_S
    """How long an access token counts."""
    retry_after_s: int = 1
    """How long a client is asked to wait between two polls."""
    page_size: int = 100
    """Resources on a page of a search or `$everything` unless `_count` says otherwise."""
    export_threads: int = 2
    """How many export jobs are done at the same time."""
    single_member: bool = True
    """Whether the single-member operations are offered."""
    bulk: bool = True
    """Whether bulk match, Groups and their exports are offered."""
    time_zone: str = EASTERN
    """Where this payer's business days begin and end: an IANA name."""
    pdex_version: str = NEWEST
    """The version of PDex that this payer speaks."""
    gzip_files: bool = False
    """Whether files are compressed on their way to who takes gzip."""
    parameters_envelope: bool = False
    """Whether a bulk match also answers with the Parameters envelope of 2.1.0 (pdex-138a)."""
    require_attestation: bool = False
    """Whether a request must attest enrollment by CoverageToLink (cms0057-attestation).

    Off unless said: PDex has CoverageToLink as an option (pdex-145), HRex as a payer's duty.
    """
    limits: Limits = field(default_factory=Limits)
    """How often a client may fail to authenticate or to find a member, and its running jobs."""
    check_profiles: bool = True
    """Whether a match must be all that HRex has it to be; else only what the match needs of it."""
    most_members: int = 10_000
    """How many members one bulk match may hold."""
    jwks_ports: tuple[int, ...] = ()
    """Ports besides 443 that a client's key set may be fetched from."""
    allowed_networks: tuple[str, ...] = ()
    """Networks that are not public and hold a requesting payer's key set, as 10.20.0.0/16."""
    allow_loopback: bool = False
    """For tests alone: key sets on this machine, and plain http to them."""
    tls: Tls = field(default_factory=Tls)
    """Whose certificates are trusted when a key set is fetched."""
    mutual_tls: str = ""
    """Client certificates: empty: not asked for; optional; required for tokens and members' data.

    What is shown is bound to the token in either case.
    """
    udap: UdapSettings | None = None
    """UDAP beside SMART: communities, certificates and the registration endpoint; None: none."""
    admin_token: Secret = field(default_factory=new_token)
    """The bearer token of the admin API."""

    def egress(self) -> EgressRules:
        """Where this payer's own requests may go; raises SettingsError for a wrong network."""
        return EgressRules(
            ports=self.jwks_ports,
            networks=self.allowed_networks,
            allow_loopback=self.allow_loopback,
        )
