"""Two runs of the same payer: what was fixed, what was broken, what is new and what is gone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .findings import counted
from .results import Results, ScenarioResult

# What is no worse than nothing found, and what is.
_GOOD, _BAD = frozenset({"pass", "omit"}), frozenset({"fail", "error", "warn"})


@dataclass(frozen=True, slots=True)
class Change:
    """One scenario that is judged otherwise than before; a side that lacks it is empty."""

    kind: str
    """fixed, broken, changed, new or gone."""
    scenario: ScenarioResult
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """The changes from an older run to a newer one."""

    older: Results
    newer: Results
    changes: tuple[Change, ...]

    def of(self, kind: str) -> list[Change]:
        """The changes of one kind."""
        return [change for change in self.changes if change.kind == kind]

    @property
    def is_worse(self) -> bool:
        """Whether a SHALL is violated now that was not before: by what was judged, or is new."""
        return any(c.after == "fail" and not c.scenario.waived for c in self.changes)


def compare(older: Results, newer: Results) -> Comparison:
    """Every scenario whose verdict differs; raises ValueError for runs of different roles."""
    if older.role != newer.role:
        raise ValueError(f"One run is of a {older.role}, the other of a {newer.role}.")
    return Comparison(older, newer, tuple(_changes(older, newer)))


def render(found: Comparison) -> str:
    """The comparison as Markdown, what was broken first."""
    return "\n".join(_lines(found)) + "\n"


def _changes(older: Results, newer: Results) -> Iterator[Change]:
    before = {s.id: s for s in older.scenarios}
    after = {s.id: s for s in newer.scenarios}
    for ident, scenario in after.items():
        old = before[ident].verdict if ident in before else ""
        if old != scenario.verdict:
            yield Change(_kind(old, scenario.verdict), scenario, old, scenario.verdict)
    for ident, scenario in before.items():
        if ident not in after:
            yield Change("gone", scenario, scenario.verdict, "")


def _kind(before: str, after: str) -> str:
    if not before:
        return "new"
    if before in _BAD and after in _GOOD:
        return "fixed"
    return "broken" if after in _BAD and before not in _BAD else "changed"


_TITLES = {"broken": "Broken", "fixed": "Fixed", "new": "New", "changed": "Judged otherwise",
           "gone": "Gone"}  # fmt: skip


def _lines(found: Comparison) -> Iterator[str]:
    yield f"# {found.older.verdict} before, {found.newer.verdict} now"
    yield ""
    told = [f"{len(found.of(kind))} {kind}" for kind in _TITLES if found.of(kind)]
    yield f"{', '.join(told) or 'Nothing has changed'}."
    if (found.older.target, found.older.pdex_version) != (found.newer.target,
                                                          found.newer.pdex_version):  # fmt: skip
        yield "The runs are of different payers or versions of PDex."
    for kind, title in _TITLES.items():
        changes = found.of(kind)
        if changes:
            yield from ("", f"## {title}: {counted(len(changes), 'scenario')}", "")
            yield from map(_line, changes)


def _line(change: Change) -> str:
    scenario = change.scenario
    told = " to ".join(part for part in (change.before, change.after) if part)
    rows = f" ({', '.join(scenario.requirements)})" if scenario.requirements else ""
    words = f": {scenario.message}" if scenario.message and change.kind != "gone" else ""
    return f"- {told}: {scenario.feature}, {scenario.name}{rows}{words}"
