"""The responding side of a token request: is this assertion the client's, fresh and meant for us?

Rules: SMART App Launch 2.2, client-confidential-asymmetric, and RFC 7523. Algorithms are allowed
by the registered key, never by the header alone; `jwk` and `x5u` headers are not looked at.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from jwt.utils import base64url_decode
from sqlalchemy import Column, Engine, Float, MetaData, String, Table, delete, insert
from sqlalchemy.exc import IntegrityError

from ..errors import BadRequest
from ..fhir import json
from ..registration.clients import Client
from .keys import ALGORITHMS, algorithm_of, key_object

MAX_LIFETIME_S = 300
# How far two honest clocks may be apart.
SKEW_S = 60
_MAX_JTI = 255
_MAX_ASSERTION = 16384
# Far beyond any expiry, and exact as a float.
_MAX_MOMENT = 2**53

_METADATA = MetaData()
_USED = Table(
    "used_jti",
    _METADATA,
    Column("client_id", String, primary_key=True),
    Column("jti", String, primary_key=True),
    Column("until", Float, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified assertion; `subject` differs from the client when it names a member."""

    client_id: str
    subject: str
    claims: Mapping[str, Any]


class AssertionRefused(Exception):
    """The assertion is not good; `str()` says why, for the audit record."""


class ReplayStore:
    """The assertions already used, shared by every process that opens the same database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        _METADATA.create_all(engine)

    def use(self, client_id: str, jti: str, until: float, now: float) -> bool:
        """Whether this is the first use; kept until the expiry plus the skew, so no gap is left."""
        with self._lock:
            try:
                with self._engine.begin() as connection:
                    connection.execute(delete(_USED).where(_USED.c.until < now))
                    connection.execute(
                        insert(_USED).values(client_id=client_id, jti=jti, until=until)
                    )
            except IntegrityError:
                return False
        return True


def unverified_client_id(assertion: str, longest: int = _MAX_ASSERTION) -> str:
    """The client an assertion claims to come from; raises AssertionRefused when it is no JWT."""
    issuer = _part(assertion, 1, longest).get("iss")
    if not isinstance(issuer, str) or not issuer:
        raise AssertionRefused("iss-missing")
    return issuer


def verify(
    assertion: str,
    client: Client,
    *,
    audience: str,
    now: datetime,
    replay: ReplayStore,
    published: Callable[[str, str], Mapping[str, Any]],
) -> Assertion:
    """The verified assertion; raises AssertionRefused with a stable reason otherwise.

    `published` gives the JWK set at a registered URL, for a URL and the kid that is looked for.
    """
    header = _header(assertion)
    _part(assertion, 1)
    jwk = _key_for(header, client, published)
    try:
        claims = jwt.decode(
            assertion,
            key_object(jwk),
            algorithms=[str(algorithm_of(jwk))],
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False,
                     "verify_aud": False, "verify_sub": False, "verify_jti": False},
        )  # fmt: skip
    except jwt.PyJWTError as error:
        raise AssertionRefused("signature") from error
    _check_claims(claims, client, audience, now.timestamp())
    until = float(claims["exp"]) + SKEW_S
    if not replay.use(client.client_id, claims["jti"], until, now.timestamp()):
        raise AssertionRefused("jti-replayed")
    return Assertion(client.client_id, claims["sub"], claims)


def _header(assertion: str) -> Mapping[str, Any]:
    # Read by hand: a critical header is to be refused as such, not as a malformed one.
    header = _part(assertion, 0)
    for bad, reason in (
        (header.get("alg") not in ALGORITHMS, "alg"),
        (header.get("typ") != "JWT", "typ"),
        (not isinstance(header.get("kid"), str) or not header["kid"], "kid-missing"),
        ("crit" in header, "crit"),
    ):
        if bad:
            raise AssertionRefused(reason)
    return header


def _part(assertion: str, index: int, longest: int = _MAX_ASSERTION) -> Mapping[str, Any]:
    """The header or the claims: one JSON object, no key twice, not deep enough to hurt a parser."""
    parts = assertion.split(".")
    if len(parts) != 3 or len(assertion) > longest:
        raise AssertionRefused("malformed")
    try:
        return json.read_object(base64url_decode(parts[index]))
    except (ValueError, TypeError, BadRequest) as error:
        raise AssertionRefused("malformed") from error


def _key_for(
    header: Mapping[str, Any], client: Client, published: Callable[[str, str], Mapping[str, Any]]
) -> Mapping[str, Any]:
    if "jku" in header and header["jku"] != client.jwks_uri:
        raise AssertionRefused("jku")
    jwks = published(client.jwks_uri, header["kid"]) if client.jwks_uri else client.jwks
    keys = (jwks or {}).get("keys")
    fitting = [
        jwk
        for jwk in (keys if isinstance(keys, list) else [])
        if isinstance(jwk, Mapping)
        and jwk.get("kid") == header["kid"]
        and algorithm_of(jwk) == header["alg"]
        and key_object(jwk) is not None
    ]
    if len(fitting) != 1:
        raise AssertionRefused("kid")
    return fitting[0]


def _check_claims(claims: Mapping[str, Any], client: Client, audience: str, now: float) -> None:
    audiences = claims.get("aud")
    audiences = audiences if isinstance(audiences, list) else [audiences]
    expires = claims.get("exp")
    for bad, reason in (
        (claims.get("iss") != client.client_id, "iss"),
        (not isinstance(claims.get("sub"), str) or not claims["sub"], "sub"),
        (audience not in audiences, "aud"),
        (not _is_number(expires), "exp-missing"),
        (not isinstance(claims.get("jti"), str) or not 0 < len(claims["jti"]) <= _MAX_JTI, "jti"),
    ):
        if bad:
            raise AssertionRefused(reason)
    _check_times(claims, float(claims["exp"]), now)


def _check_times(claims: Mapping[str, Any], expires: float, now: float) -> None:
    if expires <= now - SKEW_S:
        raise AssertionRefused("exp-past")
    if expires > now + MAX_LIFETIME_S + SKEW_S:
        raise AssertionRefused("exp-too-far")
    for name in ("nbf", "iat"):
        if name in claims and (not _is_number(claims[name]) or claims[name] > now + SKEW_S):
            raise AssertionRefused(f"{name}-in-future")


def _is_number(value: Any) -> bool:
    """Whether a claim is a moment: NaN would pass every comparison, and 1e400 is none."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < _MAX_MOMENT and not math.isnan(value)
