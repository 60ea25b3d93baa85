"""A visit to the doctor with all that belongs to it, and the days on which visits fall."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..claims import pharmacy, professional
from ..clinical import dispense, encounter, prescription
from ..codes import CLINIC_VISIT
from ..vitals import vital_signs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..chart import Chart, Reference
    from ..codes import Coded


def visit(
    chart: Chart,
    day: int,
    why: Coded,
    *services: Coded,
    signs: bool = True,
    systolic: float = 0,
) -> Reference:
    """Write an office visit with vital signs and its claim; return the encounter."""
    reference = encounter(chart, day, why)
    if signs:
        vital_signs(chart, day, reference, systolic)
    professional(chart, day, services or (CLINIC_VISIT,), why, reference)
    return reference


def days_apart(chart: Chart, first: int, every: int, limit: int = 60) -> Iterator[int]:
    """Yield days about this far apart, from the first to the end of the member's time."""
    day = first
    for _ in range(limit):
        if not chart.lived(day):
            return
        yield day
        day += every + chart.dice.between(-every // 8, every // 8)


def fills(
    chart: Chart,
    day: int,
    drug: Coded,
    seen: Reference,
    reason: Reference | None = None,
    *,
    count: int = 2,
    active: bool = True,
) -> Reference:
    """Write a prescription with the times it was filled, and each fill's claim."""
    order = prescription(chart, day, drug, seen, reason, active=active)
    for refill in range(count):
        filled = day + 1 + 30 * refill
        if not chart.lived(filled):
            break
        dispense(chart, filled, drug, order, refill=refill > 0)
        pharmacy(chart, filled, drug, refill)
    return order


def years_back(chart: Chart, fewest: float, most: float) -> int:
    """Return a day that many years before the member's last, or a while after birth."""
    years = fewest + (most - fewest) * chart.dice.random() ** 2
    return max(chart.last - int(years * 365.25), chart.born + 1)
