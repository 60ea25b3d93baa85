"""What a report tells of a run, in the order a person wants it: verdict, findings, coverage."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from .catalogue import Conflict, Requirement, conflict_of, conflicts, requirement
from .chapters import CHAPTERS, Chapter, chapter_of
from .exchanges import ShownExchange
from .results import RequirementResult, Results, ScenarioResult

# What is to be fixed, the most pressing first.
TO_FIX = ("fail", "error", "warn")
# Every verdict a requirement can have, in the order of a coverage bar.
COVERAGE = ("pass", "fail", "error", "warn", "skip", "attested", "omit", "not_tested")
_MOST_EXCHANGES = 4
_NUMBERED = re.compile(r"(\d+)-")


@dataclass(frozen=True, slots=True)
class Finding:
    """One deviation, with every scenario that met it in the same words."""

    verdict: str
    scenarios: tuple[ScenarioResult, ...]
    requirements: tuple[Requirement, ...]
    exchanges: tuple[ShownExchange, ...]
    why: str
    conflict: Conflict | None = None

    @property
    def first(self) -> ScenarioResult:
        """The scenario that is told in full."""
        return self.scenarios[0]


@dataclass(frozen=True, slots=True)
class Disputed:
    """A conflict between sources, and what this run saw of it."""

    conflict: Conflict
    followed: str
    """Which reading the payer follows, or that no scenario told."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How the requirements of one chapter were judged."""

    chapter: Chapter
    counts: Mapping[str, int]

    @property
    def total(self) -> int:
        """All requirements of the chapter."""
        return sum(self.counts.values())

    @property
    def bars(self) -> list[tuple[str, int, float]]:
        """Verdict, number and percentage of each part of the bar, empty parts left out."""
        return [(v, n, 100 * n / self.total) for v, n in self.counts.items() if n]


def sentence(results: Results) -> str:
    """The verdict in one sentence."""
    violated = len(_ids(results, "fail"))
    gone = [waiver for waiver in results.waivers if waiver.has_to_go]
    if results.verdict == "fail" and gone and not violated:
        return f"{counted(len(gone), 'waiver')} must be taken away: expired, or met by now."
    if results.verdict == "fail":
        what = f"violates {counted(violated, 'requirement')}" if violated else "fails"
        return f"The {_role(results)} {what} that it SHALL meet."
    if results.verdict == "error":
        broken = results.counts["error"]
        why = f"the harness failed in {counted(broken, 'scenario')}" if broken else "nothing ran"
        return f"The {_role(results)} could not be judged: {why}."
    if results.verdict == "warn":
        unmet = counted(len(_ids(results, "warn")), "recommendation")
        return f"The {_role(results)} violates no requirement, and misses {unmet}."
    return f"The {_role(results)} violates no requirement of this run."


def findings(
    results: Results, exchanges: Mapping[str, ShownExchange] | None = None
) -> list[Finding]:
    """What is to be fixed: violated SHALLs, then what the harness broke on, then warnings."""
    groups: dict[tuple[object, ...], list[ScenarioResult]] = {}
    for scenario in in_order(results.scenarios):
        if scenario.verdict in TO_FIX and not scenario.waived:
            groups.setdefault(_likeness(scenario), []).append(scenario)
    found = [_finding(tuple(group), exchanges or {}) for group in groups.values()]
    return sorted(found, key=lambda f: TO_FIX.index(f.verdict))


def coverage(results: Results) -> list[Coverage]:
    """The requirements of the judged role by chapter, in the order of the exchange."""
    rows = role_requirements(results)
    told = []
    for chapter in CHAPTERS:
        counts = Counter(r.verdict for r in rows if chapter_of(r.phase) is chapter)
        if counts:
            told.append(Coverage(chapter, {v: counts[v] for v in COVERAGE}))
    return told


def role_requirements(results: Results) -> list[RequirementResult]:
    """The requirements that the judged role has to meet; all of them when the role is unknown."""
    actor = results.role.removesuffix("-payer")
    own = [r for r in results.requirements if r.actor in (actor, "both")]
    return own or list(results.requirements)


def disputed(results: Results) -> list[Disputed]:
    """Where the sources disagree, and which reading the payer follows as far as a scenario told."""
    return [Disputed(c, _followed(c, results)) for c in conflicts()]


def _followed(conflict: Conflict, results: Results) -> str:
    verdicts = {s.verdict for s in results.scenarios if conflict.tag in s.tags}
    for verdict, told in (("warn", "the second reading"), ("pass", "the first reading")):
        if verdict in verdicts:
            return told
    return ""


def unknowns(results: Results) -> list[tuple[str, int]]:
    """Each reason why scenarios could not be told, and how many gave it."""
    return Counter(s.message for s in results.scenarios if s.verdict == "skip").most_common()


def by_feature(results: Results) -> Iterator[tuple[str, list[ScenarioResult]]]:
    """The scenarios of each feature, in the order of the exchange."""
    features: dict[str, list[ScenarioResult]] = {}
    for scenario in in_order(results.scenarios):
        features.setdefault(scenario.feature, []).append(scenario)
    yield from features.items()


def in_order(scenarios: Iterable[ScenarioResult]) -> list[ScenarioResult]:
    """The scenarios in the order of the exchange, as the numbers of their feature files say.

    Those of one feature stay as they ran; features without a number come last.
    """
    return sorted(scenarios, key=_place)


def _place(scenario: ScenarioResult) -> tuple[float, str]:
    number = _NUMBERED.match(scenario.id)
    return (float(number[1]) if number else float("inf"), scenario.feature)


def _likeness(scenario: ScenarioResult) -> tuple[object, ...]:
    return (
        scenario.verdict,
        scenario.requirements,
        scenario.message,
        scenario.expected,
        scenario.actual,
        scenario.where,
    )


def _finding(
    scenarios: tuple[ScenarioResult, ...], exchanges: Mapping[str, ShownExchange]
) -> Finding:
    first = scenarios[0]
    rows = tuple(filter(None, map(requirement, first.requirements)))
    chapter = chapter_of(rows[0].phase) if rows else None
    # The last exchange is the one that shows it; those before led there.
    shown = [exchanges[e] for e in first.evidence if e in exchanges][-_MOST_EXCHANGES:]
    why = chapter.why if chapter else ""
    return Finding(first.verdict, scenarios, rows, tuple(shown), why, conflict_of(first.tags))


def _ids(results: Results, verdict: str) -> set[str]:
    found: Iterable[ScenarioResult] = (
        s for s in results.scenarios if s.verdict == verdict and not s.waived
    )
    said = (r.id for r in results.requirements if r.verdict == verdict and not r.scenarios)
    return {ident for scenario in found for ident in scenario.requirements} | set(said)


def _role(results: Results) -> str:
    return results.role.replace("-", " ")


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the plural when it is one."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
