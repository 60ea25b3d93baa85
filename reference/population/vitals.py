"""Vital signs and the other observations US Core gives profiles of their own."""

from __future__ import annotations

from typing import Any

from .chart import Chart, Reference, claimed, iso
from .clinical import CATEGORY
from .codes import LOINC, UCUM, Coded, coded, quantity, worded

_SYSTOLIC = coded(LOINC, "8480-6", "Systolic blood pressure")
_DIASTOLIC = coded(LOINC, "8462-4", "Diastolic blood pressure")
_PRESSURE = coded(LOINC, "85354-9", "Blood pressure panel with all children optional")
_PRESSURE_PROFILE = claimed("us-core-blood-pressure")
_OXIMETRY = {
    "coding": [
        {"system": LOINC, "code": "59408-5", "display": "Oxygen saturation by Pulse oximetry"},
        {"system": LOINC, "code": "2708-6", "display": "Oxygen saturation in Arterial blood"},
    ],
    "text": "Oxygen saturation",
}


class Sign:
    """One vital sign: profile, code and unit, ready to be used."""

    __slots__ = ("code", "profile", "unit")

    def __init__(self, profile: str, code: Coded, unit: str) -> None:
        self.profile = claimed(profile)
        self.code = code
        self.unit = unit


WEIGHT = Sign("us-core-body-weight", coded(LOINC, "29463-7", "Body weight"), "kg")
HEIGHT = Sign("us-core-body-height", coded(LOINC, "8302-2", "Body height"), "cm")
BMI = Sign("us-core-bmi", coded(LOINC, "39156-5", "Body mass index"), "kg/m2")
HEART_RATE = Sign("us-core-heart-rate", coded(LOINC, "8867-4", "Heart rate"), "/min")
RESPIRATION = Sign("us-core-respiratory-rate", coded(LOINC, "9279-1", "Respiratory rate"), "/min")
TEMPERATURE = Sign("us-core-body-temperature", coded(LOINC, "8310-5", "Body temperature"), "Cel")
OXYGEN = Sign("us-core-pulse-oximetry", _OXIMETRY, "%")
HEAD = Sign("us-core-head-circumference", coded(LOINC, "9843-4", "Head circumference"), "cm")
HEAD_PERCENTILE = Sign(
    "head-occipital-frontal-circumference-percentile",
    coded(LOINC, "8289-1", "Head circumference Percentile"),
    "%",
)
BMI_PERCENTILE = Sign(
    "pediatric-bmi-for-age", coded(LOINC, "59576-9", "BMI Percentile for age and sex"), "%"
)
WEIGHT_PERCENTILE = Sign(
    "pediatric-weight-for-height",
    coded(LOINC, "77606-2", "Weight-for-length Percentile for age and sex"),
    "%",
)


def sign(chart: Chart, day: int, what: Sign, value: float, visit: Reference) -> Reference:
    """Write one vital sign."""
    body = {
        "status": "final",
        "category": CATEGORY["vital-signs"],
        "code": what.code,
        "subject": chart.patient,
        "encounter": visit,
        "effectiveDateTime": iso(day),
        "valueQuantity": {
            "value": round(value, 1),
            "unit": what.unit,
            "system": UCUM,
            "code": what.unit,
        },
    }
    return chart.add("Observation", what.profile, day, body)


def pressure(chart: Chart, day: int, visit: Reference, systolic: float) -> Reference:
    """Write a blood pressure; the diastolic follows the systolic."""
    body = {
        "status": "final",
        "category": CATEGORY["vital-signs"],
        "code": _PRESSURE,
        "subject": chart.patient,
        "encounter": visit,
        "effectiveDateTime": iso(day),
        "component": [
            {"code": _SYSTOLIC, "valueQuantity": quantity(int(systolic), "mm[Hg]")},
            {"code": _DIASTOLIC, "valueQuantity": quantity(int(systolic * 0.62), "mm[Hg]")},
        ],
    }
    return chart.add("Observation", _PRESSURE_PROFILE, day, body)


def vital_signs(chart: Chart, day: int, visit: Reference, systolic: float = 0) -> None:
    """Write what is measured at every visit; children are measured differently."""
    dice, age = chart.dice, chart.age(day)
    if age < 2:
        _infant_signs(chart, day, visit, age)
        return
    adult = min(age, 18.0)
    height = 84 + adult * 5 + chart.person.index % 12
    weight = height * height / 10000 * (15 + adult * 0.6 + dice.random() * 3)
    sign(chart, day, WEIGHT, weight, visit)
    sign(chart, day, HEIGHT, height, visit)
    if age < 20:
        sign(chart, day, BMI_PERCENTILE, dice.between(3, 97), visit)
        sign(chart, day, TEMPERATURE, dice.bell(36.8, 0.2), visit)
    else:
        pressure(chart, day, visit, systolic or dice.bell(122, 6))
        sign(chart, day, BMI, weight / (height * height / 10000), visit)
    sign(chart, day, HEART_RATE, dice.between(58, 96), visit)
    if dice.chance(0.3):
        sign(chart, day, RESPIRATION, dice.between(12, 20), visit)
        sign(chart, day, OXYGEN, dice.between(94, 100), visit)


