"""How fast a responding payer exports: from its store to whole files, and in how much memory.

Prints one JSON line. Members are copies of some of the population, each with ids of its own. The
yardstick selects the same bytes from the same SQLite file and writes them, deciding nothing.
Run: python benchmarks/export.py [--members 10000] [--resources 100] [--folder DIR] [--rounds 2]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from payer_exchange.reference.audit import AuditLog
from payer_exchange.reference.clock import SystemClock
from payer_exchange.reference.consent import ConsentDecision
from payer_exchange.reference.export.jobs import EXPORT, ExportJobs
from payer_exchange.reference.export.release import Releases
from payer_exchange.reference.export.scope import DataScope, decided
from payer_exchange.reference.export.work import ExportWork
from payer_exchange.reference.matches import Matches, NewMatch
from payer_exchange.reference.population import Population
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.store.facts import stored_line
from payer_exchange.reference.store.repository import Repository, Stored

CLIENT = "benchmark"
NOW = datetime(2027, 1, 15, tzinfo=UTC)
MODELS = 40


def models(resources: int) -> tuple[list[list[Stored]], list[Stored]]:
    """Records of so many resources each, and what they share."""
    population, records = Population(1, 400, date(2027, 1, 1)), list[list[Stored]]()
    shared: dict[tuple[str, str], Stored] = {}
    for index in range(400):
        kept = [decided(stored_line(b, now=NOW)) for _, _, b in population.record(index).resources]
        own = [r for r in kept if r.compartment]
        if len(own) >= resources and len(records) < MODELS:
            records.append(own[:resources])
    for _, _, body in population.resources():
        found = stored_line(body, now=NOW)
        if not found.compartment:
            shared[found.type, found.id] = decided(found)
    return records, list(shared.values())


def copies(records: list[list[Stored]], members: int) -> Iterator[Stored]:
    """Members with records like the models', under ids of their own."""
    for number in range(members):
        for found in records[number % len(records)]:
            old, new = found.compartment, f"x{number:07d}"
            yield replace(
                found,
                id=found.id.replace(old, new),
                compartment=new,
                body=found.body.replace(old.encode(), new.encode()),
                released=found.released and found.released.replace(old.encode(), new.encode()),
                references=tuple((kind, i.replace(old, new)) for kind, i in found.references),
            )


def make(folder: Path, members: int, resources: int) -> None:
    """A store of members whom the client has matched."""
    engine = open_data_dir(folder, "payer")
    repository, matches = Repository(engine), Matches(engine)
    records, shared = models(resources)
    repository.put_many(shared)
    batch: list[Stored] = []
    for found in copies(records, members):
        batch.append(found)
        if len(batch) == 20_000:
            repository.put_many(batch)
            batch.clear()
    repository.put_many(batch)
    granted = ConsentDecision(
        granted=True,
        policy="regular",
        start="2020-01-01T00:00:00Z",
        end="2099-01-01T00:00:00Z",
    )
    names = (f"x{number:07d}" for number in range(members))
    matches.keep_many(CLIENT, [NewMatch(n, ("s", n), granted) for n in names], NOW)
    engine.dispose()


def jobs_of(folder: Path, **options: Any) -> ExportJobs:
    """The export jobs of a payer over the store in the folder."""
    engine, clock = open_data_dir(folder, "payer"), SystemClock()
    releases = Releases(Repository(engine), DataScope(), "http://x/fhir")
    log = AuditLog(engine, "responding", clock)
    work = ExportWork(releases, Matches(engine), log, clock, "payer")
    return ExportJobs(engine, folder / "exports", clock, {EXPORT: work.write}, **options)


def export(folder: Path) -> dict[str, Any]:
    """Export everybody, and tell how long it took and how much memory."""
    jobs = jobs_of(folder, elsewhere=lambda: True)
    with sqlite3.connect(folder / "payer.sqlite") as plain:
        names = [m for (m,) in plain.execute("SELECT member FROM member_match ORDER BY member")]
    content = {"pairs": [], "members": names, "scopes": ["system/*.rs"], "lenient": False}
    started = jobs.start(CLIENT, "http://x/$export", content)
    names.clear()
    begin, cpu = time.perf_counter(), time.process_time()
    jobs.do_next()
    took, cpu = time.perf_counter() - begin, time.process_time() - cpu
    job = jobs.find(started.id, CLIENT)
    assert job is not None
    assert job.state == "complete", job.state
    size = sum(path.stat().st_size for path in (folder / "exports" / job.id).iterdir())
    count = sum(entry["count"] for entry in job.result["files"])
    jobs.remove(job)
    return {"resources": count, "bytes": size, "s": took, "cpu_s": cpu, "peak_mb": peak_mb()}


def peak_mb() -> int:
    """The most memory this process held; the child of a big one begins with its parent's peak."""
    status = Path("/proc/self/status")
    if status.is_file():
        [line] = [x for x in status.read_text().splitlines() if x.startswith("VmHWM")]
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def bare(folder: Path) -> dict[str, Any]:
    """The same bytes by sqlite3 alone: selected by compartment, written by type."""
    plain = sqlite3.connect(folder / "payer.sqlite")
    (folder / "bare").mkdir(exist_ok=True)
    begin, cpu, files, count = time.perf_counter(), time.process_time(), {}, 0
    sql = "SELECT type, body FROM resource WHERE compartment != '' ORDER BY compartment, type, seq"
    for kind, body in plain.execute(sql):
        if kind not in files:
            files[kind] = (folder / "bare" / kind).open("wb", buffering=1 << 18)
        files[kind].write(body + b"\n")
        count += 1
    for stream in files.values():
        stream.flush()
        os.fsync(stream.fileno())
        stream.close()
    return {"resources": count, "s": time.perf_counter() - begin,
            "cpu_s": time.process_time() - cpu}  # fmt: skip


def child(step: str, folder: Path) -> dict[str, Any]:
    """A step in a process of its own, so that its memory is its own."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(folder)]
    answer = subprocess.run(command, check=True, capture_output=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def measure(folder: Path, members: int, resources: int, rounds: int) -> dict[str, Any]:
    """Both in turn, so many times; the best of each."""
    if not (folder / "payer.sqlite").is_file():
        make(folder, members, resources)
    found = [(child("export", folder), child("bare", folder)) for _ in range(rounds)]
    ours = [a["resources"] / a["s"] for a, _ in found]
    theirs = [b["resources"] / b["s"] for _, b in found]
    cpu = [a["resources"] / a["cpu_s"] for a, _ in found]
    return {
        "benchmark": "export",
        "members": members,
        "resources": found[0][0]["resources"],
        "megabytes": round(found[0][0]["bytes"] / 1e6),
        "per_s": round(max(ours)),
        "per_cpu_s": round(max(cpu)),
        "peak_mb": max(a["peak_mb"] for a, _ in found),
        "yardstick": "sqlite3 alone, selecting and writing the same bytes",
        "yardstick_per_s": round(max(theirs)),
        "ratio": round(max(ours) / max(theirs), 3),
    }


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=10_000)
    parser.add_argument("--resources", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="Kept, and used again if it is filled.")
    parser.add_argument("--step", choices=["export", "bare"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps((export if options.step == "export" else bare)(options.folder)))
        return 0
    with TemporaryDirectory() as passing:
        folder = options.folder or Path(passing)
        print(json.dumps(measure(folder, options.members, options.resources, options.rounds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
