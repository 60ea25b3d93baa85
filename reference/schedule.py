"""The regulation's clocks (42 CFR 422.121(b) and its siblings; CMS-0057-F).

Pure dates in, pure dates out: which day a duty ends on, whatever was done about it. Business days
leave out Saturdays, Sundays and the legal holidays of 5 U.S.C. 6103, each on the day it is
observed. A day lasts to its end in the payer's own time zone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

WEEK = timedelta(days=7)
QUARTER_MONTHS, YEAR_MONTHS = 3, 12
LOOK_BACK_YEARS = 5
# Where the agencies that the rule binds count their days.
EASTERN = "America/New_York"

_MONDAY, _THURSDAY, _SATURDAY, _SUNDAY = 0, 3, 5, 6
# (month, day of the month) and (month, weekday, which one; -1 the last): 5 U.S.C. 6103(a).
_FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
_FLOATING = ((1, _MONDAY, 3), (2, _MONDAY, 3), (5, _MONDAY, -1), (9, _MONDAY, 1),
             (10, _MONDAY, 2), (11, _THURSDAY, 4))  # fmt: skip


@lru_cache(maxsize=64)
def federal_holidays(year: int) -> frozenset[date]:
    """The legal holidays observed in a year.

    One that falls on a Saturday is observed the Friday before, on a Sunday the Monday after, so
    that the next New Year's Day may be observed in this year.
    """
    fixed = (date(y, month, day) for y in (year, year + 1) for month, day in _FIXED)
    observed = {_observed(day) for day in fixed} | {_nth(year, *rule) for rule in _FLOATING}
    return frozenset(day for day in observed if day.year == year)


def is_business_day(day: date) -> bool:
    """Whether a day is neither a Saturday, a Sunday nor a legal holiday."""
    return day.weekday() < _SATURDAY and day not in federal_holidays(day.year)


def business_days_after(day: date, count: int) -> date:
    """The business day that is so many business days after a day."""
    while count:
        day += timedelta(days=1)
        count -= is_business_day(day)
    return day


def months_after(day: date, months: int) -> date:
    """The same day of the month so many months later; the last one where there is none."""
    index = day.year * 12 + day.month - 1 + months
    first = date(index // 12, index % 12 + 1, 1)
    following = date((index + 1) // 12, (index + 1) % 12 + 1, 1)
    return first + timedelta(days=min(day.day, (following - first).days) - 1)


@dataclass(frozen=True, slots=True)
class Clocks:
    """The duties of one payer, on its own calendar; `zone` is an IANA name."""

    zone: str = EASTERN

    @property
    def timezone(self) -> tzinfo:
        """The payer's time zone."""
        return ZoneInfo(self.zone)

    def day_of(self, moment: datetime) -> date:
        """The payer's own day of a moment."""
        return moment.astimezone(self.timezone).date()

    def end_of(self, day: date) -> datetime:
        """The moment at which a day of the payer's is over."""
        return datetime.combine(day + timedelta(days=1), time(), self.timezone)

    def permission_due(self, coverage_start: date) -> datetime:
        """Until when a new member is asked: a week after the coverage starts.

        cms0057-optin-process, cms0057-identify-payers.
        """
        return self.end_of(coverage_start + WEEK)

    def request_due(self, opted_in: datetime, informed: datetime) -> datetime:
        """Until when the data is requested: a week after there is all that a request needs.

        That is the later of opt-in and sufficient identifying information (cms0057-request-1week).
        """
        return self.end_of(self.day_of(max(opted_in, informed)) + WEEK)

    def answer_due(self, received: datetime) -> datetime:
        """Until when a request is answered: the end of the next business day.

        cms0057-respond-1bd.
        """
        return self.end_of(business_days_after(self.day_of(received), 1))

    def repeat_due(self, requested: datetime) -> datetime:
        """Until when concurrent coverage is asked for again: at least quarterly.

        cms0057-concurrent-quarterly.
        """
        return self.end_of(months_after(self.day_of(requested), QUARTER_MONTHS))

    def education_due(self, given: date) -> datetime:
        """Until when the education material is given again: at least once a year.

        cms0057-education.
        """
        return self.end_of(months_after(given, YEAR_MONTHS))

    def look_back(self, requested: datetime) -> date:
        """From which date of service on data is to be asked for: five years, a floor (pdex-130)."""
        return months_after(self.day_of(requested), -LOOK_BACK_YEARS * 12)


def quarters(first: datetime, clocks: Clocks) -> Iterator[datetime]:
    """The deadlines of a concurrent coverage that was first asked for at a moment, without end.

    Counted from the first request, so that a request made early does not move those that follow.
    """
    start, count = clocks.day_of(first), 0
    while True:
        count += 1
        yield clocks.end_of(months_after(start, QUARTER_MONTHS * count))


def _observed(day: date) -> date:
    if day.weekday() == _SATURDAY:
        return day - timedelta(days=1)
    return day + timedelta(days=1) if day.weekday() == _SUNDAY else day


def _nth(year: int, month: int, weekday: int, count: int) -> date:
    if count < 0:
        last = months_after(date(year, month, 1), 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))
