"""payer-exchange.toml as frozen dataclasses: read strictly, told plainly when it is wrong.

Command line over environment over file over default. A secret is a file beside the settings file or
`{ env = "NAME" }`, never a plain value that a report could show.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from .egress import is_loopback_host
from .errors import SettingsError
from .fhir.hrex import MEMBER_MATCH
from .fhir.pdex import BULK_MATCH_SCOPES, BULK_MEMBER_MATCH
from .parties import PayerIdentity
from .tls import Tls
from .toml_files import read_toml

FILE_NAME = "payer-exchange.toml"
# What an endpoint of any size bears beside its other work.
_POLITE_PER_S = 50.0
VERSIONS = ("2.0.0", "2.1.0", "2.2.0")
METHODS = ("smart-backend-services", "udap", "client-secret-basic", "mtls", "bearer")


@dataclass(frozen=True, slots=True)
class UdapClientSettings:
    """The verifier's or client's standing in a UDAP trust community; paths are beside this file."""

    certificate: str = ""
    """A PEM file with the client's certificate chain, leaf first."""
    key: str = ""
    """The PEM file of its private key."""
    trust_anchors: str = ""
    """A PEM file with the roots that the target's certificate has to lead to."""
    revocation_list: str = ""
    """PEM files of revocation lists, with blanks between them."""
    community: str = ""
    """The URI of the trust community; empty: the target's default."""
    client_uri: str = ""
    """Which of the certificate's URIs the client goes by; empty: the first."""
    probe_uri: str = ""
    """Another URI of the certificate, for registrations that the verifier makes and cancels."""
    organization_id: str = ""
    """The organization that asks, as a URI; empty: the client URI."""
    organization_name: str = ""
    """Its name."""
    purpose_of_use: str = ""
    """Purposes with blanks between them; empty: payment."""
    contact: str = ""
    """A mailto: URI for the target's questions."""
    test_authority: str = ""
    """A folder of payer-exchange init --test-pki that the target trusts: makes bad certificates."""
    other_community: str = ""
    """The URI of another trust community of the target."""
    other_authority: str = ""
    """A folder like test_authority, for that community."""


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """How the verifier or client authenticates at the target."""

    method: str = "smart-backend-services"
    """smart-backend-services, udap, client-secret-basic or bearer."""
    client_id: str = ""
    """The id the target registered."""
    private_key: str = field(default="", repr=False)
    """A private JWK: a path beside this file, or { env = "NAME" }."""
    client_secret: str = field(default="", repr=False)
    """For client-secret-basic: { env = "NAME" } or a path beside this file."""
    token: str = field(default="", repr=False)
    """For bearer: a ready token, { env = "NAME" } or a path beside this file."""
    token_url: str = ""
    """The token endpoint; discovered when empty."""
    match_scope: str = MEMBER_MATCH
    """The scope asked for before $member-match."""
    bulk_match_scope: str = ""
    """The scope asked for before $bulk-member-match; empty: as the PDex version spells it."""
    data_scope: str = "system/*.rs"
    """The scope asked for before data is requested."""
    member_binding: str = "patient"
    """How a token is bound to the matched member: sub, patient (a form parameter) or none."""
    udap: UdapClientSettings = field(default_factory=UdapClientSettings)
    """Certificates for UDAP. With another method they are used by the UDAP scenarios alone."""

    def scopes(self, version: str) -> tuple[str, ...]:
        """Every scope that may be asked for, as a UDAP client registers them."""
        return (self.match_scope, self.data_scope, self.bulk_scope(version))

    def bulk_scope(self, version: str) -> str:
        """The scope of the bulk match under a PDex version."""
        return self.bulk_match_scope or BULK_MATCH_SCOPES.get(version, BULK_MEMBER_MATCH)


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """TLS towards the target; its certificate is always checked."""

    authorities: str = ""
    """A PEM file of the authorities to trust instead of the public ones."""
    certificate: str = ""
    """A PEM file with the verifier's own certificate chain, for mutual TLS."""
    key: str = ""
    """The PEM file of its private key."""
    test_authority: str = ""
    """A folder of a test authority that the target trusts: other certificates are made of it."""
    endpoint_bundle: str = ""
    """The signed Bundle that tells of the target's mutual-TLS endpoint: a URL, or a path."""

    def files(self, settings: Settings) -> Tls:
        """The files, from the folder of the settings file."""
        found = (self.authorities, self.certificate, self.key)
        return Tls(*(str(settings.path(text)) if text else "" for text in found))


