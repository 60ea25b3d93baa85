"""Sensitive stories: depression and alcohol. Every resource of theirs is labelled.

The label is on all that a story writes, visits and claims included, so that withholding it
leaves no resource behind that points to one withheld.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..care import PHQ9, answers
from ..clinical import note, problem
from ..codes import (
    ALCOHOL,
    CONSULT_NOTE,
    DEPRESSION,
    PROGRESS_NOTE,
    PSYCHIATRY,
    RESTRICTED,
    SERTRALINE,
    SUBSTANCE_USE,
)
from ..vitals import depression_score
from .visits import days_apart, fills, visit, years_back

if TYPE_CHECKING:
    from ..chart import Chart


def depression(chart: Chart) -> None:
    """Quarterly visits; the score falls under treatment."""
    chart.sensitive(RESTRICTED, PSYCHIATRY)
    first = years_back(chart, 0.6, 4)
    score = chart.dice.between(14, 21)
    seen = visit(chart, first, DEPRESSION, signs=False)
    illness = problem(chart, first, DEPRESSION, seen)
    answers(chart, first, PHQ9, [("total", "Total score", str(score))])
    fills(chart, first, SERTRALINE, seen, illness)
    note(chart, first, CONSULT_NOTE, "Low mood for months. Starts sertraline and talks.", seen)
    for day in days_apart(chart, first + 40, 100, 8):
        score = max(3, score - chart.dice.between(0, 4))
        visit(chart, day, DEPRESSION, signs=False)
        depression_score(chart, day, score)
    chart.sensitive()


def alcohol(chart: Chart) -> None:
    """A few visits and their notes."""
    chart.sensitive(RESTRICTED, SUBSTANCE_USE)
    first = years_back(chart, 0.5, 3)
    seen = visit(chart, first, ALCOHOL, signs=False)
    problem(chart, first, ALCOHOL, seen)
    for day in days_apart(chart, first + 30, 90, 4):
        seen = visit(chart, day, ALCOHOL, signs=False)
        note(chart, day, PROGRESS_NOTE, "Dry since the last visit; goes to the group.", seen)
    chart.sensitive()
