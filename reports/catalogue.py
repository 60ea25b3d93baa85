"""The catalogue of requirements: one row each, kept as text in `features/requirements`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

NORMATIVE = frozenset({"SHALL", "SHALL NOT"})


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement; `not_tested` says why no scenario verifies it, and is empty otherwise."""

    id: str
    source: str
    strength: str
    actor: str
    phase: str
    testable: str
    versions: tuple[str, ...]
    summary: str
    how: str
    not_tested: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read the rules, and who reads them so."""

    says: str
    source: str


@dataclass(frozen=True, slots=True)
class Conflict:
    """Sources that disagree, with both readings and how a run judges in between.

    A scenario tagged `conflict-<id>` passes by the first reading; a payer that follows the second
    is warned, never failed.
    """

    id: str
    topic: str
    readings: tuple[Reading, Reading]
    requirements: tuple[str, ...]
    judged: str

    @property
    def tag(self) -> str:
        """The tag of the scenarios that tell which reading a payer follows."""
        return f"conflict-{self.id}"


@lru_cache(maxsize=1)
def catalogue() -> tuple[Requirement, ...]:
    """Every row, in the order of the files."""
    folder = files("payer_exchange.features") / "requirements"
    rows = []
    for file in sorted(folder.iterdir(), key=lambda f: f.name):
        if file.name.endswith(".jsonl"):
            for line in file.read_text(encoding="utf-8").splitlines():
                rows.append(_row(json.loads(line)))
    return tuple(rows)


@lru_cache(maxsize=1)
def conflicts() -> tuple[Conflict, ...]:
    """Every conflict between sources, in the order of the file."""
    text = (files("payer_exchange.features") / "conflicts.jsonl").read_text(encoding="utf-8")
    return tuple(_conflict(json.loads(line)) for line in text.splitlines())


def conflict_of(tags: Iterable[str]) -> Conflict | None:
    """The conflict that a scenario's tags name, or None."""
    named = set(tags)
    return next((c for c in conflicts() if c.tag in named), None)


def requirement(ident: str) -> Requirement | None:
    """The row with that id, or None."""
    return _by_id().get(ident)


@lru_cache(maxsize=1)
def _by_id() -> dict[str, Requirement]:
    return {row.id: row for row in catalogue()}


def _conflict(content: Mapping[str, Any]) -> Conflict:
    one, other = (Reading(**reading) for reading in content["readings"])
    return Conflict(
        content["id"],
        content["topic"],
        (one, other),
        tuple(content["requirements"]),
        content["judged"],
    )


def _row(content: Mapping[str, Any]) -> Requirement:
    return Requirement(**{**content, "versions": tuple(content["versions"])})
