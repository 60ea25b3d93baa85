"""Export jobs: rows that survive the process, worker threads that do them, files that are whole.

A file is written under another name, synced and renamed, and only then named in the manifest, so a
manifest never points at half a file. A job found unfinished when the payer starts is done again.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from sqlalchemy import (
    Column,
    Engine,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from ..clock import Clock, instant
from ..fhir import json
from ..fhir.dates import parse_moment

_log = logging.getLogger(__name__)

ACCEPTED, RUNNING, COMPLETE, FAILED = "accepted", "running", "complete", "failed"
KEEP_FOR = timedelta(hours=24)
EXPORT = "export"

_METADATA = MetaData()
_JOB = Table(
    "export_job",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("client_id", String, nullable=False, index=True),
    Column("request", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("progress", String, nullable=False),
    Column("created", String, nullable=False),
    Column("transaction_time", String, nullable=False),
    Column("expires", String, nullable=False),
    Column("result", Text, nullable=False),
)


class JobCancelled(Exception):
    """The job was deleted while it was being done."""


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands in the database; `kind` says which work does it."""

    id: str
    kind: str
    client_id: str
    request: str
    content: Mapping[str, Any]
    state: str
    progress: str
    created: datetime
    transaction_time: str
    expires: str
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file of a finished job."""

    type: str
    name: str
    count: int


class NdjsonWriter:
    """The files of one job, one a type; nothing is visible before `finish`."""

    def __init__(self, folder: Path, cancelled: Callable[[], bool]) -> None:
        self._folder = folder
        self._cancelled = cancelled
        self._open: dict[str, IO[bytes]] = {}
        self._counts: dict[str, int] = {}
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)

    def write(self, kind: str, line: bytes) -> None:
        """Add one resource; raises JobCancelled once the job has been deleted."""
        if kind not in self._open:
            self._open[kind] = (self._folder / f"{kind}.part").open("wb", buffering=1 << 18)
            self._counts[kind] = 0
        if self._cancelled():
            self.close()
            raise JobCancelled
        self._open[kind].write(line if b"\n" not in line else json.write(json.read_exact(line)))
        self._open[kind].write(b"\n")
        self._counts[kind] += 1

    def finish(self) -> list[WrittenFile]:
        """Sync and rename every file; returns them by type."""
        files = []
        for kind, stream in sorted(self._open.items()):
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
            # The name says nothing and cannot be guessed from another one.
            name = f"{secrets.token_hex(16)}.ndjson"
            (self._folder / f"{kind}.part").rename(self._folder / name)
            files.append(WrittenFile(kind, name, self._counts[kind]))
        self._open = {}
        return files

    def close(self) -> None:
        """Close what is open without keeping it."""
        for stream in self._open.values():
            stream.close()


Work = Callable[[Job, NdjsonWriter, Callable[[str], None]], Mapping[str, Any]]


class ExportJobs:
    """The jobs of one payer, and the threads that do them.

    `works` has the work of each kind of job: it writes the files and returns the rest of the
    job's result.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        clock: Clock,
        works: Mapping[str, Work],
        *,
        threads: int = 2,
    ) -> None:
        self._engine = engine
        self._folder = folder
        self._clock = clock
        self._works = works
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="export")
        self._deleted: set[str] = set()
        self._polls: dict[str, datetime] = {}
        self._lock = threading.Lock()
        _METADATA.create_all(engine)

    def start(
        self,
        client_id: str,
        request: str,
        content: Mapping[str, Any],
        *,
        kind: str = EXPORT,
        submitted: bytes | None = None,
    ) -> Job:
        """Write the job down, then let a thread do it; returns it as accepted.

        `submitted` is kept beside the job until it ends: what was sent to be worked on.
        """
        self.sweep()
        now = self._clock.now()
        job = Job(secrets.token_hex(16), kind, client_id, request, content, ACCEPTED, "accepted",
                  now, instant(now), "", {})  # fmt: skip
        if submitted is not None:
            self._keep_submitted(job, submitted)
        with self._engine.begin() as connection:
            connection.execute(
                insert(_JOB).values(
                    id=job.id,
                    kind=kind,
                    client_id=client_id,
                    request=request,
                    content=json.write(content).decode(),
                    state=ACCEPTED,
                    progress=job.progress,
                    created=job.transaction_time,
                    transaction_time=job.transaction_time,
                    expires="",
                    result="{}",
                )
            )
        self._pool.submit(self._run, job)
        return job

    def resume(self) -> int:
        """Do again what a stopped process left unfinished; returns how many jobs that is."""
        self.sweep()
        statement = select(_JOB).where(_JOB.c.state.in_([ACCEPTED, RUNNING]))
        with self._engine.connect() as connection:
            jobs = [_job(row) for row in connection.execute(statement).mappings()]
        for job in jobs:
            self._pool.submit(self._run, job)
        return len(jobs)

    def sweep(self) -> int:
        """Remove the jobs whose results have expired, files and all; returns how many."""
        now = instant(self._clock.now())
        statement = select(_JOB).where(_JOB.c.expires != "", _JOB.c.expires <= now)
        with self._engine.connect() as connection:
            expired = [_job(row) for row in connection.execute(statement).mappings()]
        for job in expired:
            self.remove(job)
        return len(expired)

    def find(self, job_id: str, client_id: str) -> Job | None:
        """The client's job with that id; None when there is none or its results have expired."""
        statement = select(_JOB).where(_JOB.c.id == job_id, _JOB.c.client_id == client_id)
        with self._engine.connect() as connection:
            row = connection.execute(statement).mappings().first()
        job = _job(row) if row else None
        if job and job.expires and self._expired(job):
            self.remove(job)
            return None
        return job

    def running(self, client_id: str) -> int:
        """How many jobs of a client are not finished."""
        statement = select(_JOB.c.id).where(
            _JOB.c.client_id == client_id, _JOB.c.state.in_([ACCEPTED, RUNNING])
        )
        with self._engine.connect() as connection:
            return len(connection.execute(statement).all())

    def of(self, client_id: str) -> list[Job]:
        """Every job of a client."""
        statement = select(_JOB).where(_JOB.c.client_id == client_id)
        with self._engine.connect() as connection:
            return [_job(row) for row in connection.execute(statement).mappings()]

    def polled_too_soon(self, job: Job, wait: timedelta) -> bool:
        """Whether this poll comes before the wait that the last answer asked for."""
        now = self._clock.now()
        with self._lock:
            last = self._polls.get(job.id)
            self._polls[job.id] = now
        # Half the wait is forgiven: clocks and schedulers are not exact.
        return last is not None and now - last < wait / 2

    def remove(self, job: Job) -> None:
        """Cancel or release a job: its row and its files are gone when this returns."""
        with self._lock:
            self._deleted.add(job.id)
            self._polls.pop(job.id, None)
        with self._engine.begin() as connection:
            connection.execute(delete(_JOB).where(_JOB.c.id == job.id))
        shutil.rmtree(self._folder / job.id, ignore_errors=True)
        self.submitted(job).unlink(missing_ok=True)

    def submitted(self, job: Job) -> Path:
        """The path of what was submitted with a job that has not ended."""
        return self._folder / f"{job.id}.submitted"

    def _keep_submitted(self, job: Job, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self.submitted(job).open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    def file(self, job: Job, name: str) -> Path | None:
        """The path of a file that the job's manifest names, or None."""
        if name not in {entry["name"] for entry in job.result.get("files", [])}:
            return None
        return self._folder / job.id / name

    def close(self) -> None:
        """Stop taking jobs and wait for those that run."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, job: Job) -> None:
        try:
            writer = NdjsonWriter(self._folder / job.id, lambda: job.id in self._deleted)
            self._update(job, state=RUNNING, progress="in progress")
            with _closing(writer):
                result = self._works[job.kind](
                    job, writer, lambda text: self._update(job, progress=text)
                )
                files = writer.finish()
        except JobCancelled:
            shutil.rmtree(self._folder / job.id, ignore_errors=True)
            return
        except Exception as error:  # noqa: BLE001 - whatever broke, the job must end and say so
            if job.id in self._deleted:  # its folder was taken away under it
                shutil.rmtree(self._folder / job.id, ignore_errors=True)
                return
            # The type alone: a message could hold what was read.
            _log.error("an export failed: %s", type(error).__name__)
            # What was written names no file that anybody could ask for.
            shutil.rmtree(self._folder / job.id, ignore_errors=True)
            self._finish(job, FAILED, {"files": []})
            return
        listed = [{"type": f.type, "name": f.name, "count": f.count} for f in files]
        self._finish(job, COMPLETE, {**result, "files": listed})

    def _finish(self, job: Job, state: str, result: Mapping[str, Any]) -> None:
        self._update(
            job,
            state=state,
            progress=state,
            expires=instant(self._clock.now() + KEEP_FOR),
            result=json.write(result).decode(),
        )
        self.submitted(job).unlink(missing_ok=True)
        if job.id in self._deleted:
            shutil.rmtree(self._folder / job.id, ignore_errors=True)

    def _update(self, job: Job, **values: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(_JOB).where(_JOB.c.id == job.id).values(**values))

    def _expired(self, job: Job) -> bool:
        moment = parse_moment(job.expires)
        return moment is not None and self._clock.now() >= moment


@contextmanager
def _closing(writer: NdjsonWriter) -> Iterator[None]:
    try:
        yield
    finally:
        writer.close()


def _job(row: RowMapping) -> Job:
    created = parse_moment(row["created"])
    assert created is not None
    return Job(
        id=row["id"],
        kind=row["kind"],
        client_id=row["client_id"],
        request=row["request"],
        content=json.read(row["content"]),
        state=row["state"],
        progress=row["progress"],
        created=created,
        transaction_time=row["transaction_time"],
        expires=row["expires"],
        result=json.read(row["result"]),
    )
