"""Export jobs: rows that survive the process, worker threads that do them, files that are whole.

A file is written under another name, synced and renamed, and only then named in the manifest, so a
manifest never points at half a file. A job found unfinished when the payer starts goes on from its
last checkpoint, or is done again. Clients take turns, whoever has how many jobs.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from ..clock import Clock, instant
from ..event_log import tell
from ..fhir import json
from ..fhir.dates import parse_moment
from ..store.scan import last_seq
from ..store.tables import create_tables
from .files import FileLimits, JobCancelled, NdjsonWriter, WrittenFile
from .rows import ACCEPTED, COMPLETE, FAILED, RUNNING, Job, JobMembers, JobRows

__all__ = [
    "ACCEPTED", "COMPLETE", "EXPORT", "FAILED", "KEEP_FOR", "RUNNING", "ExportJobs", "FileLimits",
    "Job", "JobCancelled", "JobMembers", "NdjsonWriter", "Work", "WrittenFile",
]  # fmt: skip

_log = logging.getLogger(__name__)

KEEP_FOR = timedelta(hours=24)
EXPORT = "export"
# How often a run looks whether its job is still there: well below the five seconds promised.
_LOOK_AFTER_S = 1.0
# So long a job stops now and then for one that began after it, which is likely to be smaller.
_COURTESY_S = 0.003
# And so often one after the other while requests are answered: it gets on all the same.
_MOST_COURTESY = 10

Work = Callable[[Job, NdjsonWriter, Callable[[str], None]], Mapping[str, Any]]


class ExportJobs:
    """The jobs of one payer, and the threads that do them.

    `works` has the work of each kind of job: it writes the files and returns the rest of the
    job's result. `elsewhere` is told of each new job, and answers whether other processes do it.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Path,
        clock: Clock,
        works: Mapping[str, Work],
        *,
        threads: int = 2,
        limits: FileLimits | None = None,
        elsewhere: Callable[[], bool] | None = None,
    ) -> None:
        self._engine = engine
        create_tables(engine)
        self._rows = JobRows(engine)
        self._folder = folder
        self._clock = clock
        self._works = works
        self._limits = limits
        self._elsewhere = elsewhere or (lambda: False)
        self.answering: Callable[[], bool] = lambda: False
        """Whether a request is being answered in this process: jobs let it go first."""
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="export")
        self._deleted: set[str] = set()
        self._under_way: list[str] = []
        self._polls: dict[str, datetime] = {}
        self._lock = threading.Lock()

    @property
    def engine(self) -> Engine:
        """The database that the jobs stand in."""
        return self._engine

    def start(
        self,
        client_id: str,
        request: str,
        content: Mapping[str, Any],
        *,
        kind: str = EXPORT,
        submitted: bytes | None = None,
    ) -> Job:
        """Write the job down, then let a thread or another process do it; returns it as accepted.

        `submitted` is kept beside the job until it ends: what was sent to be worked on.
        """
        self.sweep()
        ident = secrets.token_hex(16)
        if submitted is not None:
            self._keep_submitted(ident, submitted)
        job = self._rows.add(
            ident, kind, client_id, request, content,
            created=self._clock.now(), bound=last_seq(self._engine),
        )  # fmt: skip
        self._offer()
        return job

    def resume(self) -> int:
        """Let what a stopped process left unfinished go on; returns how many jobs that is."""
        self.sweep()
        waiting = self._rows.give_back()
        for _ in range(waiting):
            self._offer()
        return waiting

    def do_next(self, ticket: str = "") -> bool:
        """Do one job, the next in turn, in this thread; False when none waits.

        A ticket given again takes up the job that it was given for and that never ended.
        """
        job = self._rows.take(ticket)
        if job is not None:
            self._run(job)
        return job is not None

    def sweep(self) -> int:
        """Remove the jobs whose results have expired, files and all; returns how many."""
        expired = self._rows.expired(self._clock.now())
        for job in expired:
            self.remove(job)
        return len(expired)

    def find(self, job_id: str, client_id: str) -> Job | None:
        """The client's job with that id; None when there is none or its results have expired."""
        found = self._rows.of(client_id, job_id)
        if found and found[0].expires and self._expired(found[0]):
            self.remove(found[0])
            return None
        return found[0] if found else None

    def running(self, client_id: str) -> int:
        """How many jobs of a client are not finished."""
        return self._rows.unfinished(client_id)

    def of(self, client_id: str) -> list[Job]:
        """Every job of a client."""
        return self._rows.of(client_id)

    def polled_too_soon(self, job: Job, wait: timedelta) -> bool:
        """Whether this poll comes before the wait that the last answer asked for."""
        now = self._clock.now()
        with self._lock:
            last = self._polls.get(job.id)
            self._polls[job.id] = now
        # Half the wait is forgiven: clocks and schedulers are not exact.
        return last is not None and now - last < wait / 2

    def remove(self, job: Job) -> None:
        """Cancel or release a job: its row and its files are gone when this returns.

        Whoever does it, in this process or another, stops within seconds.
        """
        with self._lock:
            self._deleted.add(job.id)
            self._polls.pop(job.id, None)
        self._rows.remove(job)
        shutil.rmtree(self._folder / job.id, ignore_errors=True)
        self.submitted(job).unlink(missing_ok=True)

    def submitted(self, job: Job) -> Path:
        """The path of what was submitted with a job that has not ended."""
        return self._submitted(job.id)

    def file(self, job: Job, name: str) -> Path | None:
        """The path of a file that the job's manifest names, or None."""
        if name not in {entry["name"] for entry in job.result.get("files", [])}:
            return None
        return self._folder / job.id / name

    def close(self) -> None:
        """Stop taking jobs and wait for those that run."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _offer(self) -> None:
        if not self._elsewhere():
            self._pool.submit(self.do_next)

    def _submitted(self, ident: str) -> Path:
        return self._folder / f"{ident}.submitted"

    def _keep_submitted(self, ident: str, content: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._submitted(ident).open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())

    def _run(self, job: Job) -> None:
        self._under_way.append(job.id)
        try:
            self._do(job)
        finally:
            self._under_way.remove(job.id)

    def _give_way(self, job: Job) -> None:
        """Let requests and the job begun last get on: threads of one interpreter take turns."""
        if self._under_way[-1:] != [job.id]:
            time.sleep(_COURTESY_S)
        for _ in range(_MOST_COURTESY):
            if not self.answering():
                return
            time.sleep(_COURTESY_S)

    def _do(self, job: Job) -> None:
        gone = _Gone(self._rows, job, self._deleted, self._give_way)
        try:
            files, result = self._work(job, gone)
        except JobCancelled:
            self._clear(job)
        except Exception as error:  # noqa: BLE001 - whatever broke, the job must end and say so
            if gone.now():  # its folder was taken away under it
                self._clear(job)
                return
            # The type alone: a message could hold what was read.
            tell(_log, logging.ERROR, "job-failed", job=job.id, error=type(error).__name__)
            # What was written names no file that anybody could ask for.
            shutil.rmtree(self._folder / job.id, ignore_errors=True)
            self._finish(job, FAILED, {"files": []})
        else:
            listed = [
                {"type": f.type, "name": f.name, "count": f.count, "role": f.role} for f in files
            ]
            plain = {name: value for name, value in result.items() if name != "members"}
            self._finish(job, COMPLETE, {**plain, "files": listed})

    def _work(self, job: Job, gone: _Gone) -> tuple[list[WrittenFile], Mapping[str, Any]]:
        writer = NdjsonWriter(self._folder / job.id, job.run, gone, self._limits)
        try:
            result = self._works[job.kind](job, writer, lambda text: self._tell(job, text))
            return writer.finish(), result
        finally:
            writer.close()

    def _tell(self, job: Job, progress: str) -> None:
        if job.id in self._deleted or not self._rows.update(job, progress=progress):
            raise JobCancelled

    def _finish(self, job: Job, state: str, result: Mapping[str, Any]) -> None:
        told = self._rows.update(
            job,
            state=state,
            progress=state,
            expires=instant(self._clock.now() + KEEP_FOR),
            result=json.write(result).decode(),
        )
        if not told:
            for entry in result["files"]:
                (self._folder / job.id / entry["name"]).unlink(missing_ok=True)
            self._clear(job)
        elif state in (COMPLETE, FAILED):
            self.submitted(job).unlink(missing_ok=True)

    def _clear(self, job: Job) -> None:
        """Take away what a run wrote that is over; everything, when its job is gone."""
        if self._rows.exists(job):
            shutil.rmtree(self._folder / job.id / job.run, ignore_errors=True)
        else:
            shutil.rmtree(self._folder / job.id, ignore_errors=True)

    def _expired(self, job: Job) -> bool:
        moment = parse_moment(job.expires)
        return moment is not None and self._clock.now() >= moment


class _Gone:
    """Whether a run is over before its end: its job deleted here or elsewhere, or taken over."""

    def __init__(
        self, rows: JobRows, job: Job, deleted: set[str], give_way: Callable[[Job], None]
    ) -> None:
        self._rows, self._job, self._deleted = rows, job, deleted
        self._give_way = give_way
        self._looked = time.monotonic()

    def __call__(self) -> bool:
        """The same as `now`, but the database is asked once a second at most.

        It is asked for each piece of a file, so that the job gives way here.
        """
        self._give_way(self._job)
        if self._job.id in self._deleted:
            return True
        if time.monotonic() - self._looked < _LOOK_AFTER_S:
            return False
        return self.now()

    def now(self) -> bool:
        self._looked = time.monotonic()
        return self._job.id in self._deleted or not self._rows.is_mine(self._job)
