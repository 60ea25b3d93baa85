"""A record with what the profiles of PDex and US Core would have a payer support.

Each type has its must-support elements filled; what is under a code need not be true, only there.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
_TERMS = "http://terminology.hl7.org/CodeSystem/"
Content = dict[str, list[dict[str, Any]]]


def with_must_support(content: Mapping[str, list[dict[str, Any]]], patient: str) -> Content:
    """The record, its Patient filled and with more types."""
    me = {"reference": f"Patient/{patient}"}
    found = {kind: list(resources) for kind, resources in content.items()}
    found["Patient"] = [{**found["Patient"][0], **_PATIENT}]
    organization, practitioner, location = (_there(k) for k in _AROUND)
    encounter = _encounter(me, practitioner, location, organization)
    visit = {"reference": f"Encounter/{encounter['id']}"}
    more = [
        organization, practitioner, location, encounter,
        _of("AllergyIntolerance", patient=me, code=_text("Nuts"),
            clinicalStatus=_code("allergyintolerance-clinical", "active"),
            verificationStatus=_code("allergyintolerance-verification", "confirmed"),
            reaction=[{"manifestation": [_text("Hives")], "severity": "mild"}]),
        _of("Procedure", subject=me, status="completed", code=_text("Knee"), encounter=visit,
            performedPeriod={"start": "2025-03-01", "end": "2025-03-02"}),
        _of("Immunization", patient=me, status="completed", vaccineCode=_text("Influenza"),
            occurrenceDateTime="2025-10-01", primarySource=True),
        _of("MedicationRequest", subject=me, status="active", intent="order", reportedBoolean=False,
            medicationCodeableConcept=_text("Lisinopril"), authoredOn="2025-04-01", encounter=visit,
            requester=_to(practitioner), dosageInstruction=[{"text": "Once a day"}]),
        _of("DiagnosticReport", subject=me, status="final", code=_text("Panel"), encounter=visit,
            category=[_code("v2-0074", "LAB")], effectiveDateTime="2025-04-02",
            issued="2025-04-03T10:00:00Z", performer=[_to(organization)],
            result=[{"reference": f"Observation/{found['Observation'][0]['id']}"}]),
        _of("ExplanationOfBenefit", **_claim(me, organization, found["Coverage"][0])),
        _of("Provenance", target=[visit], recorded="2025-04-03T10:00:00Z",
            agent=[{"type": _code("provenance-participant-type", "author"),
                    "who": _to(organization)}]),
    ]  # fmt: skip
    for resource in more:
        found.setdefault(resource["resourceType"], []).append(resource)
    return found


_PATIENT: dict[str, Any] = {
    "extension": [
        {"url": _CORE + "us-core-birthsex", "valueCode": "F"},
        {"url": _CORE + "us-core-race", "extension": [
            {"url": "ombCategory", "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238",
                                                   "code": "2106-3"}},
            {"url": "text", "valueString": "White"}]},
    ],
    "telecom": [{"system": "phone", "value": "555-0100", "use": "home"}],
    "address": [{"line": ["1 Test Street"], "city": "Springfield", "state": "IL",
                 "postalCode": "62701", "period": {"start": "2020-01-01"}}],
    "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en"}]}}],
    "deceasedBoolean": False,
}  # fmt: skip
_AROUND: dict[str, dict[str, Any]] = {
    "Organization": {
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1234567893"}],
        "active": True, "name": "Test Hospital",
        "telecom": [{"system": "phone", "value": "555-0101"}],
        "address": [{"city": "Springfield", "state": "IL"}]},
    "Practitioner": {
        "identifier": [{"system": "http://hl7.org/fhir/sid/us-npi", "value": "1245319599"}],
        "name": [{"family": "Tester", "given": ["Toni"]}]},
    "Location": {"status": "active", "name": "Ward 1", "address": {"city": "Springfield"}},
}  # fmt: skip


def _there(kind: str) -> dict[str, Any]:
    return _of(kind, **_AROUND[kind])


def _of(kind: str, **elements: Any) -> dict[str, Any]:
    """A resource of a type with a random id."""
    meta = {"lastUpdated": "2025-03-04T05:06:07Z"}
    return {"resourceType": kind, "id": secrets.token_hex(8), "meta": meta, **elements}


def _to(resource: Mapping[str, Any]) -> dict[str, str]:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def _text(text: str) -> dict[str, Any]:
    coding = {"system": "http://snomed.info/sct", "code": "1", "display": text}
    return {"text": text, "coding": [coding]}


def _code(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": _TERMS + system, "code": code}]}


def _encounter(
    me: Mapping[str, Any], practitioner: Mapping[str, Any], location: Mapping[str, Any],
    organization: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    return _of(
        "Encounter", subject=me, status="finished", type=[_text("Visit")],
        **{"class": {"system": _TERMS + "v3-ActCode", "code": "AMB"}},
        participant=[{"individual": _to(practitioner)}], serviceProvider=_to(organization),
        period={"start": "2025-03-01T09:00:00Z", "end": "2025-03-01T10:00:00Z"},
        reasonCode=[_text("Knee pain")], location=[{"location": _to(location)}],
    )  # fmt: skip


def _claim(
    me: Mapping[str, Any], organization: Mapping[str, Any], coverage: Mapping[str, Any]
) -> dict[str, Any]:
    """An ExplanationOfBenefit without sums, as PDex has it."""
    reviewed = {"category": _code("adjudication", "submitted"), "reason": _code("x12", "A1")}
    return {
        "status": "active", "use": "claim", "type": _code("claim-type", "professional"),
        "patient": me, "created": "2025-03-05", "insurer": _to(organization),
        "provider": _to(organization), "outcome": "complete",
        "billablePeriod": {"start": "2025-03-01", "end": "2025-03-01"},
        "identifier": [{"system": "https://played-payer.example.org/claim", "value": "C-1"}],
        "insurance": [{"focal": True, "coverage": _to(coverage)}],
        "diagnosis": [{"sequence": 1, "diagnosisCodeableConcept": _text("Knee pain")}],
        "item": [{"sequence": 1, "productOrService": _text("Visit"), "servicedDate": "2025-03-01",
                  "adjudication": [reviewed]}],
    }  # fmt: skip
