"""`payer-exchange validate` and `payer-exchange profiles compile`."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from ..reference.secret import Secret
from ..reference.tls import Tls
from ..reference.validation.coverage import NEVER, SEEN
from ..reference.validation.delivery import Judged, validate_files
from ..reference.validation.forms import as_csv, as_outcome, as_report
from ..reference.validation.manifest import fetch, is_address
from ..reference.validation.packages import SHIPPED, read_package
from ..reference.validation.tables import write
from ..reports.validation_page import render

_path = click.Path(exists=True, path_type=Path)
_GONE_WRONG = (OSError, EOFError)


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES|URL...")
@click.option("--profile", "profiles", multiple=True, help="A canonical, with or without |version.")
@click.option(
    "--package", "packages", multiple=True, type=_path, help="A FHIR package: .tgz or folder."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option(
    "--scheduler",
    default="",
    metavar="tcp://HOST:PORT",
    help="Let the workers of this dask scheduler validate; they must see the same files.",
)
@click.option(
    "--token-file",
    type=_path,
    help="The bearer token of a protected manifest; or set PAYER_EXCHANGE_TOKEN.",
)
@click.option(
    "--authorities",
    default="",
    metavar="FILE",
    help="Trust these authorities (PEM) instead of the public ones, for a manifest.",
)
@click.option("--json", "report", is_flag=True, help="The report as JSON.")
@click.option("--report-dir", type=click.Path(file_okay=False, path_type=Path),
              help="Write the report there, as JSON, OperationOutcome, CSV and HTML.")  # fmt: skip
def validate(
    files: tuple[str, ...],
    profiles: tuple[str, ...],
    packages: tuple[Path, ...],
    workers: int,
    scheduler: str,
    token_file: Path | None,
    authorities: str,
    report_dir: Path | None,
    *,
    report: bool,
) -> None:
    """Say whether resources are what they claim to be: NDJSON, JSON, gzip, folders.

    A URL is that of a Bulk Data manifest, whose files are fetched first. Exit status: 0 no errors
    found; 1 some; 3 files that could not be read.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="payer-exchange-") as folder, _progress() as shown:
            access = Access(_token(token_file), Tls(authorities))
            paths = _paths(files, Path(folder), access, shown)
            judged = validate_files(
                paths, list(profiles), packages, workers, scheduler=scheduler,
                done=shown("validated"),
            )  # fmt: skip
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


@dataclass(frozen=True)
class Access:
    """With what a manifest is asked for."""

    token: Secret
    tls: Tls


Shown = Callable[[str], Callable[[int, int], None]]


def _paths(files: tuple[str, ...], folder: Path, access: Access, shown: Shown) -> list[Path]:
    """The files and folders that are named, and those that were fetched from manifests."""
    found = []
    for number, text in enumerate(files):
        if not is_address(text):
            found.append(_existing(text))
            continue
        inner = folder / str(number)
        inner.mkdir()
        told = partial(_told_bytes, shown("fetched"))
        found += fetch(text, inner, token=access.token, tls=access.tls, fetched=told)
    return found


def _told_bytes(told: Callable[[int, int], None], count: int) -> None:
    # How much there will be no manifest says.
    told(count, 0)


def _existing(text: str) -> Path:
    if not Path(text).exists():
        raise click.UsageError(f"There is no file or folder {text}.")
    return Path(text)


def _token(file: Path | None) -> Secret:
    text = file.read_text(encoding="utf-8") if file else os.environ.get("PAYER_EXCHANGE_TOKEN", "")
    return Secret(text.strip())


@contextmanager
def _progress() -> Iterator[Shown]:
    """A bar for each step on standard error, while that is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description:9}"), BarColumn(), DownloadColumn(),
               TimeRemainingColumn())  # fmt: skip
    with Progress(*columns, console=console, transient=True,
                  disable=not console.is_terminal) as bars:  # fmt: skip

        def shown(step: str) -> Callable[[int, int], None]:
            bar = bars.add_task(step, total=None)
            return lambda done, of: bars.update(bar, completed=done, total=of or None)

        yield shown


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
