"""The requesting payer's side: one OIDC server definition for each source payer it may ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Column, Engine, MetaData, String, Table, Text, delete, insert, select

from ..credentials import Credentials
from ..egress import origins_of
from ..errors import AddressRefused, SettingsError
from ..fhir import json
from ..fhir.hrex import MEMBER_MATCH
from ..fhir.pdex import BULK_MATCH_SCOPES, BULK_MEMBER_MATCH
from ..parties import PayerIdentity
from ..secret import Secret, SecretKey
from ..trust.keys import algorithm_of, read_private
from ..trust.udap.identity import from_pem
from .clients import Client, ClientRegistry, client_from_json

AUTH_METHODS = ("private_key_jwt", "udap", "client_secret_basic", "tls_client_auth")
BINDINGS = ("patient", "sub", "none")
EXPORT_METHODS = ("export", "everything", "search")
BULK_EXPORT_METHODS = ("davinci-data-export", "export")

_METADATA = MetaData()
_SERVER = Table(
    "oidc_server",
    _METADATA,
    Column("issuer", String, primary_key=True),
    Column("content", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Server:
    """One source payer as its client knows it."""

    name: str
    issuer: str
    """The source's exact issuer URL: what sourceIssuerUrl is compared with."""
    fhir_base: str
    client_id: str
    """The id it assigned; by UDAP it may be empty, and is filled by the first registration."""
    organization: PayerIdentity
    """The source payer; `organization_id` is the id of the local Organization resource."""
    token_url: str = ""
    """The token endpoint; discovered when empty."""
    auth_method: str = "private_key_jwt"
    key: Mapping[str, Any] | None = field(default=None, repr=False)
    """A private JWK, kept in this payer's own database."""
    key_file: str = ""
    """Or the file that holds one."""
    jwks_url: str = ""
    """Where this payer publishes the key, as it is registered there: assertions name it (jku)."""
    secret: str = field(default="", repr=False)
    udap: Mapping[str, Any] | None = field(default=None, repr=False)
    """For udap: certificate, key and trust_anchors in PEM, and what the client says of itself."""
    match_scope: str = MEMBER_MATCH
    data_scope: str = "system/*.rs"
    member_binding: str = "patient"
    """How a data token is bound to the matched member: patient, sub or none."""
    export_method: str = ""
    """export, everything or search; empty: as the payer's own settings say."""
    bulk_match_scope: str = ""
    """The scope asked for before $bulk-member-match; empty: as the payer's own settings say."""
    bulk_export_method: str = ""
    """How a matched Group is exported: davinci-data-export or export; empty: as the settings."""
    file_origins: tuple[str, ...] = ()
    """Origins besides the FHIR base's own that export files may lie at. No token goes there."""
    api_origins: tuple[str, ...] = ()
    """Origins besides the FHIR base's own that its API answers at, as a token endpoint or the
    status of exports. Tokens go there."""

    def own_origins(self) -> frozenset[str]:
        """Where the payer's API answers by its registration; tokens go there alone."""
        return origins_of((self.fhir_base, self.issuer, self.token_url, *self.api_origins))

    def origins(self) -> frozenset[str]:
        """Every origin a request of an exchange with this payer may go to."""
        return self.own_origins() | origins_of(self.file_origins)

    def scopes(self) -> tuple[str, ...]:
        """Every scope an exchange with this payer may ask for, as a UDAP client registers them."""
        bulk = (self.bulk_match_scope,) if self.bulk_match_scope else (
            BULK_MEMBER_MATCH, *BULK_MATCH_SCOPES.values())  # fmt: skip
        return tuple(dict.fromkeys((self.match_scope, self.data_scope, *bulk)))

    def credentials(self) -> Credentials:
        """What the client authenticates with; raises SettingsError when the key file is bad."""
        if self.auth_method == "udap":
            return Credentials(self.client_id, udap=from_pem(self.udap or {}))
        if self.auth_method == "client_secret_basic":
            return Credentials(self.client_id, secret=Secret(self.secret))
        if self.auth_method == "tls_client_auth":
            return Credentials(self.client_id, by_certificate=True)
        key = SecretKey(self.key or read_private(Path(self.key_file)))
        return Credentials(self.client_id, jwk=key, jwks_url=self.jwks_url)


@dataclass(frozen=True, slots=True)
class Registered:
    """What a registration document brought into being."""

    clients: tuple[Client, ...] = ()
    servers: tuple[Server, ...] = ()


