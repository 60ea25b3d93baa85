"""`payer-exchange population`: synthetic members as NDJSON with their truth table."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from ..reference.population import Population, write_population

_console = Console(stderr=True)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--members", default=100, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=1, show_default=True)
def population(folder: Path, members: int, seed: int) -> None:
    """Write synthetic members into FOLDER: one NDJSON file a type, and members.json."""
    people = Population(seed=seed, members=members, as_of=datetime.now(UTC).date())
    with Progress(console=_console, disable=not _console.is_terminal) as progress:
        task = progress.add_task("Writing members", total=members)
        write_population(folder, people, progress=lambda n: progress.update(task, completed=n))
    _console.print(f"{members:,} members in {folder}; {folder / 'members.json'} says who they are.")
