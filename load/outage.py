"""A payer that is killed while it is under load, and started anew: no warning, nothing saved."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .footprint import Watch

Restart = Callable[[], int]


@dataclass(slots=True)
class Outage:
    """The one outage of a run, when its moment has come; 0 seconds: none."""

    at_s: float
    restart: Restart | None
    """Kills the payer and starts it anew; returns its new process id when it answers again."""
    marks: list[tuple[float, str]] = field(default_factory=list)
    """Moments in seconds since the epoch, and what happened then."""

    def look(self, seconds: float, watch: Watch) -> None:
        """Kill the payer if the run is so many seconds old for the first time."""
        if not (self.restart and self.at_s) or self.marks or seconds < self.at_s:
            return
        self.marks.append((time.time(), "payer killed"))
        watch.pid = self.restart()
        self.marks.append((time.time(), "answers again"))
