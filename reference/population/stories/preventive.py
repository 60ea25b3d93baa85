"""What healthy people come for: check-ups, screenings, vaccines, and what they tell of life."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..claims import oral, outpatient, professional
from ..clinical import (
    CHOLESTEROL,
    GLUCOSE,
    LDL,
    diagnosis,
    encounter,
    immunization,
    lab,
    lab_report,
    note_report,
    problem,
    procedure,
)
from ..codes import (
    BREAST_IMAGING,
    BREAST_SCREENING,
    CHECK_UP,
    CHILD_CHECK_UP,
    CHILD_VACCINES,
    COLON_SCREENING,
    COLONOSCOPY,
    DENTAL_EXAM,
    EYE_EXAM,
    EYE_VISIT,
    FLU_SHOT,
    FOOD_INSECURITY,
    FRAMES,
    INFLUENZA,
    LIPID_PANEL,
    TD_ADULT,
    VACCINATION,
    WELLNESS,
    not_coded,
    worded,
)
from ..vitals import (
    food_screening,
    imaging_finding,
    occupation,
    orientation,
    smoking,
    vital_signs,
)
from .visits import days_apart, visit, years_back

if TYPE_CHECKING:
    from ..chart import Chart


def check_ups(chart: Chart) -> None:
    """A visit a year, the first years with blood, and a flu shot when the season fits."""
    dice = chart.dice
    first = max(years_back(chart, 1, 9), chart.born + 6700)
    for number, day in enumerate(days_apart(chart, first, 365, 12)):
        seen = visit(chart, day, CHECK_UP, WELLNESS)
        if number % 3 == 0:
            smoking(chart, day)
            results = [
                lab(chart, day, CHOLESTEROL, dice.bell(190, 15), seen),
                lab(chart, day, LDL, dice.bell(115, 12), seen),
                lab(chart, day, GLUCOSE, dice.bell(92, 6), seen),
            ]
            lab_report(chart, day, LIPID_PANEL, results, seen)
        if dice.chance(0.4):
            immunization(chart, day, INFLUENZA, seen)
            professional(chart, day, (FLU_SHOT,), VACCINATION, seen)
    if first <= chart.last:
        _social(chart, first)


def _social(chart: Chart, day: int) -> None:
    draw = chart.dice.random()
    if draw < 0.3:
        food_screening(chart, day, at_risk=draw < 0.05)
    if draw < 0.05:
        problem(chart, day, FOOD_INSECURITY, visit(chart, day, FOOD_INSECURITY, signs=False))
    if 0.2 < draw < 0.5:
        occupation(chart, day)
    if draw > 0.9:
        orientation(chart, day)


def child_check_ups(chart: Chart) -> None:
    """The visits of childhood, close at first."""
    for age in (4, 31, 61, 122, 183, 274, 370, 560, 740, 1100, 1500, 1870, 2600, 3350, 4060, 5200):
        day = chart.born + age
        if not chart.lived(day):
            return
        seen = encounter(chart, day, CHILD_CHECK_UP)
        vital_signs(chart, day, seen)
        professional(chart, day, (WELLNESS,), CHILD_CHECK_UP, seen)


def child_vaccines(chart: Chart) -> None:
    """The usual course, one visit a date; a few families stop early."""
    stop = 400 if chart.dice.chance(0.05) else 9999
    seen = None
    previous = -1
    for age, vaccine in CHILD_VACCINES:
        day = chart.born + age
        if age > stop or not chart.lived(day):
            return
        if seen is None or age != previous:
            seen = encounter(chart, day, VACCINATION)
        previous = age
        immunization(chart, day, vaccine, seen)


def adult_vaccine(chart: Chart) -> None:
    """A booster within the last ten years."""
    day = max(years_back(chart, 0.5, 9), chart.born + 6600)
    if chart.lived(day):
        immunization(chart, day, TD_ADULT, encounter(chart, day, VACCINATION))


def cancer_screening(chart: Chart) -> None:
    """Mammograms for women every two years; a colonoscopy for everybody once."""
    dice = chart.dice
    oldest = chart.born + int(45.5 * 365.25)
    colon = max(years_back(chart, 1, 8), oldest)
    if chart.lived(colon):
        seen = encounter(chart, colon, COLON_SCREENING)
        diagnosis(chart, colon, COLON_SCREENING, seen)
        procedure(chart, colon, COLONOSCOPY, seen, COLON_SCREENING)
        outpatient(chart, colon, COLONOSCOPY, COLON_SCREENING)
    if chart.person.gender != "female":
        return
    for day in days_apart(chart, max(years_back(chart, 1, 8), oldest), 730, 5):
        seen = encounter(chart, day, BREAST_SCREENING)
        finding = "Negative" if dice.chance(0.9) else "Benign finding"
        imaging_finding(chart, day, BREAST_IMAGING, worded(finding))
        note_report(chart, day, BREAST_IMAGING, f"Screening mammogram: {finding}.", seen)
        outpatient(chart, day, not_coded("Screening mammogram"), BREAST_SCREENING)


def teeth(chart: Chart) -> None:
    """The dentist twice a year, for those with a dental plan."""
    for day in days_apart(chart, years_back(chart, 0.5, 5), 182, 10):
        if chart.age(day) > 2:
            oral(chart, day, "Cleaning and examination", DENTAL_EXAM)


def eyes(chart: Chart) -> None:
    """New glasses, claimed as vision."""
    day = years_back(chart, 0.3, 5)
    if chart.age(day) > 5:
        professional(chart, day, (EYE_VISIT, FRAMES), EYE_EXAM, vision=True)
