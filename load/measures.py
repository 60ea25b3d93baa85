"""What a load run measures, fired into Locust's own request event, and told as JSON at the end.

Three kinds of entries share Locust's statistics: requests (by step), measures (a job, a download,
the time to a manifest) and checks (a verdict on what was delivered). A failure has no time: only
the latency of what succeeded is told, beside the share of what did not.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from locust.env import Environment
from locust.stats import StatsEntry

from ..reference.http import Exchange

REQUEST, MEASURE, CHECK = "request", "measure", "check"
_PERCENTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_COUNTED = ("requests", "failures", "journeys", "resources", "octets", "dropped", "in_flight")


class LocustMeter:
    """A journey's meter that fires Locust's request event."""

    def __init__(self, environment: Environment) -> None:
        self._request: Any = environment.events.request
        self._step = "other"
        self._accepted: frozenset[int] = frozenset({200})
        self.token_url = ""

    def __call__(self, exchange: Exchange) -> None:
        """Keep one exchange of the HTTP client, under the step that asked for it."""
        is_token = exchange.url == self.token_url
        accepted = frozenset({200}) if is_token else self._accepted
        wrong = "" if exchange.status in accepted else exchange.note or f"Status {exchange.status}."
        self._fire(
            REQUEST,
            "token" if is_token else self._step,
            exchange.elapsed_s * 1000,
            octets=len(exchange.body),
            problem=wrong,
        )

    @contextmanager
    def step(self, name: str, *accepted: int) -> Iterator[None]:
        before = self._step, self._accepted
        self._step, self._accepted = name, frozenset(accepted)
        try:
            yield
        finally:
            self._step, self._accepted = before

    def measure(self, name: str, value: float, *, octets: int = 0, resources: int = 0) -> None:
        self._fire(MEASURE, name, value, octets=octets, resources=resources)

    def broken(self, name: str, reason: str) -> None:
        self._fire(MEASURE, name, 0.0, problem=reason)

    def check(self, name: str, problem: str) -> None:
        self._fire(CHECK, name, 0.0, problem=problem)

    def _fire(
        self,
        kind: str,
        name: str,
        value: float,
        *,
        octets: int = 0,
        resources: int = 0,
        problem: str = "",
    ) -> None:
        self._request.fire(
            request_type=kind,
            name=name,
            response_time=None if problem else value,
            response_length=octets,
            exception=problem or None,
            context={"resources": resources},
        )


class Tally:
    """Resources by measure: the one figure that Locust's statistics have no column for."""

    def __init__(self, environment: Environment) -> None:
        self.resources: Counter[str] = Counter()
        request: Any = environment.events.request
        request.add_listener(self._see)

    def _see(self, name: str, context: dict[str, Any] | None = None, **_: Any) -> None:
        self.resources[name] += (context or {}).get("resources", 0)


class Timeline:
    """What happened in each second, and the starts of the open model."""

    def __init__(self, environment: Environment) -> None:
        self._begun = time.time()
        self._rows: defaultdict[int, Counter[str]] = defaultdict(Counter)
        self._times: defaultdict[int, list[float]] = defaultdict(list)
        self._in_flight = 0
        self.starts: Counter[str] = Counter(planned=0, late=0, dropped=0)
        request: Any = environment.events.request
        request.add_listener(self._see)

    def start(self, *, late: bool, dropped: bool) -> None:
        """Count one planned start: one that came late, and one that found no room."""
        self.starts.update(planned=1, late=int(late), dropped=int(dropped))
        self._row()["dropped"] += int(dropped)

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """Count a journey as in flight."""
        self._in_flight += 1
        row = self._row()
        row["in_flight"] = max(row["in_flight"], self._in_flight)
        try:
            yield
        finally:
            self._in_flight -= 1

    def told(self) -> list[dict[str, Any]]:
        """One row a second, the seconds counted from the beginning; times are milliseconds."""
        rows = []
        for second in range(max(self._rows, default=-1) + 1):
            times = sorted(self._times[second])
            share = {n: _quantile(times, p) for n, p in _PERCENTILES.items()}
            rows.append(
                {"second": second, **dict.fromkeys(_COUNTED, 0), **self._rows[second], **share}
            )
        return rows

    def _row(self) -> Counter[str]:
        row = self._rows[int(time.time() - self._begun)]
        row["in_flight"] = max(row["in_flight"], self._in_flight)
        return row

    def _see(
        self,
        request_type: str,
        name: str,
        response_time: float | None,
        response_length: int,
        exception: object,
        context: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        row = self._row()
        row["failures"] += exception is not None
        row["requests"] += request_type == REQUEST
        if name == "download":
            row["octets"] += response_length
        if is_whole(name):
            row["journeys"] += 1
            row["resources"] += (context or {}).get("resources", 0)
            if response_time is not None:
                self._times[int(time.time() - self._begun)].append(response_time)


def is_whole(name: str) -> bool:
    """Whether a measure is that of a whole journey."""
    return name == "job" or name.endswith("-job")


def _quantile(times: Sequence[float], share: float) -> float | None:
    """The nearest rank of ascending times; None without any."""
    return round(times[min(len(times) - 1, int(share * len(times)))], 3) if times else None


def measured(environment: Environment, tally: Tally, timeline: Timeline) -> dict[str, Any]:
    """Everything measured, as JSON."""
    stats = environment.stats
    return {
        "timeline": timeline.told(),
        "starts": dict(timeline.starts),
        "measures": [_told(e, tally) for e in stats.entries.values()],
        "errors": [
            {
                "kind": e.method,
                "name": e.name,
                "message": str(e.error),
                "occurrences": e.occurrences,
            }
            for e in stats.errors.values()
        ],
    }


def _told(entry: StatsEntry, tally: Tally) -> dict[str, Any]:
    timed = entry.num_requests - entry.num_none_requests
    times: dict[str, Any] = dict.fromkeys(("mean", "min", *_PERCENTILES, "max"))
    if timed and entry.method != CHECK:
        times = {
            "mean": round(entry.total_response_time / timed, 3),
            "min": entry.min_response_time,
            **{n: entry.get_response_time_percentile(p) for n, p in _PERCENTILES.items()},
            "max": entry.max_response_time,
        }
    return {
        "kind": entry.method,
        "name": entry.name,
        "unit": _unit(entry),
        "count": entry.num_requests,
        "failures": entry.num_failures,
        "seconds": round(entry.total_response_time / 1000, 6),
        "octets": entry.total_content_length,
        "resources": tally.resources[entry.name],
        **times,
    }


def _unit(entry: StatsEntry) -> str:
    if entry.method == CHECK:
        return "verdict"
    return "count" if entry.name == "polls" else "ms"
