"""Running a load scenario: a Locust child process, its figures judged, the results written.

This module runs in the caller's process, so it imports nothing that imports Locust.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from ..reference.errors import SettingsError, TargetError
from ..reference.http import origin_of
from ..reference.settings import Settings, read_settings
from .child import NothingMeasured, follow
from .exchanging import read_side
from .figures import Figures, LoadResults
from .footprint import Watch
from .history import Circumstances, append, drops, line_of, read_history
from .junit import junit
from .knee import knee_of
from .members import NOBODY, TruthTable, read_truth
from .outage import Outage, Restart
from .page import page
from .permission import Caps, Permission
from .scenario import LONGEST_RUN_S, Scenario, asked_scenario, read_scenario
from .spreading import Spread
from .summary import markdown
from .target import open_target
from .thresholds import read_thresholds

PAGE, JUNIT = "load.html", "load-junit.xml"
RESULTS, SUMMARY, LOG = "load-results.json", "load-summary.md", "load-locust.log"
# What a journey that has begun may still take, and Locust's own start and end.
_STOP_S, _AROUND_S = 30, 60
Progress = Callable[[Mapping[str, float]], None]
# Ours to say, or not supported: what they would measure is not what the thresholds are about.
_REFUSED = (
    "-f",
    "--locustfile",
    "-H",
    "--host",
    "--master",
    "--worker",
    "--processes",
    "--config",
    "--class-picker",
    "--autostart",
    "--web-port",
    "--web-host",
    "-l",
    "--list",
    "--payer-config",
    "--payer-url",
    "--payer-figures",
    "--payer-flavour",
    "--payer-megabytes",
    "--payer-processes",
    "--payer-requester",
    "--payer-scenario",
    "--payer-seconds",
)
_TIME = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?")


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What a load run is asked for."""

    scenario: str
    config: Path
    url: str = ""
    thresholds: Path | None = None
    report_dir: Path = Path("payer-exchange-report")
    options: tuple[str, ...] = ()
    flavour: str = "pdex"
    """pdex, or bulk-data: a server that knows no more than the Bulk Data guide."""
    spread: Spread = field(default_factory=Spread)
    """The processes that make the load."""
    history: Path | None = None
    """A file that the run is added to, as a line."""
    compare: bool = False
    """Whether a figure that is worse than in the last runs of the history fails the run."""
    commit: str = ""
    """What was loaded, as the history tells it."""
    target_pid: int = 0
    """The payer's process on this machine, whose memory and open files are sampled; 0: none."""
    requester: Path | None = None
    """The file of the requesting payer that exchanges go through."""
    restart: Restart | None = None
    """Kills that process and starts it anew, where a scenario asks for it."""

    def asked(self) -> Scenario:
        """The scenario as this request can have it; raises SettingsError."""
        return asked_scenario(self.scenario, self.flavour, requester=self.requester is not None)


def run_load(request: LoadRequest, progress: Progress | None = None) -> LoadResults:
    """Run the scenario, judge its figures and write the results into the report folder.

    `progress` is told each second how far the run is. An interrupt stops the run, has the jobs at
    the target deleted and says so in the results. Raises SettingsError for wrong usage and
    NothingMeasured when there is nothing to judge.
    """
    scenario = request.asked()
    thresholds = read_thresholds(request.thresholds) if request.thresholds else scenario.thresholds
    run_s = run_time(request.options, scenario.arrivals.duration_s)
    _refuse_options(request.options)
    settings = settings_for(request.config, request.url)
    truth_for(settings, request.flavour)
    caps = Permission(settings.target).caps()
    caps.check(scenario, run_s)
    if request.requester:
        Permission(settings.target).check(read_side(request.requester).fhir_base)
    _reach(settings, request.flavour, scenario.tries)
    request.report_dir.mkdir(parents=True, exist_ok=True)
    started, clock = datetime.now(UTC), time.monotonic()
    figures = _child(request, scenario, run_s, caps, progress)
    results = LoadResults(
        scenario.name,
        settings.target.fhir_base,
        started.isoformat(timespec="seconds"),
        time.monotonic() - clock,
        figures,
        thresholds.judge(figures),
        machine(),
        None
        if figures.generator_problem
        else knee_of(figures.timeline, scenario.arrivals.shape_over(run_s)),
        scenario.arrivals.model,
        bulk_members=scenario.bulk_members,
        faults=scenario.faults,
        title=scenario.title,
    )
    if request.history:
        results = _remembered(request, request.history, results, _made(request, settings, run_s))
    write_results(request.report_dir, results)
    return results


