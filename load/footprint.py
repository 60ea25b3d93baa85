"""The memory and open files of a payer on this machine, sampled while it is under load."""

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
    samples: list[tuple[float, float, int]] = field(default_factory=list)
    """Moments in seconds since the epoch, MB of resident memory, and open files."""

    def look(self) -> None:
        """Take one sample; a process that has ended gives none."""
        if not self.pid:
            return
        try:
            root = psutil.Process(self.pid)
            found = [_taken(p) for p in (root, *root.children(recursive=True))]
        except psutil.Error:
            return
        self.samples.append((time.time(), sum(m for m, _ in found), sum(f for _, f in found)))

    def columns(self, begun: float) -> dict[int, dict[str, float]]:
        """The samples by the second of a run that begun at that moment."""
        return {int(at - begun): {"memory_mb": mb, "open_files": n} for at, mb, n in self.samples}


def _taken(process: psutil.Process) -> tuple[float, int]:
    return process.memory_info().rss / 1e6, process.num_fds()


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
