"""The regulation's clocks at work: a year of members' lives, on a clock that is moved."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.duties import (
    ANSWER,
    EDUCATION,
    QUARTERLY,
    REQUEST,
    Duty,
    requester_duties,
    responder_duties,
)
from payer_exchange.reference.opt_in import Education, OptIn, OptInEvent, OtherPayer
from payer_exchange.reference.schedule import Clocks
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.requesting_assembly import (
    RequesterOptions,
    joiners,
    keep_joiners,
    registration_of,
    start_requester,
)
from payer_exchange.simulators.responder_options import ResponderOptions

UTC_DAYS = Clocks("UTC")
JANUARY = datetime(2027, 1, 4, 15, tzinfo=UTC)
PATIENT, ISSUER = "local", "https://old.example/fhir"


def opt_in(**changes):
    other = OtherPayer(coverage=changes.pop("coverage", "previous"))
    education = changes.pop("education", Education("1", "2027-01-04", "portal"))
    event = OptInEvent(PATIENT, "2027-01-04", "2028-01-04", other, education=education)
    told = {"id": "opt-in-1", "state": "active", "recorded": "2027-01-04T15:00:00Z", "due": "",
            "issuer": ISSUER, "informed": "2027-01-06T15:00:00Z"}  # fmt: skip
    return OptIn(event=event, **{**told, **changes})


def states(found, requests=(), *, now=JANUARY):
    made = {(PATIENT, ISSUER): [(datetime.fromisoformat(at).replace(tzinfo=UTC), task)
                                for at, task in requests]}  # fmt: skip
    duties = requester_duties([found], made, UTC_DAYS, now)
    return [(d.requirement, d.due.date().isoformat(), d.state(now), d.evidence) for d in duties]


def test_a_request_is_owed_a_week_after_the_payer_was_known():
    # Known on Wednesday the 6th: due when Wednesday the 13th is over.
    open_ = (REQUEST, "2027-01-14", "open", "")
    assert open_ in states(opt_in())
    assert (REQUEST, "2027-01-14", "overdue", "") in states(
        opt_in(), now=JANUARY + timedelta(days=10)
    )
    for day, state in (("2027-01-13", "met"), ("2027-01-14", "late")):
        made = [(f"{day}T12:00:00", "t1")]
        assert (REQUEST, "2027-01-14", state, "Task/t1") in states(opt_in(), made)
    # While nobody knows whom to ask, nothing can be late.
    assert REQUEST not in [found[0] for found in states(opt_in(informed="", issuer=""))]


def test_a_request_before_the_opt_in_counts_for_an_earlier_one():
    assert (REQUEST, "2027-01-14", "open", "") in states(opt_in(), [("2027-01-02T12:00:00", "t0")])


def test_concurrent_coverage_is_owed_a_request_in_each_quarter():
    found = opt_in(coverage="concurrent")
    made = [("2027-01-07T12:00:00", "t1"), ("2027-04-01T12:00:00", "t2"),
            ("2027-09-01T12:00:00", "t3")]  # fmt: skip
    quarterly = [s for s in states(found, made, now=JANUARY + timedelta(days=300))
                 if s[0] == QUARTERLY]  # fmt: skip
    assert quarterly == [
        (QUARTERLY, "2027-04-08", "met", "Task/t2"),
        (QUARTERLY, "2027-07-08", "overdue", ""),
        (QUARTERLY, "2027-10-08", "met", "Task/t3"),
        (QUARTERLY, "2028-01-08", "open", ""),
    ]
    previous = states(opt_in(), made, now=JANUARY + timedelta(days=300))
    assert QUARTERLY not in [s[0] for s in previous]


def test_a_withdrawal_ends_what_is_not_due_yet():
    found = opt_in(coverage="concurrent", state="withdrawn", withdrawn="2027-05-01T12:00:00Z")
    told = states(found, [("2027-01-07T12:00:00", "t1")], now=JANUARY + timedelta(days=300))
    quarterly = [s for s in told if s[0] == QUARTERLY]
    assert quarterly == [
        (QUARTERLY, "2027-04-08", "overdue", ""),
        (QUARTERLY, "2027-07-08", "ended", ""),
    ]


def test_education_is_owed_with_the_permission_and_each_year():
    assert (EDUCATION, "2027-01-05", "open", "") in states(opt_in(education=None))
    assert (EDUCATION, "2028-01-05", "met", "version 1") in states(opt_in())
    assert (EDUCATION, "2028-01-05", "overdue", "") in states(
        opt_in(), now=JANUARY + timedelta(days=370)
    )


def test_an_answer_is_owed_by_the_end_of_the_next_business_day():
    # Asked on the Friday before Martin Luther King's birthday.
    record = {"event": "written", "exchange": "j1", "seq": 7, "started": "2027-01-15T20:00:00Z"}
    for ended, state in (("2027-01-19T23:59:00Z", "met"), ("2027-01-20T00:00:00Z", "late")):
        [duty] = responder_duties([{**record, "ended": ended}, {"event": "phase"}], UTC_DAYS)
        assert (duty.requirement, duty.subject, duty.evidence) == (ANSWER, "j1", "audit record 7")
        assert duty.state(JANUARY) == state


def test_a_line_of_the_report_tells_no_member():
    duty = Duty(REQUEST, "opt-in-1", JANUARY, None, "")
    assert duty.as_json(JANUARY) == {
        "requirement": REQUEST, "subject": "opt-in-1", "due": "2027-01-04T15:00:00.000Z",
        "done": "", "state": "overdue", "evidence": "",
    }  # fmt: skip


@pytest.fixture
def payers(tmp_path):
    clock = MovableClock(datetime(2026, 12, 28, 9, tzinfo=UTC))
    old = start_responder(ResponderOptions(members=1, data_dir=tmp_path / "old"), clock=clock)
    new = start_requester(RequesterOptions(data_dir=tmp_path / "new"), clock=clock)
    yield clock, old, new
    new.close()
    old.close()


def test_a_year_of_two_members_lives(payers):
    clock, old, new = payers
    payer = new.payer
    payer.register(registration_of(old))
    named = {"A": "previous", "H": "concurrent"}
    found = [j for j in joiners(old.truth(), clock.now().date()) if j.key in named]
    keep_joiners(payer, found)
    for joiner in found:
        other = replace(joiner.event.other_payer, coverage=named[joiner.key])
        payer.opt_ins.record(replace(joiner.event, other_payer=other, end="2028-06-30"))
    withdrawn = next(j for j in found if j.key == "H").local_patient
    made = []
    for day in range(370):
        if day == 320:
            payer.opt_ins.withdraw(withdrawn)
        for batch in payer.ask_what_is_due():
            payer.wait(batch, 60)
            made.append((day, batch, payer.batch_summary(batch)))
        clock.advance(timedelta(days=1))
    # Both on 28 December; then the concurrent one on the 22nd of March, June and September, a week
    # before each quarter ends, until the withdrawal.
    assert [(day, told["members"]) for day, _, told in made] == [
        (0, 2),
        (84, 1),
        (176, 1),
        (268, 1),
    ]
    assert all(told["outcomes"]["matched"] == told["members"] for _, _, told in made)
    # Nothing was updated at the source meanwhile: what was sent already is not sent again.
    sizes = [told["received"] for _, _, told in made]
    assert all(later < sizes[0] / 10 for later in sizes[1:])
    duties = [(d.requirement, d.state(clock.now())) for d in payer.calendar.duties()]
    assert duties.count((REQUEST, "met")) == 2
    assert duties.count((QUARTERLY, "met")) == 3
    assert duties.count((QUARTERLY, "ended")) == 1
    assert not [d for d in duties if d[1] == "late" or (d[1] == "overdue" and d[0] != EDUCATION)]
    answers = [d.state(clock.now()) for d in old.payer.duties()]
    assert len(answers) == 2 * len(made)
    assert set(answers) == {"met"}