def run_worker(request: LoadRequest) -> None:
    """Work for the master that the request names, until it has ended the run.

    The scenario and the settings are this worker's own and must be those of the master. Raises
    SettingsError for wrong usage and NothingMeasured when the master was not found or the worker
    broke.
    """
    scenario = request.asked()
    settings = settings_for(request.config, request.url)
    truth_for(settings, request.flavour)
    run_s = run_time(request.options, scenario.arrivals.duration_s)
    Permission(settings.target).check(settings.target.fhir_base)
    Permission(settings.target).caps().check(scenario, run_s)
    request.report_dir.mkdir(parents=True, exist_ok=True)
    log = request.report_dir / LOG
    with as_file(files(__package__) / "locustfile.py") as locustfile:
        command = _command(request, scenario, locustfile, request.report_dir / "none", run_s)
        limit_s = LONGEST_RUN_S + _STOP_S + _AROUND_S + request.spread.waits_s
        ended = follow(command, log, limit_s, lambda: None)
    if ended.status and not ended.stopped:
        raise NothingMeasured(f"The worker broke. {_last_line(log)}")


def _made(request: LoadRequest, settings: Settings, run_s: float) -> Circumstances:
    members = settings.members.file
    digest = sha256(settings.path(members).read_bytes()).hexdigest() if members else ""
    seed = int(read_scenario(request.scenario).arrivals.seed)
    return Circumstances(
        request.flavour, request.spread.processes, run_s, request.commit, seed, digest
    )


def _remembered(
    request: LoadRequest, history: Path, results: LoadResults, made: Circumstances
) -> LoadResults:
    """The results held against earlier runs, and kept for later ones when they say anything."""
    if results.exit_status == 3:
        return results
    line, earlier = line_of(results, made), read_history(history)
    append(history, line)
    return replace(results, drops=drops(line, earlier)) if request.compare else results


def settings_for(config: Path, url: str) -> Settings:
    """The settings of a file, the URL over its own; raises SettingsError without a target."""
    settings = read_settings(config)
    if url:
        settings = replace(settings, target=replace(settings.target, fhir_base=url))
    if not settings.target.fhir_base:
        raise SettingsError(f"{config}: target.fhir_base is missing, and no URL was given.")
    return settings


def truth_for(settings: Settings, flavour: str) -> TruthTable:
    """The truth table of a payer; of a Bulk Data server nobody is asked for by name."""
    return read_truth(settings) if flavour == "pdex" else NOBODY


def run_time(options: Sequence[str], otherwise: float = 20.0) -> float:
    """The seconds that Locust options ask for, or those of the scenario.

    Raises SettingsError above the cap: load is bounded.
    """
    text = ""
    for option, following in zip(options, (*options, "")[1:], strict=True):
        if option in ("-t", "--run-time"):
            text = following
        elif option.startswith("--run-time="):
            text = option.partition("=")[2]
    seconds = _seconds(text) if text else otherwise
    if seconds > LONGEST_RUN_S:
        raise SettingsError(f"--run-time {text} is over the limit of {LONGEST_RUN_S} seconds.")
    return seconds


def _seconds(text: str) -> float:
    found = _TIME.fullmatch(text)
    parts = found.groups() if found else ()
    seconds = sum(float(p or 0) * u for p, u in zip(parts, (3600, 60, 1), strict=False))
    if not seconds:
        raise SettingsError(f"--run-time {text} is no time. Write 20s, 3m or 1h20m.")
    return seconds


def _refuse_options(options: Sequence[str]) -> None:
    for option in options:
        name = option.partition("=")[0]
        if name in _REFUSED:
            raise SettingsError(
                f"The Locust option {name} cannot be used with payer-exchange load."
            )


