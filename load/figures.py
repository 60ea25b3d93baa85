"""The figures of a load run: each measure, the downloads, and the verdict on all of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .footprint import Footprint, footprint

SCHEMA = "payer-exchange/load/1"
# The one measure that a whole export makes.
JOB, DOWNLOAD = "job", "download"
# All downloads of a job, in all its streams; and each as it came over the wire.
DOWNLOADS, WIRE = "downloads", "wire"
# What a requesting payer does with what it received.
INTAKE = "intake"


# Rates by their names in the results, and what each is in words.
RATES = {
    "resources_per_s": "resources/s of one stream, while downloading",
    "end_to_end_resources_per_s": "resources/s of one user's whole exports, each download counted",
    "intake_resources_per_s": "resources/s taken in by the requesting payer",
    "megabytes_per_s": "MB/s of one stream",
    "download_megabytes_per_s": "MB/s of all streams of one user",
    "all_megabytes_per_s": "MB/s of all users, while files came",
    "wire_megabytes": "MB over the wire, of all users, where they can be told",
    "anew_megabytes": "MB that came in vain, of downloads that the server began anew",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """One row of figures; times are milliseconds of what succeeded, None when nothing did."""

    kind: str
    name: str
    unit: str
    count: int
    failures: int = 0
    seconds: float = 0.0
    octets: int = 0
    resources: int = 0
    mean: float | None = None
    min: float | None = None
    p50: float | None = None
    p90: float | None = None
    p95: float | None = None
    p99: float | None = None
    p999: float | None = None
    max: float | None = None

    @property
    def error_ratio(self) -> float:
        """The share that failed."""
        return self.failures / self.count if self.count else 0.0


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of failure, and how often it came."""

    kind: str
    name: str
    message: str
    occurrences: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything a run measured."""

    measures: tuple[Measure, ...]
    errors: tuple[Problem, ...] = ()
    harness_errors: tuple[str, ...] = ()
    generator_problem: str = ""
    timeline: tuple[Mapping[str, Any], ...] = ()
    starts: Mapping[str, int] = field(default_factory=dict)
    marks: tuple[tuple[float, str], ...] = ()
    """Seconds of the run, and what happened to the payer then."""
    distribution: tuple[tuple[float, int], ...] = ()
    """Milliseconds of whole journeys, ascending, and how often each came."""

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Figures:
        """The figures that the child process wrote."""
        return cls(
            tuple(Measure(**m) for m in told["measures"]),
            tuple(Problem(**e) for e in told["errors"]),
            tuple(told["harness_errors"]),
            str(told["generator_problem"]),
            tuple(told.get("timeline", ())),
            told.get("starts", {}),
            tuple((second, what) for second, what in told.get("marks", ())),
            tuple((ms, count) for ms, count in told.get("distribution", ())),
        )

    def measure(self, name: str) -> Measure | None:
        """The request or measure of that name, or None when nothing of it was measured."""
        return next((m for m in self.timed if m.name == name), None)

    @property
    def footprint(self) -> Footprint | None:
        """What the payer's own process took; None when it was not sampled."""
        return footprint(self.timeline)

    @property
    def timed(self) -> list[Measure]:
        """Requests and measures, without the checks."""
        return [m for m in self.measures if m.kind != "check"]

    @property
    def checks(self) -> list[Measure]:
        """The checks on what was delivered."""
        return [m for m in self.measures if m.kind == "check"]

    @property
    def failed_checks(self) -> int:
        """How many checks found a wrong answer."""
        return sum(m.failures for m in self.checks)

    @property
    def journeys(self) -> tuple[int, int]:
        """How many journeys were begun and ended, and how many of them could not go on."""
        whole = [m for m in self.timed if m.name == JOB or m.name.endswith("-job")]
        return sum(m.count for m in whole), sum(m.failures for m in whole)

    @property
    def error_ratio(self) -> float:
        """The share of requests and measures that failed."""
        counts = sum(m.count for m in self.timed)
        return sum(m.failures for m in self.timed) / counts if counts else 0.0

    @property
    def resources_per_s(self) -> float | None:
        """Delivered resources over the seconds of their downloads: the rate of one stream.

        None without a download.
        """
        found = self.measure(DOWNLOAD)
        return _rate(found.resources, found.seconds) if found else None

    @property
    def end_to_end_resources_per_s(self) -> float | None:
        """Delivered resources over the seconds of their whole jobs; None without a job."""
        found = self.measure(JOB)
        return _rate(found.resources, found.seconds) if found else None

    @property
    def intake_resources_per_s(self) -> float | None:
        """Resources that a requesting payer took in, over the seconds it took; None without any."""
        found = self.measure(INTAKE)
        return _rate(found.resources, found.seconds) if found else None

    @property
    def megabytes_per_s(self) -> float | None:
        """Delivered MB, after content decoding, over the seconds of their downloads.

        None where no bytes were counted.
        """
        found = self.measure(DOWNLOAD)
        return _rate(found.octets / 1e6, found.seconds) if found and found.octets else None

    @property
    def download_megabytes_per_s(self) -> float | None:
        """Delivered MB of whole jobs over the seconds of all their downloads, in all streams.

        None without a download.
        """
        found = self.measure(DOWNLOADS)
        return _rate(found.octets / 1e6, found.seconds) if found else None

    @property
    def all_megabytes_per_s(self) -> float | None:
        """Delivered MB of all users in the middle one of the seconds in which files came.

        None without a file. A file counts in the second in which it ended.
        """
        octets = [row["octets"] for row in self.timeline if row.get("octets")]
        return statistics.median(octets) / 1e6 if octets else None

    @property
    def wire_megabytes(self) -> float | None:
        """MB of files as they were sent, what was sent twice included; None without a download."""
        found = self.measure(WIRE)
        return found.octets / 1e6 if found else None

    @property
    def anew_megabytes(self) -> float | None:
        """MB of files that were broken off and then sent whole again; None without one."""
        found = self.measure("begun-anew")
        return found.octets / 1e6 if found else None

    @property
    def rates(self) -> list[tuple[str, float]]:
        """The rates that were measured, each in words."""
        found = ((words, getattr(self, name)) for name, words in RATES.items())
        return [(words, rate) for words, rate in found if rate is not None]

    def as_json(self) -> dict[str, Any]:
        """The figures as load-results.json holds them."""
        count, failed = self.journeys
        return {
            "journeys": {"count": count, "failed": failed},
            "error_ratio": round(self.error_ratio, 6),
            **{name: _rounded(getattr(self, name)) for name in RATES},
            "measures": [asdict(m) | {"error_ratio": round(m.error_ratio, 6)} for m in self.timed],
            "checks": [
                {"name": m.name, "count": m.count, "failures": m.failures} for m in self.checks
            ],
            "errors": [asdict(e) for e in self.errors],
            "generator_problem": self.generator_problem,
            "starts": dict(self.starts),
            "footprint": asdict(self.footprint) if self.footprint else None,
            "marks": [list(mark) for mark in self.marks],
            "distribution": [list(pair) for pair in self.distribution],
            "timeline": [dict(row) for row in self.timeline],
        }


