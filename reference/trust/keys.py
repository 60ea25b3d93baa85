"""Key pairs as JSON Web Keys: making them, reading them, publishing their public halves."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from ..errors import SettingsError

# SMART Backend Services: the two algorithms a server may be asked for.
ALGORITHMS = ("ES384", "RS384")
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_MIN_RSA_BITS = 2048


def generate(algorithm: str = "ES384") -> dict[str, Any]:
    """A new private JWK for ES384 (P-384) or RS384 (RSA 3072), with a random kid."""
    if algorithm == "ES384":
        jwk = ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()), as_dict=True)
    elif algorithm == "RS384":
        key = rsa.generate_private_key(public_exponent=65537, key_size=3072)
        jwk = RSAAlgorithm.to_jwk(key, as_dict=True)
    else:
        raise SettingsError(f"The algorithm must be one of {', '.join(ALGORITHMS)}.")
    jwk.pop("key_ops", None)
    return {**jwk, "kid": uuid.uuid4().hex, "alg": algorithm, "use": "sig"}


def public(jwk: Mapping[str, Any]) -> dict[str, Any]:
    """The key without its private members."""
    return {name: value for name, value in jwk.items() if name not in PRIVATE_MEMBERS}


def public_set(*jwks: Mapping[str, Any]) -> dict[str, Any]:
    """A JWKS that may be published."""
    return {"keys": [public(jwk) for jwk in jwks]}


def read_private(path: Path) -> dict[str, Any]:
    """A private JWK from a file; raises SettingsError when it is none."""
    try:
        jwk = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"The key file {path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise SettingsError(f"The key file {path} is not JSON.") from error
    if not isinstance(jwk, dict) or "d" not in jwk or algorithm_of(jwk) is None:
        raise SettingsError(
            f"The key file {path} holds no private JWK for RS384 or ES384. "
            "Make one with payer-exchange init."
        )
    return jwk


def algorithm_of(jwk: Mapping[str, Any]) -> str | None:
    """The algorithm a key is for: by its type and curve, or None when it is for neither."""
    by_type = {"RSA": "RS384", "EC": "ES384" if jwk.get("crv") == "P-384" else None}
    return by_type.get(str(jwk.get("kty")))


def key_object(jwk: Mapping[str, Any]) -> Any:
    """The cryptographic key of a JWK, cached; None when it is malformed or too short."""
    return _key_object(json.dumps(dict(jwk), sort_keys=True))


@lru_cache(maxsize=512)
def _key_object(text: str) -> Any:
    jwk = json.loads(text)
    try:
        key = jwt.PyJWK(jwk, algorithm=algorithm_of(jwk)).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, rsa.RSAPublicKey | rsa.RSAPrivateKey) and key.key_size < _MIN_RSA_BITS:
        return None
    return key
