"""The responding payer's side: OIDC clients with their keys, scopes and vetting state."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Engine, MetaData, String, Table, Text, bindparam, delete, select

from ..errors import SettingsError
from ..fhir import json
from ..fhir.dates import moment_range
from ..parties import PayerIdentity
from ..store.database import put_row
from ..trust.keys import PRIVATE_MEMBERS, algorithm_of, key_object

STATES = ("pending", "approved", "suspended")
_METADATA = MetaData()
_CLIENT = Table(
    "oidc_client",
    _METADATA,
    Column("client_id", String, primary_key=True),
    Column("content", Text, nullable=False),
)
# Made once: it is run for every token and every match.
_ONE = select(_CLIENT.c.content).where(_CLIENT.c.client_id == bindparam("client"))


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A client secret, kept as a digest, with the window in which it counts."""

    sha256: str
    description: str = ""
    activation: str = ""
    expiration: str = ""

    def accepts(self, secret: str, now: datetime) -> bool:
        """Whether the secret is this one and its window is open."""
        digest = hashlib.sha256(secret.encode()).hexdigest()
        opens, closes = moment_range(self.activation), moment_range(self.expiration)
        in_window = (not opens or now >= opens[0]) and (not closes or now < closes[0])
        return hmac.compare_digest(digest, self.sha256) and in_window


@dataclass(frozen=True, slots=True)
class Client:
    """One registered requesting payer."""

    client_id: str
    name: str
    organization: PayerIdentity
    scopes: tuple[str, ...] = ()
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""
    secrets: tuple[ClientSecret, ...] = ()
    state: str = "approved"
    grant_types: tuple[str, ...] = ("client_credentials",)
    tls_uri: str = ""
    """The URI in the certificate of a client that authenticates by mutual TLS (RFC 8705, 2.1)."""
    udap_uri: str = ""
    """The URI in the certificate of a client that registered by UDAP."""
    community: str = ""
    """The trust community that vouched for it."""


