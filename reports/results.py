"""What a run found: scenarios, requirements, counts and the verdict; results.json in and out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .catalogue import Requirement

SCHEMA = "payer-exchange/results/1"
# The six verdicts, the worst first.
VERDICTS = ("error", "fail", "warn", "skip", "pass", "omit")


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """One scenario as it was judged."""

    id: str
    feature: str
    name: str
    tags: tuple[str, ...]
    requirements: tuple[str, ...]
    verdict: str
    message: str = ""
    expected: str = ""
    actual: str = ""
    where: str = ""
    evidence: tuple[str, ...] = ()
    duration_s: float = 0.0
    waived: str = ""
    """Why the violation is waived; empty when it is not."""


@dataclass(frozen=True, slots=True)
class RequirementResult:
    """One requirement with the worst verdict of its scenarios, or why it has none."""

    id: str
    strength: str
    actor: str
    phase: str
    verdict: str
    scenarios: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WaiverResult:
    """One waiver, and how it stands: in force, expired, met or not judged."""

    requirement: str
    reason: str
    owner: str
    expires: str
    state: str

    @property
    def has_to_go(self) -> bool:
        """Whether it fails the run until it is taken away."""
        return self.state in ("expired", "met")


@dataclass(frozen=True, slots=True)
class Results:
    """Everything a run found."""

    role: str
    target: str
    pdex_version: str
    duration_s: float
    scenarios: tuple[ScenarioResult, ...]
    requirements: tuple[RequirementResult, ...]
    evidence: str = "exchange.har"
    started: str = ""
    notes: tuple[str, ...] = field(default=())
    waivers: tuple[WaiverResult, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Scenarios by verdict; every verdict is there."""
        found = Counter(s.verdict for s in self.scenarios)
        return {verdict: found[verdict] for verdict in
                ("pass", "fail", "warn", "skip", "omit", "error")}  # fmt: skip

    @property
    def verdict(self) -> str:
        """Fail when a SHALL is violated, error when the harness broke or nothing was judged.

        A violation that is waived does not fail the run; a waiver that has to go does, and so does
        a SHALL of which people say that it is not met.
        """
        counts = self.counts
        if any(self._failures()):
            return "fail"
        if counts["error"] or not counts["pass"] + counts["warn"] + counts["fail"]:
            return "error"
        return "warn" if counts["warn"] or counts["fail"] else "pass"

    def _failures(self) -> Iterator[bool]:
        yield any(s.verdict == "fail" and not s.waived for s in self.scenarios)
        yield any(waiver.has_to_go for waiver in self.waivers)
        yield any(r.verdict == "fail" and not r.scenarios for r in self.requirements)

    @property
    def exit_status(self) -> int:
        """0 without an unmet SHALL, 1 with one, 3 when nothing was judged or the harness broke."""
        return {"fail": 1, "error": 3}.get(self.verdict, 0)

    def as_json(self) -> dict[str, Any]:
        """The content of results.json."""
        return {
            "schema": SCHEMA,
            "role": self.role,
            "target": self.target,
            "pdex_version": self.pdex_version,
            "verdict": self.verdict,
            "started": self.started,
            "duration_s": round(self.duration_s, 3),
            "counts": self.counts,
            "scenarios": [asdict(s) for s in self.scenarios],
            "requirements": [asdict(r) for r in self.requirements],
            "evidence": self.evidence,
            "notes": list(self.notes),
            "waivers": [asdict(w) for w in self.waivers],
        }


def results_from_json(content: Mapping[str, Any]) -> Results:
    """Results from the content of a results.json; raises ValueError for another schema."""
    if content.get("schema") != SCHEMA:
        raise ValueError(f"This is no {SCHEMA} file.")
    return Results(
        role=content["role"],
        target=content["target"],
        pdex_version=content["pdex_version"],
        duration_s=content["duration_s"],
        scenarios=tuple(ScenarioResult(**_tuples(s)) for s in content["scenarios"]),
        requirements=tuple(RequirementResult(**_tuples(r)) for r in content["requirements"]),
        evidence=content["evidence"],
        started=content.get("started", ""),
        notes=tuple(content.get("notes", ())),
        waivers=tuple(WaiverResult(**w) for w in content.get("waivers", ())),
    )


def worst(verdicts: Iterable[str]) -> str:
    """The worst of some verdicts."""
    return min(verdicts, key=VERDICTS.index)


def requirement_results(
    catalogue: Iterable[Requirement], scenarios: Iterable[ScenarioResult], version: str
) -> tuple[RequirementResult, ...]:
    """Each requirement of the catalogue with what this run says of it."""
    by_id: dict[str, list[ScenarioResult]] = {}
    for scenario in scenarios:
        for requirement in scenario.requirements:
            by_id.setdefault(requirement, []).append(scenario)
    return tuple(_requirement_result(row, by_id.get(row.id, []), version) for row in catalogue)


def _requirement_result(
    row: Requirement, scenarios: list[ScenarioResult], version: str
) -> RequirementResult:
    if version not in row.versions:
        verdict, reason = "omit", f"It is no requirement of PDex {version}."
    elif scenarios:
        verdict = worst(s.verdict for s in scenarios)
        reason = next((s.message for s in scenarios if s.verdict == verdict), "")
    else:
        verdict, reason = "not_tested", row.not_tested or "Its scenarios were not selected."
    names = tuple(s.id for s in scenarios)
    return RequirementResult(row.id, row.strength, row.actor, row.phase, verdict, names, reason)


def _tuples(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {k: tuple(v) if isinstance(v, list) else v for k, v in entry.items()}
