"""`payer-exchange load`: journeys of a requesting payer against a payer, and thresholds.

Locust patches the process it is imported into, so only the runner is imported here; it starts
Locust as a child process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, NoReturn

import click
from rich.console import Console
from rich.table import Table

from ..load.child import NothingMeasured
from ..load.figures import LoadResults
from ..load.permission import is_loopback
from ..load.running import (
    PAGE,
    LoadRequest,
    Progress,
    run_load,
    run_worker,
    settings_for,
)
from ..load.scenario import FLAVOURS, Downloads, exchanges, flavoured, read_scenario
from ..load.spreading import Spread
from ..reference.errors import PayerExchangeError
from .load_exchange import SCENARIO, run_exchange
from .load_plan import load_plan
from .load_target import load_target, requesting_payer
from .scenario_run import terminated_as_interrupt


class _WithLocustOptions(click.Command):
    """Keeps what stands after `--` for Locust, so that none of it is taken for the URL.

    `plan` in the place of a scenario is a command of its own.
    """

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if args[:1] == ["plan"]:
            return load_plan.make_context("plan", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        at = args.index("--") if "--" in args else len(args)
        ctx.obj = tuple(args[at + 1 :])
        return super().parse_args(ctx, args[:at])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        return [*super().collect_usage_pieces(ctx), "[-- LOCUST OPTIONS]"]


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("load", cls=_WithLocustOptions)
@click.argument("scenario")
@click.argument("url", required=False, default="")
@click.option("--config", type=_FILE, help="payer-exchange.toml of the payer that is asked.")
@click.option("--thresholds", type=_FILE, help="A TOML file; default: those of the scenario.")
@click.option(
    "--report-dir",
    type=click.Path(file_okay=False, path_type=Path),
    show_default=True,
    default=Path("payer-exchange-report"),
    help="Where the results are written.",
)
@click.option(
    "--flavour",
    type=click.Choice(FLAVOURS),
    default="pdex",
    show_default=True,
    help="bulk-data: any server of the Bulk Data guide; tokens and exports alone are asked.",
)
@click.option(
    "--processes",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes that make the load, one for each core to use.",
)
@click.option(
    "--master",
    default="",
    metavar="HOST:PORT",
    help="Wait here for as many workers as --processes says, which others start, and gather.",
)
@click.option(
    "--worker",
    default="",
    metavar="HOST:PORT",
    help="Make load for the master at this address; SCENARIO and --config as the master has them.",
)
@click.option(
    "--members",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Members of the simulated payer that is started without URL and --config, and of LT9.",
)
@click.option(
    "--batch",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Members of a bulk match of LT9: more go in several, fetched while others are stored.",
)
@click.option(
    "--history",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add the run to this file, as one JSON line.",
)
@click.option(
    "--compare",
    is_flag=True,
    help="Fail when a figure is over 10 % worse than the median of the last five in --history.",
)
@click.option("--commit", default="", help="What was loaded, for the line in --history.")
@click.option(
    "--requester",
    type=_FILE,
    help="The requesting payer that exchanges go through: what simulate requesting-payer "
    "--config-out wrote. Default: a simulated one in a process of its own.",
)
@click.option(
    "--target-pid",
    type=click.IntRange(min=1),
    help="The payer's process on this machine: its memory and open files are sampled.",
)
@click.pass_context
def load(
    ctx: click.Context,
    *,
    scenario: str,
    url: str,
    config: Path | None,
    thresholds: Path | None,
    report_dir: Path,
    flavour: str,
    processes: int,
    master: str,
    worker: str,
    members: int,
    batch: int,
    history: Path | None,
    compare: bool,
    commit: str,
    requester: Path | None,
    target_pid: int | None,
) -> None:
    """Run load SCENARIO against the payer at URL, and compare what is measured with thresholds.

    LT1 is the smoke run: one requesting payer goes every journey for 20 seconds. LT9 moves
    --members between two simulated payers and proves that they arrived whole. LT2 to LT12 are
    short forms of larger runs; a .toml file is a scenario of your own; `load plan` says when
    all members are done. Without URL and
    --config a simulated payer is started in a process of its own, and asked. Ctrl-C stops the run
    and deletes the jobs that it began. Locust's own options follow after --, as in
    `-- --run-time 1m --users 4`. Load is sent to this machine, for ten
    minutes at most; elsewhere only where [target.load] of the settings says who agreed, and how
    much.

    Exit status: 0 thresholds met, 1 one missed or a wrong answer, 2 wrong usage, 3 nothing
    measured.
    """
    if (master or worker) and not config:
        raise click.UsageError("Master and workers need --config: the target is the same for all.")
    if compare and not history:
        raise click.UsageError("--compare needs the --history of earlier runs.")
    if scenario == SCENARIO:
        _tell(_exchanged(members, batch, report_dir, thresholds, url or config), report_dir)
    try:
        with (
            terminated_as_interrupt(),
            load_target(config, url, _payer(members, scenario)) as target,
            _requester(requester, target.config, url, scenario, flavour) as requesting,
            _progress() as progress,
        ):
            request = LoadRequest(
                scenario, target.config, url, thresholds, report_dir, tuple(ctx.obj or ()),
                flavour=flavour, history=history, compare=compare, commit=commit,
                spread=Spread(processes, master, worker),
                requester=requesting, target_pid=target_pid or target.pid,
                restart=target.restart,
            )  # fmt: skip
            if worker:
                run_worker(request)
                click.echo("The master has ended the run.")
                return
            results = run_load(request, progress)
    except NothingMeasured as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(3)
    except PayerExchangeError as error:
        raise click.UsageError(str(error)) from error
    _tell(results, report_dir)


def _payer(members: int, scenario: str) -> tuple[str, ...]:
    """The options of the simulated payer, with what a scenario wants of it."""
    asked = read_scenario(scenario)
    faults = (word for fault in asked.faults for word in ("--fault", fault))
    # Where downloads are what is looked at, the payer compresses for whom they let it.
    packs = asked.downloads != Downloads() and asked.downloads.gzip
    return ("--members", str(members), *faults, *(("--gzip",) if packs else ()))


def _requester(
    given: Path | None, target: Path, url: str, scenario: str, flavour: str
) -> AbstractContextManager[Path | None]:
    """The file of the requesting payer: the given one, or a simulated one where it is needed.

    A simulated one knows the payer of the settings file, and asks on this machine alone: what it
    asks elsewhere nobody would bound.
    """
    if given or not exchanges(flavoured(read_scenario(scenario), flavour)):
        return nullcontext(given)
    if not url and is_loopback(settings_for(target, "").target.fhir_base):
        return requesting_payer(target)
    click.echo("Exchanges between two payers are left out: name a requesting payer by --requester.")
    return nullcontext(None)


def _exchanged(
    members: int, batch: int, report_dir: Path, thresholds: Path | None, target: object
) -> LoadResults:
    if target:
        raise click.UsageError(f"{SCENARIO} plays both payers itself: give no URL and no --config.")
    try:
        return run_exchange(members, batch, report_dir, thresholds)
    except PayerExchangeError as error:
        raise click.UsageError(str(error)) from error


def _tell(results: LoadResults, report_dir: Path) -> NoReturn:
    _print(results)
    click.echo(f"Report: {report_dir / PAGE}")
    sys.exit(results.exit_status)


@contextmanager
def _progress() -> Iterator[Progress | None]:
    """Tells how far the run is, on one line of a terminal; quiet where there is none."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    with console.status("The load run starts ...") as status:

        def told(now: Mapping[str, float]) -> None:
            status.update(
                f"{now['seconds']:.0f} s: {now['journeys']:.0f} journeys ended, "
                f"{now['in_flight']:.0f} under way, {now['failures']:.0f} failures. "
                "Ctrl-C stops the run."
            )

        yield told


def _print(results: LoadResults) -> None:
    figures = results.figures
    table = Table(title=f"{results.scenario}: {results.verdict}")
    for head in ("threshold", "limit", "measured", "margin", ""):
        table.add_column(head, justify="left" if head in ("threshold", "") else "right")
    for found in results.thresholds:
        table.add_row(
            found.name,
            f"{found.limit:g}",
            _figure(found.actual),
            _share(found.margin),
            "met" if found.met else "missed",
            style="" if found.met else "red",
        )
    Console().print(table)
    count, failed = figures.journeys
    click.echo(f"{count} journeys, {failed} broken; {figures.failed_checks} checks failed.")
    for words, rate in figures.rates:
        click.echo(f"  {_figure(rate)} {words}")
    if results.reason:
        click.echo(results.reason)
    if results.knee_per_s is not None:
        click.echo(f"The knee lies at {results.knee_per_s:.3g} starts a second.")
    for drop in results.drops:
        click.echo(f"Dropped: {drop}")
    for error in figures.errors:
        click.echo(f"  {error.name}: {error.message} ({error.occurrences} times)")


def _figure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:,.4g}"


def _share(margin: float | None) -> str:
    return "" if margin is None else f"{margin:+.0%}"
