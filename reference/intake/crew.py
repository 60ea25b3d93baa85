"""Work on lines, done here or by worker processes: the same answers in the same order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from .owners import Sorted, sort_line
from .rewriting import LocalLine, Part, Rewriter

# So many portions wait for each worker: enough to keep it busy, few enough to hold in memory.
_WAITING = 2
Job = tuple[str, str, list[bytes], list[int]]
Answer = TypeVar("Answer")


class Crew:
    """Worker processes, started when first needed; none when `workers` is 0.

    They are started afresh, not forked: this process has threads.
    """

    def __init__(self, workers: int = 0) -> None:
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def each(self, work: Callable[[Job], Answer], jobs: Iterable[Job]) -> Iterator[Answer]:
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
    path, kind, bodies, _ = job
    base, members = _members(path)
    return [sort_line(body, kind, members, base) for body in bodies]


def local_lines(job: Job) -> list[LocalLine]:
    """The lines of a job made local, for their owners."""
    path, _, bodies, owners = job
    local = _rewriter(path).local
    return [local(body, owner) for body, owner in zip(bodies, owners, strict=True)]


# A path names one part for good, so that what is read of it can be kept.
@lru_cache(maxsize=2)
def _members(path: str) -> tuple[str, dict[str, int]]:
    part = Part.read(Path(path))
    return part.base, {source: number for number, (source, _) in enumerate(part.members)}


@lru_cache(maxsize=2)
def _rewriter(path: str) -> Rewriter:
    return Rewriter(Part.read(Path(path)))
