"""How fast a requesting payer takes in what bulk exports brought, against bare inserts.

Prints one JSON line. Each part is the export of one matched Group, with the members' resources
mixed in one file a type; timed are archive, checks, sorting by member, rewriting, Provenance,
ledger, store and links. The yardstick is sqlite3's executemany of the same lines into one table
with one key, in the same minute.
Run: python benchmarks/intake.py [members] [members a Group] [worker processes]
"""

from __future__ import annotations

import json
import resource
import sqlite3
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.fhir.ndjson import file_lines
from payer_exchange.reference.intake.bulk import BulkIntake, BulkMember, BulkRetrieved
from payer_exchange.reference.intake.bulk_ledger import BulkLedger
from payer_exchange.reference.intake.ledger import Ledger
from payer_exchange.reference.intake.quarantine import Quarantine
from payer_exchange.reference.intake.stages import IntakeSettings
from payer_exchange.reference.intake.staging import Staging
from payer_exchange.reference.intake.transform import TAG_SYSTEM
from payer_exchange.reference.population import Population
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.store.facts import stored_line
from payer_exchange.reference.store.repository import Repository, Stored

BASE = "https://old-plan.example/fhir"
NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


def main() -> int:
    """Measure and print."""
    given = [int(text) for text in sys.argv[1:]]
    members, group, workers = (*given, *(1000, 1000, 1)[len(given) :])
    with TemporaryDirectory(dir=Path.cwd()) as name:
        print(json.dumps(measured(Path(name), members, group, workers)))
    return 0


def measured(folder: Path, members: int, group: int, workers: int) -> dict[str, object]:
    """The figures of all parts together."""
    clock, engine = MovableClock(NOW), open_data_dir(folder / "payer", "intake")
    repository, ledger = Repository(engine), Ledger(engine)
    intake = BulkIntake(
        repository, ledger, BulkLedger(engine), Quarantine(engine), clock,
        IntakeSettings("own", TAG_SYSTEM, "binary"), workers=workers,
    )  # fmt: skip
    taken, bare, lines, size = {"archived": 0.0, "stored": 0.0, "linked": 0.0}, 0.0, 0, 0
    peaks, cpu = [], []
    for start in range(0, members, group):
        indices = range(start, min(start + group, members))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside:
            part = aside.submit(export, folder / f"part-{start}", indices).result()
        repository.put_many(local_patients(part.members))
        bare += yardstick(folder, part)
        busy = time.process_time()
        for stage, seconds in take_in(intake, part, folder / f"part-{start}"):
            taken[stage] += seconds
        cpu.append(time.process_time() - busy)
        lines += sum(file.lines for file in part.files)
        size += sum((folder / f"part-{start}" / f.name).stat().st_size for f in part.files)
        Staging(folder / f"part-{start}").discard()
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
    intake.close()
    spent, worked = sum(taken.values()), sum(cpu)
    return {
        "benchmark": "intake",
        "members": members,
        "members_a_group": group,
        "workers": workers,
        "resources": lines,
        "mb": round(size / 1e6),
        "resources_per_s": round(lines / spent),
        "resources_per_s_without_archive": round(lines / (spent - taken["archived"])),
        "resources_per_cpu_s_of_the_writer": round(lines / worked),
        "seconds": {stage: round(seconds, 2) for stage, seconds in taken.items()},
        "yardstick_inserts_per_s": round(lines / bare),
        "ratio_to_yardstick": round(bare / spent, 3),
        "peak_mb_after_first_group": peaks[0],
        "peak_mb": peaks[-1],
    }


def export(folder: Path, indices: range) -> BulkRetrieved:
    """The files of one matched Group's export."""
    population, staging = Population(seed=1, members=indices.stop), Staging(folder)
    patients, streams = [], {}
    shared = population.shared()
    own = (entry for index in indices for entry in population.record(index).entries)
    for kind, ident, body in (*shared, *((e.kind, e.id, e.body) for e in own)):
        if kind not in streams:
            streams[kind] = (folder / f"{kind}.made").open("wb")
        streams[kind].write(body + b"\n")
        if kind == "Patient":
            patients.append(ident)
    for kind, stream in sorted(streams.items()):
        stream.close()
        staging.take(kind, [(folder / f"{kind}.made").read_bytes()], count=None)
        (folder / f"{kind}.made").unlink()
    members = tuple(BulkMember(f"p2p-batch-1.{p}", p, f"local-{p}"[:64]) for p in patients)
    return BulkRetrieved("p2p-batch-1", BASE, BASE, "old", BASE, "2027-01-15T12:00:00.000Z",
                         members, tuple(staging.files))  # fmt: skip


def local_patients(members: tuple[BulkMember, ...]) -> Iterator[Stored]:
    """This payer's own Patients."""
    for member in members:
        body = json.dumps({"resourceType": "Patient", "id": member.local_patient}).encode()
        yield stored_line(body, now=NOW)


def take_in(intake: BulkIntake, part: BulkRetrieved, folder: Path) -> Iterator[tuple[str, float]]:
    """The seconds of each stage."""
    spent, last = [], [time.perf_counter()]

    def reached(stage: str) -> None:
        spent.append((stage, time.perf_counter() - last[0]))
        last[0] = time.perf_counter()

    def refuse(refused: object) -> None:
        assert not refused, "every member of the benchmark has a Patient"

    intake.run(part, folder, "retrieved", reached, refuse)
    yield from spent


def yardstick(folder: Path, part: BulkRetrieved) -> float:
    """The seconds that bare inserts of the same lines take, with the same durability."""
    path = folder / "bare.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE bare (n INTEGER PRIMARY KEY, body BLOB)")
    names = [file.name for file in part.files]
    lines = ((line,) for name in names for line in file_lines(folder_of(folder, part) / name))
    start = time.perf_counter()
    with connection:
        connection.executemany("INSERT INTO bare (body) VALUES (?)", lines)
    spent = time.perf_counter() - start
    connection.close()
    for left in folder.glob("bare.sqlite*"):
        left.unlink()
    return spent


def folder_of(folder: Path, part: BulkRetrieved) -> Path:
    """Where the files of a part lie."""
    return next(p for p in folder.glob("part-*") if (p / part.files[0].name).exists())


if __name__ == "__main__":
    sys.exit(main())