class ClientRegistry:
    """The clients of one responding payer; registering one again replaces it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)

    def register(self, client: Client) -> Client:
        """Store the client and return it; the same registration twice changes nothing."""
        if client.state not in STATES:
            raise SettingsError(f"A client's state is one of {', '.join(STATES)}.")
        uris = client.jwks_uri or client.tls_uri or client.udap_uri
        if not (client.jwks or client.secrets or uris):
            raise SettingsError("A client needs tls_uri, jwks, jwks_uri or a secret for its proof.")
        content = json.write(asdict(client)).decode()
        with self._engine.begin() as connection:
            put_row(connection, _CLIENT, {"client_id": client.client_id, "content": content})
        return client

    def remove(self, client_id: str) -> None:
        """Forget the client; one that is not there changes nothing."""
        with self._engine.begin() as connection:
            connection.execute(delete(_CLIENT).where(_CLIENT.c.client_id == client_id))

    def find(self, client_id: str) -> Client | None:
        """The client with that id, whatever its state, or None."""
        with self._engine.connect() as connection:
            content = connection.execute(_ONE, {"client": client_id}).scalar()
        return _client(json.read(content)) if content else None

    def all(self) -> list[Client]:
        """Every client, by id."""
        statement = select(_CLIENT.c.content).order_by(_CLIENT.c.client_id)
        with self._engine.connect() as connection:
            return [_client(json.read(content)) for (content,) in connection.execute(statement)]

    def set_state(self, client_id: str, state: str) -> Client:
        """Approve, suspend or put back to pending; raises SettingsError for an unknown client."""
        client = self.find(client_id)
        if client is None:
            raise SettingsError("No client is registered under that id.")
        return self.register(replace(client, state=state))


def client_from_json(content: Mapping[str, Any]) -> Client:
    """A client from a registration document; plain secrets in it are digested here.

    Raises SettingsError for an unknown or a missing key.
    """
    known = {"client_id", "name", "organization", "scopes", "jwks", "jwks_uri", "secrets", "state",
             "grant_types", "tls_uri"}  # fmt: skip
    unknown = sorted(set(content) - known)
    if unknown:
        raise SettingsError(
            f"A client registration has no key {unknown[0]}. It has {', '.join(sorted(known))}."
        )
    missing = [key for key in ("client_id", "organization") if not content.get(key)]
    if missing:
        raise SettingsError(f"A client registration needs {missing[0]}.")
    _check_shape(content)
    listed = content.get("secrets") or []
    if not isinstance(listed, list):
        raise SettingsError("A client's secrets must be a list.")
    secrets = [_digested(secret) for secret in listed]
    return _client({"name": content["client_id"], **content, "secrets": secrets})


def _check_shape(content: Mapping[str, Any]) -> None:
    """Raise SettingsError where a value is of a kind that would be read as something else."""
    for key in ("client_id", "name", "jwks_uri", "tls_uri", "state"):
        if not isinstance(content.get(key, ""), str):
            raise SettingsError(f"A client's {key} must be text.")
    for key in ("scopes", "grant_types"):
        if not _texts(content.get(key, [])):
            raise SettingsError(f"A client's {key} must be a list of texts.")
    jwks = content.get("jwks") or {"keys": []}
    keys = jwks.get("keys") if isinstance(jwks, Mapping) else None
    if not isinstance(keys, list) or not all(isinstance(k, Mapping) for k in keys):
        raise SettingsError("A client's jwks must be a JWK set: an object with a list of keys.")
    if any(PRIVATE_MEMBERS & key.keys() for key in keys):
        raise SettingsError("A client's jwks holds a private key. Register the public half only.")
    # Keys for other uses are skipped (RFC 7517, 5); a set of nothing else would open nothing.
    if keys and not any(algorithm_of(key) and key_object(key) for key in keys):
        raise SettingsError("A client's jwks holds no key for RS384 with 2048 bits or more, and "
                            "none for ES384 on P-384.")  # fmt: skip
    uri = content.get("jwks_uri")
    if uri and not uri.startswith(("https://", "http://")):
        raise SettingsError("A client's jwks_uri must be a URL with https or http.")
    organization = content["organization"]
    if not isinstance(organization, Mapping) or not all(
        isinstance(organization.get(key), str) and organization[key] for key in ("system", "value")
    ):
        raise SettingsError("A client's organization needs system and value.")


def _check_secret(secret: Any) -> None:
    if not isinstance(secret, Mapping) or not all(isinstance(v, str) for v in secret.values()):
        raise SettingsError("A client's secret must be an object of texts.")
    for end in ("activation", "expiration"):
        # An end that cannot be read would be no end at all.
        if secret.get(end) and moment_range(secret[end]) is None:
            raise SettingsError(f"The {end} of a client's secret must be a date or an instant.")
    if not secret.get("secret") and not secret.get("sha256"):
        raise SettingsError("A client's secret needs secret or sha256.")


def _texts(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value)


def _digested(secret: Mapping[str, Any]) -> dict[str, Any]:
    _check_secret(secret)
    if "secret" not in secret:
        return dict(secret)
    digest = hashlib.sha256(secret["secret"].encode()).hexdigest()
    return {"sha256": digest, **{k: v for k, v in secret.items() if k != "secret"}}


def _client(content: Mapping[str, Any]) -> Client:
    try:
        organization = PayerIdentity(**content["organization"])
        secrets = tuple(ClientSecret(**secret) for secret in content.get("secrets", ()))
    except TypeError as error:
        raise SettingsError(
            "A client's organization has system, value, name and organization_id; a secret has "
            "secret or sha256, description, activation and expiration."
        ) from error
    lists: dict[str, Any] = {
        key: tuple(content[key])
        for key in ("scopes", "grant_types")
        if content.get(key) is not None
    }
    plain: dict[str, Any] = {
        key: content[key]
        for key in ("jwks", "jwks_uri", "tls_uri", "state", "udap_uri", "community")
        if content.get(key)
    }
    return Client(
        client_id=content["client_id"],
        name=content["name"],
        organization=organization,
        secrets=secrets,
        **lists,
        **plain,
    )
