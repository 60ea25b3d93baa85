"""SMART scopes, v1 and v2, and the operation scopes that HRex and PDex spell as URLs.

Scopes are compared as opaque strings first: the guide's own export scope is no legal SMART
syntax, so what is registered and asked in the same words is granted in the same words.
A query narrows a scope to the resources that match it (`scope_filters.py`); one that this payer
cannot apply is never granted, for it would open more than it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ..fhir.search import Filters
from .scope_filters import query_conditions

_RESOURCE_SCOPE = re.compile(
    r"(system|user|patient)/(?:(\*|[A-Z][A-Za-z]+)\.(read|write|\*|c?r?u?d?s?)"
    r"|([A-Z][A-Za-z]+)\.(c?r?u?d?s?)\?([^\s#?]+))"
)
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}


@dataclass(frozen=True, slots=True)
class ResourceScope:
    """One scope over resources: the level, the type or `*`, the letters, and how it was spelled.

    `query` narrows it to the resources that match; empty without one.
    """

    level: str
    type: str
    letters: frozenset[str]
    spelling: str
    query: str = ""

    def text(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.level}/{self.type}.{self.spelling}{query}"

    @property
    def is_applicable(self) -> bool:
        """Whether this payer can hold resources to the query."""
        return not self.query or query_conditions(self.type, self.query) is not None


@lru_cache(maxsize=1024)
def parse(scope: str) -> ResourceScope | None:
    """A resource scope, or None for anything that is no legal one (letters in order, not empty)."""
    found = _RESOURCE_SCOPE.fullmatch(scope)
    if not found or not (spelling := found[3] or found[5]):
        return None
    level, kind, query = found[1], found[2] or found[4], found[6]
    return ResourceScope(level, kind, frozenset(_V1.get(spelling, spelling)), spelling, query or "")


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


def filters(scopes: Iterable[str], letter: str) -> Filters:
    """The queries that narrow each type for an interaction (r, s); none for an open type."""
    held = [s for s in map(parse, scopes) if s and letter in s.letters]
    open_types = {s.type for s in held if not s.query}
    found: Filters = {}
    for scope in held:
        if scope.query and not open_types & {"*", scope.type}:
            # What cannot be applied lets nothing through.
            found.setdefault(scope.type, []).extend(
                query for query in [query_conditions(scope.type, scope.query)] if query
            )
    return found


def _granted(scope: str, registered: list[str]) -> list[str]:
    asked = parse(scope)
    if asked is not None and not asked.is_applicable:
        return []
    if scope in registered:
        return [scope]
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
    if not letters or not held.is_applicable:
        return None
    if asked.query and held.query and asked.query != held.query:
        return None
    kind = held.type if asked.type == "*" else asked.type
    query = asked.query or held.query
    # A query goes with the letters of the second syntax only.
    same = letters == asked.letters and not (query and asked.spelling in _V1)
    spelling = asked.spelling if same else "".join(x for x in "cruds" if x in letters)
    return ResourceScope(asked.level, kind, letters, spelling, query).text()
