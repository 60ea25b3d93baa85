"""Secrets that do not print: a token or a password that no log, trace or report can show.

Whoever needs the text itself asks for it by `reveal`, which is easy to find in a review.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

SHOWN = "********"


class Secret:
    """A text that shows as stars: by str, repr and format, and not at all by pickle or JSON."""

    __slots__ = ("__text",)

    def __init__(self, text: str) -> None:
        self.__text = text

    def reveal(self) -> str:
        """The text itself, for the place that sends or compares it."""
        return self.__text

    def __repr__(self) -> str:
        return SHOWN

    def __format__(self, _spec: str) -> str:
        return SHOWN

    def __bool__(self) -> bool:
        return bool(self.__text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__text.encode(), other.reveal().encode())

    def __hash__(self) -> int:
        return hash((Secret, self.__text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not written anywhere.")


NO_SECRET = Secret("")


def new_token() -> Secret:
    """A bearer token of 192 random bits."""
    return Secret(secrets.token_urlsafe(24))


class SecretKey(Mapping[str, Any]):
    """A private JWK: its members are read one by one, and it shows as stars like a `Secret`."""

    __slots__ = ("__jwk",)

    def __init__(self, jwk: Mapping[str, Any]) -> None:
        self.__jwk = dict(jwk)

    def reveal(self) -> dict[str, Any]:
        """A copy that can be written, for the place that keeps the key."""
        return dict(self.__jwk)

    def __getitem__(self, name: str) -> Any:
        return self.__jwk[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.__jwk)

    def __len__(self) -> int:
        return len(self.__jwk)

    def __repr__(self) -> str:
        return SHOWN

    def __format__(self, _spec: str) -> str:
        return SHOWN

    def __reduce__(self) -> NoReturn:
        raise TypeError("A private key is not written anywhere.")
