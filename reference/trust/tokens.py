"""Access tokens: random, short-lived, kept as digests, bound to a client and perhaps a member."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    insert,
    select,
)

# SMART Backend Services: five minutes or less (SHOULD).
LIFETIME_S = 300

_METADATA = MetaData()
_TOKEN = Table(
    "access_token",
    _METADATA,
    Column("sha256", String, primary_key=True),
    Column("client_id", String, nullable=False, index=True),
    Column("scope", String, nullable=False),
    Column("member", String),
    Column("expires", Float, nullable=False, index=True),
)
_BINDING = Table(
    "access_token_binding",
    _METADATA,
    Column("sha256", String, primary_key=True),
    Column("thumbprint", String, nullable=False),
    Column("expires", Float, nullable=False, index=True),
)


# Made once: it is run for every request.
_FOUND = (
    select(_TOKEN, _BINDING.c.thumbprint)
    .select_from(_TOKEN.outerjoin(_BINDING, _TOKEN.c.sha256 == _BINDING.c.sha256))
    .where(_TOKEN.c.sha256 == bindparam("digest"))
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows: for which client, which scopes, and which one member if bound."""

    client_id: str
    scopes: frozenset[str]
    member: str | None
    expires: float
    asked: tuple[str, ...] = ()
    """The scopes in the order and the words in which they were granted."""
    thumbprint: str = ""
    """The digest of the client certificate that the token is bound to; empty: to none."""


class TokenStore:
    """The tokens of one payer; any process on the same database knows them."""

    def __init__(self, engine: Engine, *, lifetime_s: int = LIFETIME_S) -> None:
        self._engine = engine
        self.lifetime_s = lifetime_s
        _METADATA.create_all(engine)

    def issue(
        self,
        client_id: str,
        scopes: list[str],
        now: datetime,
        member: str | None,
        thumbprint: str = "",
    ) -> str:
        """A new token, bound to a client certificate if one is given; only its digest is kept."""
        token = secrets.token_urlsafe(32)
        moment = now.timestamp()
        with self._engine.begin() as connection:
            connection.execute(delete(_TOKEN).where(_TOKEN.c.expires < moment))
            row = {
                "sha256": _digest(token),
                "client_id": client_id,
                "scope": " ".join(scopes),
                "member": member,
                "expires": moment + self.lifetime_s,
            }
            connection.execute(insert(_TOKEN), row)
            if thumbprint:
                self._bind(connection, token, thumbprint, moment)
        return token

    def _bind(self, connection: Connection, token: str, thumbprint: str, moment: float) -> None:
        connection.execute(delete(_BINDING).where(_BINDING.c.expires < moment))
        row = {"sha256": _digest(token), "thumbprint": thumbprint}
        connection.execute(insert(_BINDING).values(**row, expires=moment + self.lifetime_s))

    def find(self, token: str, now: datetime) -> Grant | None:
        """What the token allows, or None when it is unknown, revoked or expired."""
        with self._engine.connect() as connection:
            row = connection.execute(_FOUND, {"digest": _digest(token)}).mappings().first()
        if row is None or row["expires"] <= now.timestamp():
            return None
        scopes = tuple(row["scope"].split())
        return Grant(row["client_id"], frozenset(scopes), row["member"], row["expires"], scopes,
                     row["thumbprint"] or "")  # fmt: skip

    def revoke(self, token: str, client_id: str) -> None:
        """The token stops at once if it is the client's; else nothing changes (RFC 7009)."""
        own = (_TOKEN.c.sha256 == _digest(token)) & (_TOKEN.c.client_id == client_id)
        with self._engine.begin() as connection:
            connection.execute(delete(_TOKEN).where(own))

    def revoke_all(self, client_id: str) -> None:
        """Every token of a client stops at once, as when it is suspended."""
        with self._engine.begin() as connection:
            connection.execute(delete(_TOKEN).where(_TOKEN.c.client_id == client_id))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
