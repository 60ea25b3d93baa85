"""One judging session: turns what happened in a scenario into a verdict, and writes the results."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ..reference.errors import SettingsError, TargetError
from ..reference.fhir.pdex import NEWEST
from ..reference.settings import Settings, TargetSettings, read_settings
from ..reports.attestations import Attestation, attested
from ..reports.catalogue import NORMATIVE, catalogue, conflict_of, requirement
from ..reports.har import read_entries, write_har
from ..reports.masking import Masker
from ..reports.results import Results, ScenarioResult, requirement_results
from ..reports.waivers import Waiver, waived
from ..reports.writing import read_results, write_results
from .going_down import Watch
from .recorder import Recorder
from .requester.run import RequesterRun
from .run import TargetRun
from .verdicts import CannotTell, CheckFailed, NotApplicable

RESPONDING, REQUESTING = "responding-payer", "requesting-payer"
# Whose requirements are about payers alone, and not about every Bulk Data server.
_OF_PAYERS = ("PDex", "HRex", "Da Vinci", "42 CFR", "CMS", "US Core", "UDAP")
_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass
class JudgeSession:
    """The run, and the verdicts so far."""

    run: TargetRun | RequesterRun
    results: list[ScenarioResult] = field(default_factory=list)
    planned: int = 0
    started: float = field(default_factory=time.monotonic)
    role: str = RESPONDING
    waivers: tuple[Waiver, ...] = ()
    answers: Mapping[str, Attestation] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    """What the report tells of the run itself."""
    _earlier: list[dict[str, Any]] = field(default_factory=list)

    def go_on(self, folder: Path) -> set[str]:
        """Take over what an interrupted run wrote; the ids of the scenarios that it judged.

        What was skipped, or what the harness broke on, is judged anew: what it lacked may be there
        by now. Raises SettingsError without such a run.
        """
        try:
            before = read_results(folder)
        except ValueError as error:
            raise SettingsError(f"There is no run to go on with in {folder}.") from error
        if (before.role, before.target) != (self.role, self.run.name):
            raise SettingsError(f"The run in {folder} is of another payer.")
        self.results = [s for s in before.scenarios if s.verdict not in ("error", "skip")]
        self._earlier = read_entries(folder / before.evidence)
        self.run.recorder.earlier = len(self._earlier)
        return {s.id for s in self.results}

    @classmethod
    def of_requester(
        cls, *, version: str = "", trigger: str = "", wait_s: float = 0.0, port: int = 0,
        jwks_url: str = "",
    ) -> JudgeSession:  # fmt: skip
        """A session that plays the responding payer, and judges who asks it."""
        target = TargetSettings(pdex_version=version or NEWEST)
        run = RequesterRun(
            Settings(target=target), Recorder(), trigger=trigger, wait_s=wait_s, port=port,
            jwks_url=jwks_url,
        )  # fmt: skip
        return cls(run, role=REQUESTING)

    @classmethod
    def of(cls, config: Path, url: str = "", version: str = "") -> JudgeSession:
        """A session against the target that a settings file names, or that the URL names."""
        settings = read_settings(config)
        changes: dict[str, Any] = {"fhir_base": url, "pdex_version": version}
        target = replace(settings.target, **{k: v for k, v in changes.items() if v})
        settings = replace(settings, target=target)
        if not settings.target.fhir_base:
            raise SettingsError(f"{config}: target.fhir_base is missing, and no URL was given.")
        return cls(TargetRun(settings, Recorder()))

    def require_wanted(self, tags: Iterable[str]) -> None:
        """Raise NotApplicable for a scenario of which no requirement is one of this target."""
        target = self.run.settings.target
        told = [found for found in map(requirement, tags) if found]
        if told and not any(target.pdex_version in r.versions for r in told):
            raise NotApplicable(f"It is no requirement of PDex {target.pdex_version}.")
        if target.group and told and all(r.source.startswith(_OF_PAYERS) for r in told):
            raise NotApplicable("It is no requirement of a Bulk Data server.")

    def judge(
        self,
        feature: Any,
        scenario: Any,
        example: dict[str, str],
        tags: list[str],
        error: BaseException | None,
        evidence: tuple[str, ...],
        duration_s: float,
    ) -> ScenarioResult:
        """The result of one scenario, kept and returned."""
        if self._watch:
            error, shown = self._watch.explain(error)
            evidence = tuple(dict.fromkeys((*evidence, *shown)))
        name, ident = scenario_id(feature, scenario, example)
        requirements = tuple(tag for tag in tags if requirement(tag))
        verdict, message = self._verdict(error, requirements, tags)
        check = error if isinstance(error, CheckFailed) else CheckFailed("")
        result = ScenarioResult(
            id=ident,
            feature=feature.name,
            name=name,
            tags=tuple(tags),
            requirements=requirements,
            verdict=verdict,
            message=message,
            expected=check.expected,
            actual=check.actual,
            where=check.where,
            evidence=evidence,
            duration_s=round(duration_s, 4),
        )  # fmt: skip
        self.results.append(result)
        return result

    @cached_property
    def _watch(self) -> Watch | None:
        return Watch(self.run) if isinstance(self.run, TargetRun) else None

    def summary(self) -> Results:
        """The results so far, with what people said of the rest, and with waivers applied."""
        found = attested(self._results(), self.answers)
        return waived(found, self.waivers, datetime.now(UTC).date())

    def _results(self) -> Results:
        settings = self.run.settings
        return Results(
            role=self.role,
            target=self.run.name,
            pdex_version=settings.target.pdex_version,
            duration_s=time.monotonic() - self.started,
            scenarios=tuple(self.results),
            requirements=requirement_results(
                catalogue(), self.results, settings.target.pdex_version
            ),
            started=datetime.now(UTC).isoformat(timespec="seconds"),
            notes=tuple(self.notes),
        )

    def write(self, folder: Path) -> None:
        """Write results.json and every report form, with the exchanges, all masked."""
        masker = self.masker
        folder.mkdir(parents=True, exist_ok=True)
        write_har(folder / "exchange.har", self.run.recorder.exchanges, masker, self._earlier)
        write_results(folder, self.summary(), masker)

    @cached_property
    def masker(self) -> Masker:
        """What takes members and secrets out of every text that leaves the run."""
        return Masker.of(self._members())

    def _members(self) -> Any:
        try:
            return self.run.members
        except (CannotTell, NotApplicable):
            return {}

    @staticmethod
    def _verdict(
        error: BaseException | None, requirements: tuple[str, ...], tags: Iterable[str] = ()
    ) -> tuple[str, str]:
        if error is None:
            return "pass", ""
        if isinstance(error, CheckFailed):
            if disputed := conflict_of(tags):
                # One reading alone turns no run red.
                return "warn", f"{error.message} Sources disagree: {disputed.topic}."
            strengths = {r.strength for r in map(requirement, requirements) if r}
            # Only a SHALL turns a run red; a scenario without a requirement is our own SHALL.
            hard = not strengths or bool(strengths & NORMATIVE)
            return ("fail" if hard else "warn"), error.message
        if isinstance(error, NotApplicable):
            return "omit", str(error)
        if isinstance(error, CannotTell | TargetError):
            return "skip", str(error)
        return "error", f"The harness failed: {type(error).__name__}."


def scenario_id(feature: Any, scenario: Any, example: dict[str, str]) -> tuple[str, str]:
    """The name of a scenario with its example in it, and the id that stays from run to run."""
    name = _named(scenario.name, example)
    return name, f"{Path(feature.filename).stem}/{_slug(name)}"


def _named(name: str, example: dict[str, str]) -> str:
    """The scenario's name with its example in it, put behind where the name does not say it."""
    filled = name
    for key, value in example.items():
        filled = filled.replace(f"<{key}>", value)
    missing = [v for v in example.values() if v not in filled]
    return f"{filled} ({', '.join(missing)})" if missing else filled


def _slug(text: str) -> str:
    return _SLUG.sub("-", text.lower()).strip("-")[:120]
