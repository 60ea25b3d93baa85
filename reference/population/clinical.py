"""The clinical resources in the shapes US Core 6.1.0 gives them, each one function."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any

from .chart import Chart, Reference, claimed, iso
from .codes import LOINC, THO, UCUM, Coded, coded, drug_product, quantity, worded

if TYPE_CHECKING:
    from collections.abc import Sequence

_ACT_CLASS = THO + "v3-ActCode"
AMBULATORY = {"system": _ACT_CLASS, "code": "AMB", "display": "ambulatory"}
INPATIENT = {"system": _ACT_CLASS, "code": "IMP", "display": "inpatient encounter"}
EMERGENCY = {"system": _ACT_CLASS, "code": "EMER", "display": "emergency"}

_ENCOUNTER = claimed("us-core-encounter")
_PROBLEM = claimed("us-core-condition-problems-health-concerns")
_DIAGNOSIS = claimed("us-core-condition-encounter-diagnosis")
_LAB = claimed("us-core-observation-lab")
_REQUEST = claimed("us-core-medicationrequest")
_DISPENSE = claimed("us-core-medicationdispense")
_IMMUNIZATION = claimed("us-core-immunization")
_PROCEDURE = claimed("us-core-procedure")
_LAB_REPORT = claimed("us-core-diagnosticreport-lab")
_NOTE_REPORT = claimed("us-core-diagnosticreport-note")
_DOCUMENT = claimed("us-core-documentreference")

_CLINICAL = {s: coded(THO + "condition-clinical", s) for s in ("active", "resolved")}
_CONFIRMED = coded(THO + "condition-ver-status", "confirmed")
_PROBLEM_LIST = [coded(THO + "condition-category", "problem-list-item", "Problem List Item")]
_ENCOUNTER_DIAGNOSIS = [
    coded(THO + "condition-category", "encounter-diagnosis", "Encounter Diagnosis")
]
CATEGORY = {
    name: [coded(THO + "observation-category", name)]
    for name in ("vital-signs", "laboratory", "social-history", "survey", "imaging")
}
_LAB_SECTION = [coded(THO + "v2-0074", "LAB", "Laboratory")]
_RADIOLOGY = [coded("http://loinc.org", "LP29684-5", "Radiology")]
_NOTE_CATEGORY = [
    coded(
        "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
        "clinical-note",
        "Clinical Note",
    )
]
_FORMAT = {
    "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
    "display": "mimeType Sufficient",
}
_VISIT_TYPE = {
    "AMB": [worded("Office visit")],
    "IMP": [worded("Hospital stay")],
    "EMER": [worded("Emergency department visit")],
}
_HOME = coded(THO + "discharge-disposition", "home", "Home")


def encounter(
    chart: Chart,
    day: int,
    why: Coded,
    *,
    kind: dict[str, str] = AMBULATORY,
    days: int = 0,
    finished: bool = True,
) -> Reference:
    """Write a visit or a stay."""
    body: dict[str, Any] = {
        "status": "finished" if finished else "in-progress",
        "class": kind,
        "type": _VISIT_TYPE[kind["code"]],
        "subject": chart.patient,
        "participant": [{"individual": chart.doctor, "period": {"start": iso(day)}}],
        "period": {"start": f"{iso(day)}T09:00:00Z", "end": f"{iso(day + days)}T10:00:00Z"},
        "reasonCode": [why],
        "serviceProvider": chart.clinic,
        "location": [{"location": chart.room}],
    }
    if kind is INPATIENT:
        body["serviceProvider"] = chart.use("Organization/hospital-0")
        body["location"] = [{"location": chart.use("Location/hospital-0")}]
        body["hospitalization"] = {"dischargeDisposition": _HOME}
    return chart.add("Encounter", _ENCOUNTER, day, body)


def problem(chart: Chart, day: int, code: Coded, visit: Reference, *, over: int = 0) -> Reference:
    """Write a problem-list Condition, active unless it was over some day."""
    body = {
        "clinicalStatus": _CLINICAL["resolved" if over else "active"],
        "verificationStatus": _CONFIRMED,
        "category": _PROBLEM_LIST,
        "code": code,
        "subject": chart.patient,
        "encounter": visit,
        "onsetDateTime": iso(day),
        "recordedDate": iso(day),
        "recorder": chart.doctor,
    }
    if over:
        body["abatementDateTime"] = iso(over)
    return chart.add("Condition", _PROBLEM, day, body)


def diagnosis(chart: Chart, day: int, code: Coded, visit: Reference) -> Reference:
    """Write the Condition that one encounter was about."""
    body = {
        "clinicalStatus": _CLINICAL["resolved"],
        "verificationStatus": _CONFIRMED,
        "category": _ENCOUNTER_DIAGNOSIS,
        "code": code,
        "subject": chart.patient,
        "encounter": visit,
        "onsetDateTime": iso(day),
        "recordedDate": iso(day),
    }
    return chart.add("Condition", _DIAGNOSIS, day, body)


class Test:
    """A laboratory test: its code, unit and reference range, ready to be used."""

    __slots__ = ("code", "digits", "normal", "unit")

    def __init__(self, code: str, name: str, unit: str, low: float, high: float) -> None:
        self.code = coded(LOINC, code, name)
        self.unit = unit
        self.digits = 1 if high < 100 else 0
        self.normal = [{"low": quantity(low, unit), "high": quantity(high, unit)}]


HBA1C = Test("4548-4", "Hemoglobin A1c/Hemoglobin.total in Blood", "%", 4.0, 5.6)
GLUCOSE = Test("2339-0", "Glucose [Mass/volume] in Blood", "mg/dL", 70, 100)
CREATININE = Test("2160-0", "Creatinine [Mass/volume] in Serum or Plasma", "mg/dL", 0.6, 1.3)
EGFR = Test("33914-3", "Glomerular filtration rate predicted", "mL/min/{1.73_m2}", 60, 120)
ALBUMIN = Test("9318-7", "Albumin/Creatinine [Mass Ratio] in Urine", "mg/g", 0, 30)
CHOLESTEROL = Test("2093-3", "Cholesterol [Mass/volume] in Serum or Plasma", "mg/dL", 0, 200)
LDL = Test("2089-1", "Cholesterol in LDL [Mass/volume] in Serum or Plasma", "mg/dL", 0, 130)
POTASSIUM = Test("2823-3", "Potassium [Moles/volume] in Serum or Plasma", "mmol/L", 3.5, 5.1)
HEMOGLOBIN = Test("718-7", "Hemoglobin [Mass/volume] in Blood", "g/dL", 11.5, 16.0)
BLOOD_SUGAR = Test("2345-7", "Glucose [Mass/volume] in Serum or Plasma", "mg/dL", 70, 140)


def lab(
    chart: Chart,
    day: int,
    test: Test,
    value: float,
    visit: Reference,
    specimen: Reference | None = None,
) -> Reference:
    """Write one laboratory result."""
    body = {
        "status": "final",
        "category": CATEGORY["laboratory"],
        "code": test.code,
        "subject": chart.patient,
        "encounter": visit,
        "effectiveDateTime": iso(day),
        "valueQuantity": {
            "value": round(value, test.digits) if test.digits else int(value),
            "unit": test.unit,
            "system": UCUM,
            "code": test.unit,
        },
        "referenceRange": test.normal,
    }
    if specimen:
        body["specimen"] = specimen
    return chart.add("Observation", _LAB, day, body)


def lab_report(
    chart: Chart, day: int, code: Coded, results: Sequence[Reference], visit: Reference
) -> Reference:
    """Write the report that groups laboratory results."""
    laboratory = chart.use("Organization/laboratory-0")
    body = {
        "status": "final",
        "category": _LAB_SECTION,
        "code": code,
        "subject": chart.patient,
        "encounter": visit,
        "effectiveDateTime": iso(day),
        "issued": f"{iso(day)}T18:00:00Z",
        "performer": [laboratory],
        "result": list(results),
    }
    return chart.add("DiagnosticReport", _LAB_REPORT, day, body)


def note_report(chart: Chart, day: int, code: Coded, text: str, visit: Reference) -> Reference:
    """Write an imaging or procedure report whose words are its result."""
    body = {
        "status": "final",
        "category": _RADIOLOGY,
        "code": code,
        "subject": chart.patient,
        "encounter": visit,
        "effectiveDateTime": iso(day),
        "issued": f"{iso(day)}T18:00:00Z",
        "performer": [chart.doctor],
        "presentedForm": [_attachment(text, day)],
    }
    return chart.add("DiagnosticReport", _NOTE_REPORT, day, body)


def _attachment(text: str, day: int) -> dict[str, str]:
    return {
        "contentType": "text/plain; charset=utf-8",
        "data": b64encode(text.encode()).decode(),
        "creation": iso(day),
    }


def note(
    chart: Chart,
    day: int,
    kind: Coded,
    text: str,
    visit: Reference | None = None,
) -> Reference:
    """Write a document with its text inside."""
    return document(chart, day, kind, _attachment(text, day), visit)


def document(
    chart: Chart,
    day: int,
    kind: Coded,
    attachment: dict[str, Any],
    visit: Reference | None = None,
) -> Reference:
    """Write a DocumentReference around an attachment."""
    body: dict[str, Any] = {
        "identifier": [
            {
                "system": "https://responding-payer.example.org/document-id",
                "value": f"{chart.person.patient_id}-{day}-{len(chart.entries)}",
            }
        ],
        "status": "current",
        "type": kind,
        "category": _NOTE_CATEGORY,
        "subject": chart.patient,
        "date": f"{iso(day)}T10:00:00Z",
        "author": [chart.doctor],
        "custodian": chart.clinic,
        "content": [{"attachment": attachment, "format": _FORMAT}],
    }
    if visit:
        body["context"] = {"encounter": [visit], "period": {"start": iso(day), "end": iso(day)}}
    return chart.add("DocumentReference", _DOCUMENT, day, body)


def prescription(
    chart: Chart,
    day: int,
    drug: Coded,
    visit: Reference,
    reason: Reference | None = None,
    *,
    active: bool = True,
    medication: Reference | None = None,
) -> Reference:
    """Write a MedicationRequest; the drug is coded, or a Medication when one is given."""
    body: dict[str, Any] = {
        "status": "active" if active else "completed",
        "intent": "order",
        "subject": chart.patient,
        "encounter": visit,
        "authoredOn": iso(day),
        "requester": chart.doctor,
        "dosageInstruction": _DOSE,
        "dispenseRequest": _REFILLS,
    }
    if medication:
        body["medicationReference"] = medication
    else:
        body["medicationCodeableConcept"] = drug
    if reason:
        body["reasonReference"] = [reason]
    return chart.add("MedicationRequest", _REQUEST, day, body)


_DOSE = [
    {
        "text": "Take one each day",
        "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
        "doseAndRate": [{"doseQuantity": {"value": 1}}],
    }
]
_REFILLS = {
    "numberOfRepeatsAllowed": 3,
    "quantity": {"value": 30},
    "expectedSupplyDuration": quantity(30, "d"),
}
_FILL_TYPE = {kind: coded(THO + "v3-ActCode", kind) for kind in ("FF", "RF")}
_PHARMACY_DISPENSE = claimed(
    "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-medicationdispense"
)


def dispense(
    chart: Chart,
    day: int,
    drug: Coded,
    order: Reference,
    *,
    refill: bool = False,
    by_ndc: bool = False,
) -> Reference:
    """Write a MedicationDispense; by NDC it follows the older PDex profile instead."""
    pharmacy = chart.use("Organization/pharmacy-0")
    body = {
        "status": "completed",
        "medicationCodeableConcept": drug_product(drug) if by_ndc else drug,
        "subject": chart.patient,
        "performer": [{"actor": pharmacy}],
        "authorizingPrescription": [order],
        "type": _FILL_TYPE["RF" if refill else "FF"],
        "quantity": {"value": 30},
        "daysSupply": quantity(30, "d"),
        "whenHandedOver": iso(day),
    }
    profile = _PHARMACY_DISPENSE if by_ndc else _DISPENSE
    return chart.add("MedicationDispense", profile, day, body)


def immunization(chart: Chart, day: int, vaccine: Coded, visit: Reference) -> Reference:
    """Write a vaccine given."""
    body = {
        "status": "completed",
        "vaccineCode": vaccine,
        "patient": chart.patient,
        "encounter": visit,
        "occurrenceDateTime": iso(day),
        "primarySource": True,
        "location": chart.room,
        "performer": [{"actor": chart.doctor}],
    }
    return chart.add("Immunization", _IMMUNIZATION, day, body)


def procedure(chart: Chart, day: int, code: Coded, visit: Reference, why: Coded) -> Reference:
    """Write a procedure done."""
    body = {
        "status": "completed",
        "code": code,
        "subject": chart.patient,
        "encounter": visit,
        "performedDateTime": iso(day),
        "performer": [{"actor": chart.doctor}],
        "reasonCode": [why],
    }
    return chart.add("Procedure", _PROCEDURE, day, body)
