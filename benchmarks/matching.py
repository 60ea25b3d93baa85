"""One JSON line: member matches a second, and what share of bare database reads that is.

The yardstick is two point reads by key through the bare driver on the same table in the same run,
so that the ratio can be compared between machines. Run: python benchmarks/matching.py [members]
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from payer_exchange.reference.matching import MemberRegistry, load_strategy
from payer_exchange.reference.matching.bench import run_bench
from payer_exchange.reference.store.database import open_database

_READS = 40_000
_SEED = 1


def measure(members: int, requests: int) -> dict[str, object]:
    """Return the figures of the default strategy on a SQLite file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "registry.sqlite"
        engine = open_database(f"sqlite:///{path}")
        registry = MemberRegistry(engine)
        strategy = load_strategy("strict")
        report = run_bench(strategy, registry, members=members, requests=requests, seed=_SEED)
        registry.close()
        engine.dispose()
        yardstick = two_point_reads_per_s(path)
    return {
        "benchmark": "matching",
        "members": report.members,
        "requests": report.requests,
        "matches_per_s": report.matches_per_s,
        "p99_ms": report.p99_ms,
        "recall": report.recall,
        "false_matches": report.false_matches,
        "yardstick": "two sqlite3 point reads",
        "yardstick_per_s": round(yardstick, 1),
        "ratio": round(report.matches_per_s / yardstick, 4),
    }


def two_point_reads_per_s(path: Path) -> float:
    """Return how many pairs of reads by key the bare driver does in a second, in mixed order."""
    connection = sqlite3.connect(path)
    keys = connection.execute("SELECT member_key FROM matching_member").fetchall()
    step = 7919  # a prime: every key is visited, neighbours never in a row
    order = [keys[i * step % len(keys)] for i in range(2 * _READS)]
    sql = "SELECT profile FROM matching_member WHERE member_key = ?"
    started = time.perf_counter()
    for key in order:
        connection.execute(sql, key).fetchall()
    elapsed = time.perf_counter() - started
    connection.close()
    return _READS / elapsed


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    print(json.dumps(measure(size, 20_000)))
