"""Things that happen and pass: pregnancy, injury, a stay in hospital for the heart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..care import allergy, implant, relative
from ..claims import inpatient, outpatient
from ..clinical import (
    EMERGENCY,
    HEMOGLOBIN,
    INPATIENT,
    diagnosis,
    encounter,
    lab,
    note,
    problem,
    procedure,
)
from ..codes import (
    BIRTH,
    DELIVERY,
    DISCHARGE_SUMMARY,
    FRACTURE,
    HEART_BLOCK,
    IBUPROFEN,
    IRON,
    OUTPATIENT_VISIT,
    PACEMAKER,
    PREGNANCY,
    PROGRESS_NOTE,
    REDUCTION,
    SPRAIN,
)
from ..vitals import pregnancy_intent, pregnant
from .visits import fills, visit, years_back

if TYPE_CHECKING:
    from ..chart import Chart


def pregnancy(chart: Chart) -> None:
    """Nine months of visits and a birth in hospital; only told of women from 17 to 46."""
    birth = _birth_day(chart)
    if not birth:
        return
    start = birth - 275
    if chart.dice.chance(0.3):
        pregnancy_intent(chart, start - 100)
    seen = visit(chart, start + 60, PREGNANCY)
    problem(chart, start + 60, PREGNANCY, seen, over=birth)
    pregnant(chart, start + 60)
    for day in (start + 110, start + 150, start + 190, start + 230, start + 260):
        seen = visit(chart, day, PREGNANCY)
        lab(chart, day, HEMOGLOBIN, chart.dice.bell(11.6, 0.4), seen)
    fills(chart, start + 150, IRON, seen, active=False)
    stay = encounter(chart, birth, DELIVERY, kind=INPATIENT, days=2)
    diagnosis(chart, birth, DELIVERY, stay)
    procedure(chart, birth, BIRTH, stay, DELIVERY)
    note(chart, birth + 2, DISCHARGE_SUMMARY, "Mother and child well; home on day two.", stay)
    inpatient(chart, birth, birth + 2, BIRTH, DELIVERY)


def _birth_day(chart: Chart) -> int:
    """Return the day of a birth at a fitting age, or 0 when no day fits."""
    for _ in range(4):
        day = chart.last - 3 - chart.dice.between(0, 2900)
        if 17.9 <= chart.age(day) < 46:
            return day
    return 0


def injury(chart: Chart) -> None:
    """A fracture set in the emergency department, or a sprain seen at the hospital."""
    day = years_back(chart, 0.2, 7)
    if not chart.lived(day + 60):
        return
    if chart.dice.chance(0.4):
        stay = encounter(chart, day, FRACTURE, kind=EMERGENCY)
        diagnosis(chart, day, FRACTURE, stay)
        procedure(chart, day, REDUCTION, stay, FRACTURE)
        note(chart, day, PROGRESS_NOTE, "Fall on the right hand. Set and in a cast.", stay)
        fills(chart, day, IBUPROFEN, stay, count=1, active=False)
        outpatient(chart, day, OUTPATIENT_VISIT, FRACTURE)
        visit(chart, day + 42, FRACTURE)
    else:
        stay = encounter(chart, day, SPRAIN)
        diagnosis(chart, day, SPRAIN, stay)
        outpatient(chart, day, OUTPATIENT_VISIT, SPRAIN)


def pacemaker(chart: Chart) -> None:
    """A stay of three days, a device for life, and controls after it."""
    day = years_back(chart, 0.5, 6)
    if not chart.lived(day + 3):
        return
    stay = encounter(chart, day, HEART_BLOCK, kind=INPATIENT, days=3)
    problem(chart, day, HEART_BLOCK, stay)
    procedure(chart, day, PACEMAKER, stay, HEART_BLOCK)
    implant(chart, day, "Dual chamber pacemaker")
    note(chart, day + 3, DISCHARGE_SUMMARY, "Pacemaker implanted; rhythm steady.", stay)
    inpatient(chart, day, day + 3, PACEMAKER, HEART_BLOCK)
    for later in (day + 40, day + 400):
        if chart.lived(later):
            visit(chart, later, HEART_BLOCK)


def allergies(chart: Chart) -> None:
    """An allergy noted long ago, and whom to call."""
    day = years_back(chart, 0.5, 9)
    allergy(chart, day)
    if chart.dice.chance(0.4):
        relative(chart, day, chart.person.name.family, "Alex", "FAMMEMB")
