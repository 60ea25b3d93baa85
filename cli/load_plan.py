"""`payer-exchange load plan`: when everybody is done, from the rates that were measured."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta
from pathlib import Path

import click

from ..load.planner import Plan, Rates, Steps, measured_rates, plan, steps_of
from ..reference.errors import PayerExchangeError, SettingsError

_RATE = click.FloatRange(min=0, min_open=True)
_OPTIONS = {
    "members_per_s": "--match-rate",
    "resources_per_s": "--export-rate",
    "download_per_s": "--download-rate",
    "intake_per_s": "--intake-rate",
}
_COUNT = click.IntRange(min=1)


@click.command("plan")
@click.option("--members", type=_COUNT, required=True, help="Members to move.")
@click.option("--batch", type=_COUNT, default=1000, show_default=True, help="Members of a job.")
@click.option("--jobs", type=_COUNT, default=1, show_default=True, help="Jobs at once.")
@click.option("--resources", type=_RATE, default=100.0, show_default=True, help="Of a member.")
@click.option(
    "--from",
    "results",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A load-results.json, for the rates that are not given.",
)
@click.option("--match-rate", type=_RATE, help="Members/s of a bulk match.")
@click.option("--export-rate", type=_RATE, help="Resources/s until the manifest.")
@click.option("--download-rate", type=_RATE, help="Resources/s of a download.")
@click.option("--intake-rate", type=_RATE, help="Resources/s taken in.")
@click.option(
    "--deadline",
    type=click.DateTime(),
    help="When all must be done, in local time; begun now. Exit status 1 when they are not.",
)
def load_plan(
    *,
    members: int,
    batch: int,
    jobs: int,
    resources: float,
    results: Path | None,
    match_rate: float | None,
    export_rate: float | None,
    download_rate: float | None,
    intake_rate: float | None,
    deadline: datetime | None,
) -> None:
    """Say when all members are done, and what sets the pace: the jobs or the intake.

    A job is the match, the export and the download of a batch, one after the other; so many as
    --jobs says go at once, and what they bring is taken in one after the other. The rates are
    those of one job while as many go, as a load run measures them with as many users, and as LT9
    does with one.
    """
    given = {
        "members_per_s": match_rate,
        "resources_per_s": export_rate,
        "download_per_s": download_rate,
        "intake_per_s": intake_rate,
    }
    try:
        steps = steps_of(_rates(given, results), batch, resources)
        found = plan(members, batch, steps, jobs)
    except PayerExchangeError as error:
        raise click.UsageError(str(error)) from error
    click.echo(_told(found, members, steps, jobs))
    if deadline:
        _hold(found, deadline)


def _told(found: Plan, members: int, steps: Steps, jobs: int) -> str:
    job = f"{_time(steps.match)} to match, {_time(steps.export)} to export"
    pace = {"intake": "the intake", "jobs": "the job" if jobs == 1 else f"the {jobs} jobs at once"}
    return (
        f"{members:,} members in {found.batches:,} jobs take {_time(found.seconds)}. A job takes "
        f"{job} and {_time(steps.download)} to download; its intake takes {_time(steps.intake)}. "
        f"The pace is set by {pace[found.pace]}."
    )


def _hold(found: Plan, deadline: datetime) -> None:
    """Say how the plan stands to the deadline, and exit 1 when it comes too late."""
    # A deadline is typed in local time, and so is now.
    done = datetime.now() + timedelta(seconds=found.seconds)  # noqa: DTZ005
    room = (deadline - done).total_seconds()
    if room >= 0:
        click.echo(f"Begun now, that is {_time(room)} before the deadline.")
        return
    click.echo(f"Begun now, that is {_time(-room)} after the deadline.")
    sys.exit(1)


def _rates(given: dict[str, float | None], results: Path | None) -> Rates:
    """What was given, over what was measured; raises SettingsError naming what is neither."""
    known = _measured(results) if results else {}
    known |= {name: rate for name, rate in given.items() if rate}
    missing = [option for name, option in _OPTIONS.items() if name not in known]
    if missing:
        raise SettingsError(f"Some rates are neither given nor measured: {', '.join(missing)}.")
    return Rates(**known)


def _measured(results: Path) -> dict[str, float]:
    try:
        return measured_rates(json.loads(results.read_text(encoding="utf-8")))
    except ValueError as error:
        raise SettingsError(f"{results} is no JSON.") from error


def _time(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min"
