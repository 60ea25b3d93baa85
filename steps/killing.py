"""The meta-test: does each defect turn its requirements red, and no unrelated one?

For a defect the simulated payer is started with it and judged as any other payer. Red is a fail or
a warn; a scenario that is skipped because its evidence cannot be had is neither.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..reports.results import Results

_RED = frozenset({"fail", "warn", "error"})


@dataclass(frozen=True, slots=True)
class Kill:
    """What the scenarios said of one defect."""

    defect: str
    missed: tuple[str, ...]
    """Requirements the defect names that did not go red."""
    alarms: tuple[str, ...]
    """Requirements that went red though the defect does not name them."""

    @property
    def clean(self) -> bool:
        return not self.missed and not self.alarms


def judge_kill(defect: str, violates: Iterable[str], also: Iterable[str], results: Results) -> Kill:
    """Compare what a defect names with what went red."""
    named, tolerated = set(violates), set(also)
    tested = {r.id for r in results.requirements if r.scenarios}
    red = {r for s in results.scenarios if s.verdict in _RED for r in (s.requirements or (s.name,))}
    return Kill(
        defect,
        tuple(sorted((named & tested) - red | (named - tested))),
        tuple(sorted(red - named - tolerated)),
    )
