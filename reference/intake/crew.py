"""Work on lines, done here or by worker processes: the same answers in the same order."""

from __future__ import annotations

import os
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple, TypeVar

from ..fhir.ndjson import file_lines
from .owners import Sorted, sort_line
from .rewriting import Packed, Part, Rewriter

# So many portions wait for each worker: enough to keep it busy, few enough to hold in memory.
_WAITING = 2
BLOCK = 1 << 20
Answer = TypeVar("Answer")
Work = TypeVar("Work")


class Block(NamedTuple):
    """A stretch of whole lines of a staged file; workers read it themselves."""

    file: str
    start: int
    length: int
    packed: bool = False
    """Whether the file is compressed: then it is one block, and the stretch is not told."""

    def lines(self) -> Iterator[bytes]:
        """The lines, as `file_lines` reads them; over-long ones were refused when it came."""
        if self.packed:
            yield from file_lines(Path(self.file))
            return
        with Path(self.file).open("rb") as stream:
            stream.seek(self.start)
            for line in stream.read(self.length).split(b"\n"):
                if line.strip():
                    yield line.rstrip(b"\r")


# Where the part is read, the type and the document of the file, the lines, and whose they are.
Job = tuple[str, str, str, Block, "array[int]"]


def blocks(path: Path) -> Iterator[Block]:
    """A staged file in blocks of about `BLOCK` bytes, in order."""
    with path.open("rb") as stream:
        if stream.peek(2)[:2] == b"\x1f\x8b":
            yield Block(str(path), 0, 0, packed=True)
            return
        start = 0
        while stream.seek(start + BLOCK - 1, os.SEEK_SET) and stream.readline():
            yield Block(str(path), start, stream.tell() - start)
            start = stream.tell()
        if start < (size := path.stat().st_size):
            yield Block(str(path), start, size - start)


class Crew:
    """Worker processes, started when first needed; none when `workers` is 0.

    They are started afresh, not forked: this process has threads.
    """

    def __init__(self, workers: int = 0) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def each(self, work: Callable[[Work], Answer], jobs: Iterable[Work]) -> Iterator[Answer]:
        """The answer to each job, in order; only a few jobs are held at a time."""
        if not self._workers:
            yield from map(work, jobs)
            return
        pool, waiting = self._started(), deque[Future[Answer]]()
        for job in jobs:
            waiting.append(pool.submit(work, job))
            if len(waiting) > self._workers * _WAITING:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        """Let the workers go."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._pool = ProcessPoolExecutor(self._workers, mp_context=get_context("spawn"))
        return self._pool


def sort_lines(job: Job) -> list[Sorted]:
    """Whose each line of a job is, as far as it tells itself."""
    path, kind, _, block, _ = job
    base, members = _members(path)
    return [sort_line(body, kind, members, base) for body in block.lines()]


def local_lines(job: Job) -> Packed:
    """The rows of a job's lines, local to this payer."""
    path, _, document, block, owners = job
    return _rewriter(path).packed(zip(block.lines(), owners, strict=True), document)


# A path names one part for good, so that what is read of it can be kept.
@lru_cache(maxsize=2)
def _members(path: str) -> tuple[str, dict[str, int]]:
    part = Part.read(Path(path))
    return part.base, {source: number for number, (source, _) in enumerate(part.members)}


@lru_cache(maxsize=2)
def _rewriter(path: str) -> Rewriter:
    return Rewriter(Part.read(Path(path)))
