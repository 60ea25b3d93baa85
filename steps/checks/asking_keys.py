"""Checks on the key set of a requesting payer (SMART App Launch 2.2.0, client registration)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from ..verdicts import CheckFailed

_MEMBERS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y")}
# RFC 7518: what of a key is private, or is the key itself.
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")
_LEAST_BITS = 2048


def keys_of(body: bytes) -> list[Mapping[str, Any]]:
    """The keys of a set; raises CheckFailed when it is none, or is empty."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(k, dict) for k in listed):
        raise CheckFailed("What is published is no JWK set.", "JSON with an array of keys",
                          "another content", "keys")  # fmt: skip
    return listed


def are_whole(keys: list[Mapping[str, Any]]) -> None:
    """Each key has kty, a kid of its own and its bare members, and nothing private."""
    kids = [key.get("kid") for key in keys]
    if not all(kids) or len(kids) != len(set(map(str, kids))):
        raise CheckFailed("A published key has no kid, or that of another.", "a kid each",
                          f"{len(kids)} keys with {len(set(map(str, kids)))} kids",
                          "kid")  # fmt: skip
    for key in keys:
        private = [name for name in _PRIVATE if name in key]
        if private:
            raise CheckFailed("A private key is published.", "public members alone",
                              ", ".join(private), "keys")  # fmt: skip
        missing = [n for n in _MEMBERS.get(str(key.get("kty")), ("kty",)) if not key.get(n)]
        if missing:
            raise CheckFailed("A published key is not whole.", "kty with n and e, or crv, x and y",
                              f"no {', no '.join(missing)}", "keys")  # fmt: skip
        _is_strong(key)


def _is_strong(key: Mapping[str, Any]) -> None:
    """RSA of 2048 bits or more, or the curve of ES384."""
    if key["kty"] == "EC":
        right, found = key["crv"] == "P-384", str(key["crv"])
    else:
        bits = _bits(str(key["n"]))
        right, found = bits >= _LEAST_BITS, f"RSA with {bits} bits"
    if not right:
        raise CheckFailed("A published key is of another strength.",
                          f"P-384, or RSA with {_LEAST_BITS} bits", found, "keys")  # fmt: skip


def _bits(text: str) -> int:
    try:
        return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))).bit_length()
    except (ValueError, binascii.Error):
        return 0
