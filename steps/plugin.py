"""The pytest plugin: our steps and fixtures, and the verdict on every scenario.

It stays thin: nothing of it is active, and nothing heavy is imported, unless a target is named by
`--target-config` (or by `payer-exchange verify`, which uses the same option).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .run import TargetRun
    from .seen import Seen
    from .session import JudgeSession

_STEP_MODULES = ("answers", "discovery", "authorization", "member_match", "exporting",
                 "retrieving", "access", "delivering")  # fmt: skip
_SESSION: pytest.StashKey[JudgeSession] = pytest.StashKey()
_TAGS = "__payer_exchange_tags__"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("payer-exchange")
    group.addoption("--target-config", help="payer-exchange.toml of the payer to judge")
    group.addoption("--target-url", help="FHIR base of the payer to judge, over the file's")
    group.addoption("--pdex-version", help="the PDex version to judge by, over the file's")
    group.addoption("--payer-report-dir", help="where results.json and exchange.har are written")
    group.addoption("--scenario-tags", default="", help="an expression over scenario tags")
    group.addoption("--scenario-events", action="store_true", help="a JSON line for each verdict")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--target-config"):
        return
    from .session import JudgeSession  # noqa: PLC0415 - heavy, and only wanted with a target

    for name in _STEP_MODULES:
        config.pluginmanager.import_plugin(f"{__package__}.{name}")
    config.stash[_SESSION] = JudgeSession.of(
        Path(config.getoption("--target-config")),
        config.getoption("--target-url") or "",
        config.getoption("--pdex-version") or "",
    )


def pytest_bdd_apply_tag(tag: str, function: Any) -> bool:
    """Keep tags beside the function: requirement ids are no legal marker names."""
    function.__dict__.setdefault(_TAGS, []).append(tag)
    return True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _SESSION not in config.stash:
        return
    from .selection import tag_expression  # noqa: PLC0415

    wanted = tag_expression(config.getoption("--scenario-tags"))
    kept = [item for item in items if wanted(scenario_tags(item))]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept
    config.stash[_SESSION].planned = len(kept)
    _tell(config, {"event": "planned", "scenarios": len(kept)})


def scenario_tags(item: pytest.Item) -> list[str]:
    """The tags of the scenario behind a test item."""
    return sorted(getattr(getattr(item, "function", None), _TAGS, []))


@pytest.fixture(scope="session")
def payer_run(request: pytest.FixtureRequest) -> TargetRun:
    """The target of this run and all it has answered so far."""
    if _SESSION not in request.config.stash:
        pytest.skip("No target is configured: give --target-config payer-exchange.toml.")
    return request.config.stash[_SESSION].run


@pytest.fixture
def seen(payer_run: TargetRun, request: pytest.FixtureRequest) -> Seen:
    """What this scenario looks at."""
    from .seen import Seen as Evidence  # noqa: PLC0415

    found = Evidence(payer_run)
    request.node.stash[_SEEN] = found
    return found


_SEEN: pytest.StashKey[Seen] = pytest.StashKey()


_SCENARIO: pytest.StashKey[tuple[Any, Any]] = pytest.StashKey()


def pytest_bdd_before_scenario(request: pytest.FixtureRequest, feature: Any, scenario: Any) -> None:
    """Keep which scenario a test item is: the hook is the public way to know."""
    request.node.stash[_SCENARIO] = (feature, scenario)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    session = item.config.stash.get(_SESSION, None)
    scenario = item.stash.get(_SCENARIO, None)
    if session is None or scenario is None:
        return report
    if call.when == "call":
        error = call.excinfo.value if call.excinfo else None
        evidence = item.stash[_SEEN].evidence() if _SEEN in item.stash else ()
        result = session.judge(
            *scenario, _example(item), scenario_tags(item), error, evidence, call.duration
        )
        _tell(item.config, {"event": "scenario", "name": result.name, "verdict": result.verdict,
                            "message": result.message})  # fmt: skip
        _adjust(report, result.verdict, result.message)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    judged = session.config.stash.get(_SESSION, None)
    folder = session.config.getoption("--payer-report-dir")
    if judged is not None and folder:
        judged.write(Path(folder))


def pytest_collectreport(report: pytest.CollectReport) -> None:
    if report.failed:
        sys.stderr.write(f"{report.longreprtext}\n")


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


def _tell(config: pytest.Config, event: dict[str, Any]) -> None:
    if config.getoption("--scenario-events"):
        sys.__stdout__.write(json.dumps(event) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]
