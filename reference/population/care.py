"""The resources around care itself: plans, teams, goals, orders, devices, specimens, relatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .chart import Chart, Reference, claimed, iso
from .codes import ALLERGENS, PDEX, THO, Coded, coded, worded

if TYPE_CHECKING:
    from collections.abc import Sequence

_ALLERGY = claimed("us-core-allergyintolerance")
_PLAN = claimed("us-core-careplan")
_TEAM = claimed("us-core-careteam")
_GOAL = claimed("us-core-goal")
_REQUEST = claimed("us-core-servicerequest")
_DEVICE = claimed("us-core-implantable-device", PDEX + "StructureDefinition/pdex-device")
_SPECIMEN = claimed("us-core-specimen")
_RELATED = claimed("us-core-relatedperson")
_ANSWERS = claimed("us-core-questionnaireresponse")
_MEDICATION = claimed("us-core-medication")

_ASSESS_PLAN = [coded("http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "assess-plan")]
_ACTIVE_ALLERGY = coded(THO + "allergyintolerance-clinical", "active")
_CONFIRMED_ALLERGY = coded(THO + "allergyintolerance-verification", "confirmed")
_IN_PROGRESS = coded(THO + "goal-achievement", "in-progress")
_BLOOD = coded(THO + "v2-0487", "BLD", "Whole blood")
_EVALUATION = [worded("Evaluation procedure")]


def allergy(chart: Chart, day: int) -> Reference:
    """Write a drug allergy with its reaction in words."""
    body = {
        "clinicalStatus": _ACTIVE_ALLERGY,
        "verificationStatus": _CONFIRMED_ALLERGY,
        "category": ["medication"],
        "criticality": "low",
        "code": ALLERGENS[chart.person.index % len(ALLERGENS)],
        "patient": chart.patient,
        "recordedDate": iso(day),
        "reaction": [{"manifestation": [worded("Hives")], "severity": "mild"}],
    }
    return chart.add("AllergyIntolerance", _ALLERGY, day, body)


def care_plan(
    chart: Chart,
    day: int,
    text: str,
    goals: Sequence[Reference] = (),
    team: Reference | None = None,
    problems: Sequence[Reference] = (),
) -> Reference:
    """Write a care plan whose narrative tells the plan."""
    body: dict[str, Any] = {
        "text": {
            "status": "generated",
            "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{text}</div>',
        },
        "status": "active",
        "intent": "plan",
        "category": _ASSESS_PLAN,
        "subject": chart.patient,
        "period": {"start": iso(day)},
        "author": chart.doctor,
    }
    named = {"goal": list(goals), "careTeam": [team] if team else [], "addresses": list(problems)}
    body.update((name, value) for name, value in named.items() if value)
    return chart.add("CarePlan", _PLAN, day, body)


def care_team(chart: Chart, day: int) -> Reference:
    """Write the team: the doctor, the clinic and the member."""
    role = chart.use(chart.doctor["reference"].replace("Practitioner/", "PractitionerRole/"))
    body = {
        "status": "active",
        "name": "Chronic care team",
        "subject": chart.patient,
        "period": {"start": iso(day)},
        "participant": [
            {"role": [worded("Primary care physician")], "member": role},
            {"role": [worded("Clinic")], "member": chart.clinic},
            {"role": [worded("Patient")], "member": chart.patient},
        ],
    }
    return chart.add("CareTeam", _TEAM, day, body)


def goal(chart: Chart, day: int, text: str, days: int = 365) -> Reference:
    """Write a goal with a due date."""
    body = {
        "lifecycleStatus": "active",
        "achievementStatus": _IN_PROGRESS,
        "description": worded(text),
        "subject": chart.patient,
        "startDate": iso(day),
        "target": [{"dueDate": iso(day + days)}],
        "expressedBy": chart.doctor,
    }
    return chart.add("Goal", _GOAL, day, body)


def order(chart: Chart, day: int, what: Coded, visit: Reference, why: Coded) -> Reference:
    """Write a service asked for."""
    body = {
        "status": "completed",
        "intent": "order",
        "category": _EVALUATION,
        "code": what,
        "subject": chart.patient,
        "encounter": visit,
        "occurrenceDateTime": iso(day),
        "authoredOn": iso(day),
        "requester": chart.doctor,
        "reasonCode": [why],
    }
    return chart.add("ServiceRequest", _REQUEST, day, body)


def implant(chart: Chart, day: int, name: str) -> Reference:
    """Write an implanted device with a made-up device identifier."""
    serial = f"SN{chart.person.index:08d}"
    body = {
        # Company prefix 00000000 is nobody's, so the device can be nobody's either.
        "udiCarrier": [
            {
                "deviceIdentifier": "00000000000000",
                "carrierHRF": f"(01)00000000000000(11){iso(day)[2:].replace('-', '')}(21){serial}",
            }
        ],
        "status": "active",
        "distinctIdentifier": f"DI-{chart.person.index}",
        "manufactureDate": iso(day - 90),
        "lotNumber": f"LOT{day % 1000:03d}",
        "serialNumber": serial,
        "deviceName": [{"name": name, "type": "user-friendly-name"}],
        "type": worded(name),
        "patient": chart.patient,
    }
    return chart.add("Device", _DEVICE, day, body)


def specimen(chart: Chart, day: int) -> Reference:
    """Write the blood a laboratory was sent."""
    body = {
        "type": _BLOOD,
        "subject": chart.patient,
        "collection": {"collectedDateTime": iso(day)},
    }
    return chart.add("Specimen", _SPECIMEN, day, body)


def medication(chart: Chart, day: int, drug: Coded) -> Reference:
    """Write a Medication of its own, for orders that point to one."""
    return chart.add("Medication", _MEDICATION, day, {"code": drug, "status": "active"})


def relative(chart: Chart, day: int, family: str, given: str, role: str) -> Reference:
    """Write a relative; role is a code of HL7's RoleCode."""
    body = {
        "active": True,
        "patient": chart.patient,
        "relationship": [coded(THO + "v3-RoleCode", role)],
        "name": [{"family": family, "given": [given]}],
        "telecom": [{"system": "phone", "value": chart.person.phone}],
    }
    return chart.add("RelatedPerson", _RELATED, day, body)


def answers(
    chart: Chart, day: int, questionnaire: str, items: Sequence[tuple[str, str, str]]
) -> Reference:
    """Write a filled questionnaire; items are (linkId, question, answer)."""
    body = {
        "questionnaire": questionnaire,
        "status": "completed",
        "subject": chart.patient,
        "authored": f"{iso(day)}T11:00:00Z",
        "author": chart.doctor,
        "item": [
            {"linkId": link, "text": question, "answer": [{"valueString": answer}]}
            for link, question, answer in items
        ],
    }
    return chart.add("QuestionnaireResponse", _ANSWERS, day, body)


PHQ9 = "https://responding-payer.example.org/Questionnaire/phq-9"
NECESSITY = "https://responding-payer.example.org/Questionnaire/medical-necessity"
