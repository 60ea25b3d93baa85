"""What a load run measures, fired into Locust's own request event, and told as JSON at the end.

Three kinds of entries share Locust's statistics: requests (by step), measures (a job, a download,
the time to a manifest) and checks (a verdict on what was delivered). A failure has no time: only
the latency of what succeeded is told, beside the share of what did not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from locust.env import Environment
from locust.stats import StatsEntry

from ..reference.http import Exchange
from .histogram import PERCENTILES
from .timeline import REQUEST, Timeline

MEASURE, CHECK = "measure", "check"


class LocustMeter:
    """A journey's meter that fires Locust's request event."""

    def __init__(self, environment: Environment) -> None:
        self._request: Any = environment.events.request
        self._timeline: Timeline = environment.payer_timeline  # type: ignore[attr-defined]
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
        # A failure counts whenever it comes, and so does a verdict.
        warm = self._timeline.warming_up and kind != CHECK and not problem
        (self._timeline.see if warm else self._request.fire)(
            request_type=kind,
            name=name,
            response_time=None if problem else value,
            response_length=octets,
            exception=problem or None,
            context={"resources": resources},
        )


def measured(environment: Environment, timeline: Timeline) -> dict[str, Any]:
    """Everything measured, as JSON."""
    stats, resources = environment.stats, timeline.resources
    return {
        "begun": timeline.begun,
        "timeline": timeline.told(),
        "distribution": timeline.distribution(),
        "starts": dict(timeline.starts),
        "harness_errors": timeline.harness_errors,
        "generator_problem": timeline.problem,
        "measures": [_told(e, resources[e.name]) for e in stats.entries.values()],
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


def _told(entry: StatsEntry, resources: int) -> dict[str, Any]:
    timed = entry.num_requests - entry.num_none_requests
    times: dict[str, Any] = dict.fromkeys(("mean", "min", *PERCENTILES, "max"))
    if timed and entry.method != CHECK:
        times = {
            "mean": round(entry.total_response_time / timed, 3),
            "min": entry.min_response_time,
            **{n: entry.get_response_time_percentile(p) for n, p in PERCENTILES.items()},
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
        "resources": resources,
        **times,
    }


def _unit(entry: StatsEntry) -> str:
    if entry.method == CHECK:
        return "verdict"
    return "count" if entry.name == "polls" else "ms"
