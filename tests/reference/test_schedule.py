"""The regulation's clocks, against calendars published by the Office of Personnel Management."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from payer_exchange.reference.schedule import (
    Clocks,
    business_days_after,
    federal_holidays,
    is_business_day,
    months_after,
    quarters,
)

# The federal holidays as the Office of Personnel Management lists them, by year.
LISTED = {
    2022: ["2022-01-17", "2022-02-21", "2022-05-30", "2022-06-20", "2022-07-04", "2022-09-05",
           "2022-10-10", "2022-11-11", "2022-11-24", "2022-12-26"],
    2026: ["2026-01-01", "2026-01-19", "2026-02-16", "2026-05-25", "2026-06-19", "2026-07-03",
           "2026-09-07", "2026-10-12", "2026-11-11", "2026-11-26", "2026-12-25"],
    2027: ["2027-01-01", "2027-01-18", "2027-02-15", "2027-05-31", "2027-06-18", "2027-07-05",
           "2027-09-06", "2027-10-11", "2027-11-11", "2027-11-25", "2027-12-24", "2027-12-31"],
    2028: ["2028-01-17", "2028-02-21", "2028-05-29", "2028-06-19", "2028-07-04", "2028-09-04",
           "2028-10-09", "2028-11-10", "2028-11-23", "2028-12-25"],
}  # fmt: skip


@pytest.mark.parametrize("year", LISTED)
def test_the_holidays_are_those_that_are_observed(year):
    assert sorted(d.isoformat() for d in federal_holidays(year)) == LISTED[year]


def test_a_business_day_is_no_weekend_and_no_holiday():
    assert is_business_day(date(2027, 1, 4))
    assert not is_business_day(date(2027, 1, 2))
    assert not is_business_day(date(2027, 1, 1))


@pytest.mark.parametrize(
    ("day", "count", "then"),
    [
        ("2027-01-04", 1, "2027-01-05"),  # a Monday
        ("2027-01-08", 1, "2027-01-11"),  # a Friday
        ("2027-01-09", 1, "2027-01-11"),  # a Saturday
        ("2027-01-15", 1, "2027-01-19"),  # before Martin Luther King's birthday
        ("2027-12-23", 1, "2027-12-27"),  # Christmas is observed on Friday the 24th
        ("2027-12-30", 1, "2028-01-03"),  # New Year is observed on Friday the 31st
        ("2026-11-25", 2, "2026-11-30"),  # Thanksgiving, then a weekend
    ],
)
def test_business_days_are_counted(day, count, then):
    assert business_days_after(date.fromisoformat(day), count).isoformat() == then


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        ("2027-01-15", 3, "2027-04-15"),
        ("2027-01-31", 1, "2027-02-28"),
        ("2027-11-30", 3, "2028-02-29"),
        ("2028-02-29", 12, "2029-02-28"),
        ("2027-03-31", -1, "2027-02-28"),
    ],
)
def test_months_end_where_months_end(day, months, then):
    assert months_after(date.fromisoformat(day), months).isoformat() == then


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_request_is_due_a_week_after_the_later_of_opt_in_and_information():
    clocks = Clocks("America/New_York")
    opted, informed = at("2027-01-04T15:00:00"), at("2027-01-11T15:00:00")
    for first, second in ((opted, informed), (informed, opted)):
        # The end of Monday the 18th in New York, five hours behind.
        assert clocks.request_due(first, second) == at("2027-01-19T05:00:00")


def test_a_day_is_the_payers_own():
    moment = at("2027-01-05T03:00:00")  # still Monday evening in New York
    assert Clocks("America/New_York").day_of(moment) == date(2027, 1, 4)
    assert Clocks("UTC").day_of(moment) == date(2027, 1, 5)
    assert Clocks("America/New_York").answer_due(moment) == at("2027-01-06T05:00:00")
    assert Clocks("UTC").answer_due(moment) == at("2027-01-07T00:00:00")


def test_an_answer_is_due_at_the_end_of_the_next_business_day():
    friday_evening = at("2027-01-15T23:00:00")
    assert Clocks("UTC").answer_due(friday_evening) == at("2027-01-20T00:00:00")


def test_the_night_of_the_change_of_the_clock_is_a_day_like_others():
    clocks = Clocks("America/New_York")
    # On 14 March 2027 the clock goes forward: the day ends four hours behind UTC.
    assert clocks.end_of(date(2027, 3, 13)) == at("2027-03-14T05:00:00")
    assert clocks.end_of(date(2027, 3, 14)) == at("2027-03-15T04:00:00")


def test_quarters_count_from_the_first_request():
    found = list(islice(quarters(at("2027-01-31T12:00:00"), Clocks("UTC")), 4))
    last_days = [(m - timedelta(days=1)).date().isoformat() for m in found]
    assert last_days == ["2027-04-30", "2027-07-31", "2027-10-31", "2028-01-31"]


def test_the_other_clocks():
    clocks = Clocks("UTC")
    assert clocks.permission_due(date(2027, 1, 1)) == at("2027-01-09T00:00:00")
    assert clocks.education_due(date(2027, 1, 1)) == at("2028-01-02T00:00:00")
    assert clocks.repeat_due(at("2027-01-15T12:00:00")) == at("2027-04-16T00:00:00")
    assert clocks.look_back(at("2027-01-15T12:00:00")) == date(2022, 1, 15)
