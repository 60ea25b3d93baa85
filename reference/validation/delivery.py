"""Files of a delivery: NDJSON, JSON, gzip and folders, validated in processes, line by line."""

from __future__ import annotations

import gzip
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..errors import PayerExchangeError
from .findings import Group, Tally
from .tables import standard
from .validator import Validator

# A process takes so many bytes of a file at a time.
_PART = 8_000_000
_LONGEST = 64_000_000
_SUFFIXES = (".json", ".ndjson", ".jsonl", ".gz")
_kept: dict[tuple[Path, ...], Validator] = {}


class NothingToValidate(PayerExchangeError):
    """No file was found. The sentence says what was looked for."""


@dataclass(frozen=True)
class Part:
    """A range of bytes of a file; lines belong to the part they start in."""

    path: Path
    start: int = 0
    end: int | None = None
    lines: bool = False


@dataclass
class Judged:
    """What was validated, and all that was found."""

    resources: int = 0
    failed: int = 0
    tally: Tally = field(default_factory=Tally)
    packages: dict[str, str] = field(default_factory=dict)


def files(paths: list[Path]) -> list[Path]:
    """The files that paths name, those of folders too. Raises NothingToValidate."""
    found: list[Path] = []
    for path in paths:
        inner = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix in _SUFFIXES)
        found += inner if path.is_dir() else [path]
    if not found:
        raise NothingToValidate("No .json, .ndjson or .gz file was found there.")
    return found


def validate_files(
    paths: list[Path], profiles: list[str], packages: tuple[Path, ...] = (), workers: int = 1
) -> Judged:
    """Validate all resources of files, each against given profiles or those it claims.

    Raises UnreadablePackage and NothingToValidate.
    """
    parts = [part for path in files(paths) for part in parts_of(path)]
    judged = Judged(packages={k: v["sha256"] for k, v in standard(packages).packages.items()})
    work = partial(validate_part, profiles=profiles, packages=packages)
    for resources, failed, groups in _spread(work, parts, workers):
        judged.resources += resources
        judged.failed += failed
        judged.tally.merge(groups)
    return judged


Result = tuple[int, int, list[Group]]


def _spread(work: Callable[[Part], Result], parts: list[Part], workers: int) -> Iterator[Result]:
    if workers < 2 or len(parts) < 2:
        yield from map(work, parts)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(parts)), context) as pool:
        yield from pool.map(work, parts)


def parts_of(path: Path) -> list[Part]:
    """A file in parts of some megabytes; a packed file or one of one resource is one part."""
    lines = path.name.removesuffix(".gz").endswith((".ndjson", ".jsonl"))
    size = path.stat().st_size
    if not lines or path.suffix == ".gz":
        return [Part(path, lines=lines)]
    return [Part(path, at, min(at + _PART, size), lines) for at in range(0, size, _PART)]


def validate_part(part: Part, *, profiles: list[str], packages: tuple[Path, ...] = ()) -> Result:
    """Validate one part: how many resources, how many with errors, and the findings."""
    validator = _validator(packages)
    tally, resources, failed = Tally(), 0, 0
    for place, body in _bodies(part):
        found = validator.validate_bytes(body, profiles or None)
        resources += 1
        failed += any(one.severity == "error" for one in found)
        for one in found:
            tally.add(one, f"{part.path.name}{place}")
    return resources, failed, list(tally.groups.values())


def _validator(packages: tuple[Path, ...]) -> Validator:
    """One a process: checks are made once and kept."""
    if packages not in _kept:
        _kept[packages] = Validator(standard(packages))
    return _kept[packages]


def _bodies(part: Part) -> Iterator[tuple[str, bytes]]:
    with _opened(part.path) as file:
        if not part.lines:
            yield "#", file.read(_LONGEST)
            return
        if part.start:
            file.seek(part.start - 1)
            file.readline()
        at = file.tell()
        while part.end is None or at < part.end:
            line = file.readline(_LONGEST)
            if not line:
                return
            if line.strip():
                yield f"@{at}#", line.rstrip(b"\r\n")
            at += len(line)


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    return path.open("rb")
