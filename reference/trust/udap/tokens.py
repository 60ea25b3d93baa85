"""UDAP's JWTs: making them with a certificate, and reading them with all that is in them.

General requirements of UDAP Security: compact JWS, `alg` and `x5c` in the header (udap-jwt-01,
udap-jwt-04), RS256 for everybody (udap-jwt-02), ES256, RS384 and ES384 besides (udap-jwt-03).
"""

from __future__ import annotations

import base64
import math
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.utils import base64url_decode

from ...errors import BadRequest, SettingsError
from ...fhir import json
from ..pki import Issued

ALGORITHMS = ("RS256", "ES256", "RS384", "ES384")
MAX_LIFETIME_S = 300
SKEW_S = 60
LIFETIME_S = 60
MIN_RSA_BITS = 2048
# A chain of certificates, base64 in base64.
MAX_TOKEN = 65536
_MAX_CHAIN = 10
_MAX_MOMENT = 2**53


class JwtRefused(Exception):
    """The JWT is not good; `str()` is a stable reason, for the audit record."""


@dataclass(frozen=True, slots=True)
class SignedClaims:
    """Claims whose signature holds, and the certificates that came with them, leaf first.

    Nothing says yet that the certificate may be relied on.
    """

    claims: Mapping[str, Any]
    chain: tuple[x509.Certificate, ...]


def sign(
    claims: Mapping[str, Any], issued: Issued, *, headers: Mapping[str, Any] | None = None,
    algorithm: str = "",
) -> str:  # fmt: skip
    """A compact JWS with the certificate chain in `x5c`; a claim or header of None is left out.

    Raises SettingsError for a key that no algorithm of UDAP is for.
    """
    usual = algorithms_of(issued.certificate)
    if not usual:
        raise SettingsError("A UDAP certificate needs a key of RSA, P-256 or P-384.")
    header = {"x5c": issued.x5c(), **(headers or {})}
    return jwt.encode(
        {name: value for name, value in claims.items() if value is not None},
        issued.key,
        algorithm=algorithm or usual[0],
        headers={name: value for name, value in header.items() if value is not None},
    )


def short_lived(issuer: str, audience: str, now: datetime) -> dict[str, Any]:
    """The claims that every software statement and authentication token has."""
    issued = int(now.timestamp())
    return {"iss": issuer, "sub": issuer, "aud": audience, "iat": issued,
            "exp": issued + LIFETIME_S, "jti": uuid.uuid4().hex}  # fmt: skip


def algorithms_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The algorithms that a certificate's key may sign with."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return ("RS256", "RS384")
    if isinstance(key, ec.EllipticCurvePublicKey):
        by_curve = {"secp256r1": ("ES256",), "secp384r1": ("ES384",)}
        return by_curve.get(key.curve.name, ())
    return ()


def is_weak(certificate: x509.Certificate) -> bool:
    """Whether a certificate's key is an RSA key that is too short to be relied on."""
    key = certificate.public_key()
    return isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS


def verified(token: str) -> SignedClaims:
    """What a JWT claims, signed by the first certificate of its own `x5c`.

    Raises JwtRefused for anything else.
    """
    header = part_of(token, 0)
    part_of(token, 1)
    chain = _chain(header.get("x5c"))
    if is_weak(chain[0]):
        raise JwtRefused("weak-key")
    if "crit" in header:
        raise JwtRefused("crit")
    if header.get("alg") not in algorithms_of(chain[0]):
        raise JwtRefused("alg")
    key: Any = chain[0].public_key()
    try:
        claims = jwt.decode(token, key, algorithms=[str(header["alg"])], options=_SIGNATURE_ONLY)
    except jwt.PyJWTError as error:
        raise JwtRefused("signature") from error
    return SignedClaims(claims, chain)


def part_of(token: str, index: int) -> Mapping[str, Any]:
    """The header (0) or the claims (1) of a compact JWS, unverified; raises JwtRefused."""
    parts = token.split(".")
    if len(parts) != 3 or len(token) > MAX_TOKEN:
        raise JwtRefused("malformed")
    try:
        return json.read_object(base64url_decode(parts[index]))
    except (ValueError, TypeError, BadRequest) as error:
        raise JwtRefused("malformed") from error


def check_short_lived(claims: Mapping[str, Any], audience: str, now: datetime) -> None:
    """That claims are for this audience, fresh, and good for five minutes at most.

    Raises JwtRefused (udap-reg-03 to 05, udap-tok-03, udap-tok-04).
    """
    audiences = claims.get("aud")
    if audience not in (audiences if isinstance(audiences, list) else [audiences]):
        raise JwtRefused("aud")
    check_times(claims, now, MAX_LIFETIME_S)


def check_times(claims: Mapping[str, Any], now: datetime, longest_s: float) -> None:
    """That `iat`, `exp` and `jti` are there, that now lies between, and not too far apart.

    Raises JwtRefused.
    """
    moment, issued, expires = now.timestamp(), claims.get("iat"), claims.get("exp")
    jti = claims.get("jti")
    for name, value in (("iat", issued), ("exp", expires)):
        if not _is_moment(value):
            raise JwtRefused(f"{name}-missing")
    assert issued is not None
    assert expires is not None
    for bad, reason in (
        (not isinstance(jti, str) or not 0 < len(jti) <= 255, "jti"),
        (expires <= moment - SKEW_S, "exp-past"),
        (issued > moment + SKEW_S, "iat-in-future"),
        (expires <= issued, "exp-before-iat"),
        (expires - issued > longest_s, "exp-too-far"),
    ):
        if bad:
            raise JwtRefused(reason)


_SIGNATURE_ONLY: Any = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False,
    "verify_iss": False, "verify_sub": False, "verify_jti": False,
}  # fmt: skip


def _chain(x5c: Any) -> tuple[x509.Certificate, ...]:
    if not isinstance(x5c, list) or not 0 < len(x5c) <= _MAX_CHAIN:
        raise JwtRefused("x5c-missing")
    return tuple(_certificate(text) for text in x5c)


def _certificate(text: Any) -> x509.Certificate:
    """A certificate of `x5c`: standard base64 of DER; neither base64url nor PEM will do."""
    try:
        found = x509.load_der_x509_certificate(base64.b64decode(str(text), validate=True))
        found.public_key()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise JwtRefused("x5c") from error
    return found


def _is_moment(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) < _MAX_MOMENT and not math.isnan(value)