def _reach(settings: Settings, flavour: str, tries: int) -> None:
    """Make sure, before any load, that the target answers and gives this client a token."""
    target, auth = open_target(settings, tries=tries), settings.target.auth
    try:
        Permission(settings.target).check(target.token_url())
        target.token(auth.match_scope if flavour == "pdex" else auth.data_scope)
    except TargetError as error:
        raise NothingMeasured(str(error)) from error
    finally:
        target.http.close()


def _child(
    request: LoadRequest,
    scenario: Scenario,
    run_s: float,
    caps: Caps,
    progress: Progress | None,
) -> Figures:
    folder = request.report_dir
    written = {name: folder / f"load-{name}.json" for name in ("figures", "progress")}
    for file in written.values():
        file.unlink(missing_ok=True)
    watch, outage = Watch(request.target_pid), Outage(scenario.kill_at_s, request.restart)

    def each_second() -> None:
        watch.look()
        if written["progress"].is_file():
            now = json.loads(written["progress"].read_text(encoding="utf-8"))
            outage.look(now["seconds"], watch)
            if progress:
                progress(now)

    with as_file(files(__package__) / "locustfile.py") as locustfile:
        command = _command(request, scenario, locustfile, written["figures"], run_s)
        command += ["--payer-megabytes", str(caps.megabytes)]
        limit_s = run_s + _STOP_S + _AROUND_S + request.spread.waits_s
        ended = follow(command, folder / LOG, limit_s, each_second)
    try:
        told = json.loads(written["figures"].read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NothingMeasured(f"The run came to no figures. {_last_line(folder / LOG)}") from error
    finally:
        for file in written.values():
            file.unlink(missing_ok=True)
    return _joined(told, watch, outage, stopped=ended.stopped)


def _joined(told: Mapping[str, Any], watch: Watch, outage: Outage, *, stopped: bool) -> Figures:
    """What the child told, with the payer's footprint in each second, and when it was killed."""
    taken = watch.columns(told["begun"])
    rows = [row | taken.get(row["second"], {}) for row in told["timeline"]]
    problem = told["generator_problem"] or "The run was stopped before its end." * stopped
    marks = [(round(at - told["begun"], 1), what) for at, what in outage.marks]
    return Figures.of({**told, "timeline": rows, "marks": marks, "generator_problem": problem})


def _command(
    request: LoadRequest, scenario: Scenario, locustfile: Path, figures: Path, run_s: float
) -> list[str]:
    closed = scenario.arrivals.model == "closed"
    # Of the open model one user in each process starts all of its journeys.
    users = int(scenario.arrivals.users) if closed else request.spread.processes
    ours = {
        "-f": locustfile,
        "--users": users,
        # Open: all processes begin as one. Closed: no more clients come at once than ten a second.
        "--spawn-rate": 10 if closed else users,
        "--stop-timeout": _STOP_S,
        "--payer-config": request.config,
        "--payer-url": request.url,
        "--payer-figures": figures,
        "--payer-scenario": request.scenario,
        "--payer-flavour": request.flavour,
        "--payer-requester": request.requester or "",
        "--payer-seconds": run_s,
        "--payer-processes": request.spread.processes,
        **request.spread.options(),
    }
    pairs = [str(part) for pair in ours.items() for part in pair if part is not None]
    # An open run ends with its plan, and not by Locust's clock, which begins sooner.
    whole_s = run_s if closed else run_s + _STOP_S
    # Given last, the caller's options win over the defaults.
    return [
        sys.executable,
        "-m",
        "locust",
        "--headless",
        "--only-summary",
        *pairs,
        *request.options,
        "--run-time",
        f"{whole_s:.0f}s",
    ]


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else ""


def machine() -> dict[str, object]:
    """What kind of machine this is."""
    return {
        "processors": os.cpu_count(),
        "architecture": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def write_results(folder: Path, results: LoadResults) -> None:
    """Write every form of the results into a folder; of the target only its origin is named."""
    shown = replace(results, target=origin_of(results.target))
    content = json.dumps(shown.as_json(), indent=1)
    (folder / RESULTS).write_text(content + "\n", encoding="utf-8")
    (folder / SUMMARY).write_text(markdown(shown), encoding="utf-8")
    (folder / PAGE).write_text(page(shown), encoding="utf-8")
    (folder / JUNIT).write_text(junit(shown), encoding="utf-8")
