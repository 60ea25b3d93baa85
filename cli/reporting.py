"""`payer-exchange report` and `payer-exchange attestations`: what stands beside a run."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from ..reference.errors import SettingsError
from ..reports import comparing
from ..reports.attestations import questions, template
from ..reports.results import Results
from ..reports.writing import read_results, write_forms


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--compare", is_flag=True, help="Tell what changed from the first to the second.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False),
              help="Write the comparison there as Markdown.")  # fmt: skip
def report(folders: tuple[Path, ...], out: Path | None, *, compare: bool) -> None:
    """Write the forms of a report anew from its results.json, or compare two reports.

    Comparing ends with exit status 1 when a SHALL is violated that was not before.
    """
    if not compare:
        if len(folders) != 1 or out:
            raise SettingsError("Name one report folder, or two with --compare.")
        write_forms(folders[0], _read(folders[0]))
        click.echo(f"Written anew: {folders[0]}/report.html and what lies beside it.")
        return
    if len(folders) != 2:
        raise SettingsError("Name two report folders to compare: the older, then the newer.")
    try:
        found = comparing.compare(*map(_read, folders))
    except ValueError as error:
        raise SettingsError(str(error)) from error
    told = comparing.render(found)
    if out:
        out.write_text(told, encoding="utf-8")
    click.echo(told, nl=False)
    sys.exit(1 if found.is_worse else 0)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--role", type=click.Choice(["responding", "requesting"]), default="responding",
              show_default=True)  # fmt: skip
def attestations(file: Path, role: str) -> None:
    """Write a file of the questions that no exchange can answer, for people to answer.

    verify takes the answers by --attestations and reports them as attested.
    """
    if file.exists():
        raise SettingsError(f"{file} is there already. Name another file.")
    file.write_text(template(role, datetime.now(UTC).date()), encoding="utf-8")
    click.echo(f"{len(questions(role))} questions in {file}.")


def _read(folder: Path) -> Results:
    try:
        return read_results(folder)
    except ValueError as error:
        raise SettingsError(f"{folder} is no report folder: {error}") from error
