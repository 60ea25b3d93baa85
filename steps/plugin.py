"""The pytest plugin: our steps and fixtures in anybody's tests.

It stays thin: without `--target-config` it adds its options and two fixtures, and imports nothing
else. With it, `judging` and the step modules are registered.
"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .judging import Judging
    from .requester.run import RequesterRun
    from .run import TargetRun
    from .seen import Seen

STEP_MODULES = (
    "answers",
    "discovery",
    "authorization",
    "token_status",
    "key_sets",
    "transport",
    "endpoint_bundles",
    "udap_discovery",
    "udap_registration",
    "udap_token",
    "member_match",
    "exporting",
    "export_options",
    "retrieving",
    "retrieval_options",
    "access",
    "delivering",
    "origins",
    "bulk_matching",
    "bulk_exporting",
    "isolation",
    "forgery",
    "scopes",
    "media_types",
    "changes",
    "profiles",
)
REQUESTER_MODULES = (
    "asking",
    "asking_export",
    "asking_bulk",
    "asking_udap",
    "asking_keys",
)
_JUDGING = "payer-exchange-judging"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("payer-exchange")
    group.addoption("--target-config", help="payer-exchange.toml of the payer to judge")
    group.addoption("--target-url", default="", help="FHIR base of the payer, over the file's")
    group.addoption("--pdex-version", default="", help="the PDex version, over the file's")
    group.addoption("--judge-requester", action="store_true", help="play the responding payer")
    group.addoption("--trigger", default="", help="what starts one exchange of a requesting payer")
    group.addoption("--await-calls", type=float, default=0.0, help="seconds, without a trigger")
    group.addoption("--played-port", type=int, default=0, help="where the played payer answers")
    group.addoption("--requester-jwks-url", default="", help="where a requester publishes keys")
    group.addoption("--payer-report-dir", help="where results.json and exchange.har are written")
    group.addoption("--waivers", default="", help="TOML: requirements known to be violated")
    group.addoption("--attestations", default="", help="TOML: answers to what no wire can show")
    group.addoption("--resume-from", default="", help="the report folder of a run to go on with")
    group.addoption("--tell-exchanges", action="store_true", help="an event for each exchange")
    group.addoption("--scenario-tags", default="", help="an expression over scenario tags")
    group.addoption("--scenario-events", action="store_true", help="a JSON line for each verdict")


def pytest_configure(config: pytest.Config) -> None:
    requester = config.getoption("--judge-requester")
    if not requester and not config.getoption("--target-config"):
        return
    from .judging import Judging as Plugin  # noqa: PLC0415 - heavy, and only wanted with a target

    for name in REQUESTER_MODULES if requester else STEP_MODULES:
        config.pluginmanager.import_plugin(f"{__package__}.{name}")
    config.pluginmanager.register(Plugin.of(config), _JUDGING)
    if not config.pluginmanager.has_plugin("terminalreporter"):
        # Nobody reads where in the judge a verdict came about, and to tell it takes a tenth of a
        # run: for each place the source of the judge is parsed.
        config.option.tbstyle = "line"
    if config.getoption("--scenario-events"):
        # Who was started in the background ignores it: asked to stop, we have a report to write.
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def payer_run(request: pytest.FixtureRequest) -> TargetRun:
    """The payer that `--target-config` names, and all it has answered so far."""
    judging: Judging | None = request.config.pluginmanager.get_plugin(_JUDGING)
    if judging is None:
        pytest.skip("No target is configured: give --target-config payer-exchange.toml.")
    return judging.session.run  # type: ignore[return-value]


@pytest.fixture(scope="session")
def requester_run(request: pytest.FixtureRequest) -> RequesterRun:
    """The played payer of a run with `--judge-requester`, and all it was asked so far."""
    judging: Judging | None = request.config.pluginmanager.get_plugin(_JUDGING)
    if judging is None:
        pytest.skip("No requesting payer is judged: give --judge-requester.")
    return judging.session.run  # type: ignore[return-value]


@pytest.fixture
def seen(payer_run: TargetRun, request: pytest.FixtureRequest) -> Seen:
    """What this scenario looks at."""
    from .judging import EVIDENCE  # noqa: PLC0415 - heavy, and only wanted with a target
    from .seen import Seen as Evidence  # noqa: PLC0415

    found = Evidence(payer_run)
    request.node.stash[EVIDENCE] = found
    return found
