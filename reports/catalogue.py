"""The catalogue of requirements: one row each, kept as text in `features/requirements`."""

from __future__ import annotations

import json
from collections.abc import Mapping
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


def requirement(ident: str) -> Requirement | None:
    """The row with that id, or None."""
    return _by_id().get(ident)


@lru_cache(maxsize=1)
def _by_id() -> dict[str, Requirement]:
    return {row.id: row for row in catalogue()}


def _row(content: Mapping[str, Any]) -> Requirement:
    return Requirement(**{**content, "versions": tuple(content["versions"])})
