"""FHIR dates as ranges of moments."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from payer_exchange.reference.errors import BadRequest
from payer_exchange.reference.fhir.dates import day_of, last_day_of, moment_range, read_instant


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "first", "after"),
    [
        ("2024", utc(2024, 1, 1), utc(2025, 1, 1)),
        ("2024-02", utc(2024, 2, 1), utc(2024, 3, 1)),
        ("2024-12", utc(2024, 12, 1), utc(2025, 1, 1)),
        ("2024-02-29", utc(2024, 2, 29), utc(2024, 3, 1)),
        ("2024-05-06T07:08", utc(2024, 5, 6, 7, 8), utc(2024, 5, 6, 7, 9)),
        ("2024-05-06T07:08:09Z", utc(2024, 5, 6, 7, 8, 9), utc(2024, 5, 6, 7, 8, 10)),
        ("2024-05-06T00:00:00+02:00", utc(2024, 5, 5, 22), utc(2024, 5, 5, 22, 0, 1)),
        ("2024-05-06T07:08:09.5Z", utc(2024, 5, 6, 7, 8, 9, 500000),
         utc(2024, 5, 6, 7, 8, 9, 600000)),
        ("2016-12-31T23:59:60Z", utc(2016, 12, 31, 23, 59, 59), utc(2017, 1, 1)),
    ],
)  # fmt: skip
def test_a_date_is_all_the_moments_it_may_mean(text, first, after):
    assert moment_range(text) == (first, after)


@pytest.mark.parametrize("text", ["9999", "9999-12", "9999-12-31", "9999-12-31T23:59:59Z"])
def test_the_last_day_there_is_does_not_end_before_it_began(text):
    first, after = moment_range(text)
    assert first.year == 9999
    assert after >= first
    assert after - utc(9999, 12, 31, 23, 59, 59) < timedelta(seconds=1)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "24", "2024-13", "2024-00", "2023-02-29", "2024-1-1", "20240101", "2024-W01-1",
        "2024-01-01\n", "2024-01-01 ", "2024-01-01T", "2024-01-01T24:00:00Z", "0000",
        "2024-01-01T00:00:00+25:00", "٢٠٢٤", "2024-01-01T00:00:00ZZ", "2024-01-01x", "-2024",
        None, 2024, True, [], {}, 2024.5,
    ],
)  # fmt: skip
def test_what_is_no_date_has_no_range(text):
    assert moment_range(text) is None
    assert day_of(text) is None
    assert last_day_of(text) is None


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2024", date(2024, 1, 1), date(2024, 12, 31)),
        ("2024-02", date(2024, 2, 1), date(2024, 2, 29)),
        ("2023-02-03", date(2023, 2, 3), date(2023, 2, 3)),
        ("2023-02-03T23:00:00-05:00", date(2023, 2, 3), date(2023, 2, 3)),
        ("9999", date(9999, 1, 1), date(9999, 12, 31)),
    ],
)
def test_first_and_last_day_as_written(text, first, last):
    assert (day_of(text), last_day_of(text)) == (first, last)


def test_an_instant_is_read_whatever_its_zone():
    assert read_instant("2024-01-01T01:00:00.123+01:00", "_since") == utc(2024, 1, 1, 0, 0, 0,
                                                                          123000)  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["2024", "2024-01-01", "2024-01-01T00:00Z", "2024-01-01T00:00:00", "2024-01-01T00:00:00 01:00",
     "2024-01-01T00:00:00.1234567890Z", "2024-02-30T00:00:00Z", "now", "", None, 5],
)  # fmt: skip
def test_an_instant_must_be_exact(text):
    with pytest.raises(BadRequest) as refused:
        read_instant(text, "_since")
    assert refused.value.expression == "_since"
    assert refused.value.status == 400
