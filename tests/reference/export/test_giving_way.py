"""A job gives way to one that began after it, to requests, and to nobody for good."""

from __future__ import annotations

import threading

from payer_exchange.reference.clock import SystemClock
from payer_exchange.reference.export import jobs as jobs_module
from payer_exchange.reference.export.jobs import COMPLETE, EXPORT, ExportJobs
from payer_exchange.reference.store.database import open_data_dir


def test_the_job_that_began_first_gives_way(tmp_path, monkeypatch):
    gave_way, both, order = [], threading.Barrier(2), []
    monkeypatch.setattr(jobs_module.time, "sleep", lambda _: gave_way.append(running.ident))
    running = threading.local()

    def work(job, writer, _tell):
        running.ident = job.id
        order.append(job.id)
        both.wait(10)
        # Each looks once whether it is still wanted, while both are under way.
        writer.go_on()
        both.wait(10)
        return {}

    jobs = ExportJobs(open_data_dir(tmp_path, "jobs"), tmp_path / "files", SystemClock(),
                      {EXPORT: work})  # fmt: skip
    first = jobs.start("client", "http://x/$export", {})
    while not order:
        threading.Event().wait(0.001)
    second = jobs.start("client", "http://x/$export", {})
    jobs.close()
    assert order == [first.id, second.id]
    assert set(gave_way) == {first.id}
    assert {jobs.find(job.id, "client").state for job in (first, second)} == {COMPLETE}


def test_a_job_lets_requests_go_first_and_gets_on_all_the_same(tmp_path, monkeypatch):
    slept, answering = [], iter([True, True, False, *[True] * 10])
    monkeypatch.setattr(jobs_module.time, "sleep", slept.append)

    def work(_job, writer, _tell):
        writer.go_on()  # until nobody is answered any more
        counts.append(len(slept))
        writer.go_on()  # somebody always is
        counts.append(len(slept))
        return {}

    counts: list[int] = []
    jobs = ExportJobs(open_data_dir(tmp_path, "jobs"), tmp_path / "files", SystemClock(),
                      {EXPORT: work})  # fmt: skip
    jobs.answering = lambda: next(answering, False)
    job = jobs.start("client", "http://x/$export", {})
    jobs.close()
    assert counts == [2, 12]
    assert jobs.find(job.id, "client").state == COMPLETE
