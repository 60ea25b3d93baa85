"""`payer-exchange verify`: judge a payer, tell the verdict, write the report."""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from ..reference.errors import SettingsError
from ..reference.settings import FILE_NAME, find_settings, read_settings
from ..reports.attestations import read_attestations
from ..reports.findings import sentence
from ..reports.results import Results, ScenarioResult
from ..reports.waivers import read_waivers
from ..simulators.assembly import start_responder
from ..simulators.responder_options import ResponderOptions
from ..steps.selection import tag_expression
from .scenario_run import REQUESTING, VerifyOptions, run_scenarios
from .simulate import responder_options

_console = Console(stderr=True)
_STYLE = {"pass": "green", "fail": "bold red", "warn": "yellow", "error": "bold magenta",
          "skip": "cyan", "omit": "dim"}  # fmt: skip
# Our own requesting payer, as a command that makes one exchange.
OWN_TRIGGER = f"{shlex.quote(sys.executable)} -m payer_exchange.cli.answer_trigger"


def _run_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options of a run, whoever is judged."""
    file = click.Path(path_type=Path, exists=True, dir_okay=False)
    for option in reversed((
        click.option("--tags", default="",
                     help="Which scenarios: smart-jwt-11 or (pdex-76 and not ...)."),
        click.option("--features", type=click.Path(path_type=Path, exists=True, file_okay=False),
                     help="Features of your own, of our steps."),
        click.option("--waivers", type=file,
                     help="TOML: violations that are known, by whom, and until when."),
        click.option("--attestations", type=file,
                     help="TOML: answers to what no exchange shows; payer-exchange attestations."),
        click.option("--report-dir", type=click.Path(path_type=Path), show_default=True,
                     default="payer-exchange-report"),
        click.option("--resume", is_flag=True,
                     help="Go on with the interrupted run in the report folder."),
        click.option("--verbose", "-v", is_flag=True, help="Tell each exchange."),
    )):  # fmt: skip
        command = option(command)
    return command


@click.group()
def verify() -> None:
    """Judge a payer against the requirements of the guides."""


@verify.command("responding-payer", context_settings={"ignore_unknown_options": False})
@click.argument("url", required=False)
@click.option("--config", type=click.Path(path_type=Path), help=f"Default: {FILE_NAME} here.")
@click.option("--pdex-version", type=click.Choice(["2.0.0", "2.1.0", "2.2.0"]))
@_run_options
@responder_options
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
def responding_payer(
    url: str | None, config: Path | None, pdex_version: str | None, members: int, seed: int,
    paths: tuple[Path, ...], defects: tuple[str, ...], data_scope: Path | None, strategy: str,
    database: str, **run: Any,
) -> None:  # fmt: skip
    """Judge the responding payer at URL, or the one a settings file names.

    With neither, a simulated payer of our own is started and judged: the way to see it work.
    """
    _check(run)
    options = ResponderOptions(members=members, seed=seed, load=paths, defects=defects,
                               scope=data_scope, strategy=strategy, database=database,
                               udap=True, tls="test")  # fmt: skip
    if pdex_version:
        options = replace(options, pdex_version=pdex_version)
    with _target(url, config, options) as (file, address):
        results = run_scenarios(VerifyOptions(file, address, pdex_version or "", **run))
    _end(results, run["report_dir"])


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
@_run_options
@click.argument("pytest_options", nargs=-1, type=click.UNPROCESSED)
def requesting_payer(
    trigger: str, wait_s: float, port: int, jwks_url: str, pdex_version: str, **run: Any,
) -> None:  # fmt: skip
    """Judge a requesting payer: play the responding one, and look at what is asked of it.

    With neither --trigger nor --wait, our own simulated requesting payer is judged.
    """
    _check(run)
    if trigger and wait_s:
        raise SettingsError("Give --trigger or --wait, not both.")
    if not trigger and not wait_s:
        trigger = OWN_TRIGGER
        _console.print("Judging a simulated requesting payer")
    options = VerifyOptions(pdex_version=pdex_version, role=REQUESTING, trigger=trigger,
                            wait_s=wait_s, port=port, jwks_url=jwks_url, **run)  # fmt: skip
    _end(run_scenarios(options), run["report_dir"])


def _check(run: Mapping[str, Any]) -> None:
    """Refuse a file or an expression that is wrong before anything is asked of anybody."""
    tag_expression(run["tags"])
    if run["waivers"]:
        read_waivers(run["waivers"])
    if run["attestations"]:
        read_attestations(run["attestations"])


def _end(results: Results, report_dir: Path) -> None:
    """Tell the verdict, and end with the status that says it: 3 for a run that did not end."""
    tell(results, report_dir)
    for note in results.notes:
        _console.print(note)
    sys.exit(results.exit_status or (3 if results.notes else 0))


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


def tell(results: Results, report_dir: Path) -> None:
    """Print the verdict, what to look at, and where the report is."""
    for scenario in results.scenarios:
        if scenario.verdict in ("fail", "error", "warn") and not scenario.waived:
            _tell_scenario(scenario)
    for waiver in results.waivers:
        _console.print(f"waiver {waiver.requirement}: {waiver.state}, until {waiver.expires}"
                       f"{'. Take it away.' if waiver.has_to_go else ''}")  # fmt: skip
    skipped = [s for s in results.scenarios if s.verdict == "skip"]
    if skipped:
        _console.print(f"[cyan]{len(skipped)} skipped[/cyan]:")
        for message in sorted({s.message for s in skipped}):
            count = sum(1 for s in skipped if s.message == message)
            _console.print(f"  {count} x {message}", highlight=False, markup=False)
    counts = ", ".join(
        f"[{_STYLE[v]}]{n} {v}[/{_STYLE[v]}]" for v, n in results.counts.items() if n
    )
    gone = any(waiver.has_to_go for waiver in results.waivers)
    said = sentence(results) if gone else _SENTENCE[results.verdict]
    _console.print(f"{said} ({counts} in {results.duration_s:.1f} s)")
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
