"""Whom a client reaches now, asked member by member: many may have been matched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from .matches import Match, Matches


class Reach(Mapping[str, Match]):
    """The members a client may reach at a moment, by id, each with its match.

    One member costs one look-up; only who wants all of them reads all of them. `only` is the member
    a token is bound to, if it is.
    """

    def __init__(
        self, matches: Matches, client_id: str, now: datetime, only: str | None = None
    ) -> None:
        self._matches = matches
        self._client_id = client_id
        self._now = now
        self.only = only
        self._seen: dict[str, Match | None] = {}
        self._all: dict[str, Match] | None = None

    def __getitem__(self, member: str) -> Match:
        found = self._find(member)
        if found is None:
            raise KeyError(member)
        return found

    def __contains__(self, member: object) -> bool:
        return isinstance(member, str) and self._find(member) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._whole())

    def __len__(self) -> int:
        return len(self._whole())

    def among(self, members: list[str]) -> list[str]:
        """Those of the members that are reached, in their order."""
        found = self._matches.among(self._client_id, members, self._now)
        return [m for m in members if m in found and self.only in (None, m)]

    def _find(self, member: str) -> Match | None:
        if self._all is not None:
            return self._all.get(member)
        if self.only not in (None, member):
            return None
        if member not in self._seen:
            found = self._matches.among(self._client_id, [member], self._now)
            self._seen[member] = found.get(member)
        return self._seen[member]

    def _whole(self) -> dict[str, Match]:
        if self._all is None and self.only is not None:
            found = self._find(self.only)
            self._all = {self.only: found} if found else {}
        elif self._all is None:
            self._all = self._matches.of(self._client_id, self._now)
        return self._all
