"""How good a strategy is: measured on a population's requests, of which many must be refused.

A bench in which every request has an answer hides every false match, so this one has none such.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any

from ..population.adversarial import AdversarialRequest, adversarial_requests
from ..population.population import Population
from .deciding import decide
from .strategy import Decision, MatchRequest, MatchStrategy, Registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .registry import MemberRegistry

# Seeds of people and requests differ, so that no draw of the one repeats in the other.
_REQUEST_SEED_OFFSET = 1_000_003
_SAMPLED_MEMBERS = 25
_BATCH = 1000


@dataclass(slots=True)
class Tally:
    """What came of the requests so far."""

    true_requests: int = 0
    negatives: int = 0
    right: int = 0
    false_matches: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    nanoseconds: array[int] = field(default_factory=lambda: array("q"))

    def add(self, asked: AdversarialRequest, decision: Decision, nanoseconds: int) -> None:
        """Count one decision; somebody else's key is a false match, whoever was asked for."""
        self.nanoseconds.append(nanoseconds)
        if asked.expected_key is None:
            self.negatives += 1
        else:
            self.true_requests += 1
        if decision.member_key is None:
            self.refusals[decision.reason] += 1
            if asked.expected_key is not None:
                self.missed["+".join(asked.noise) or "no noise"] += 1
        elif decision.member_key == asked.expected_key:
            self.right += 1
        else:
            self.false_matches[asked.kind] += 1


@dataclass(frozen=True, slots=True)
class BenchReport:
    """The figures of one run; rates are of one thread, without making or parsing the requests."""

    strategy: str
    version: str
    members: int
    requests: int
    seed: int
    true_requests: int
    negatives: int
    precision: float
    recall: float
    f1: float
    false_matches: int
    false_matches_by_kind: dict[str, int]
    false_match_upper_bound: float
    refusals_by_reason: dict[str, int]
    missed_by_noise: dict[str, int]
    matches_per_s: float
    p50_ms: float
    p99_ms: float

    def as_json(self) -> dict[str, Any]:
        """Return the figures as JSON values."""
        return asdict(self)


def enrol_population(registry: MemberRegistry, population: Population) -> None:
    """Guarantee that every person of the population is enrolled; one already filled is left."""
    if not _holds(registry, population):
        people = population.people()
        registry.enrol_many((p.key, p.patient(), p.coverage_dicts()) for p in people)


def _holds(registry: MemberRegistry, population: Population) -> bool:
    """A million members take minutes to enrol: a file of an earlier run is recognised."""
    if registry.count() != population.members:
        return False
    step = max(1, population.members // _SAMPLED_MEMBERS)
    sampled = (population.person(index) for index in range(0, population.members, step))
    return all(
        person.key in {m.key for m in registry.by_member_id(None, person.member_id)}
        and registry.block(birth_date=person.birth_date.isoformat(), family=person.name.family)
        for person in sampled
    )


def run_bench(
    strategy: MatchStrategy, registry: MemberRegistry, *, members: int, requests: int, seed: int
) -> BenchReport:
    """Return the figures of a strategy against a population enrolled into the registry."""
    population = Population(seed=seed, members=members)
    enrol_population(registry, population)
    asked = adversarial_requests(population, requests, seed + _REQUEST_SEED_OFFSET)
    tally = tally_decisions(strategy, registry, asked)
    return _report(strategy, tally, population.members, seed)


def tally_decisions(
    strategy: MatchStrategy, registry: Registry, requests: Iterable[AdversarialRequest]
) -> Tally:
    """Return the counts and the time that each decision took."""
    tally = Tally()
    stream = iter(requests)
    # By the thousand, as a bulk job reads them: making a request between any two decisions would
    # be timed as the decision's cold caches.
    while batch := list(islice(stream, _BATCH)):
        for asked in batch:
            started = time.perf_counter_ns()
            # Made inside the clock: normalising what was sent is part of every match.
            request = MatchRequest(asked.patient, asked.coverage)
            decision = decide(request, registry, strategy)
            tally.add(asked, decision, time.perf_counter_ns() - started)
    return tally


def _report(strategy: MatchStrategy, tally: Tally, members: int, seed: int) -> BenchReport:
    wrong = tally.false_matches.total()
    precision = _share(tally.right, tally.right + wrong)
    recall = _share(tally.right, tally.true_requests)
    times = sorted(tally.nanoseconds)
    return BenchReport(
        strategy=strategy.name,
        version=strategy.version,
        members=members,
        requests=len(times),
        seed=seed,
        true_requests=tally.true_requests,
        negatives=tally.negatives,
        precision=round(precision, 6),
        recall=round(recall, 6),
        f1=round(_share(2 * precision * recall, precision + recall), 6),
        false_matches=wrong,
        false_matches_by_kind=dict(tally.false_matches.most_common()),
        false_match_upper_bound=_upper_bound(wrong, tally.negatives),
        refusals_by_reason=dict(tally.refusals.most_common()),
        missed_by_noise=dict(tally.missed.most_common(12)),
        matches_per_s=round(_share(len(times) * 1e9, sum(times)), 1),
        p50_ms=_percentile(times, 0.50),
        p99_ms=_percentile(times, 0.99),
    )


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _upper_bound(wrong: int, negatives: int) -> float:
    """Return about the 95 % upper bound of the false-match share: 3 in n when none was seen."""
    if not negatives:
        return 1.0
    return min(1.0, (wrong + 1.96 * math.sqrt(wrong) + 3) / negatives)


def _percentile(times: list[int], share: float) -> float:
    if not times:
        return 0.0
    return round(times[min(len(times) - 1, int(share * len(times)))] / 1e6, 4)
