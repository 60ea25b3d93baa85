"""The files of a job: written aside, synced, renamed; continued after a crash from a checkpoint.

Each run of a job writes in a folder of its own, so that a run that was given up and still moves
cannot touch what its successor writes.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from ..fhir import json

OUTPUT, ERROR, DELETED = "output", "error", "deleted"
_CHECKPOINT = "checkpoint.json"
# So much of a type is gathered before it goes to its file.
_BUFFERED = 1 << 18


class JobCancelled(Exception):
    """The job was deleted, or given to another process, while it was being done."""


@dataclass(frozen=True, slots=True)
class FileLimits:
    """How far one file grows before the next of its type begins."""

    lines: int = 1_000_000
    size: int = 1 << 30
    """Bytes; a file ends once it has grown past them."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file of a finished job."""

    role: str
    type: str
    name: str
    count: int


@dataclass(slots=True)
class _Part:
    """One file under way, or full."""

    role: str
    type: str
    name: str
    count: int = 0
    size: int = 0
    full: bool = False


@dataclass(slots=True)
class _Waiting:
    """What is gathered for one file: blocks of lines, the last break of each left out."""

    blocks: list[bytes] = field(default_factory=list)
    count: int = 0
    size: int = 0


class NdjsonWriter:
    """The files of one job, by role and type; nothing is visible before `finish`."""

    def __init__(
        self, folder: Path, run: str, gone: Callable[[], bool], limits: FileLimits | None = None
    ) -> None:
        """Write in the folder of a job; `gone` tells that the job is not to be done any more."""
        self._folder = folder
        self._place = folder / run
        self._gone = gone
        self._limits = limits or FileLimits()
        self._parts: list[_Part] = []
        self._open: dict[tuple[str, str], tuple[_Part, IO[bytes]]] = {}
        self._waiting: dict[tuple[str, str], _Waiting] = {}
        self.resumed: Mapping[str, Any] | None = None
        """What the work told the last checkpoint of an earlier run; None at a fresh start."""
        self._place.mkdir(parents=True)
        self._take_over()

    def write(self, kind: str, line: bytes, role: str = OUTPUT) -> None:
        """Add one resource; raises JobCancelled soon after the job has been deleted.

        An OperationOutcome is an error whatever the role says.
        """
        key = (ERROR if kind == "OperationOutcome" else role, kind)
        # A resource that was stored with line breaks is written in one line.
        whole = line if b"\n" not in line else json.write(json.read_exact(line))
        self._add(key, whole, 1)

    def write_all(self, kind: str, lines: bytes, count: int) -> None:
        """Add so many resources, one on each line and no break after the last."""
        self._add((OUTPUT, kind), lines, count)

    def _add(self, key: tuple[str, str], lines: bytes, count: int) -> None:
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Waiting()
        waiting.blocks.append(lines)
        waiting.count += count
        waiting.size += len(lines)
        if waiting.size > _BUFFERED:
            self._flush(key)

    def checkpoint(self, state: Mapping[str, Any]) -> None:
        """Make what is written so far last, and `state` with it: a later run goes on from here."""
        for key in list(self._waiting):
            self._flush(key)
        for _, stream in self._open.values():
            _sync(stream)
        content = {"parts": [asdict(part) for part in self._parts], "state": state}
        aside = self._place / f"{_CHECKPOINT}.part"
        with aside.open("wb") as stream:
            stream.write(json.write(content))
            _sync(stream)
        aside.replace(self._place / _CHECKPOINT)

    def finish(self) -> list[WrittenFile]:
        """Sync and rename every file; returns them by role and type.

        Raises JobCancelled, with nothing renamed, when the job has been deleted.
        """
        for key in list(self._waiting):
            self._flush(key)
        for key in list(self._open):
            self._end(key)
        self.go_on()
        files = []
        for part in sorted(self._parts, key=lambda part: (part.role, part.type)):
            # The name says nothing and cannot be guessed from another one.
            name = f"{secrets.token_hex(16)}.ndjson"
            (self._place / part.name).rename(self._folder / name)
            files.append(WrittenFile(part.role, part.type, name, part.count))
        shutil.rmtree(self._place)
        _sync_folder(self._folder)
        return files

    def close(self) -> None:
        """Close what is open without keeping it."""
        for _, stream in self._open.values():
            stream.close()
        self._open = {}

    def go_on(self) -> None:
        """Raise JobCancelled when the job is not to be done any more; others may go first here.

        Work that writes little calls it now and then; each piece of a file does.
        """
        if self._gone():
            self.close()
            raise JobCancelled

    def _flush(self, key: tuple[str, str]) -> None:
        waiting = self._waiting.pop(key)
        block, count = b"\n".join(waiting.blocks) + b"\n", waiting.count
        while count:
            self.go_on()
            part, stream = self._open.get(key) or self._begin(key)
            fitting = min(count, self._limits.lines - part.count)
            now, block = (block, b"") if fitting == count else _split(block, fitting)
            stream.write(now)
            part.count += fitting
            part.size += len(now)
            count -= fitting
            if part.count >= self._limits.lines or part.size > self._limits.size:
                self._end(key)

    def _begin(self, key: tuple[str, str]) -> tuple[_Part, IO[bytes]]:
        part = _Part(*key, name=f"{len(self._parts)}.part")
        self._parts.append(part)
        self._open[key] = part, (self._place / part.name).open("wb", buffering=0)
        return self._open[key]

    def _end(self, key: tuple[str, str]) -> None:
        part, stream = self._open.pop(key)
        _sync(stream)
        stream.close()
        part.full = True

    def _take_over(self) -> None:
        """Go on from the newest checkpoint of an earlier run; what lies about besides, goes."""
        left = [path for path in self._folder.iterdir() if path != self._place]
        found = [path for path in left if (path / _CHECKPOINT).is_file()]
        if found:
            newest = max(found, key=lambda path: (path / _CHECKPOINT).stat().st_mtime_ns)
            self._copy(newest)
        for path in left:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)

    def _copy(self, place: Path) -> None:
        """Copy what the checkpoint vouches for: its writer may be alive, and write on."""
        content = json.read((place / _CHECKPOINT).read_bytes())
        parts = [_Part(**part) for part in content["parts"]]
        for part in parts:
            with (place / part.name).open("rb") as old, (self._place / part.name).open("wb") as new:
                copied = sum(map(new.write, _pieces(old, part.size)))
                if copied != part.size:
                    raise OSError("a file is shorter than its checkpoint says")
                _sync(new)
            # A full one is not added to: what comes later opens the next.
            part.full = True
        self._parts, self.resumed = parts, content["state"]


def _split(block: bytes, count: int) -> tuple[bytes, bytes]:
    """The first so many lines, and the others."""
    *first, rest = block.split(b"\n", count)
    return b"\n".join(first) + b"\n", rest


def _pieces(stream: IO[bytes], size: int) -> Iterator[bytes]:
    while size and (piece := stream.read(min(size, 1 << 20))):
        size -= len(piece)
        yield piece


def _sync(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames last; on Windows a folder cannot be opened, and need not be."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
