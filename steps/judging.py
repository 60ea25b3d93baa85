"""What the plugin does in a run that has a target: select scenarios, judge each, write results."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .seen import Seen
from .selection import tag_expression
from .session import JudgeSession

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

    @classmethod
    def of(cls, config: pytest.Config) -> Judging:
        """The plugin for the options of a run; raises SettingsError for a bad settings file."""
        option = config.getoption
        if option("--judge-requester"):
            session = JudgeSession.of_requester(
                version=option("--pdex-version"), trigger=option("--trigger"),
                wait_s=option("--await-calls"), port=option("--played-port"),
                jwks_url=option("--requester-jwks-url"),
            )  # fmt: skip
            return cls(session, option("--scenario-tags"), option("--payer-report-dir"),
                       option("--scenario-events"))  # fmt: skip
        session = JudgeSession.of(
            Path(option("--target-config")), option("--target-url"), option("--pdex-version")
        )
        return cls(session, option("--scenario-tags"), option("--payer-report-dir"),
                   option("--scenario-events"))  # fmt: skip

    @pytest.hookimpl(optionalhook=True)
    def pytest_bdd_apply_tag(self, tag: str, function: Any) -> bool | None:
        """Keep each tag beside the function; a requirement id is no legal marker name."""
        function.__dict__.setdefault(_TAGS, []).append(tag)
        return None if tag.isidentifier() else True

    @pytest.hookimpl(optionalhook=True)
    def pytest_bdd_before_scenario(
        self, request: pytest.FixtureRequest, feature: Any, scenario: Any
    ) -> None:
        """Keep which scenario a test item is: this hook is the public way to know."""
        request.node.stash[_SCENARIO] = (feature, scenario)

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        wanted = tag_expression(self.wanted)
        kept = [item for item in items if wanted(scenario_tags(item))]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept
        self.session.planned = len(kept)
        self._tell(event="planned", scenarios=len(kept))

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
        self._tell(event="scenario", name=result.name, verdict=result.verdict)
        _adjust(report, result.verdict, result.message)
        return report

    def pytest_sessionfinish(self) -> None:
        for problem in self.session.run.clean_up():
            sys.stderr.write(f"{problem}\n")
        if self.report_dir:
            self.session.write(Path(self.report_dir))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed and self.tells:
            sys.stderr.write(f"{report.longreprtext}\n")

    def _tell(self, **event: Any) -> None:
        if self.tells:
            assert sys.__stdout__ is not None
            sys.__stdout__.write(json.dumps(event) + "\n")
            sys.__stdout__.flush()


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
