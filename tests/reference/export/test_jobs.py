"""Export jobs: rows and files that survive a crash, and are gone when they should be."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from payer_exchange.reference.export import jobs as jobs_module
from payer_exchange.reference.export.jobs import (
    COMPLETE,
    EXPORT,
    FAILED,
    KEEP_FOR,
    RUNNING,
    ExportJobs,
    JobCancelled,
)
from payer_exchange.reference.store.database import open_data_dir


class World:
    """Jobs on one database; `work` is what a job does."""

    def __init__(self, folder, clock):
        self.folder, self.clock, self.made = folder, clock, []
        self.work = self.two_lines
        self.jobs = self.start()

    def start(self):
        """The jobs of a process that has just started."""
        engine = open_data_dir(self.folder, "payer")
        made = ExportJobs(engine, self.folder / "exports", self.clock,
                          {EXPORT: lambda *a: self.work(*a)}, threads=1)  # fmt: skip
        self.made.append((made, engine))
        return made

    @staticmethod
    def two_lines(job, writer, progress):
        writer.write("Patient", b'{"resourceType":"Patient","id":"1"}')
        progress("half of it")
        writer.write("Goal", b'{"resourceType":"Goal",\n "x":1.50}')
        return {"tally": {"released": {"Patient": 1}}}

    def done(self, jobs=None):
        (jobs or self.jobs)._pool.submit(int).result(timeout=20)

    def files(self):
        return sorted(p for p in (self.folder / "exports").rglob("*") if p.is_file())

    def close(self):
        for jobs, engine in self.made:
            jobs.close()
            engine.dispose()


@pytest.fixture
def world(tmp_path, clock):
    made = World(tmp_path, clock)
    yield made
    made.close()


def test_a_finished_job_names_whole_files(world):
    started = world.jobs.start("c", "http://x/$export", {"a": 1})
    assert started.transaction_time == "2027-01-15T12:00:00.000Z"
    world.done()
    job = world.jobs.find(started.id, "c")
    assert (job.state, job.request, job.content) == (COMPLETE, "http://x/$export", {"a": 1})
    assert [(f["type"], f["count"]) for f in job.result["files"]] == [("Goal", 1), ("Patient", 1)]
    assert job.result["tally"] == {"released": {"Patient": 1}}
    bodies = {f["type"]: world.jobs.file(job, f["name"]).read_bytes() for f in job.result["files"]}
    assert bodies == {
        # One resource a line, whatever line breaks it came with; the decimal as it was.
        "Goal": b'{"resourceType":"Goal","x":1.50}\n',
        "Patient": b'{"resourceType":"Patient","id":"1"}\n',
    }
    assert not [p for p in world.files() if p.suffix == ".part"]
    for name in ("Patient.part", "../x", "", job.result["files"][0]["name"] + "/", "Patient"):
        assert world.jobs.file(job, name) is None


def test_nothing_is_named_or_whole_before_the_end(world):
    seen, go = [], threading.Event()

    def work(job, writer, progress):
        world.two_lines(job, writer, progress)
        writer.checkpoint({})
        seen.append(world.jobs.find(job.id, "c"))
        seen.append([p.suffix for p in world.files()])
        go.set()
        return {}

    world.work = work
    world.jobs.start("c", "r", {})
    world.done()
    assert go.is_set()
    running, suffixes = seen
    assert (running.state, running.progress) == (RUNNING, "half of it")
    assert running.result == {}
    assert sorted(suffixes) == [".json", ".part", ".part"]


@pytest.mark.parametrize("broken", [ValueError, OSError, MemoryError, KeyError])
def test_work_that_breaks_is_told_and_leaves_no_file(world, broken):
    def work(job, writer, progress):
        writer.write("Patient", b"{}")
        raise broken("PHI of somebody")

    world.work = work
    started = world.jobs.start("c", "r", {})
    world.done()
    job = world.jobs.find(started.id, "c")
    assert (job.state, job.result["files"]) == (FAILED, [])
    assert "somebody" not in repr(job)
    assert world.files() == []
    assert world.jobs.running("c") == 0


def test_a_folder_that_cannot_be_made_fails_the_job(world):
    world.folder.joinpath("exports").write_text("a file where a folder should be")
    started = world.jobs.start("c", "r", {})
    world.done()
    assert world.jobs.find(started.id, "c").state == FAILED


def test_what_a_stopped_process_left_is_done_again(world):
    reached, go = threading.Event(), threading.Event()

    def stuck(job, writer, progress):
        writer.write("Patient", b'{"half":')
        reached.set()
        go.wait(20)
        raise JobCancelled

    world.work = stuck
    first = world.jobs.start("c", "r", {"n": 1})
    waiting = world.jobs.start("c", "r", {"n": 2})
    assert reached.wait(20)
    assert world.jobs.find(first.id, "c").state == RUNNING
    # The process dies here: its row stays `running`, its file half.
    world.work = world.two_lines
    after = world.start()
    assert after.resume() == 2
    world.done(after)
    for started in (first, waiting):
        job = after.find(started.id, "c")
        assert job.state == COMPLETE
        assert job.transaction_time == started.transaction_time
        for listed in job.result["files"]:
            assert after.file(job, listed["name"]).read_bytes().count(b"\n") == listed["count"]
    assert after.resume() == 0
    world.jobs._deleted.update({first.id, waiting.id})
    go.set()


@pytest.mark.parametrize("moment", ["before", "during", "after"])
def test_a_deleted_job_leaves_no_row_and_no_file(world, moment):
    reached, go = threading.Event(), threading.Event()

    def work(job, writer, progress):
        writer.write("Patient", b"{}")
        reached.set()
        go.wait(20)
        for _ in range(1000):
            writer.write("Patient", b"{}")
        return {}

    world.work = work
    if moment == "before":
        world.jobs.start("other", "r", {})
    started = world.jobs.start("c", "r", {})
    if moment == "during":
        assert reached.wait(20)
    if moment == "after":
        go.set()
        world.done()
    world.jobs.remove(started)
    assert world.jobs.find(started.id, "c") is None
    go.set()
    world.done()
    assert world.jobs.find(started.id, "c") is None
    assert not (world.folder / "exports" / started.id).exists()
    assert world.jobs.running("c") == 0


def test_a_job_is_its_clients_alone(world):
    started = world.jobs.start("c", "r", {})
    world.done()
    for ident, client in ((started.id, "d"), ("none", "c"), (started.id[:-1], "c"), ("%", "c")):
        assert world.jobs.find(ident, client) is None
    assert [j.id for j in world.jobs.of("c")] == [started.id]
    assert world.jobs.of("d") == []


def test_results_end_when_they_said_they_would(world, clock):
    started = world.jobs.start("c", "r", {})
    world.done()
    assert world.jobs.find(started.id, "c").expires == "2027-01-16T12:00:00.000Z"
    clock.advance(KEEP_FOR - timedelta(seconds=1))
    assert world.jobs.find(started.id, "c") is not None
    clock.advance(1)
    assert world.jobs.find(started.id, "c") is None
    assert world.files() == []


def test_expired_results_go_even_when_nobody_asks(world, clock):
    started = world.jobs.start("c", "r", {})
    world.done()
    clock.advance(KEEP_FOR)
    world.jobs.start("d", "r", {})
    assert world.jobs.of("c") == []
    world.done()
    assert all(started.id not in str(path) for path in world.files())
    clock.advance(KEEP_FOR)
    world.start().resume()
    assert world.files() == []


def test_polls_that_come_too_soon_are_told(world, clock):
    job, wait = world.jobs.start("c", "r", {}), timedelta(seconds=10)
    assert not world.jobs.polled_too_soon(job, wait)
    assert world.jobs.polled_too_soon(job, wait)
    clock.advance(10)
    assert not world.jobs.polled_too_soon(job, wait)


def test_ids_and_names_cannot_be_guessed(world):
    found = [world.jobs.start("c", "r", {}) for _ in range(5)]
    world.done()
    names = [f["name"] for j in found for f in world.jobs.find(j.id, "c").result["files"]]
    # 128 bits each, in hexadecimal.
    assert all(len(j.id) == 32 for j in found)
    assert all(len(name.removesuffix(".ndjson")) == 32 for name in names)
    assert len(set(names)) == 10


def test_what_was_submitted_is_there_for_the_work_and_gone_after_it(world):
    seen = []
    world.work = lambda job, *_: seen.append(world.jobs.submitted(job).read_bytes()) or {}
    started = world.jobs.start("c", "http://x", {}, submitted=b"one member a line")
    world.done()
    assert seen == [b"one member a line"]
    assert not world.jobs.submitted(started).exists()


def test_a_job_deleted_by_another_process_stops_in_the_middle_of_its_writing(world, monkeypatch):
    monkeypatch.setattr(jobs_module, "_LOOK_AFTER_S", 0.0)
    elsewhere, written, ended = world.start(), [], []

    def work(job, writer, progress):
        elsewhere.remove(job)
        try:
            for number in range(10):
                writer.write("Goal", b"x" * 300_000)
                written.append(number)
        except JobCancelled:
            ended.append(True)
            raise
        return {}

    world.work = work
    started = world.jobs.start("c", "r", {})
    world.done()
    assert (written, ended) == ([], [True])
    assert not (world.folder / "exports" / started.id).exists()
