"""The meta-test: does each defect turn its requirements red, and no unrelated one?

For a defect the simulated payer is started with it and judged as any other payer. Red is a fail or
a warn; a scenario that is skipped because its evidence cannot be had is neither.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from ..reports.catalogue import requirement
from ..reports.results import Results
from .plugin import STEP_MODULES
from .scenarios import tagged_scenarios
from .selection import packaged_features

# Loaded once, in a process that does nothing but fork: each judge then starts at once.
_LOADED = ["pytest", "pytest_bdd", "pytest_bdd.plugin", f"{__package__}.plugin",
           f"{__package__}.judging",
           *(f"{__package__}.{name}" for name in STEP_MODULES)]  # fmt: skip
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


def judge_apart(arguments: list[str], environment: Mapping[str, str]) -> None:
    """Run pytest with these arguments in a process of its own; returns when it has ended.

    Quicker than a new interpreter by the second that importing the judge takes.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    # No daemon: the judge of a requesting payer starts that payer as a child of its own.
    child = context.Process(target=_judge, args=(arguments, dict(environment)))
    child.start()
    child.join()


def _judge(arguments: list[str], environment: dict[str, str]) -> None:
    os.environ.update(environment)
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        status = pytest.main(arguments)
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.stderr.write(told.getvalue())


class _Breaks(Protocol):
    @property
    def violates(self) -> tuple[str, ...]: ...


B = TypeVar("B", bound=_Breaks)


def family(ident: str) -> str:
    """The family of a requirement: the phase of the exchange, and the guide that it is of."""
    row = requirement(ident)
    return f"{row.phase}, {row.source.split(maxsplit=1)[0]}" if row else ident


def cover(defects: Iterable[B], of: Callable[[str], str] = family) -> list[B]:
    """As few of the defects as it takes to break a requirement of each family that one breaks.

    Each time the one that breaks most of what is left, the first of its equals.
    """
    left = {id(defect): (defect, {of(ident) for ident in defect.violates}) for defect in defects}
    unbroken = {name for _, names in left.values() for name in names}
    chosen = []
    while unbroken:
        best, names = max(left.values(), key=lambda found: len(unbroken & found[1]))
        chosen.append(best)
        unbroken -= names
    return chosen


def features_about(requirements: Iterable[str], role: str, folder: Path) -> Path:
    """A folder with the features that have a scenario about one of the requirements, no others.

    What is not read costs no time: most defects are about one or two features of twenty.
    """
    wanted = set(requirements)
    folder.mkdir()
    for path in packaged_features(role).glob("*.feature"):
        if any(wanted.intersection(tags) for tags, _ in tagged_scenarios(path)):
            shutil.copy(path, folder)
    return folder


def judge_kill(defect: str, violates: Iterable[str], also: Iterable[str], results: Results) -> Kill:
    """Compare what a defect names with what went red."""
    named, tolerated = set(violates), set(also)
    tested = {r.id for r in results.requirements if r.scenarios}
    # What is no requirement of the version cannot be violated in it.
    omitted = {r.id for r in results.requirements if r.verdict == "omit"}
    red = {r for s in results.scenarios if s.verdict in _RED for r in (s.requirements or (s.name,))}
    red -= omitted
    return Kill(
        defect,
        tuple(sorted((named & tested) - red | (named - tested))),
        tuple(sorted(red - named - tolerated)),
    )
