"""How much longer a small export takes while a large one runs.

Prints one JSON line. The yardstick is the small export alone, in the same run; a ratio of 1 would
be a payer on which the large one weighs nothing.
Run: python benchmarks/fairness.py [--members 4000] [--few 20] [--rounds 25] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from export import CLIENT, jobs_of, make
from payer_exchange.reference.export.jobs import COMPLETE

# As a payer that answers requests has it.
SWITCH_S = 0.0002


class Payer:
    """The exports of one client over a store of members."""

    def __init__(self, folder: Path) -> None:
        self.jobs = jobs_of(folder)

    def begin(self, members: int) -> str:
        """Kick off an export of the first so many members."""
        names = [f"x{number:07d}" for number in range(members)]
        content = {"pairs": [], "members": names, "scopes": ["system/*.rs"], "lenient": False}
        return self.jobs.start(CLIENT, "http://x/$export", content).id

    def ended(self, ident: str) -> bool:
        """Whether a job has come to its end."""
        job = self.jobs.find(ident, CLIENT)
        assert job is not None
        return job.state == COMPLETE

    def seconds(self, members: int) -> float:
        """How long an export takes, from its kick-off to its manifest."""
        begin, ident = time.perf_counter(), self.begin(members)
        while not self.ended(ident):
            time.sleep(0.002)  # as a client that waits, and not one that keeps the payer busy
        return time.perf_counter() - begin


def measure(folder: Path, members: int, few: int, rounds: int) -> dict[str, Any]:
    """The small export alone and beside the large one, so many times each."""
    if not (folder / "payer.sqlite").is_file():
        make(folder, members, 100)
    payer = Payer(folder)
    payer.seconds(few)  # what is read for the first time is no part of either
    alone = [payer.seconds(few) for _ in range(rounds)]
    large, beside = payer.begin(members), list[float]()
    while len(beside) < rounds and not payer.ended(large):
        beside.append(payer.seconds(few))
    shorter = payer.ended(large)
    payer.jobs.close()
    if shorter:
        raise SystemExit("The large export ended too soon. Give more --members.")
    ratio = statistics.median(beside) / statistics.median(alone)
    return {
        "benchmark": "fairness",
        "members": members,
        "few": few,
        "ms": round(statistics.median(beside) * 1000, 1),
        "most_ms": round(max(beside) * 1000, 1),
        "yardstick": "the same export alone",
        "yardstick_ms": round(statistics.median(alone) * 1000, 1),
        "ratio": round(ratio, 2),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=4000)
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--folder", type=Path, help="Kept, and used again if it is filled.")
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH_S)
    with TemporaryDirectory() as passing:
        folder = options.folder or Path(passing)
        print(json.dumps(measure(folder, options.members, options.few, options.rounds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
