"""`payer-exchange match-bench`: a matching strategy against requests that must be refused."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click
import orjson
from rich.console import Console
from rich.table import Table

from ..reference.errors import PayerExchangeError
from ..reference.matching import MemberRegistry, load_strategy
from ..reference.matching.bench import BenchReport, run_bench
from ..reference.store.database import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command("match-bench")
@click.option("--strategy", default="strict", show_default=True, help="A name, or module:Class.")
@click.option("--members", default=20_000, show_default=True, type=click.IntRange(min=1))
@click.option("--requests", default=20_000, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=1, show_default=True, help="People and requests follow from it.")
@click.option("--database", metavar="URL", help="Where the registry is kept; else a passing file.")
@click.option("--json", "as_json", is_flag=True, help="The figures as one JSON object.")
def match_bench(
    *, strategy: str, members: int, requests: int, seed: int, database: str | None, as_json: bool
) -> None:
    """Measure a matching strategy against synthetic members and adversarial requests.

    Prints precision, recall, F1, false matches by kind and the rate. Four requests in ten must be
    refused. Exit status 1 when the strategy matched anybody falsely.
    """
    try:
        chosen = load_strategy(strategy)
        with _registry(database) as registry:
            report = run_bench(chosen, registry, members=members, requests=requests, seed=seed)
    except PayerExchangeError as error:
        raise click.UsageError(str(error)) from error
    if as_json:
        click.echo(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2))
    else:
        _print(report)
    sys.exit(1 if report.false_matches else 0)


@contextmanager
def _registry(database: str | None) -> Iterator[MemberRegistry]:
    with TemporaryDirectory(prefix="match-bench-") as folder:
        engine = open_database(database or f"sqlite:///{Path(folder) / 'registry.sqlite'}")
        try:
            with closing(MemberRegistry(engine)) as registry:
                yield registry
        finally:
            engine.dispose()


def _print(report: BenchReport) -> None:
    title = f"{report.strategy} {report.version}: {report.members:,} members, seed {report.seed}"
    table = Table(title=title, show_header=False)
    for name, value in _rows(report):
        table.add_row(name, value)
    Console().print(table)


def _rows(report: BenchReport) -> Iterator[tuple[str, str]]:
    yield "requests", f"{report.requests:,}"
    yield "of which must be refused", f"{report.negatives:,}"
    yield "precision", f"{report.precision:.6f}"
    yield "recall", f"{report.recall:.4f}"
    yield "F1", f"{report.f1:.4f}"
    yield "false matches", f"{report.false_matches:,}"
    for kind, number in report.false_matches_by_kind.items():
        yield f"  {kind}", f"{number:,}"
    yield "false matches, 95 % upper bound", f"{report.false_match_upper_bound:.4%}"
    yield "matches/s, one thread", f"{report.matches_per_s:,.0f}"
    yield "p50 / p99", f"{report.p50_ms:.3f} / {report.p99_ms:.3f} ms"
    for reason, number in report.refusals_by_reason.items():
        yield f"refused: {reason or 'no reason given'}", f"{number:,}"
