"""FHIR dates: parts of a date as a range of moments, and instants that must be exact."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ..errors import BadRequest

_PARTIAL = re.compile(r"^(\d{4})(?:-(\d\d)(?:-(\d\d))?)?$")
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$")
_DATE_TIME = re.compile(
    r"^(\d{4}-\d\d-\d\dT\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?$"
)


def read_instant(text: Any, parameter: str) -> datetime:
    """A FHIR instant as a moment; raises BadRequest naming the parameter."""
    moment = parse_moment(text) if isinstance(text, str) and _INSTANT.match(text) else None
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
        partial = _PARTIAL.match(text)
        if partial:
            return _partial_range(*partial.groups())
        exact = _DATE_TIME.match(text)
        return _time_range(*exact.groups()) if exact else None
    except (ValueError, OverflowError):
        return None


def day_of(text: Any) -> date | None:
    """The calendar day a FHIR date begins with, as written (no shift of zone)."""
    if not isinstance(text, str):
        return None
    try:
        return date.fromisoformat((text + "-01-01")[:10] if len(text) == 4 else (text + "-01")[:10])
    except ValueError:
        return None


def _partial_range(year: str, month: str | None, day: str | None) -> tuple[datetime, datetime]:
    start = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    if day:
        return start, start + timedelta(days=1)
    if month:
        following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
        return start, following
    return start, start.replace(year=start.year + 1)


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
    return start.astimezone(UTC), (start + width).astimezone(UTC)
