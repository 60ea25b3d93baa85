"""The least and the most that a profile allows of a value: numbers, dates, quantities."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from ..fhir.dates import moment_range
from .run import Check, Run

_UCUM = "http://unitsofmeasure.org"
# Units of UCUM that are multiples of each other, in the least one of each row.
_ROWS = (
    {"ng": 1, "ug": 10**3, "mg": 10**6, "g": 10**9, "kg": 10**12},
    {"um": 1, "mm": 10**3, "cm": 10**4, "m": 10**6, "km": 10**9},
    {"uL": 1, "mL": 10**3, "dL": 10**5, "L": 10**6, "l": 10**6},
    {"ms": 1, "s": 10**3, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "wk": 604_800_000},
)

_DAY_S = 86_400
# As UCUM has it: a year is 365.25 days, a month the twelfth of one.
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": _DAY_S, "wk": 7 * _DAY_S,
            "mo": 2_629_800, "a": 31_557_600}  # fmt: skip


def bound(key: str, limit: Any, profile: str) -> Check:
    """Not below or not above what a profile allows; what cannot be compared passes."""
    least = key == "minValue"

    def check(value: Any, at: str, run: Run) -> None:
        if _is_beyond(value, limit, least=least):
            said = "at least" if least else "at most"
            run.add("error", key, at, f"{said} what the profile says", "another value", profile)

    return check


def _is_beyond(value: Any, limit: Any, *, least: bool) -> bool:
    if isinstance(value, str) and isinstance(limit, dict):
        return _is_beyond_now(value, limit, least=least)
    pair = comparable(value, limit)
    return bool(pair) and (pair[0] < pair[1] if least else pair[0] > pair[1])  # type: ignore[index]


def _is_beyond_now(value: str, limit: dict[str, Any], *, least: bool) -> bool:
    """Of a date: whether all of it lies before now less a duration, or after now and a duration.

    A bound of a date may be told as a duration from the moment it is looked at (R4,
    ElementDefinition.minValue[x] and maxValue[x]).
    """
    span, duration = moment_range(value), _duration(limit)
    if span is None or duration is None:
        return False
    now = datetime.now(UTC)
    try:
        return span[1] <= now - duration if least else span[0] > now + duration
    except OverflowError:
        return False


def _duration(limit: dict[str, Any]) -> timedelta | None:
    """A Quantity of time as a length of time; None for any other."""
    number, unit = _decimal(limit.get("value")), str(limit.get("code") or limit.get("unit"))
    if number is None or unit not in _SECONDS:
        return None
    try:
        return timedelta(seconds=float(number * _SECONDS[unit]))
    except OverflowError:
        return None


def comparable(value: Any, limit: Any) -> tuple[Any, Any] | None:
    """Both as what can be compared: of texts, dates of like precision alone."""
    if isinstance(value, str) and isinstance(limit, str):
        return (value, limit) if len(value) == len(limit) else None
    if isinstance(value, dict) and isinstance(limit, dict):
        factors = _factors(value, limit)
        numbers = (_decimal(value.get("value")), _decimal(limit.get("value")))
        if factors is None or None in numbers:
            return None
        return numbers[0] * factors[0], numbers[1] * factors[1]  # type: ignore[operator]
    both = (_decimal(value), _decimal(limit))
    return None if None in both else both


def _factors(value: dict[str, Any], limit: dict[str, Any]) -> tuple[int, int] | None:
    """By what both quantities become of one unit; None for units that have nothing in common."""
    units = [str(one.get("code") or one.get("unit")) for one in (value, limit)]
    systems = {str(one.get("system")) for one in (value, limit)}
    if len(systems) == 1 and units[0] == units[1]:
        return 1, 1
    for row in _ROWS if systems == {_UCUM} else ():
        if all(unit in row for unit in units):
            return row[units[0]], row[units[1]]
    return None


def _decimal(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        made = Decimal(str(value))
    except InvalidOperation:
        return None
    return made if made.is_finite() else None