def _infant_signs(chart: Chart, day: int, visit: Reference, age: float) -> None:
    dice = chart.dice
    sign(chart, day, WEIGHT, 3.3 + age * 4.5 + dice.random(), visit)
    sign(chart, day, HEIGHT, 50 + age * 19 + dice.random() * 2, visit)
    sign(chart, day, HEAD, 35 + age * 6 + dice.random(), visit)
    sign(chart, day, HEAD_PERCENTILE, dice.between(5, 95), visit)
    sign(chart, day, WEIGHT_PERCENTILE, dice.between(5, 95), visit)


# --- what people say of themselves ---------------------------------------------------------------

_SMOKING = coded(LOINC, "72166-2", "Tobacco smoking status")
_SMOKES = (
    coded(LOINC, "LA18978-9", "Never smoker"),
    coded(LOINC, "LA18978-9", "Never smoker"),
    coded(LOINC, "LA15920-4", "Former smoker"),
    coded(LOINC, "LA18976-3", "Current every day smoker"),
)
_PREGNANCY_STATUS = coded(LOINC, "82810-3", "Pregnancy status")
_PREGNANT = coded(LOINC, "LA15173-0", "Pregnant")
_INTENT = coded(LOINC, "86645-9", "Pregnancy intention in the next year - Reported")
_OCCUPATION = coded(LOINC, "11341-5", "History of Occupation")
_FOOD = coded(LOINC, "88124-3", "Food insecurity risk [HVS]")
_AT_RISK = coded(LOINC, "LA19952-3", "At risk")
_NO_RISK = coded(LOINC, "LA19983-8", "No risk")
_DEPRESSION_SCORE = coded(LOINC, "44261-6", "Patient Health Questionnaire 9 item total score")
_UNKNOWN_ORIENTATION = coded("http://terminology.hl7.org/CodeSystem/v3-NullFlavor", "ASKU")
_ORIENTATION = coded(LOINC, "76690-7", "Sexual orientation")
_OCCUPATIONS = ("Teacher", "Carpenter", "Nurse", "Bus driver", "Accountant", "Cook", "Farmer")


def _stated(
    chart: Chart, day: int, profile: str, category: str, code: Coded, **value: Any
) -> Reference:
    body = {
        "status": "final",
        "category": CATEGORY[category],
        "code": code,
        "subject": chart.patient,
        "effectiveDateTime": iso(day),
        "performer": [chart.doctor],
        **value,
    }
    return chart.add("Observation", claimed(profile), day, body)


def smoking(chart: Chart, day: int) -> Reference:
    """Write the smoking status; a person's answer hardly changes."""
    answer = _SMOKES[chart.person.index % 4]
    return _stated(
        chart, day, "us-core-smokingstatus", "social-history", _SMOKING,
        valueCodeableConcept=answer,
    )  # fmt: skip


def pregnant(chart: Chart, day: int) -> Reference:
    """Write that the member is pregnant."""
    return _stated(
        chart, day, "us-core-observation-pregnancystatus", "social-history", _PREGNANCY_STATUS,
        valueCodeableConcept=_PREGNANT,
    )  # fmt: skip


def pregnancy_intent(chart: Chart, day: int) -> Reference:
    """Write whether a pregnancy is wished for; the answer is in words."""
    return _stated(
        chart, day, "us-core-observation-pregnancyintent", "social-history", _INTENT,
        valueCodeableConcept=worded("Wants to become pregnant"),
    )  # fmt: skip


def occupation(chart: Chart, day: int) -> Reference:
    """Write the occupation in words; the coded list is not shipped."""
    job = _OCCUPATIONS[chart.person.index % len(_OCCUPATIONS)]
    return _stated(
        chart, day, "us-core-observation-occupation", "social-history", _OCCUPATION,
        valueCodeableConcept=worded(job),
    )  # fmt: skip


def orientation(chart: Chart, day: int) -> Reference:
    """Write that sexual orientation was asked and not answered."""
    return _stated(
        chart, day, "us-core-observation-sexual-orientation", "social-history", _ORIENTATION,
        valueCodeableConcept=_UNKNOWN_ORIENTATION,
    )  # fmt: skip


def food_screening(chart: Chart, day: int, *, at_risk: bool) -> Reference:
    """Write the result of a screening for a social need."""
    return _stated(
        chart, day, "us-core-observation-screening-assessment", "survey", _FOOD,
        valueCodeableConcept=_AT_RISK if at_risk else _NO_RISK,
    )  # fmt: skip


def depression_score(chart: Chart, day: int, score: int) -> Reference:
    """Write a PHQ-9 total score."""
    return _stated(
        chart, day, "us-core-observation-screening-assessment", "survey", _DEPRESSION_SCORE,
        valueQuantity=quantity(score, "{score}"),
    )  # fmt: skip


def simple(chart: Chart, day: int, code: Coded, category: str, answer: Coded) -> Reference:
    """Write an observation that no closer profile fits."""
    return _stated(
        chart, day, "us-core-simple-observation", category, code, valueCodeableConcept=answer
    )


def imaging_finding(chart: Chart, day: int, code: Coded, answer: Coded) -> Reference:
    """Write a clinical result that is not of the laboratory."""
    return _stated(
        chart, day, "us-core-observation-clinical-result", "imaging", code,
        valueCodeableConcept=answer,
    )  # fmt: skip
