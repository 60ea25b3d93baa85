"""FHIR dates: parts of a date as a range of moments, and instants that must be exact."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ..errors import BadRequest

_PARTIAL = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?", re.ASCII
)
# "Without end" is written as the last day there is: what comes after it is its last moment.
_LAST = datetime.max.replace(tzinfo=UTC)


def read_instant(text: Any, parameter: str) -> datetime:
    """A FHIR instant as a moment; raises BadRequest naming the parameter."""
    moment = parse_moment(text) if isinstance(text, str) and _INSTANT.fullmatch(text) else None
    if moment is None:
        raise BadRequest(
            f"{parameter} must be a FHIR instant: date, time to the second, and zone.",
            code="value",
            expression=parameter,
        )
    return moment


def parse_moment(text: str) -> datetime | None:
    """The first moment a FHIR date, dateTime or instant stands for; None when it is none."""
    bounds = moment_range(text)
    return bounds[0] if bounds else None


def moment_range(text: Any) -> tuple[datetime, datetime] | None:
    """First moment and first moment after what a FHIR date or dateTime stands for.

    A day without a zone is a day in UTC. None when the text is no date that exists.
    """
    if not isinstance(text, str):
        return None
    try:
        partial = _PARTIAL.fullmatch(text)
        if partial:
            return _partial_range(*partial.groups())
        exact = _DATE_TIME.fullmatch(text)
        return _time_range(*exact.groups()) if exact else None
    except (ValueError, OverflowError):
        return None


def day_of(text: Any) -> date | None:
    """The calendar day a FHIR date begins with, as written (no shift of zone)."""
    if moment_range(text) is None:
        return None
    return date.fromisoformat((text + "-01-01")[:10] if len(text) == 4 else (text + "-01")[:10])


def last_day_of(text: Any) -> date | None:
    """The last calendar day a FHIR date stands for: of a year or a month, its end."""
    bounds = moment_range(text)
    if bounds is None:
        return None
    return day_of(text) if len(text) >= 10 else (bounds[1] - timedelta(microseconds=1)).date()


def _partial_range(year: str, month: str | None, day: str | None) -> tuple[datetime, datetime]:
    start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    last = date(start.year, 12 if not month else start.month, start.day)
    if not day:
        last = last.replace(day=monthrange(last.year, last.month)[1])
    end = datetime(last.year, last.month, last.day, tzinfo=UTC)
    return start, _LAST if last == date.max else end + timedelta(days=1)


def _time_range(
    minute: str, second: str | None, fraction: str | None, zone: str | None
) -> tuple[datetime, datetime]:
    offset = "+00:00" if zone in (None, "Z") else zone
    micro = (fraction or "")[:6].ljust(6, "0")
    # A leap second has no place in a datetime: it is the last moment of its minute.
    leap = second == "60"
    start = datetime.fromisoformat(f"{minute}:{'59' if leap else second or '00'}.{micro}{offset}")
    width = (
        timedelta(minutes=1)
        if second is None
        else timedelta(microseconds=10 ** max(0, 6 - len(fraction or "")))
    )
    return _in_utc(start), _in_utc(start, width)


def _in_utc(moment: datetime, later: timedelta = timedelta()) -> datetime:
    try:
        return (moment + later).astimezone(UTC)
    except OverflowError:
        if moment.year == _LAST.year:
            return _LAST
        raise
