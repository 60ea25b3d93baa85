"""How fast members are made, against a yardstick run in the same minute on the same core.

Prints one JSON line. The yardstick serialises one prebuilt dict of the mean resource's size over
and over: what a generator could reach if thinking cost nothing.
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import orjson
from payer_exchange.reference.population import Population

if TYPE_CHECKING:
    from collections.abc import Callable

MEMBERS = 2_000
PEOPLE = 60_000
ROUNDS = 3


def timed(work: Callable[[], int]) -> float:
    """Return the best rate of the rounds: the least disturbed one tells the most."""
    best = 0.0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        done = work()
        best = max(best, done / (time.perf_counter() - start))
    return best


def typical(records: list[list[tuple[str, str, bytes]]]) -> tuple[dict[str, object], float]:
    """Return a held resource of about the mean size, and that size."""
    bodies = sorted((body for record in records for _, _, body in record), key=len)
    mean = sum(map(len, bodies)) / len(bodies)
    return orjson.loads(min(bodies, key=lambda body: abs(len(body) - mean))), mean


def main() -> int:
    """Measure and print."""
    population = Population(seed=1, members=MEMBERS)
    crowd = Population(seed=1, members=PEOPLE)
    resource, mean = typical([population.record(index).resources for index in range(300)])

    def serialise() -> int:
        count = 200_000
        for _ in range(count):
            orjson.dumps(resource)
        return count

    def write_records() -> int:
        return sum(len(population.record(index).entries) for index in range(MEMBERS))

    people = timed(lambda: sum(1 for _ in crowd.people()))
    resources = timed(write_records)
    yardstick = timed(serialise)
    report = {
        "benchmark": "population",
        "people_per_s": round(people),
        "resources_per_s": round(resources),
        "mean_resource_bytes": round(mean),
        "yardstick_dumps_per_s": round(yardstick),
        "ratio_to_yardstick": round(resources / yardstick, 3),
        "people_ratio_to_yardstick": round(people / yardstick, 4),
    }
    print(json.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
