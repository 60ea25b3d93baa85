"""Exports done by worker processes on a PostgreSQL: the death of one loses and doubles nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from payer_exchange.reference.consent import ConsentDecision
from payer_exchange.reference.export.jobs import COMPLETE, RUNNING, Job
from payer_exchange.reference.matches import NewMatch
from payer_exchange.simulators.assembly import RunningResponder, start_responder
from payer_exchange.simulators.responder_options import ResponderOptions
from sqlalchemy import text

pytest.importorskip("procrastinate", reason="The extra postgresql is not installed.")
CLIENT = "requesting-payer"
# Short, so that a dead worker is soon missed.
HEARTBEAT = "0.5"


@pytest.fixture(scope="module")
def database(new_database: Callable[[str], str]) -> str:
    return new_database("workers")


@pytest.fixture(scope="module")
def payer(database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningResponder]:
    folder = tmp_path_factory.mktemp("payer")
    running = start_responder(ResponderOptions(members=3, database=database, data_dir=folder))
    yield running
    running.close()


@contextmanager
def worker(database: str, folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """A worker process that says when it is ready; its connections bear its name."""
    command = [
        sys.executable, "-m", "payer_exchange.cli", "simulate", "responding-payer",
        "--workers-only", "--data-dir", str(folder), "--heartbeat", HEARTBEAT,
        "--database", f"{database}&application_name={name}",
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    line = process.stderr.readline()
    assert line.startswith("Doing exports"), line + process.stderr.read()
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stderr.close()


def wait_for(found: Callable[[], Any], what: str) -> Any:
    """What is found in the end; the other process tells nobody when it gets there."""
    pause = threading.Event()
    for _ in range(600):
        if result := found():
            return result
        pause.wait(0.05)
    raise AssertionError(f"waited in vain: {what}")


def matched(payer: RunningResponder) -> list[str]:
    """The members, all matched by the client."""
    members = sorted(payer.payer.repository.some_ids("Patient", 10))
    now = payer.payer.clock.now()
    granted = ConsentDecision(
        granted=True,
        policy="regular",
        start=(now - timedelta(days=1)).isoformat(),
        end=(now + timedelta(days=1)).isoformat(),
    )
    found = [NewMatch(member, ("s", member), granted) for member in members]
    payer.payer.matches.keep_many(CLIENT, found, now)
    return members


def start(payer: RunningResponder, members: list[str]) -> Job:
    content = {"pairs": [], "members": members, "scopes": ["system/*.rs"], "lenient": False}
    return payer.payer.jobs.start(CLIENT, "http://x/$export", content)


def ended(payer: RunningResponder, job: Job) -> Job:
    def complete() -> Job | None:
        found = payer.payer.jobs.find(job.id, CLIENT)
        assert found is not None
        return found if found.state not in ("accepted", "running") else None

    found = wait_for(complete, "an export")
    assert found.state == COMPLETE
    return found


def lines(payer: RunningResponder, job: Job) -> Counter[str]:
    """Every resource of a job's files by type and id; each file as long as it is said to be."""
    found: Counter[str] = Counter()
    for listed in job.result["files"]:
        path = payer.payer.jobs.file(job, listed["name"])
        assert path is not None
        content = path.read_bytes()
        assert content.endswith(b"\n")
        resources = [orjson.loads(line) for line in content.splitlines()]
        assert len(resources) == listed["count"]
        found.update(f"{r['resourceType']}/{r['id']}" for r in resources)
    return found


def blocked_worker(payer: RunningResponder) -> Callable[[], str | None]:
    def find() -> str | None:
        statement = (
            "SELECT application_name FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND application_name LIKE 'worker%'"
        )
        with payer.payer.jobs.engine.connect() as connection:
            return connection.execute(text(statement)).scalar()

    return find


def test_an_export_outlives_the_worker_that_began_it(
    payer: RunningResponder, database: str
) -> None:
    members = matched(payer)
    # Without workers the payer does it itself: what all others must be like.
    expected = lines(payer, ended(payer, start(payer, members)))
    assert set(expected.values()) == {1}
    folder = payer.payer.settings.data_dir
    with (
        worker(database, folder, "worker_a") as a,
        worker(database, folder, "worker_b") as b,
    ):
        with payer.payer.jobs.engine.begin() as lock:
            # Whoever takes up the job comes no further than to asking for consents.
            lock.execute(text("LOCK TABLE member_match IN ACCESS EXCLUSIVE MODE"))
            job = start(payer, members)
            name = wait_for(blocked_worker(payer), "a worker in the middle of the job")
            running = payer.payer.jobs.find(job.id, CLIENT)
            assert running is not None
            assert running.state == RUNNING
            killed = a if name == "worker_a" else b
            killed.kill()
            killed.wait(30)
        done = ended(payer, job)
    assert done.run != running.run
    assert lines(payer, done) == expected
    # Nothing of the dead one's is left beside what the manifest names.
    kept = sorted(path.name for path in (folder / "exports" / job.id).iterdir())
    assert kept == sorted(listed["name"] for listed in done.result["files"])


def test_a_job_that_is_deleted_stops_in_the_worker(payer: RunningResponder, database: str) -> None:
    members, folder = matched(payer), payer.payer.settings.data_dir
    with worker(database, folder, "worker_c"):
        with payer.payer.jobs.engine.begin() as lock:
            lock.execute(text("LOCK TABLE member_match IN ACCESS EXCLUSIVE MODE"))
            job = start(payer, members)
            wait_for(blocked_worker(payer), "a worker in the middle of the job")
            payer.payer.jobs.remove(job)
        # One after the other: when the next is done, the worker has left the deleted one.
        done = ended(payer, start(payer, members))
    assert done.result["files"]
    assert payer.payer.jobs.find(job.id, CLIENT) is None
    assert not (folder / "exports" / job.id).exists()
