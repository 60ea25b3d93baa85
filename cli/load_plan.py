"""`payer-exchange load plan`: when everybody is done, from the rates that were measured."""

from __future__ import annotations

import click

from ..load.planner import Rates, plan, stages_of
from ..reference.errors import PayerExchangeError

_RATE = click.FloatRange(min=0, min_open=True)
_COUNT = click.IntRange(min=1)


@click.command("plan")
@click.option("--members", type=_COUNT, required=True, help="Members to move.")
@click.option("--batch", type=_COUNT, default=1000, show_default=True, help="Members of a job.")
@click.option("--jobs", type=_COUNT, default=1, show_default=True, help="Jobs at once.")
@click.option("--resources", type=_RATE, default=100.0, show_default=True, help="Of a member.")
@click.option("--match-rate", type=_RATE, required=True, help="Members/s of a bulk match.")
@click.option("--export-rate", type=_RATE, required=True, help="Resources/s until the manifest.")
@click.option("--download-rate", type=_RATE, required=True, help="Resources/s of a download.")
@click.option("--intake-rate", type=_RATE, required=True, help="Resources/s taken in.")
def load_plan(
    *,
    members: int,
    batch: int,
    jobs: int,
    resources: float,
    match_rate: float,
    export_rate: float,
    download_rate: float,
    intake_rate: float,
) -> None:
    """Say when all members are done, and which stage sets the pace.

    The rates are those of one job, as a load run and `payer-exchange exchange` measure them.
    """
    rates = Rates(match_rate, export_rate, download_rate, intake_rate)
    try:
        found = plan(members, batch, stages_of(rates, batch, resources, jobs))
    except PayerExchangeError as error:
        raise click.UsageError(str(error)) from error
    click.echo(
        f"{members:,} members in {found.batches:,} jobs take {_time(found.seconds)}. "
        f"The pace is set by the {found.slowest}."
    )


def _time(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes else f"{seconds:.0f} s"
