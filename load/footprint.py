"""What a payer on this machine takes, sampled under load: memory, open files, processor time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil

# What a payer takes while it warms up is no leak: the first part of the samples is kept out.
_WARM_UP = 0.2


@dataclass(slots=True)
class Watch:
    """Samples of a process and all that it started; without a process there are none."""

    pid: int = 0
    samples: list[tuple[float, dict[str, float]]] = field(default_factory=list)
    """Moments in seconds since the epoch, and MB of memory, open files and cores used since."""
    _before: tuple[float, dict[int, float]] = (0.0, {})
    """When was looked last, and the processor seconds of each process until then."""

    def look(self) -> None:
        """Take one sample; a process that has ended gives none."""
        if not self.pid:
            return
        try:
            root = psutil.Process(self.pid)
            found = [(p, _taken(p)) for p in (root, *root.children(recursive=True))]
        except psutil.Error:
            return
        now, seconds = time.time(), {p.pid: spent for p, (_, _, spent) in found}
        before, spent_before = self._before
        # A process that has come since is counted from its next sample on.
        spent = sum(s - spent_before[pid] for pid, s in seconds.items() if pid in spent_before)
        taken = {"memory_mb": sum(m for _, (m, _, _) in found),
                 "open_files": float(sum(f for _, (_, f, _) in found))}  # fmt: skip
        if before:
            taken["payer_cores"] = round(spent / (now - before), 3)
        self._before = now, seconds
        self.samples.append((now, taken))

    def columns(self, begun: float) -> dict[int, dict[str, float]]:
        """The samples by the second of a run that begun at that moment."""
        return {int(at - begun): taken for at, taken in self.samples}


def _taken(process: psutil.Process) -> tuple[float, int, float]:
    with process.oneshot():
        spent = process.cpu_times()
        return process.memory_info().rss / 1e6, _open_files(process), spent.user + spent.system


def _open_files(process: psutil.Process) -> int:
    # Windows counts handles, of which files are a part: their growth tells as much.
    return int(process.num_handles() if psutil.WINDOWS else process.num_fds())


@dataclass(frozen=True, slots=True)
class Footprint:
    """What the payer took: MB at most, MB more in ten minutes, and files more at the end."""

    peak_mb: float
    growth_mb_per_10min: float
    more_open_files: float


def footprint(timeline: Sequence[Mapping[str, Any]]) -> Footprint | None:
    """The footprint in the rows of a run; None without samples to draw a line through."""
    rows = [r for r in timeline if r.get("memory_mb") is not None]
    warm = rows[int(_WARM_UP * len(rows)) :]
    if len(warm) < 2:
        return None
    seconds, memory = [r["second"] for r in warm], [r["memory_mb"] for r in warm]
    slope = statistics.linear_regression(seconds, memory).slope
    more = warm[-1]["open_files"] - warm[0]["open_files"]
    return Footprint(max(r["memory_mb"] for r in rows), slope * 600, more)