@dataclass(frozen=True, slots=True)
class KeySetSettings:
    """A client of the verifier that the target knows by the URL of its keys."""

    client_id: str = ""
    """The id the target registered; empty: how it fetches keys is not judged."""
    listen: str = ""
    """Where the verifier publishes its keys, as 127.0.0.1:8765; their path is /jwks.json."""
    url: str = ""
    """The URL the target registered; empty: http at that address."""


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """What the target's operator agreed to for load runs; load on this machine needs none of it."""

    agreed_by: str = ""
    """The name of the operator who agreed; empty: no load leaves this machine."""
    most_rate_per_s: float = 5.0
    """Starts a second at most."""
    most_at_once: float = 10.0
    """Journeys under way at most."""
    most_seconds: float = 60.0
    """How long a run may take at most."""
    most_megabytes: float = 1000.0
    """What a run may bring at most before it is stopped."""
    file_origins: str = ""
    """Origins of files besides the target's own, with blanks between them; no token goes there."""


@dataclass(frozen=True, slots=True)
class TargetSettings:
    """The payer that is verified or asked."""

    fhir_base: str = ""
    """Its FHIR base URL."""
    pdex_version: str = "2.2.0"
    """The PDex version it is judged by."""
    timeout_s: float = 30.0
    """How long to wait for a connection and for each next byte, in seconds."""
    api_origins: str = ""
    """Origins besides the FHIR base's own that tokens may go to, with blanks between them."""
    group: str = ""
    """A Group that is exported as it is, of a Bulk Data server that matches no members."""
    most_per_s: float = 0.0
    """Requests a second that it is asked at most; 0: 50, and no bound on this machine."""
    may_be_pressed: bool = False
    """Whether more may be asked of it at once than is polite, to see how it says to wait."""
    auth: AuthSettings = field(default_factory=AuthSettings)
    """How to authenticate there."""
    other_client: AuthSettings = field(default_factory=AuthSettings)
    """A second client that the target registered, for another payer: it must reach nothing."""
    key_set: KeySetSettings = field(default_factory=KeySetSettings)
    """A client whose keys the target fetches from the verifier."""
    tls: TlsSettings = field(default_factory=TlsSettings)
    """Whose certificates are trusted, and the verifier's own for mutual TLS."""
    load: LoadSettings = field(default_factory=LoadSettings)
    """What its operator agreed to for load runs."""

    @property
    def rate(self) -> float:
        """The bound in requests a second; 0 where there is none."""
        here = is_loopback_host(urlsplit(self.fhir_base).hostname or "")
        return self.most_per_s or (0.0 if here else _POLITE_PER_S)

    def origins(self) -> tuple[str, ...]:
        """Where tokens may go besides the FHIR base's own origin."""
        return (*self.api_origins.split(), self.auth.token_url)


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """The verifier's own identity as a requesting payer; empty: as the members file names it."""

    system: str = ""
    """The identifier system."""
    value: str = ""
    """The identifier value."""
    name: str = ""
    """A name for people."""

    def identity(self) -> PayerIdentity:
        """The identity in the words of the exchange."""
        return PayerIdentity(self.system, self.value, self.name)


@dataclass(frozen=True, slots=True)
class MembersSettings:
    """The target's truth table."""

    file: str = ""
    """members.json: who is enrolled, who is not, and what each record holds."""


@dataclass(frozen=True, slots=True)
class HooksSettings:
    """Commands that change the target for one scenario, which is skipped without them."""

    withdraw_consent: str = ""
    """Withdraws the consent of the member whose Patient id is in MEMBER_ID."""
    delete_resource: str = ""
    """Deletes the resource whose Type/id is in RESOURCE."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything payer-exchange.toml can say."""

    target: TargetSettings = field(default_factory=TargetSettings)
    """The payer under test."""
    identity: IdentitySettings = field(default_factory=IdentitySettings)
    """Who asks."""
    members: MembersSettings = field(default_factory=MembersSettings)
    """Whom to ask for."""
    hooks: HooksSettings = field(default_factory=HooksSettings)
    """Commands for scenarios that need the target changed."""
    folder: Path = field(default_factory=Path.cwd)
    """Where the file lies: relative paths in it start there."""

    def path(self, text: str) -> Path:
        """A path of the file, from the file's own folder."""
        return self.folder / Path(text).expanduser()


