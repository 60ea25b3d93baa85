"""LT9: both payers at once, and the full exchange of many members between them, proved whole."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from rich.console import Console

from ..load.figures import DOWNLOAD, INTAKE, JOB, Figures, LoadResults, Measure
from ..load.histogram import PERCENTILES, quantile
from ..load.running import machine, write_results
from ..load.thresholds import Thresholds, read_thresholds
from ..reference.fhir import json
from ..reference.fhir.dates import parse_moment
from ..reference.population.population import Population
from ..reference.settings import read_settings
from ..simulators.requesting_assembly import (
    RequesterOptions,
    registration_from,
    start_requester,
)
from .exchange_many import Proof, Source, move_many
from .load_target import load_target

SCENARIO = "LT9"


def run_exchange(
    members: int, batch: int, report_dir: Path, thresholds: Path | None
) -> LoadResults:
    """Move so many members from a simulated payer to another, and judge how long it took.

    They go in parts of at most `batch` members, the next one fetched while one is stored.

    The responding payer has a process of its own; the requesting one and the checks share this
    one. Raises SettingsError for a thresholds file that is wrong.
    """
    limits = _limits(thresholds)
    report_dir.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC)
    with load_target(None, "", ("--members", str(members))) as target:
        moved = move(source_of(target.config), members, batch)
    figures = moved.figures()
    results = LoadResults(
        SCENARIO, "http://127.0.0.1", started.isoformat(timespec="seconds"), moved.proof.seconds,
        figures, limits.judge(figures), machine(), bulk_members=moved.bulk_members,
        title=f"{members:,} members in parts of {batch:,}, from one simulated payer to another.",
    )  # fmt: skip
    write_results(report_dir, results)
    return results


def _limits(thresholds: Path | None) -> Thresholds:
    if thresholds:
        return read_thresholds(thresholds)
    with as_file(files("payer_exchange.load") / f"{SCENARIO}.toml") as shipped:
        return read_thresholds(shipped)


def move(source: Source, members: int, batch: int) -> Moved:
    """Move so many members of a payer to a requesting one of this process, and prove it."""
    requester = start_requester(RequesterOptions(archive_mode="binary", batch_size=batch))
    try:
        proof = move_many(source, requester, members, Console(stderr=True))
        return Moved(proof, requester.payer.audit.records(proof.batch))
    finally:
        requester.close()


def source_of(config: Path) -> Source:
    """The simulated payer of a settings file, with the population that it has told of."""
    settings = read_settings(config)
    truth = json.read(settings.path(settings.members.file).read_bytes())
    population = Population(
        truth["seed"], len(truth["members"]), date.fromisoformat(truth["as_of"])
    )
    registration = registration_from(settings, truth["responding_payer"])
    return Source(settings.target.fhir_base, registration, lambda: truth, population)


@dataclass(frozen=True, slots=True)
class Moved:
    """One batch that was moved, what came of it, and the phases that it went through."""

    proof: Proof
    phases: Sequence[Mapping[str, Any]]
    """Records of the audit log."""

    @property
    def bulk_members(self) -> int:
        """Members of a bulk match, on average."""
        return round(self.proof.members / max(1, len(self._of("member-match"))))

    def figures(self) -> Figures:
        """The exchange as one journey and by its steps, and a check for each thing to hold."""
        stored, received = (int(self.proof.summary[name]) for name in ("stored", "received"))
        matches, exports = self._of("member-match"), self._of("export")
        waits = [float(record["details"].get("waited_s", 0.0)) for record in exports]
        downloads = [s - waited for s, waited in zip(_seconds(exports), waits, strict=True)]
        return Figures((
            _timed(JOB, [self.proof.seconds], stored),
            _timed("bulk-match-job", _seconds(matches)),
            _timed("time-to-manifest", waits),
            _timed(DOWNLOAD, downloads, received),
            _timed(INTAKE, _seconds(self._of("storage")), stored),
            *self._checks(),
        ))  # fmt: skip

    def _checks(self) -> Iterator[Measure]:
        proof = self.proof
        wrong = {
            "outcomes-are-the-truth": proof.wrong_outcomes.total(),
            "digests-are-equal": proof.unequal_digests,
            "no-line-is-another-members": proof.foreign_markers,
            "nothing-is-turned-away": sum(proof.summary["turned_away"].values()),
        }
        for name, failed in wrong.items():
            yield Measure("check", name, "verdict", proof.members, failed)

    def _of(self, phase: str) -> list[Mapping[str, Any]]:
        return [r for r in self.phases if (r["phase"], r["event"]) == (phase, "phase")]


def _seconds(phases: Iterable[Mapping[str, Any]]) -> list[float]:
    took = ((parse_moment(r["started"]), parse_moment(r["ended"])) for r in phases)
    return [(ended - started).total_seconds() for started, ended in took if started and ended]


def _timed(name: str, seconds: Sequence[float], resources: int = 0) -> Measure:
    """One measure of so many values, its percentiles those of the values themselves."""
    ms = [round(s * 1000, 3) for s in seconds]
    counts = Counter(ms)
    mean = round(statistics.fmean(ms), 3) if ms else None
    p50, p90, p95, p99, p999 = (quantile(counts, share) for share in PERCENTILES.values())
    return Measure(
        "measure", name, "ms", len(ms), 0, sum(seconds), 0, resources, mean,
        min(ms, default=None), p50, p90, p95, p99, p999, max(ms, default=None),
    )  # fmt: skip
