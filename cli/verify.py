"""`payer-exchange verify`: judge a payer, tell the verdict, write the report."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..reference.errors import PayerExchangeError, SettingsError
from ..reference.settings import FILE_NAME, find_settings, read_settings
from ..reports.results import Results, ScenarioResult
from ..reports.writing import read_results
from ..simulators.assembly import ResponderOptions, start_responder
from ..steps.selection import FEATURES, packaged_features, tag_expression
from .simulate import responder_options

_console = Console(stderr=True)
_STYLE = {"pass": "green", "fail": "bold red", "warn": "yellow", "error": "bold magenta",
          "skip": "cyan", "omit": "dim"}  # fmt: skip
_MODULES = "payer_exchange.steps"
RESPONDING, REQUESTING = "responding-payer", "requesting-payer"
# Our own requesting payer, as a command that makes one exchange.
OWN_TRIGGER = f"{shlex.quote(sys.executable)} -m payer_exchange.cli.answer_trigger"


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


@click.group()
def verify() -> None:
    """Judge a payer against the requirements of the guides."""


@verify.command("responding-payer", context_settings={"ignore_unknown_options": False})
@click.argument("url", required=False)
@click.option("--config", type=click.Path(path_type=Path), help=f"Default: {FILE_NAME} here.")
@click.option("--pdex-version", type=click.Choice(["2.0.0", "2.1.0", "2.2.0"]))
@click.option("--tags", default="", help="Which scenarios: smart-jwt-11 or (pdex-76 and not ...).")
@click.option("--features", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--report-dir", type=click.Path(path_type=Path), default="payer-exchange-report",
              show_default=True)  # fmt: skip
@responder_options
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
def responding_payer(
    url: str | None, config: Path | None, pdex_version: str | None, tags: str,
    features: Path | None, report_dir: Path, members: int, seed: int, paths: tuple[Path, ...],
    defects: tuple[str, ...], data_scope: Path | None, strategy: str, database: str,
    pytest_options: tuple[str, ...],
) -> None:  # fmt: skip
    """Judge the responding payer at URL, or the one a settings file names.

    With neither, a simulated payer of our own is started and judged: the way to see it work.
    """
    tag_expression(tags)
    options = ResponderOptions(members=members, seed=seed, load=paths, defects=defects,
                               scope=data_scope, strategy=strategy, database=database,
                               udap=True, tls="test")  # fmt: skip
    if pdex_version:
        options = replace(options, pdex_version=pdex_version)
    with _target(url, config, options) as (file, address):
        run = VerifyOptions(file, address, pdex_version or "", tags, features, report_dir,
                            pytest_options)  # fmt: skip
        results = run_scenarios(run)
    tell(results, report_dir)
    sys.exit(results.exit_status)


@verify.command("requesting-payer")
@click.option("--trigger", default="", help="A command that makes one exchange; called for each.")
@click.option("--wait", "wait_s", type=float, default=0.0,
              help="Without a trigger: how long to wait for calls, in seconds.")  # fmt: skip
@click.option("--port", type=int, default=0, help="Where the played payer answers; 0: any.")
@click.option(
    "--jwks-url",
    default="",
    help="Where the payer publishes its keys, if its assertions do not name it (jku).",
)
@click.option("--pdex-version", type=click.Choice(["2.0.0", "2.1.0", "2.2.0"]), default="2.2.0")
@click.option("--tags", default="", help="Which scenarios: smart-jwt-07 or (http-04 and not ...).")
@click.option("--features", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--report-dir", type=click.Path(path_type=Path), default="payer-exchange-report",
              show_default=True)  # fmt: skip
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
def requesting_payer(
    trigger: str, wait_s: float, port: int, jwks_url: str, pdex_version: str, tags: str,
    features: Path | None, report_dir: Path, pytest_options: tuple[str, ...],
) -> None:  # fmt: skip
    """Judge a requesting payer: play the responding one, and look at what is asked of it.

    With neither --trigger nor --wait, our own simulated requesting payer is judged.
    """
    tag_expression(tags)
    if trigger and wait_s:
        raise SettingsError("Give --trigger or --wait, not both.")
    if not trigger and not wait_s:
        trigger = OWN_TRIGGER
        _console.print("Judging a simulated requesting payer")
    run = VerifyOptions(pdex_version=pdex_version, tags=tags, features=features,
                        report_dir=report_dir, pytest_options=pytest_options, role=REQUESTING,
                        trigger=trigger, wait_s=wait_s, port=port, jwks_url=jwks_url)  # fmt: skip
    results = run_scenarios(run)
    tell(results, report_dir)
    sys.exit(results.exit_status)


@contextmanager
def _target(
    url: str | None, config: Path | None, options: ResponderOptions
) -> Iterator[tuple[Path, str]]:
    """The settings file and the address to judge; starts a simulated payer when none is named."""
    found = config or (find_settings(Path.cwd()) if url else None)
    if found is None and url:
        raise SettingsError(
            f"To judge {url} a settings file is needed that says how to authenticate and whom to "
            f"ask for: --config {FILE_NAME}. payer-exchange init writes one."
        )
    if found is not None:
        read_settings(found)
        yield found, url or ""
        return
    with tempfile.TemporaryDirectory(prefix="payer-exchange-") as folder:
        with _console.status("Starting a simulated responding payer ..."):
            running = start_responder(options)
        try:
            file = Path(folder) / FILE_NAME
            running.write_config(file)
            _console.print(f"Judging a simulated responding payer at {running.fhir_base}")
            yield file, ""
        finally:
            running.close()


def run_scenarios(options: VerifyOptions) -> Results:
    """Run the scenarios in a child process and return what they found.

    Raises PayerExchangeError when the child ended without results.
    """
    options.report_dir.mkdir(parents=True, exist_ok=True)
    results = options.report_dir / "results.json"
    results.unlink(missing_ok=True)
    child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        _command(options),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **pytest_environment(options)},
    )
    _follow(child)
    _, errors = child.communicate()
    if not results.is_file():
        raise PayerExchangeError(f"The scenarios could not be run.\n{errors.strip()}")
    return read_results(options.report_dir)


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
        str(steps / "test_scenarios.py"), *options.pytest_options,
    ]  # fmt: skip


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
            elif event.get("event") == "scenario":
                progress.update(task, advance=1, description=str(event["name"])[:60])


def _event(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def tell(results: Results, report_dir: Path) -> None:
    """Print the verdict, what to look at, and where the report is."""
    for scenario in results.scenarios:
        if scenario.verdict in ("fail", "error", "warn"):
            _tell_scenario(scenario)
    skipped = [s for s in results.scenarios if s.verdict == "skip"]
    if skipped:
        _console.print(f"[cyan]{len(skipped)} skipped[/cyan]:")
        for message in sorted({s.message for s in skipped}):
            count = sum(1 for s in skipped if s.message == message)
            _console.print(f"  {count} x {message}", highlight=False, markup=False)
    counts = ", ".join(
        f"[{_STYLE[v]}]{n} {v}[/{_STYLE[v]}]" for v, n in results.counts.items() if n
    )
    _console.print(f"{_SENTENCE[results.verdict]} ({counts} in {results.duration_s:.1f} s)")
    judged = {r.id for r in results.requirements if r.verdict in ("pass", "fail", "warn")}
    _console.print(f"{len(judged)} requirements judged. Report: {report_dir}/")


_SENTENCE = {
    "pass": "[green]No requirement is violated.[/green]",
    "warn": "[green]No SHALL is violated[/green]; some SHOULD are not met.",
    "fail": "[bold red]The payer violates at least one SHALL.[/bold red]",
    "error": "[bold magenta]Nothing could be judged, or the harness failed.[/bold magenta]",
}


def _tell_scenario(scenario: ScenarioResult) -> None:
    style = _STYLE[scenario.verdict]
    _console.print(f"[{style}]{scenario.verdict:5}[/{style}]", scenario.name,
                   f"[dim]{' '.join(scenario.requirements)}[/dim]", highlight=False)  # fmt: skip
    details = [scenario.message]
    for label in ("expected", "actual", "where"):
        value = getattr(scenario, label)
        if value:
            details.append(f"{label}: {value}")
    for detail in details:
        _console.print(f"      {detail}", highlight=False, markup=False)
