"""SMART scopes, v1 and v2, and the operation scopes that HRex and PDex spell as URLs.

Scopes are compared as opaque strings first: the guide's own export scope is no legal SMART
syntax, so what is registered and asked in the same words is granted in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_RESOURCE_SCOPE = re.compile(
    r"^(system|user|patient)/(\*|[A-Z][A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)$"
)
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """One scope over resources: the level, the type or `*`, the letters, and how it was spelled."""

    level: str
    type: str
    letters: frozenset[str]
    spelling: str

    def text(self) -> str:
        return f"{self.level}/{self.type}.{self.spelling}"


def parse(scope: str) -> ResourceScope | None:
    """A resource scope, or None for anything that is no legal one (letters in order, not empty)."""
    found = _RESOURCE_SCOPE.fullmatch(scope)
    if not found or not found[3]:
        return None
    letters = _V1.get(found[3], found[3])
    return ResourceScope(found[1], found[2], frozenset(letters), found[3])


def grant(asked: Iterable[str], registered: Iterable[str]) -> list[str]:
    """What is both asked for and registered, never wider than either, in the order asked."""
    allowed = list(registered)
    granted: list[str] = []
    for scope in asked:
        for found in _granted(scope, allowed):
            if found not in granted:
                granted.append(found)
    return granted


def allows(scopes: Iterable[str], kind: str, letter: str) -> bool:
    """Whether scopes allow an interaction (c, r, u, d, s) with a resource type."""
    return any(
        letter in scope.letters and scope.type in ("*", kind)
        for scope in map(parse, scopes)
        if scope
    )


def readable_types(scopes: Iterable[str]) -> frozenset[str] | None:
    """The types that may be read; None stands for all of them."""
    found = [scope for scope in map(parse, scopes) if scope and "r" in scope.letters]
    if any(scope.type == "*" for scope in found):
        return None
    return frozenset(scope.type for scope in found)


def _granted(scope: str, registered: list[str]) -> list[str]:
    if scope in registered:
        return [scope]
    asked = parse(scope)
    if asked is None:
        return []
    return [
        found for found in (_meet(asked, held) for held in map(parse, registered) if held) if found
    ]


def _meet(asked: ResourceScope, held: ResourceScope) -> str | None:
    if asked.level != held.level or (
        asked.type != held.type and "*" not in (asked.type, held.type)
    ):
        return None
    letters = asked.letters & held.letters
    if not letters:
        return None
    kind = held.type if asked.type == "*" else asked.type
    if letters == asked.letters:
        return f"{asked.level}/{kind}.{asked.spelling}"
    return f"{asked.level}/{kind}.{''.join(x for x in 'cruds' if x in letters)}"
