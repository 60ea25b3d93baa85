"""The guard against guessing: what it counts, whom it holds up, and when it lets go (hrex-mm-7)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.limits import Limits
from payer_exchange.reference.matching import Outcome
from payer_exchange.reference.matching.guard import MatchGuard
from payer_exchange.reference.store.database import open_data_dir

MB = {"coding": [{"code": "MB"}]}


@pytest.fixture
def clock():
    return MovableClock(datetime(2027, 1, 15, 12, tzinfo=UTC))


@pytest.fixture
def engines(tmp_path):
    """Two engines on one file: as two processes on one database."""
    made = [open_data_dir(tmp_path, "payer") for _ in range(2)]
    yield made
    for each in made:
        each.dispose()


@pytest.fixture
def guard(engines):
    return MatchGuard(engines[0])


def person(family="Quillfeather", given="Quentin", born="1970-02-03"):
    return {"name": [{"family": family, "given": [given]}], "birthDate": born}


def card(*numbers, subscriber=None):
    found = {"identifier": [{"type": MB, "system": "s", "value": n} for n in numbers]}
    return {**found, "subscriberId": subscriber} if subscriber else found


def fail(guard, clock, patient, coverage, outcome=Outcome.NONE, client="a"):
    tried = guard.for_one(client, patient, coverage, clock.now())
    tried.note(outcome, patient, coverage, clock.now())
    tried.write(clock.now())


def wait(guard, clock, patient, coverage, client="a"):
    now = clock.now()
    return guard.for_one(client, patient, coverage, now).wait_s(patient, coverage, now)


def test_the_sixth_card_of_a_person_within_an_hour_waits(guard, clock):
    for number in range(5):
        assert wait(guard, clock, person(), card(f"C{number}")) == 0
        fail(guard, clock, person(), card(f"C{number}"))
        clock.advance(60)
    assert wait(guard, clock, person(), card("C5")) == 3600 - 300
    assert wait(guard, clock, person(), card("C5"), client="b") == 0
    assert wait(guard, clock, person(family="Another"), card("C5")) == 0
    clock.advance(3300)
    assert wait(guard, clock, person(), card("C5")) == 0


def test_the_twenty_first_within_a_day_waits(guard, clock):
    for number in range(20):
        fail(guard, clock, person(), card(f"C{number}"))
        clock.advance(3600)
    assert wait(guard, clock, person(), card("C99")) == 86_400 - 20 * 3600
    clock.advance(4 * 3600)
    assert wait(guard, clock, person(), card("C99")) == 0


@pytest.mark.parametrize(
    "similar",
    [
        person(given="Quincy"),
        person(family="QUILLFEATHER"),
        person(family="Quíllfeather"),
        person(family="Quill-Feather".replace("-", "")),
        {**person(), "name": [*person(family="Other")["name"], *person()["name"]]},
        {**person(), "gender": "female", "address": [{"city": "X"}]},
    ],
)
def test_similar_demographics_are_no_new_start(guard, clock, similar):
    for number in range(5):
        fail(guard, clock, person(), card(f"C{number}"))
    assert wait(guard, clock, similar, card("C5")) == 3600


def test_the_sixth_person_on_a_card_waits_whatever_stands_beside_its_number(guard, clock):
    for number in range(5):
        fail(guard, clock, person(family=f"F{number}"), card("C", f"JUNK{number}"))
    assert wait(guard, clock, person(family="F9"), card("c ", "OTHER")) == 3600
    assert wait(guard, clock, person(family="F9"), card(subscriber="C")) == 3600
    assert wait(guard, clock, person(family="F9"), card("D")) == 0


def test_a_request_with_many_numbers_is_many_cards(guard, clock):
    fail(guard, clock, person(), card(*(f"C{n:02}" for n in range(30))))
    assert wait(guard, clock, person(), card("C99")) == 3600


def test_what_failed_may_be_asked_again_and_a_match_is_no_failure(guard, clock):
    for number in range(5):
        fail(guard, clock, person(), card(f"C{number}"))
    assert wait(guard, clock, person(), card("C3")) == 0
    for number in range(9):
        fail(guard, clock, person("Goodfellow", f"G{number}"), card("H"), Outcome.MATCH)
        fail(guard, clock, person("Goodfellow", f"G{number}"), card("H"), Outcome.REFUSED)
    assert wait(guard, clock, person("Goodfellow", "G"), card("H")) == 0


def test_more_than_one_is_a_failure_too(guard, clock):
    for number in range(5):
        fail(guard, clock, person(), card(f"C{number}"), Outcome.MULTIPLE)
    assert wait(guard, clock, person(), card("C5")) == 3600


def test_another_process_counts_along(engines, clock):
    guards = [MatchGuard(engine) for engine in engines]
    for number in range(5):
        fail(guards[number % 2], clock, person(), card(f"C{number}"))
    assert [wait(g, clock, person(), card("C5")) for g in guards] == [3600, 3600]


def test_a_batch_is_counted_as_it_goes_and_kept(guard, clock):
    fail(guard, clock, person(), card("C0"))
    tried = guard.for_many("a", clock.now())
    waits = []
    for number in range(1, 7):
        asked = person(), card(f"C{number}")
        waits.append(tried.wait_s(*asked, clock.now()))
        if not waits[-1]:
            tried.note(Outcome.NONE, *asked, clock.now())
    tried.write(clock.now())
    assert waits == [0, 0, 0, 0, 3600, 3600]
    assert wait(guard, clock, person(), card("C9")) == 3600


def test_a_client_that_fails_with_too_many_waits_altogether(engines, clock):
    guard = MatchGuard(engines[0], Limits(failed_matches_an_hour=3))
    for number in range(3):
        assert guard.client_wait_s("a", clock.now()) == 0
        fail(guard, clock, person(family=f"F{number}"), card(f"C{number}"))
        clock.advance(10)
    assert guard.client_wait_s("a", clock.now()) == 3570
    assert guard.client_wait_s("b", clock.now()) == 0
    clock.advance(3570)
    assert guard.client_wait_s("a", clock.now()) == 0


def test_limits_can_be_switched_off(engines, clock):
    guard = MatchGuard(engines[0], Limits(tries_an_hour=0, tries_a_day=0, failed_matches_an_hour=0))
    for number in range(30):
        fail(guard, clock, person(), card(f"C{number}"))
    assert wait(guard, clock, person(), card("C99")) == 0
    assert guard.client_wait_s("a", clock.now()) == 0


def test_failures_of_yesterday_are_swept_and_nobodys_name_is_kept(engines, guard, clock, tmp_path):
    fail(guard, clock, person(), card("CARD-0"))
    clock.advance(86_400)
    fail(guard, clock, person(family="Solitary"), card("CARD-1"))
    with engines[0].connect() as connection:
        items = connection.exec_driver_sql("SELECT count(*) FROM tried_match").scalar()
    assert items == 3
    for engine in engines:
        engine.dispose()
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir()).lower()
    assert not [word for word in (b"solitary", b"card1", b"card-1", b"1970-02-03") if word in kept]


@pytest.mark.parametrize("odd", [{}, {"name": 5}, {"identifier": [None]}, None, [], "x"])
def test_what_cannot_be_read_is_no_error(guard, clock, odd):
    fail(guard, clock, odd, odd)
    assert wait(guard, clock, odd, odd) == 0
