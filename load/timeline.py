"""What happened in each second of a run, seen by each of its processes and added up by one.

Times are kept as counts of rounded values (three digits), so that those of many processes add up to
the percentiles of all of them, and not to a mean of percentiles.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .histogram import PERCENTILES, quantile, rounded

REQUEST = "request"
_COUNTED = ("requests", "failures", "journeys", "resources", "octets", "planned", "dropped",
            "in_flight")  # fmt: skip


@dataclass(slots=True)
class Share:
    """What one process saw; rows and times by the second since its start."""

    rows: defaultdict[int, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    times: defaultdict[int, Counter[float]] = field(default_factory=lambda: defaultdict(Counter))
    starts: Counter[str] = field(default_factory=lambda: Counter(planned=0, late=0, dropped=0))
    resources: Counter[str] = field(default_factory=Counter)
    problem: str = ""
    harness_errors: list[str] = field(default_factory=list)
    octets: int = 0
    """All that was brought, in answers and in files."""
    done: bool = False
    """Whether all starts of its plan are made, and their journeys ended."""

    def told(self, since: int = 0) -> dict[str, Any]:
        """The share for another process: the rows from a second on, all else as it stands."""
        return {
            "rows": [(s, dict(r)) for s, r in self.rows.items() if s >= since],
            "times": [(s, list(t.items())) for s, t in self.times.items() if s >= since],
            "starts": dict(self.starts),
            "resources": dict(self.resources),
            "problem": self.problem,
            "harness_errors": self.harness_errors,
            "octets": self.octets,
            "done": self.done,
        }

    def take(self, told: Mapping[str, Any]) -> None:
        """Put what is told in the place of what was told before: told twice, it counts once."""
        for second, row in told["rows"]:
            self.rows[second] = Counter(row)
        for second, times in told["times"]:
            self.times[second] = Counter(dict(map(tuple, times)))
        self.starts, self.resources = Counter(told["starts"]), Counter(told["resources"])
        self.problem, self.harness_errors = told["problem"], list(told["harness_errors"])
        self.octets, self.done = told["octets"], told["done"]


class Timeline:
    """The run as one process sees it; that of the master also holds what its workers tell."""

    def __init__(self, events: Any) -> None:
        self.begun = time.time()
        self.warm_up_s = 0.0
        """What succeeds in the first so many seconds is shown over time, and in no figure."""
        self.own = Share()
        self._others: defaultdict[str, Share] = defaultdict(Share)
        self._in_flight = 0
        events.test_start.add_listener(self._begin)
        events.request.add_listener(self.see)

    def report(self, data: dict[str, Any]) -> None:
        """Put into a worker's report what the master may not know yet.

        Reports come every three seconds; rows of the last half minute are told again.
        """
        data["payer"] = self.own.told(int(time.time() - self.begun) - 30)

    def take(self, client_id: str, data: Mapping[str, Any]) -> None:
        """Keep what a worker reported."""
        if "payer" in data:
            self._others[client_id].take(data["payer"])

    @property
    def shares(self) -> list[Share]:
        """What each process saw."""
        return [self.own, *self._others.values()]

    @property
    def starts(self) -> Counter[str]:
        """Planned, late and dropped starts of all."""
        return _sum(s.starts for s in self.shares)

    @property
    def resources(self) -> Counter[str]:
        """Resources by measure, of all: what Locust's statistics have no column for."""
        return _sum(s.resources for s in self.shares)

    @property
    def problem(self) -> str:
        """What is wrong with the first generator that something is wrong with."""
        return next((s.problem for s in self.shares if s.problem), "")

    @property
    def megabytes(self) -> float:
        """All that was brought to all processes."""
        return sum(s.octets for s in self.shares) / 1e6

    @property
    def harness_errors(self) -> list[str]:
        """The names of errors of our own."""
        return [name for s in self.shares for name in s.harness_errors]

    def start(self, *, late: bool, dropped: bool) -> None:
        """Count one planned start: one that came late, and one that found no room.

        What comes late while all warms up is in no figure that it could spoil.
        """
        held_up = late and not self.warming_up
        self.own.starts.update(planned=1, late=int(held_up), dropped=int(dropped))
        self._row().update(planned=1, dropped=int(dropped))

    def used(self, cores: float) -> None:
        """Keep how much of a core this process used in the last second."""
        self._row()["generator_cores"] = round(cores, 3)  # type: ignore[assignment]  # of a core

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count a journey as in flight."""
        self._in_flight += 1
        self._row()
        try:
            yield
        finally:
            self._in_flight -= 1

    def now(self) -> dict[str, int]:
        """How far the run is: its seconds, and what all processes did so far."""
        done = _sum(r for s in self.shares for r in s.rows.values())
        last = [s.rows[max(s.rows)]["in_flight"] for s in self.shares if s.rows]
        return {
            "seconds": int(time.time() - self.begun),
            "journeys": done["journeys"],
            "failures": done["failures"],
            "in_flight": sum(last),
        }

    def told(self) -> list[dict[str, Any]]:
        """One row a second, the seconds counted from the beginning; times are milliseconds."""
        shares = self.shares
        rows = []
        for second in range(max((max(s.rows, default=-1) for s in shares), default=-1) + 1):
            times = _sum(s.times.get(second, Counter()) for s in shares)
            counts = _sum(s.rows.get(second, Counter()) for s in shares)
            found = {n: quantile(times, p) for n, p in PERCENTILES.items()}
            rows.append({"second": second, **dict.fromkeys(_COUNTED, 0), **counts, **found})
        return rows

    def distribution(self) -> list[tuple[float, int]]:
        """The times of whole journeys in milliseconds, and how often each came."""
        warm = (t for s in self.shares for at, t in s.times.items() if at >= self.warm_up_s)
        return sorted(_sum(warm).items())

    def _begin(self, **_: Any) -> None:
        self.begun = time.time()

    def _row(self) -> Counter[str]:
        row = self.own.rows[self._second()]
        row["in_flight"] = max(row["in_flight"], self._in_flight)
        return row

    def _second(self) -> int:
        return max(0, int(time.time() - self.begun))

    @property
    def warming_up(self) -> bool:
        """Whether what happens now is kept out of the figures."""
        return time.time() < self.begun + self.warm_up_s

    def see(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        response_length: int,
        exception: object,
        context: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Count one request, measure or check."""
        row, resources = self._row(), (context or {}).get("resources", 0)
        self.own.resources[name] += 0 if self.warming_up else resources
        row["failures"] += exception is not None
        row["requests"] += request_type == REQUEST
        # A file's octets are told of its download: its request is streamed and has no body. What
        # had come before a file was begun anew counts too.
        brings = request_type == REQUEST or name in ("download", "begun-anew")
        self.own.octets += response_length if brings else 0
        if name == "download":
            row["octets"] += response_length
        if is_whole(name):
            row["journeys"] += 1
            row["resources"] += resources
            if response_time is not None:
                self.own.times[self._second()][rounded(response_time)] += 1


def is_whole(name: str) -> bool:
    """Whether a measure is that of a whole journey."""
    return name == "job" or name.endswith("-job")


def _sum(counters: Iterable[Counter[Any]]) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for counter in counters:
        total.update(counter)
    return total