class ServerRegistry:
    """The source payers of one requesting payer; registering one again replaces it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)

    def register(self, server: Server) -> Server:
        """Store the definition and return it; the same one twice changes nothing.

        Raises SettingsError naming the field that cannot be so.
        """
        _check(server)
        content = json.write(asdict(server)).decode()
        with self._engine.begin() as connection:
            connection.execute(delete(_SERVER).where(_SERVER.c.issuer == server.issuer))
            connection.execute(insert(_SERVER).values(issuer=server.issuer, content=content))
        return server

    def set_client_id(self, issuer: str, client_id: str) -> None:
        """Keep the id that a UDAP registration gave; an unknown server stays unknown."""
        server = self.find(issuer)
        if server:
            self.register(replace(server, client_id=client_id))

    def find(self, issuer: str) -> Server | None:
        """The server with exactly that issuer URL, or None."""
        statement = select(_SERVER.c.content).where(_SERVER.c.issuer == issuer)
        with self._engine.connect() as connection:
            content = connection.execute(statement).scalar()
        return _server(json.read(content)) if content else None

    def all(self) -> list[Server]:
        """Every server, by issuer."""
        statement = select(_SERVER.c.content).order_by(_SERVER.c.issuer)
        with self._engine.connect() as connection:
            return [_server(json.read(content)) for (content,) in connection.execute(statement)]


def server_from_json(content: Mapping[str, Any]) -> Server:
    """A server from a registration document.

    Raises SettingsError for an unknown or a missing key.
    """
    known = {f.name for f in fields(Server)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise SettingsError(
            f"A server registration has no key {unknown[0]}. It has {', '.join(sorted(known))}."
        )
    by_udap = content.get("auth_method") == "udap"
    needed = ("issuer", "fhir_base", *(() if by_udap else ("client_id",)), "organization")
    for key in needed:
        if not content.get(key):
            raise SettingsError(f"A server registration needs {key}.")
    server = _server({"name": content["issuer"], "client_id": "", **content})
    _check(server)
    return server


def register_document(
    document: Mapping[str, Any],
    *,
    clients: ClientRegistry | None = None,
    servers: ServerRegistry | None = None,
) -> Registered:
    """Register what a document {"clients": [...], "servers": [...]} lists, or nothing of it.

    A file, the admin API and the command line all end here. Raises SettingsError when an entry is
    wrong, or is for a role that this payer does not have.
    """
    unknown = sorted(set(document) - {"clients", "servers"})
    if unknown:
        raise SettingsError(f"A registration has no key {unknown[0]}. It has clients and servers.")
    read_clients = [client_from_json(entry) for entry in _entries(document, "clients")]
    read_servers = [server_from_json(entry) for entry in _entries(document, "servers")]
    if (read_clients and clients is None) or (read_servers and servers is None):
        role = "responding" if clients is None and read_clients else "requesting"
        raise SettingsError(f"The registration has entries for a {role} payer, which this is not.")
    return Registered(
        tuple(clients.register(c) for c in read_clients) if clients else (),
        tuple(servers.register(s) for s in read_servers) if servers else (),
    )


def _entries(document: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = document.get(key, [])
    if not isinstance(found, list) or not all(isinstance(entry, Mapping) for entry in found):
        raise SettingsError(f"{key} of a registration must be a list of objects.")
    return found


def _check(server: Server) -> None:
    for name, allowed in (("auth_method", AUTH_METHODS), ("member_binding", BINDINGS),
                          ("export_method", ("", *EXPORT_METHODS)),
                          ("bulk_export_method", ("", *BULK_EXPORT_METHODS))):  # fmt: skip
        if getattr(server, name) not in allowed:
            raise SettingsError(f"A server's {name} is one of {', '.join(filter(None, allowed))}.")
    for name in ("issuer", "fhir_base", "token_url", "jwks_url"):
        url = getattr(server, name)
        parts = urlsplit(url) if isinstance(url, str) else None
        if parts is None or (url and not (parts.scheme in ("http", "https") and parts.netloc)):
            raise SettingsError(f"A server's {name} must be a URL with http or https.")
    try:
        server.origins()
    except AddressRefused as error:
        raise SettingsError(
            "A server's issuer, fhir_base, token_url, api_origins and file_origins must be plain "
            "URLs: scheme, host and perhaps a port, with no user name."
        ) from error
    _check_credentials(server)


def _check_credentials(server: Server) -> None:
    if server.auth_method == "udap":
        from_pem(server.udap or {})
    elif server.auth_method == "client_secret_basic":
        if not server.secret:
            raise SettingsError("A server with client_secret_basic needs secret.")
    elif server.auth_method == "tls_client_auth":
        return  # the certificate is this payer's own, for every server
    elif server.key is None and not server.key_file:
        raise SettingsError("A server with private_key_jwt needs key or key_file.")
    elif server.key is not None and (algorithm_of(server.key) is None or "d" not in server.key):
        raise SettingsError("A server's key must be a private JWK for RS384 or ES384.")


def _server(content: Mapping[str, Any]) -> Server:
    for name, value in content.items():
        wanted = _SHAPES.get(name, str)
        if value is not None and not isinstance(value, wanted):
            raise SettingsError(f"A server's {name} has a value of the wrong kind.")
    try:
        organization = PayerIdentity(**content["organization"])
    except TypeError as error:
        raise SettingsError(
            "A server's organization has system, value, name and organization_id."
        ) from error
    lists: dict[str, Any] = {name: tuple(content.get(name) or ()) for name in _LISTS}
    plain = {k: v for k, v in content.items() if k not in ("organization", *_LISTS)}
    return Server(organization=organization, **lists, **plain)


_LISTS = ("file_origins", "api_origins")
_SHAPES: dict[str, Any] = {
    "organization": Mapping,
    "key": Mapping,
    "udap": Mapping,
    **dict.fromkeys(_LISTS, (list, tuple)),
}
