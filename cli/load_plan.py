"""`payer-exchange load plan`: when everybody is done, from the rates that were measured."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..load.planner import Rates, measured_rates, plan, stages_of
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
) -> None:
    """Say when all members are done, and which stage sets the pace.

    The rates are those of one job, as a load run measures them (LT1, LT4, LT5) and as
    `payer-exchange exchange` tells of the intake.
    """
    given = {
        "members_per_s": match_rate,
        "resources_per_s": export_rate,
        "download_per_s": download_rate,
        "intake_per_s": intake_rate,
    }
    try:
        rates = _rates(given, results)
        found = plan(members, batch, stages_of(rates, batch, resources, jobs))
    except PayerExchangeError as error:
        raise click.UsageError(str(error)) from error
    click.echo(
        f"{members:,} members in {found.batches:,} jobs take {_time(found.seconds)}. "
        f"The pace is set by the {found.slowest}."
    )


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
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes else f"{seconds:.0f} s"
