"""Failed authentications: counted by id, for all processes, and forgotten after the window."""

from __future__ import annotations

import threading

import pytest
from payer_exchange.reference.limits import Limits
from payer_exchange.reference.trust.attempts import FailedAttempts

LIMITS = Limits(failed_authentications=3, authentication_window_s=60)


def fail(store, clock, times, client="a"):
    for _ in range(times):
        store.add(client, clock.now())


def test_the_last_failure_that_is_allowed_is_no_reason_to_wait(engine, clock):
    store = FailedAttempts(engine, LIMITS)
    fail(store, clock, 2)
    assert store.wait_s("a", clock.now()) == 0
    fail(store, clock, 1)
    assert store.wait_s("a", clock.now()) == 60
    assert store.wait_s("b", clock.now()) == 0


def test_the_wait_ends_when_the_oldest_that_counts_is_out_of_the_window(engine, clock):
    store = FailedAttempts(engine, LIMITS)
    for _ in range(3):
        fail(store, clock, 1)
        clock.advance(10)
    assert store.wait_s("a", clock.now()) == 30
    clock.advance(29)
    assert store.wait_s("a", clock.now()) == 1
    clock.advance(1)
    assert store.wait_s("a", clock.now()) == 0
    fail(store, clock, 1)
    assert store.wait_s("a", clock.now()) == 10


def test_another_process_counts_along_and_a_restart_forgets_nothing(engines, clock):
    stores = [FailedAttempts(engine, LIMITS) for engine in engines]
    for store in (stores[0], stores[1], stores[0]):
        store.add("a", clock.now())
    assert [s.wait_s("a", clock.now()) for s in stores] == [60, 60]
    assert FailedAttempts(engines[1], LIMITS).wait_s("a", clock.now()) == 60


def test_no_failure_of_many_at_once_is_lost(engines, clock):
    limits = Limits(failed_authentications=40)
    stores = [FailedAttempts(engine, limits) for engine in engines]
    start = threading.Barrier(40)

    def run(store):
        start.wait(20)
        store.add("a", clock.now())

    threads = [threading.Thread(target=run, args=(stores[i % 2],)) for i in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert stores[0].wait_s("a", clock.now()) == 60


def test_old_failures_are_swept_and_no_id_is_kept_in_words(engine, clock, tmp_path):
    store = FailedAttempts(engine, LIMITS)
    fail(store, clock, 3, client="an-id-of-a-stranger")
    clock.advance(60)
    fail(store, clock, 1, client="another-id")
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT count(*) FROM failed_authentication").scalar()
    assert rows == 1
    engine.dispose()
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert b"another-id" not in kept
    assert b"an-id-of-a-stranger" not in kept


def test_the_limit_can_be_switched_off(engine, clock):
    store = FailedAttempts(engine, Limits(failed_authentications=0))
    fail(store, clock, 5)
    assert store.wait_s("a", clock.now()) == 0


@pytest.mark.parametrize("client", ["", "x" * 100_000, "\ud800", "a\0b", "' OR 1=1 --"])
def test_any_text_can_be_an_id(engine, clock, client):
    store = FailedAttempts(engine, LIMITS)
    fail(store, clock, 3, client=client)
    assert store.wait_s(client, clock.now()) == 60