@dataclass(frozen=True, slots=True)
class ThresholdVerdict:
    """One threshold, what was measured, and how far the one is from the other.

    `margin` is the room that is left as a share of the limit, negative when it was missed; None
    when nothing was measured (which misses the threshold) or the limit is zero.
    """

    name: str
    limit: float
    actual: float | None
    met: bool
    margin: float | None


@dataclass(frozen=True, slots=True)
class Drop:
    """A figure that is worse than the median of the last `runs` runs, by a share of it."""

    name: str
    value: float
    usual: float
    runs: int
    share: float

    def __str__(self) -> str:
        return (
            f"{self.name}: {self.value:.4g} was measured, {self.share:.0%} worse than "
            f"{self.usual:.4g}, the median of the last {self.runs} runs."
        )


@dataclass(frozen=True, slots=True)
class LoadResults:
    """One run, judged."""

    scenario: str
    target: str
    started: str
    duration_s: float
    figures: Figures
    thresholds: tuple[ThresholdVerdict, ...]
    machine: Mapping[str, Any] = field(default_factory=dict)
    knee_per_s: float | None = None
    model: str = "closed"
    drops: tuple[Drop, ...] = ()
    bulk_members: int = 0
    """Members of each bulk match."""
    faults: tuple[str, ...] = ()
    """What went wrong by chance at the simulated payer, all the time."""
    title: str = ""
    """What the scenario does, in a sentence."""

    @property
    def exit_status(self) -> int:
        """0 all met, 1 a threshold missed, a check failed or a figure dropped, 3 nothing measured.

        3 also when the generator was the bottleneck: its figures say nothing about the target.
        """
        found = self.figures
        if found.harness_errors or found.generator_problem or not _anything(self.figures):
            return 3
        missed = any(not t.met for t in self.thresholds)
        return 1 if missed or self.drops or self.figures.failed_checks else 0

    @property
    def reason(self) -> str:
        """Why nothing could be judged, and what to do; empty when something could."""
        if self.exit_status != 3:
            return ""
        if self.figures.harness_errors:
            kinds = ", ".join(sorted(set(self.figures.harness_errors)))
            return f"The harness broke ({kinds}): report it with the Locust log beside this report."
        return self.figures.generator_problem or (
            "No journey came to its end while the run lasted. Give it more time (duration_s, or "
            "-- --run-time 1m), or ask for less (bulk_members, [downloads] repeat)."
        )

    @property
    def verdict(self) -> str:
        """pass, fail, or error when nothing was measured."""
        return {0: "pass", 1: "fail"}.get(self.exit_status, "error")

    def as_json(self) -> dict[str, Any]:
        """The content of load-results.json."""
        return {
            "schema": SCHEMA,
            "scenario": self.scenario,
            "title": self.title,
            "target": self.target,
            "verdict": self.verdict,
            "started": self.started,
            "duration_s": round(self.duration_s, 3),
            "machine": dict(self.machine),
            "model": self.model,
            "knee_per_s": _rounded(self.knee_per_s),
            "bulk_members": self.bulk_members,
            "faults": list(self.faults),
            "thresholds": [asdict(t) for t in self.thresholds],
            "drops": [asdict(d) for d in self.drops],
            **self.figures.as_json(),
        }


def _anything(figures: Figures) -> bool:
    """Whether a journey ended or a request failed: else there is nothing to judge by."""
    return bool(figures.journeys[0] or _failures(figures.timed))


def _failures(measures: Iterable[Measure]) -> int:
    return sum(m.failures for m in measures)


def _rate(amount: float, seconds: float) -> float | None:
    return amount / seconds if seconds else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
