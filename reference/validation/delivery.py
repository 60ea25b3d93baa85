"""Files of a delivery: NDJSON, JSON, gzip and folders, validated in processes, line by line."""

from __future__ import annotations

import gzip
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..errors import PayerExchangeError
from .coverage import Support
from .findings import Group, Tally
from .reading import NotReadable
from .references import Point, Points, References
from .spreading import spread
from .tables import standard
from .validator import Judgement, Validator, unreadable

# A process takes so many bytes of a file at a time.
_PART = 8_000_000
# No resource is longer; what is may be meant to exhaust the reader, and is told instead.
LONGEST = 64_000_000
_PIECE = 1_000_000
_SUFFIXES = (".json", ".ndjson", ".jsonl", ".gz")
_kept: dict[tuple[Path, ...], Validator] = {}
# A worker may have threads; checks are made when they are first needed, by one of them.
_lock = threading.Lock()


class NothingToValidate(PayerExchangeError):
    """No file was found. The sentence says what was looked for."""


@dataclass(frozen=True)
class Part:
    """A range of bytes of a file; lines belong to the part they start in."""

    path: Path
    start: int = 0
    end: int | None = None
    lines: bool = False

    @property
    def size(self) -> int:
        """How many bytes of the file it is."""
        return (self.path.stat().st_size if self.end is None else self.end) - self.start


@dataclass
class Judged:
    """What was validated, and all that was found."""

    resources: int = 0
    failed: int = 0
    tally: Tally = field(default_factory=Tally)
    packages: dict[str, str] = field(default_factory=dict)
    coverage: dict[str, Support] = field(default_factory=dict)


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
    paths: list[Path],
    profiles: list[str],
    packages: tuple[Path, ...] = (),
    workers: int = 1,
    *,
    scheduler: str = "",
    done: Callable[[int, int], None] = lambda _bytes, _all: None,
) -> Judged:
    """Validate all resources of files, each against given profiles or those it claims.

    `done` is told how many bytes of how many have been validated. Raises UnreadablePackage,
    NothingToValidate, and SettingsError for a dask scheduler that cannot be used.
    """
    parts = [part for path in files(paths) for part in parts_of(path)]
    judged = Judged(packages={k: v["sha256"] for k, v in standard(packages).packages.items()})
    work = partial(validate_part, profiles=profiles, packages=packages)
    references = References()
    so_far, total = 0, sum(part.size for part in parts)
    done(0, total)
    for part, result in zip(parts, spread(work, parts, workers, scheduler), strict=True):
        so_far += part.size
        done(so_far, total)
        judged.resources += result.resources
        judged.failed += result.failed
        judged.tally.merge(result.groups)
        references.add(result.held, result.points)
        for profile, support in result.coverage.items():
            judged.coverage.setdefault(profile, Support()).merge(support)
    # One resource alone is no delivery: what it points at is elsewhere.
    for finding, place, count in references.dangling() if judged.resources > 1 else ():
        judged.tally.add(finding, place, count)
    references.close()
    return judged


@dataclass(frozen=True)
class Result:
    """What one part comes to."""

    resources: int
    failed: int
    groups: list[Group]
    held: list[str]
    points: list[Point]
    coverage: dict[str, Support]


def parts_of(path: Path) -> list[Part]:
    """A file in parts of some megabytes; a packed file or one of one resource is one part."""
    lines = path.name.removesuffix(".gz").endswith((".ndjson", ".jsonl"))
    size = path.stat().st_size
    if not lines or path.suffix == ".gz":
        return [Part(path, lines=lines)]
    return [Part(path, at, min(at + _PART, size), lines) for at in range(0, size, _PART)]


def validate_part(part: Part, *, profiles: list[str], packages: tuple[Path, ...] = ()) -> Result:
    """Validate one part: how many resources, how many with errors, and the findings."""
    with _lock:
        return _validated(part, profiles, packages)


def _validated(part: Part, profiles: list[str], packages: tuple[Path, ...]) -> Result:
    validator = _validator(packages)
    tally, points, resources, failed = Tally(), Points(), 0, 0
    coverage = validator.coverage()
    for place, body in _bodies(part):
        at = f"{part.path.name}{place}"
        judgement = _judged(validator, body, profiles)
        resources += 1
        failed += any(one.severity == "error" for one in judgement.findings)
        for one in judgement.findings:
            tally.add(one, at)
        points.add(judgement.names, judgement.points, at)
        for resource, profile in judgement.met:
            coverage.see(resource, profile)
    groups = list(tally.groups.values())
    return Result(resources, failed, groups, points.held, points.points(), coverage.profiles)


def _judged(validator: Validator, body: bytes | NotReadable, profiles: list[str]) -> Judgement:
    if isinstance(body, NotReadable):
        return unreadable(body)
    return validator.judge(body, profiles or None)


def _validator(packages: tuple[Path, ...]) -> Validator:
    """One a process: checks are made once and kept."""
    if packages not in _kept:
        _kept[packages] = Validator(standard(packages))
    return _kept[packages]


def _bodies(part: Part) -> Iterator[tuple[str, bytes | NotReadable]]:
    """(place, bytes) of each resource; what cannot be had as bytes is said at its place."""
    try:
        with _opened(part.path) as file:
            if part.lines:
                yield from _lines(file, part)
            else:
                body = file.read(LONGEST + 1)
                yield "#", body if len(body) <= LONGEST else _too_long()
    except (gzip.BadGzipFile, EOFError, zlib.error):
        yield "#", NotReadable("The file is not whole gzip: it cannot be unpacked to its end.")


def _lines(file: BinaryIO, part: Part) -> Iterator[tuple[str, bytes | NotReadable]]:
    if part.start:
        file.seek(part.start - 1)
        _skip_line(file)
    at = file.tell()
    while part.end is None or at < part.end:
        line = file.readline(LONGEST + 1)
        if not line:
            return
        if len(line) > LONGEST:
            _skip_line(file)
            yield f"@{at}#", _too_long()
        elif line.strip():
            yield f"@{at}#", line.rstrip(b"\r\n")
        at = file.tell()


def _skip_line(file: BinaryIO) -> None:
    """On to the next line, without having this one in memory."""
    while (piece := file.readline(_PIECE)) and not piece.endswith(b"\n"):
        pass


def _too_long() -> NotReadable:
    return NotReadable(f"It is longer than {LONGEST // 1_000_000} MB and was not read.")


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    return path.open("rb")
