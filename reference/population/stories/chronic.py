"""Long conditions: diabetes, hypertension, asthma, kidney disease."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..care import care_plan, care_team, goal, medication, order, specimen
from ..clinical import (
    ALBUMIN,
    BLOOD_SUGAR,
    CREATININE,
    EGFR,
    GLUCOSE,
    HBA1C,
    LDL,
    POTASSIUM,
    lab,
    lab_report,
    note,
    prescription,
    problem,
)
from ..codes import (
    ALBUTEROL,
    AMLODIPINE,
    ASTHMA,
    DIABETES,
    DIABETES_TRAINING,
    HYDROCHLOROTHIAZIDE,
    HYPERTENSION,
    KIDNEY,
    LIPID_PANEL,
    METABOLIC_PANEL,
    METFORMIN,
    PROGRESS_NOTE,
    SIMVASTATIN,
)
from .visits import days_apart, fills, visit, years_back

if TYPE_CHECKING:
    from ..chart import Chart


def diabetes(chart: Chart) -> None:
    """Half-yearly controls; the long-term sugar falls under treatment, with noise."""
    dice = chart.dice
    first = years_back(chart, 1, 9)
    level = dice.bell(8.6, 0.6)
    seen = visit(chart, first, DIABETES, DIABETES_TRAINING)
    illness = problem(chart, first, DIABETES, seen)
    team = care_team(chart, first)
    aims = [goal(chart, first, "Hemoglobin A1c below 7 %")]
    care_plan(chart, first, "Diet, exercise and metformin; control twice a year", aims, team,
              [illness])  # fmt: skip
    fills(chart, first, METFORMIN, seen, illness, count=3)
    for day in days_apart(chart, first + 30, 182, 20):
        seen = visit(chart, day, DIABETES)
        level = max(6.2, level - 0.15 + dice.bell(0, 0.15))
        order(chart, day, HBA1C.code, seen, DIABETES)
        lab(chart, day, HBA1C, level, seen)
        lab(chart, day, GLUCOSE, 28.7 * level - 46.7 + dice.bell(0, 8), seen)
        if dice.chance(0.3):
            fills(chart, day, METFORMIN, seen, illness)
        if dice.chance(0.3):
            note(chart, day, PROGRESS_NOTE, _DIABETES_NOTE.format(level=level), seen)


_DIABETES_NOTE = "Type 2 diabetes control. A1c {level:.1f} %. Feet without findings. Goes on."


def measured_at_home(chart: Chart) -> None:
    """Write a long series of home sugar values: the tail of the record sizes."""
    first = max(chart.last - 420, chart.born)
    seen = visit(chart, first, DIABETES, signs=False)
    for number in range(chart.dice.between(900, 2500)):
        day = first + number // 6
        if not chart.lived(day):
            return
        lab(chart, day, BLOOD_SUGAR, chart.dice.bell(150, 20), seen)


def hypertension(chart: Chart) -> None:
    """Yearly controls; the pressure falls once a second drug is added."""
    dice = chart.dice
    first = years_back(chart, 1, 11)
    systolic = dice.bell(158, 6)
    seen = visit(chart, first, HYPERTENSION, systolic=systolic)
    illness = problem(chart, first, HYPERTENSION, seen)
    fills(chart, first, HYDROCHLOROTHIAZIDE, seen, illness)
    statin = medication(chart, first, SIMVASTATIN) if dice.chance(0.4) else None
    if statin:
        prescription(chart, first, SIMVASTATIN, seen, illness, medication=statin)
    for number, day in enumerate(days_apart(chart, first + 60, 270, 14)):
        systolic = max(124, systolic - 5 + dice.bell(0, 3))
        seen = visit(chart, day, HYPERTENSION, systolic=systolic)
        if number == 1:
            fills(chart, day, AMLODIPINE, seen, illness)
        if dice.chance(0.5):
            blood = specimen(chart, day)
            results = [
                lab(chart, day, LDL, max(70, dice.bell(130, 15) - 8 * number), seen, blood),
                lab(chart, day, POTASSIUM, dice.bell(4.2, 0.2), seen, blood),
            ]
            lab_report(chart, day, LIPID_PANEL, results, seen)


def asthma(chart: Chart) -> None:
    """Yearly controls and an inhaler each spring."""
    first = years_back(chart, 1, 6)
    seen = visit(chart, first, ASTHMA)
    illness = problem(chart, first, ASTHMA, seen)
    care_plan(chart, first, "Asthma action plan: green, yellow and red zone", (), None, [illness])
    for day in days_apart(chart, first + 20, 300, 8):
        seen = visit(chart, day, ASTHMA)
        fills(chart, day, ALBUTEROL, seen, illness, count=1)
        if chart.dice.chance(0.3):
            note(chart, day, PROGRESS_NOTE, "Asthma control. Lungs clear. Inhaler as needed.", seen)


def kidney_disease(chart: Chart) -> None:
    """Quarterly laboratory values; the filtration rate declines slowly."""
    dice = chart.dice
    first = years_back(chart, 1, 5)
    rate = dice.bell(57, 3)
    seen = visit(chart, first, KIDNEY)
    problem(chart, first, KIDNEY, seen)
    goal(chart, first, "Blood pressure below 130/80")
    for day in days_apart(chart, first + 90, 120, 16):
        rate = max(31, rate - 0.8 + dice.bell(0, 0.8))
        seen = visit(chart, day, KIDNEY, signs=False)
        results = [
            lab(chart, day, EGFR, rate, seen),
            lab(chart, day, CREATININE, 72 / rate, seen),
            lab(chart, day, ALBUMIN, dice.bell(90, 15), seen),
        ]
        lab_report(chart, day, METABOLIC_PANEL, results, seen)
    if dice.chance(0.5):
        note(chart, first, PROGRESS_NOTE, "Kidney function reduced; watch and protect.", seen)
