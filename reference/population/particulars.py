"""What each named member's record holds beside the stories: the thing the member is for."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from .authorizations import (
    ACTIVE,
    FATES,
    authorization,
    inline_letter,
    inline_scan,
    linked_scan,
    structured,
)
from .chart import Chart
from .claims import professional
from .clinical import (
    GLUCOSE,
    HBA1C,
    dispense,
    encounter,
    lab,
    note,
    prescription,
    problem,
)
from .codes import (
    CHECK_UP,
    CLINIC_VISIT,
    CONSULT_NOTE,
    HIV,
    IBUPROFEN,
    LIPIDS,
    RESTRICTED,
    worded,
)
from .provenance import FHIR_FORMAT, provenance
from .vitals import simple

if TYPE_CHECKING:
    from collections.abc import Callable

# The sides of the five-year floor, and far beyond it; in months before the day the data is of.
WINDOWS = (("4y11m", 59), ("5y1m", 61), ("10y", 120))


def months_before(today: int, months: int) -> int:
    """Return the ordinal day that many calendar months earlier."""
    day = date.fromordinal(today)
    total = day.year * 12 + day.month - 1 - months
    return date(total // 12, total % 12 + 1, min(day.day, 28)).toordinal()


def time_windows(chart: Chart) -> None:
    """Write a visit, a result, a condition and a claim on each side of each limit."""
    for name, months in WINDOWS:
        day = months_before(chart.today, months)
        chart.next_as(f"enc-{name}")
        seen = encounter(chart, day, CHECK_UP)
        chart.next_as(f"obs-{name}")
        lab(chart, day, GLUCOSE, 96, seen)
        chart.next_as(f"con-{name}")
        problem(chart, day, LIPIDS, seen)
        chart.next_as(f"eob-{name}")
        professional(chart, day, (CLINIC_VISIT,), CHECK_UP, seen)
    old = months_before(chart.today, 36)
    seen = encounter(chart, old, CHECK_UP)
    chart.next_as("obs-updated-today", chart.today)
    lab(chart, old, GLUCOSE, 101, seen)


def every_authorization(chart: Chart) -> None:
    """Write an authorization of each fate, the active one with both kinds of document."""
    for fate in FATES:
        documents = []
        if fate is ACTIVE:
            documents = [structured(chart, fate), inline_letter(chart, fate)]
        authorization(chart, fate, documents)


def unstructured_documents(chart: Chart) -> None:
    """Write an authorization with one page inside its document and one behind a url."""
    authorization(chart, ACTIVE, [inline_scan(chart, ACTIVE), linked_scan(chart, ACTIVE)])


def foreign_author(chart: Chart) -> None:
    """Write data that another payer made, and the Provenance that says so."""
    day = months_before(chart.today, 30)
    other = chart.use("Organization/other-payer")
    seen = encounter(chart, day, CHECK_UP)
    made = [seen, lab(chart, day, HBA1C, 7.4, seen), problem(chart, day, LIPIDS, seen)]
    chart.next_as("prov-foreign")
    provenance(chart, [made_one["reference"] for made_one in made], other, FHIR_FORMAT, day)


def sensitive_note(chart: Chart) -> None:
    """Write one note under a third label, beside the psychiatric and substance use ones."""
    chart.sensitive(RESTRICTED, HIV)
    chart.next_as("doc-sensitive")
    note(chart, chart.today - 300, CONSULT_NOTE, "Result discussed; treatment goes on.")
    chart.sensitive()


def every_claim(chart: Chart) -> None:
    """Write what the stories leave to chance, and a dispensing coded by package number."""
    day = months_before(chart.today, 5)
    seen = encounter(chart, day, CHECK_UP)
    order = prescription(chart, day, IBUPROFEN, seen, active=False)
    dispense(chart, day + 1, IBUPROFEN, order, by_ndc=True)
    simple(chart, day, worded("Handedness"), "social-history", worded("Left-handed"))


PARTICULARS: dict[str, Callable[[Chart], None]] = {
    "E": sensitive_note,
    "G": time_windows,
    "H": every_authorization,
    "K": every_claim,
    "L": unstructured_documents,
    "M": foreign_author,
}


def tagged_patient(patient: dict[str, Any]) -> dict[str, Any]:
    """Return the Patient of J: a version, a tag, and a contained practice it points to."""
    meta = {
        **patient["meta"],
        "versionId": "7",
        "tag": [{"system": "https://responding-payer.example.org/tag", "code": "migrated"}],
    }
    practice = {
        "resourceType": "Organization",
        "id": "practice",
        "active": True,
        "name": "Contained Test Practice",
    }
    return {
        **patient,
        "meta": meta,
        "contained": [practice],
        "generalPractitioner": [{"reference": "#practice"}],
    }


def with_cost_sharing(coverage: dict[str, Any]) -> dict[str, Any]:
    """Return the Coverage with the member's share of costs, which no export may show."""
    share = {
        "type": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/coverage-copay-type",
                    "code": "gpvisit",
                }
            ]
        },
        "valueMoney": {"value": 25, "currency": "USD"},
    }
    return {**coverage, "costToBeneficiary": [share]}
