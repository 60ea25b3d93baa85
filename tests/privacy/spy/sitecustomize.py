"""Writes down every secret that a process of the product makes: Python imports this at its start.

A payer keeps digests of its tokens only, so the secrets are taken where they are made. The product
knows nothing of this.
"""

from __future__ import annotations

import functools
import os
import secrets
from pathlib import Path

import jwt
from jwt.algorithms import ECAlgorithm, RSAAlgorithm


def _note(secret) -> None:
    # One short write in append mode: lines of several processes do not mix.
    with Path(os.environ["SECRETS_MADE"]).open("a", encoding="ascii") as made:
        made.write(f"{secret}\n")


def _noting(make, secret_of=lambda made: made):
    @functools.wraps(make)
    def noted(*args, **kwargs):
        made = make(*args, **kwargs)
        _note(secret_of(made))
        return made

    return noted


def _private(jwk) -> str:
    return jwk.get("d", "") if isinstance(jwk, dict) else ""


if os.environ.get("SECRETS_MADE"):
    secrets.token_urlsafe = _noting(secrets.token_urlsafe)  # access, admin and operator tokens
    jwt.PyJWS.encode = _noting(jwt.PyJWS.encode)  # every assertion and statement
    for kind in (ECAlgorithm, RSAAlgorithm):
        kind.to_jwk = staticmethod(_noting(kind.to_jwk, _private))
