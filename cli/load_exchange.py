"""LT9: both payers at once, and the full exchange of many members between them, proved whole."""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib.resources import as_file, files
from pathlib import Path

from rich.console import Console

from ..load.figures import JOB, Figures, LoadResults, Measure
from ..load.running import machine, write_results
from ..load.thresholds import Thresholds, read_thresholds
from ..reference.fhir import json
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


def run_exchange(members: int, report_dir: Path, thresholds: Path | None) -> LoadResults:
    """Move so many members from a simulated payer to another, and judge how long it took.

    The responding payer has a process of its own; the requesting one and the checks share this
    one. Raises SettingsError for a thresholds file that is wrong.
    """
    limits = _limits(thresholds)
    report_dir.mkdir(parents=True, exist_ok=True)
    started = datetime.now(UTC)
    figures, seconds = _figures(_moved(members))
    results = LoadResults(
        SCENARIO, "http://127.0.0.1", started.isoformat(timespec="seconds"), seconds,
        figures, limits.judge(figures), machine(),
        title=f"{members:,} members in one batch, from one simulated payer to another.",
    )  # fmt: skip
    write_results(report_dir, results)
    return results


def _limits(thresholds: Path | None) -> Thresholds:
    if thresholds:
        return read_thresholds(thresholds)
    with as_file(files("payer_exchange.load") / f"{SCENARIO}.toml") as shipped:
        return read_thresholds(shipped)


def _moved(members: int) -> Proof:
    with load_target(None, "", ("--members", str(members))) as target:
        requester = start_requester(RequesterOptions(archive_mode="binary"))
        try:
            return move_many(_source(target.config), requester, members, Console(stderr=True))
        finally:
            requester.close()


def _source(config: Path) -> Source:
    """The simulated payer of a settings file, with the population that it has told of."""
    settings = read_settings(config)
    truth = json.read(settings.path(settings.members.file).read_bytes())
    population = Population(
        truth["seed"], len(truth["members"]), date.fromisoformat(truth["as_of"])
    )
    registration = registration_from(settings, truth["responding_payer"])
    return Source(settings.target.fhir_base, registration, lambda: truth, population)


def _figures(proof: Proof) -> tuple[Figures, float]:
    """The exchange as one journey, and a check for each thing that has to hold."""
    stored = int(proof.summary["stored"])
    job = _measure("measure", JOB, "ms", 1, 0, proof.seconds, stored)
    wrong = {
        "outcomes-are-the-truth": proof.wrong_outcomes.total(),
        "digests-are-equal": proof.unequal_digests,
        "no-line-is-another-members": proof.foreign_markers,
        "nothing-is-turned-away": sum(proof.summary["turned_away"].values()),
    }
    checks = (
        _measure("check", name, "verdict", proof.members, failed, 0.0, 0)
        for name, failed in wrong.items()
    )
    return Figures((job, *checks)), proof.seconds


def _measure(
    kind: str, name: str, unit: str, count: int, failures: int, seconds: float, resources: int
) -> Measure:
    ms = round(seconds * 1000, 3)
    return Measure(
        kind, name, unit, count, failures, seconds, 0, resources, ms, ms, ms, ms, ms, ms, ms, ms
    )
