"""What the plugin does in a run that has a target: select scenarios, judge each, write results."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ..reports.attestations import read_attestations
from ..reports.waivers import read_waivers
from .seen import Seen
from .selection import tag_expression
from .session import JudgeSession, scenario_id

EVIDENCE: pytest.StashKey[Seen] = pytest.StashKey()
_SCENARIO: pytest.StashKey[tuple[Any, Any]] = pytest.StashKey()
_TAGS = "__payer_exchange_tags__"


@dataclass(slots=True)
class Judging:
    """The plugin object of one run."""

    session: JudgeSession
    wanted: str
    report_dir: str | None
    tells: bool

    judged_before: set[str] = field(default_factory=set)
    tells_exchanges: bool = False
    _told: int = 0

    @classmethod
    def of(cls, config: pytest.Config) -> Judging:
        """The plugin for the options of a run; raises SettingsError for a bad file."""
        option = config.getoption
        session = _session(option)
        if waivers := option("--waivers"):
            session.waivers = read_waivers(Path(waivers))
        if answers := option("--attestations"):
            session.answers = read_attestations(Path(answers))
        found = cls(session, option("--scenario-tags"), option("--payer-report-dir"),
                    option("--scenario-events"))  # fmt: skip
        if folder := option("--resume-from"):
            found.judged_before = session.go_on(Path(folder))
        found.tells_exchanges = option("--tell-exchanges")
        return found

    @pytest.hookimpl(optionalhook=True)
    def pytest_bdd_apply_tag(self, tag: str, function: Any) -> bool | None:
        """Keep each tag beside the function; a requirement id is no legal marker name."""
        function.__dict__.setdefault(_TAGS, []).append(tag)
        return None if tag.isidentifier() else True

    @pytest.hookimpl(optionalhook=True)
    def pytest_bdd_before_scenario(
        self, request: pytest.FixtureRequest, feature: Any, scenario: Any
    ) -> None:
        """Keep which scenario a test item is: this hook is the public way to know.

        Raises NotApplicable where it is not for this target, before anything is asked.
        """
        request.node.stash[_SCENARIO] = (feature, scenario)
        self.session.require_wanted(scenario_tags(request.node))

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        wanted = tag_expression(self.wanted)
        kept = [item for item in items if wanted(scenario_tags(item))
                and self._id(item) not in self.judged_before]  # fmt: skip
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
        self.session.planned = len(kept)
        self._tell(event="planned", scenarios=len(kept))

    def _id(self, item: pytest.Item) -> str:
        """The id of the scenario behind a test item."""
        scenario = getattr(getattr(item, "function", None), "__scenario__", None)
        return scenario_id(scenario.feature, scenario, _example(item))[1] if scenario else ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        scenario = item.stash.get(_SCENARIO, None)
        if scenario is None or call.when != "call":
            return report
        error = call.excinfo.value if call.excinfo else None
        evidence = item.stash[EVIDENCE].evidence() if EVIDENCE in item.stash else ()
        result = self.session.judge(
            *scenario, _example(item), scenario_tags(item), error, evidence, call.duration
        )
        if self.tells_exchanges:
            self._tell_exchanges()
        self._tell(event="scenario", name=result.name, verdict=result.verdict)
        _adjust(report, result.verdict, result.message)
        return report

    def pytest_keyboard_interrupt(self) -> None:
        """Keep for the report that not everything was judged."""
        judged, planned = len(self.session.results), self.session.planned + len(self.judged_before)
        self.session.notes.append(f"The run was interrupted: {judged} of {planned} scenarios were "
                                  "judged. --resume goes on with the others.")  # fmt: skip

    def pytest_sessionfinish(self) -> None:
        for problem in self.session.run.clean_up():
            sys.stderr.write(f"{problem}\n")
        if self.report_dir:
            self.session.write(Path(self.report_dir))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.tells:
            sys.stderr.write(f"{report.longreprtext}\n")

    def _tell_exchanges(self) -> None:
        """An event for each exchange of a scenario, without members and secrets.

        Told once the scenario is over: while it runs, pytest keeps what is written to itself.
        """
        made, masker = self.session.run.recorder.exchanges, self.session.masker
        for ident, exchange in made[self._told :]:
            self._tell(event="exchange", id=ident, method=exchange.method, status=exchange.status,
                       url=masker.text(exchange.url))  # fmt: skip
        self._told = len(made)

    def _tell(self, **event: Any) -> None:
        if self.tells:
            assert sys.__stdout__ is not None
            sys.__stdout__.write(json.dumps(event) + "\n")
            sys.__stdout__.flush()


def _session(option: Callable[[str], Any]) -> JudgeSession:
    if option("--judge-requester"):
        return JudgeSession.of_requester(
            version=option("--pdex-version"), trigger=option("--trigger"),
            wait_s=option("--await-calls"), port=option("--played-port"),
            jwks_url=option("--requester-jwks-url"),
        )  # fmt: skip
    return JudgeSession.of(
        Path(option("--target-config")), option("--target-url"), option("--pdex-version")
    )


def scenario_tags(item: pytest.Item) -> list[str]:
    """The tags of the scenario behind a test item."""
    return sorted(getattr(getattr(item, "function", None), _TAGS, []))


def _example(item: pytest.Item) -> dict[str, str]:
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("_pytest_bdd_example") if callspec else None
    return dict(found or {})


def _adjust(report: pytest.TestReport, verdict: str, message: str) -> None:
    """Tell pytest what a verdict means to it: a warning passes, what cannot be told is skipped."""
    if verdict in ("skip", "omit"):
        report.outcome = "skipped"
        report.longrepr = (str(report.location[0]), report.location[1] or 0, message)
    elif verdict == "warn":
        report.outcome = "passed"
        report.longrepr = None
