"""The requesting side of a token request: signing the client assertion."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import jwt

from ..errors import SettingsError
from .keys import algorithm_of, key_object

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# SMART Backend Services allows five minutes; one is enough for a request that is sent at once.
LIFETIME_S = 60


def client_assertion(
    client_id: str,
    token_url: str,
    jwk: Mapping[str, Any],
    now: datetime,
    *,
    claims: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
) -> str:
    """A signed assertion for the token endpoint (SMART Backend Services, claim table).

    `claims` and `headers` override single entries; None takes one out.
    """
    key, algorithm = key_object(jwk), algorithm_of(jwk)
    if key is None or algorithm is None:
        raise SettingsError("The private key cannot sign RS384 or ES384.")
    issued = int(now.timestamp())
    payload = {
        "iss": client_id,
        "sub": client_id,
        "aud": token_url,
        "iat": issued,
        "exp": issued + LIFETIME_S,
        "jti": uuid.uuid4().hex,
        **(claims or {}),
    }
    header = {"typ": "JWT", "kid": jwk.get("kid"), **(headers or {})}
    return jwt.encode(
        {name: value for name, value in payload.items() if value is not None},
        key,
        algorithm=algorithm,
        headers={name: value for name, value in header.items() if value is not None},
    )
