"""Client assertions that nobody may accept, made from a good one or from a key of the judge's."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from ..reference.target import Target
from ..reference.trust import keys
from ..reference.trust.signing import LIFETIME_S, client_assertion
from .verdicts import NotApplicable

# RFC 7518, 3.4: R and S of ES384 are 48 bytes each.
_HALF = 48


def unsigned(target: Target) -> str:
    """A good assertion whose claims say that it needs no signature, and which has none."""
    header, payload, _ = target.assertion().split(".")
    content = json.loads(_decoded(header))
    return f"{_encoded(json.dumps({**content, 'alg': 'none'}).encode())}.{payload}."


def cut_off(target: Target) -> str:
    """A good assertion without its signature."""
    good = target.assertion()
    return good[: good.rindex(".") + 1]


def by_another_key(target: Target) -> str:
    """An assertion signed by a key of the same kind that claims to be the registered one."""
    own: Mapping[str, Any] = target.credentials.jwk or {}
    other = {**keys.generate(keys.algorithm_of(own) or "ES384"), "kid": own.get("kid")}
    return client_assertion(
        target.credentials.client_id, target.token_url(), other, target.clock.now()
    )


def in_der(target: Target) -> str:
    """A good assertion whose signature is written in DER.

    JWS wants R and S as bare numbers (RFC 7518, 3.4). Raises NotApplicable for a client whose key
    is no elliptic one.
    """
    if keys.algorithm_of(target.credentials.jwk or {}) != "ES384":
        raise NotApplicable("The client signs with RSA, whose signatures have one form only.")
    header, payload, signature = target.assertion().split(".")
    raw = _decoded(signature)
    numbers = (int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))
    return f"{header}.{payload}.{_encoded(encode_dss_signature(*numbers))}"


def by_a_smaller_curve(target: Target) -> str:
    """An assertion signed with ES256 by a P-256 key that claims to be the registered one."""
    issued = int(target.clock.now().timestamp())
    client_id = target.credentials.client_id
    claims: dict[str, Any] = {
        "iss": client_id,
        "sub": client_id,
        "aud": target.token_url(),
        "iat": issued,
        "exp": issued + LIFETIME_S,
        "jti": uuid.uuid4().hex,
    }
    kid = target.credentials.jwk["kid"] if target.credentials.jwk else None
    key = ec.generate_private_key(ec.SECP256R1())
    return jwt.encode(claims, key, algorithm="ES256", headers={"typ": "JWT", "kid": kid})


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
