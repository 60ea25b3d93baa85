"""The floors under load, one after the other in one run, each against a payer started for it.

Prints one JSON line for each scenario of `benchmarks/load`: its thresholds, what was measured, and
the margin. The yardstick is a fixed piece of work, done on this machine right before and right
after: how many times a second a searchset of 50 entries is read and written as JSON. A machine that
is slow at that is slow at all of it; compare figures at equal yardsticks.
Run: python benchmarks/floors.py [--only kick-off] [--reports DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from payer_exchange.cli.load_target import load_target
from payer_exchange.load.running import LoadRequest, run_load
from payer_exchange.load.spreading import Spread

HERE = Path(__file__).parent / "load"
YARDSTICK_S = 1.0


@dataclass(frozen=True, slots=True)
class Floor:
    """A scenario, the payer that it is run against, and the processes that make its load."""

    scenario: str
    payer: tuple[str, ...]
    processes: int = 1


FLOORS = (
    Floor("downloads", ("--members", "1000", "--tls", "test")),
    Floor("downloads-8", ("--members", "1000", "--tls", "test"), 2),
    Floor("kick-off", ("--members", "500", "--limits", str(HERE / "limits.toml"))),
    Floor("everything", ("--members", "100")),
)


def round_trips() -> float:
    """How many times a second this machine reads and writes a searchset of 50 entries."""
    codes = [{"system": "http://loinc.org", "code": str(n)} for n in range(5)]
    entries = [{"resource": {"id": str(n), "code": {"coding": codes}}} for n in range(50)]
    text = json.dumps({"resourceType": "Bundle", "entry": entries})
    begun, count = time.perf_counter(), 0
    while (took := time.perf_counter() - begun) < YARDSTICK_S:
        json.dumps(json.loads(text))
        count += 1
    return count / took


def measure(floor: Floor, reports: Path) -> dict[str, Any]:
    """One scenario against its payer."""
    with load_target(None, "", floor.payer) as target:
        before = round_trips()
        found = run_load(
            LoadRequest(
                str(HERE / f"{floor.scenario}.toml"),
                target.config,
                report_dir=reports / floor.scenario,
                spread=Spread(floor.processes),
                target_pid=target.pid,
            )
        )
        after = round_trips()
    return {
        "benchmark": f"floor, {floor.scenario}",
        "thresholds": [asdict(t) for t in found.thresholds],
        "met": found.exit_status == 0,
        "problem": found.reason,
        "yardstick": "JSON round trips a second",
        "yardstick_per_s": round(statistics.fmean([before, after])),
    }


def main() -> int:
    """Measure and print; 1 when a floor is missed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", choices=[floor.scenario for floor in FLOORS])
    parser.add_argument("--reports", type=Path, help="Where the reports are kept.")
    options = parser.parse_args()
    all_met = True
    with TemporaryDirectory() as passing:
        for floor in FLOORS:
            if options.only in (None, floor.scenario):
                found = measure(floor, options.reports or Path(passing))
                print(json.dumps(found), flush=True)
                all_met &= bool(found["met"])
    return 0 if all_met else 1


if __name__ == "__main__":
    sys.exit(main())
