"""Who points at nothing: references of a delivery against all that it holds."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .findings import Finding

_TABLES = """
CREATE TABLE held (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE points (name TEXT, type TEXT, pointer TEXT, place TEXT, count INTEGER);
"""
# A server's own resource or one of the same transaction; what a full URL names may be elsewhere.
_NEAR = re.compile(r"[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(/_history/.*)?|urn:(uuid|oid):\S+")
_INDEX = re.compile(r"/\d+(?=/|$)")


@dataclass
class Point:
    """An element that points at a resource: where first, and how often."""

    name: str
    type: str
    pointer: str
    place: str
    count: int = 1


class Points:
    """What the resources of one part hold, and what they point at, each element once."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self._points: dict[tuple[str, str], Point] = {}

    def add(self, names: list[str], points: dict[str, str], place: str) -> None:
        """Note what one resource is called and what it points at."""
        self.held += names
        kind = names[0].partition("/")[0] if names else ""
        for text, pointer in points.items():
            if _NEAR.fullmatch(text):
                name = text.partition("/_history/")[0]
                key = (name, f"{kind}{_INDEX.sub('', pointer)}")
                if key in self._points:
                    self._points[key].count += 1
                else:
                    self._points[key] = Point(name, kind, pointer, place)

    def points(self) -> list[Point]:
        """All that is pointed at."""
        return list(self._points.values())


class References:
    """Gathers what parts hold and point at, on disk: memory does not grow with a delivery."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("")
        self._db.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def add(self, held: Iterable[str], points: Iterable[Point]) -> None:
        """Take in one part."""
        self._db.executemany("INSERT OR IGNORE INTO held VALUES (?)", ((name,) for name in held))
        rows = ((p.name, p.type, p.pointer, p.place, p.count) for p in points)
        self._db.executemany("INSERT INTO points VALUES (?, ?, ?, ?, ?)", rows)

    def dangling(self) -> Iterator[tuple[Finding, str, int]]:
        """(finding, place, count) of references to what the delivery does not hold."""
        rows = self._db.execute(
            "SELECT type, pointer, place, count FROM points"
            " WHERE name NOT IN (SELECT name FROM held) ORDER BY rowid"
        )
        for kind, pointer, place, count in rows:
            said = ("to a resource of this delivery", "nothing of that id in it", "")
            yield Finding("warning", "points-at-nothing", pointer, kind, *said), place, count
