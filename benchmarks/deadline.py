"""Whether everybody is done when the plan says: many batches, from the rates of a few.

Prints one JSON line for each pair of runs. A few batches are moved between two simulated
payers, the responding one in a process of its own; from their rates the plan predicts how long
many take, and they are moved. The yardstick is the prediction: a ratio of 1 is a plan that holds.
Run: python benchmarks/deadline.py [--batch 100] [--few 6] [--many 12] [--pairs 2]
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from payer_exchange.cli.exchange_many import Source
from payer_exchange.cli.load_exchange import move, source_of
from payer_exchange.cli.load_target import load_target
from payer_exchange.load.planner import Rates, measured_rates, plan, steps_of


def rates_of(source: Source, batch: int, few: int) -> tuple[Rates, float]:
    """What so many batches tell, and the resources of a member."""
    moved = move(source, batch * few, batch)
    figures = moved.figures()
    told = figures.as_json() | {"bulk_members": moved.bulk_members}
    resources = sum(m.resources for m in figures.timed if m.name == "intake")
    return Rates(**measured_rates(told)), resources / (batch * few)


def measure(source: Source, batch: int, few: int, many: int) -> dict[str, Any]:
    """The seconds of many batches, and those that the rates of a few predict."""
    rates, resources = rates_of(source, batch, few)
    predicted = plan(batch * many, batch, steps_of(rates, batch, resources))
    found = move(source, batch * many, batch)
    return {
        "benchmark": "deadline",
        "members": batch * many,
        "batch": batch,
        "seconds": round(found.proof.seconds, 2),
        "yardstick": f"the plan from the rates of {few} batches; the pace: {predicted.pace}",
        "yardstick_s": round(predicted.seconds, 2),
        "ratio": round(found.proof.seconds / predicted.seconds, 3),
    }


def main() -> int:
    """Start the responding payer, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--few", type=int, default=6)
    parser.add_argument("--many", type=int, default=12)
    parser.add_argument("--pairs", type=int, default=2)
    options = parser.parse_args()
    members = str(options.batch * options.many)
    with load_target(None, "", ("--members", members)) as target:
        source = source_of(target.config)
        for _ in range(options.pairs):
            print(json.dumps(measure(source, options.batch, options.few, options.many)), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
