"""The scenarios as a child process: how it is told what to judge, followed, and stopped."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..reference.errors import PayerExchangeError
from ..reports.results import Results
from ..reports.writing import read_results
from ..steps.selection import FEATURES, packaged_features

_console = Console(stderr=True)
_MODULES = "payer_exchange.steps"
RESPONDING, REQUESTING = "responding-payer", "requesting-payer"
# So long an interrupted run may take to write its report, and to take back what it started.
_LAST_WORDS_S = 60


@dataclass(frozen=True, slots=True)
class VerifyOptions:
    """What a run is to be made of."""

    config: Path | None = None
    url: str = ""
    pdex_version: str = ""
    tags: str = ""
    features: Path | None = None
    report_dir: Path = Path("payer-exchange-report")
    pytest_options: tuple[str, ...] = ()
    role: str = RESPONDING
    trigger: str = ""
    wait_s: float = 0.0
    port: int = 0
    jwks_url: str = ""
    waivers: Path | None = None
    attestations: Path | None = None
    resume: bool = False
    verbose: bool = False


def run_scenarios(options: VerifyOptions) -> Results:
    """Run the scenarios in a child process and return what they found.

    Raises PayerExchangeError when the child ended without results.
    """
    options.report_dir.mkdir(parents=True, exist_ok=True)
    results = options.report_dir / "results.json"
    if not options.resume:
        results.unlink(missing_ok=True)
    before = results.read_bytes() if results.is_file() else b""
    # A group of its own: an interrupt reaches it through us alone, once, and finds it able to write
    # the report of what is known.
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        _command(options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **pytest_environment(options)},
        start_new_session=True,
    )
    errors = _until_ended(child)
    if not results.is_file() or results.read_bytes() == before:
        raise PayerExchangeError(f"The scenarios could not be run.\n{errors.strip()}")
    return read_results(options.report_dir)


def _until_ended(child: subprocess.Popen[str]) -> str:
    """Follow the child to its end, and return what it complained of.

    Interrupted, by hand or by a CI server that gives up, the child is asked to stop and to write
    what it knows; a second time, it is ended.
    """
    try:
        with terminated_as_interrupt():
            _follow(child)
            return child.communicate()[1]
    except KeyboardInterrupt:
        _console.print("Stopping: the report of what was judged is written.")
        child.send_signal(signal.SIGINT)
        try:
            return child.communicate(timeout=_LAST_WORDS_S)[1]
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            child.kill()
            raise
    finally:
        if child.poll() is None:
            child.kill()


@contextmanager
def terminated_as_interrupt() -> Iterator[None]:
    """Take SIGTERM, which a CI server sends, for an interrupt."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may listen to signals
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _command(options: VerifyOptions) -> list[str]:
    return [sys.executable, "-m", "pytest", *pytest_arguments(options), "--scenario-events"]


def pytest_arguments(options: VerifyOptions) -> list[str]:
    """How pytest is told to judge: whoever runs it, in whatever process."""
    steps = files(_MODULES)
    return [
        "--config-file", str(steps / "pytest.ini"),
        "--rootdir", str(steps), "--disable-plugin-autoload",
        "-p", "pytest_bdd.plugin", "-p", f"{_MODULES}.plugin",
        *_target_options(options),
        *(["--pdex-version", options.pdex_version] if options.pdex_version else []),
        "--payer-report-dir", str(options.report_dir.resolve()),
        "--scenario-tags", options.tags,
        *_file_options(options),
        str(steps / "test_scenarios.py"), *options.pytest_options,
    ]  # fmt: skip


def _file_options(options: VerifyOptions) -> list[str]:
    """What is known beforehand, and what is to be told."""
    named = {"--waivers": options.waivers, "--attestations": options.attestations,
             "--resume-from": options.report_dir if options.resume else None}  # fmt: skip
    given = [[name, str(path.resolve())] for name, path in named.items() if path]
    return [*itertools.chain(*given), *(["--tell-exchanges"] if options.verbose else [])]


def _target_options(options: VerifyOptions) -> list[str]:
    """Which payer is judged: one that is asked, or one that asks."""
    if options.role == REQUESTING:
        return ["--judge-requester", "--trigger", options.trigger,
                "--await-calls", str(options.wait_s),
                "--played-port", str(options.port),
                "--requester-jwks-url", options.jwks_url]  # fmt: skip
    assert options.config is not None
    return ["--target-config", str(options.config.resolve()),
            *(["--target-url", options.url] if options.url else [])]  # fmt: skip


def pytest_environment(options: VerifyOptions) -> dict[str, str]:
    """What has to be in the environment of that process, besides what is there."""
    features = options.features or packaged_features(options.role)
    return {FEATURES: str(features.resolve()), "PYTHONDONTWRITEBYTECODE": "1"}


def _follow(child: subprocess.Popen[str]) -> None:
    """Show each verdict as it comes: a bar on a terminal, nothing otherwise."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
               TimeElapsedColumn())  # fmt: skip
    with Progress(*columns, console=_console, disable=not _console.is_terminal) as progress:
        task = progress.add_task("Judging", total=None)
        assert child.stdout is not None
        for line in child.stdout:
            event = _event(line)
            if event.get("event") == "planned":
                progress.update(task, total=event["scenarios"])
            elif event.get("event") == "exchange":
                progress.console.print(_exchange(event), highlight=False, markup=False)
            elif event.get("event") == "scenario":
                progress.update(task, advance=1, description=str(event["name"])[:60])


def _exchange(event: dict[str, Any]) -> str:
    return f"{event['id']} {event['method']} {event['url']} {event['status'] or 'no answer'}"


def _event(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
