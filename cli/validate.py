"""`payer-exchange validate` and `payer-exchange profiles compile`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import click

from ..reference.validation.coverage import NEVER, SEEN
from ..reference.validation.delivery import Judged, validate_files
from ..reference.validation.forms import as_csv, as_outcome, as_report
from ..reference.validation.packages import SHIPPED, read_package
from ..reference.validation.tables import write
from ..reports.validation_page import render

_path = click.Path(exists=True, path_type=Path)
_GONE_WRONG = (OSError, EOFError)


@click.command()
@click.argument("files", nargs=-1, required=True, type=_path)
@click.option("--profile", "profiles", multiple=True, help="A canonical, with or without |version.")
@click.option(
    "--package", "packages", multiple=True, type=_path, help="A FHIR package: .tgz or folder."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--json", "report", is_flag=True, help="The report as JSON.")
@click.option("--report-dir", type=click.Path(file_okay=False, path_type=Path),
              help="Write the report there, as JSON, OperationOutcome, CSV and HTML.")  # fmt: skip
def validate(
    files: tuple[Path, ...],
    profiles: tuple[str, ...],
    packages: tuple[Path, ...],
    workers: int,
    report_dir: Path | None,
    *,
    report: bool,
) -> None:
    """Say whether resources are what they claim to be: NDJSON, JSON, gzip, folders.

    Exit status: 0 no errors found; 1 some; 3 files that could not be read.
    """
    try:
        judged = validate_files(list(files), list(profiles), packages, workers)
        if report_dir:
            _write(judged, report_dir)
    except _GONE_WRONG as error:
        click.echo(
            f"A file could not be read ({type(error).__name__}). Give files that open."
            " The report directory must be one that can be written to.",
            err=True,
        )
        raise SystemExit(3) from error
    click.echo(json.dumps(as_report(judged), indent=1) if report else _told(judged))
    raise SystemExit(1 if judged.tally.count("error") else 0)


def _write(judged: Judged, folder: Path) -> None:
    """The report in each form; names are fixed, so that two runs can be compared."""
    folder.mkdir(parents=True, exist_ok=True)
    told = as_report(judged)
    forms = {
        "findings.json": json.dumps(told, indent=1),
        "operation-outcome.json": json.dumps(as_outcome(judged), indent=1),
        "findings.csv": as_csv(judged),
        "validation.html": render(told),
    }
    for name, text in forms.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")


def _told(judged: Judged) -> str:
    lines = []
    for group in judged.tally.sorted():
        found = group.finding
        lines.append(f"{found.severity:12}{found.id}  {group.count} times, first {group.places[0]}")
        lines.append(f"            {found.sentence} ({found.rule}, {found.profile or 'base'})")
    lines += _coverage_told(judged)
    lines.append(f"{judged.resources} resources, {judged.failed} with errors.")
    return "\n".join(lines)


def _coverage_told(judged: Judged) -> list[str]:
    lines = []
    for profile, support in sorted(judged.coverage.items()):
        never = support.named(NEVER)
        lines.append(
            f"must-support {len(support.named(SEEN))} of {len(support.elements)} elements seen in"
            f" {support.resources} resources of {profile}"
        )
        lines += [f"            never seen: {', '.join(never)}"] if never else []
    return lines


@click.group()
def profiles() -> None:
    """Tables of profiles."""


@profiles.command("compile")
@click.argument("packages", nargs=-1, type=_path)
@click.option("--shipped", "folder", type=_path, help="A folder with the packages of our tables.")
@click.option("--out", default="tables.zip", show_default=True, type=click.Path(path_type=Path))
def compile_(packages: tuple[Path, ...], folder: Path | None, out: Path) -> None:
    """Compile FHIR packages into tables of facts: the same packages, the same bytes."""
    own = [folder / f"{name}.tgz" for name in SHIPPED] if folder else []
    if not own and not packages:
        raise click.UsageError("Name packages to compile, or a folder by --shipped.")
    read = [read_package(path) for path in (*own, *packages)]
    content = write(read)
    out.write_bytes(content)
    for package in read:
        click.echo(f"{package.sha256}  {package.label}  {len(package.resources)} definitions")
    digest = hashlib.sha256(content).hexdigest()
    click.echo(f"{digest}  {out}  {len(content)} bytes from {len(read)} packages")