def read_settings(path: Path) -> Settings:
    """The settings in a file.

    Raises SettingsError naming the file, the section and the nearest valid key.
    """
    content = read_toml(path, "The settings file")
    settings: Settings = _section(Settings, content, path, "", folder=path.resolve().parent)
    _check(settings, path)
    return settings


def find_settings(start: Path) -> Path | None:
    """The payer-exchange.toml of a folder or of the nearest one above it."""
    for folder in (start, *start.parents):
        if (folder / FILE_NAME).is_file():
            return folder / FILE_NAME
    return None


def _section(
    kind: type[Any], content: Mapping[str, Any], path: Path, name: str, **extra: Any
) -> Any:
    known = {f.name: f for f in fields(kind) if f.name not in extra}
    hints = get_type_hints(kind)
    values: dict[str, Any] = {}
    for key, value in content.items():
        if key not in known:
            raise SettingsError(_unknown_key(key, list(known), path, name))
        where = f"{name}.{key}".lstrip(".")
        if is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise SettingsError(f"{path}: {where} must be a section, [{where}].")
            values[key] = _section(hints[key], value, path, where)
        else:
            values[key] = _value(value, hints[key], path, where)
    return kind(**values, **extra)


def _value(value: Any, wanted: Any, path: Path, where: str) -> Any:
    if isinstance(value, Mapping) and set(value) == {"env"}:
        found = os.environ.get(str(value["env"]))
        if found is None:
            raise SettingsError(
                f"{path}: {where} is to come from the environment variable {value['env']}, "
                "which is not set."
            )
        return found
    if wanted is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, wanted):
        raise SettingsError(f"{path}: {where} must be a {_word(wanted)}.")
    return value


def _word(kind: Any) -> str:
    return {str: "text", float: "number", int: "whole number", bool: "true or false"}[kind]


def _unknown_key(key: str, known: list[str], path: Path, section: str) -> str:
    near = difflib.get_close_matches(key, known, 1)
    where = f"section [{section}]" if section else "the file"
    hint = f" Did you mean {near[0]}?" if near else ""
    return f"{path}: {where} has no key {key}.{hint} It has {', '.join(sorted(known))}."


def _check(settings: Settings, path: Path) -> None:
    target = settings.target
    if target.pdex_version not in VERSIONS:
        raise SettingsError(f"{path}: target.pdex_version must be one of {', '.join(VERSIONS)}.")
    for name, auth in (("auth", target.auth), ("other_client", target.other_client)):
        if auth.method not in METHODS:
            raise SettingsError(
                f"{path}: target.{name}.method must be one of {', '.join(METHODS)}."
            )
    udap = target.auth.udap
    if target.auth.method == "udap" or udap.certificate:
        for key in ("certificate", "key", "trust_anchors"):
            if not getattr(udap, key):
                raise SettingsError(f"{path}: UDAP needs target.auth.udap.{key}.")
    if target.fhir_base and not target.fhir_base.startswith(("http://", "https://")):
        raise SettingsError(f"{path}: target.fhir_base must be a URL with http or https.")


def described(settings: Settings) -> list[tuple[str, str, str]]:
    """Every setting as (key, value in force with secrets masked, default), in the file's order."""
    return list(_described(settings, ""))


def _described(section: Any, prefix: str) -> Any:
    for f in fields(section):
        value = getattr(section, f.name)
        if is_dataclass(value):
            yield from _described(value, f"{prefix}{f.name}.")
        elif f.name != "folder":
            default = "" if f.default is MISSING else str(f.default)
            yield f"{prefix}{f.name}", _shown(f.name, value, secret=not f.repr), default


def _shown(name: str, value: Any, *, secret: bool) -> str:
    # A key is mostly told by its file, which may be seen; from the environment it is the key.
    path = name == "private_key" and not value.lstrip().startswith("{")
    return "********" if value and secret and not path else str(value)
