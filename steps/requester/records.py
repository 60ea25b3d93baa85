"""Whom the played payer knows: one member, made anew for each run, and a small record."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import Any

_IDENTIFIERS = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
_HREX = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/"
_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
PAYERS = "https://payer-exchange.example.org/payer-id"
PLAYED = {"system": PAYERS, "value": "PLAYED-PAYER", "name": "Played Payer Health Plan (test)"}
ASKING = {"system": PAYERS, "value": "ASKING-PAYER", "name": "Asking Payer Health Plan (test)"}
MEMBER_SYSTEM = "https://played-payer.example.org/member-id"


def _ident() -> str:
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class PlayedMember:
    """A member of the played payer: ids, card and demographics are random."""

    patient_id: str = field(default_factory=_ident)
    number: str = field(default_factory=lambda: f"P{secrets.randbelow(10**9):09d}")
    subscriber: str = field(default_factory=lambda: f"S{secrets.randbelow(10**9):09d}")
    family: str = field(default_factory=lambda: f"Probe{secrets.token_hex(3)}")

    def demographics(self, ident: str) -> dict[str, Any]:
        """The Patient as the member's new plan knows it."""
        return {
            "resourceType": "Patient",
            "id": ident,
            "meta": {"profile": [_HREX + "hrex-patient-demographics"]},
            "name": [{"family": self.family, "given": ["Robin"]}],
            "gender": "female",
            "birthDate": "1970-02-03",
        }  # fmt: skip

    def coverage(self, ident: str) -> dict[str, Any]:
        """The old plan's Coverage, as the card tells it."""
        return {
            "resourceType": "Coverage",
            "id": "old-coverage",
            "meta": {"profile": [_HREX + "hrex-coverage"]},
            "identifier": [{"type": {"coding": [{"system": _TYPES, "code": "MB"}]},
                            "system": MEMBER_SYSTEM, "value": self.number}],
            "status": "active",
            "subscriberId": self.subscriber,
            "beneficiary": {"reference": f"Patient/{ident}"},
            "relationship": {"coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/subscriber-relationship",
                "code": "self"}]},
            "payor": [{"identifier": {"system": PLAYED["system"], "value": PLAYED["value"]},
                       "display": PLAYED["name"]}],
        }  # fmt: skip

    def identifier(self) -> dict[str, Any]:
        """The unique member identifier that the match answers with."""
        return {"type": {"coding": [{"system": _IDENTIFIERS, "code": "UMB"}]},
                "system": MEMBER_SYSTEM, "value": self.number}  # fmt: skip

    def told(self) -> dict[str, Any]:
        """What a requesting payer is handed: whom to ask for, and at whom."""
        return {
            "patient": self.demographics("member-1"),
            "coverage_to_match": self.coverage("member-1"),
            "responding_payer": {"identifier": _bare(PLAYED), "name": PLAYED["name"]},
            "requesting_payer": {"identifier": _bare(ASKING), "name": ASKING["name"]},
        }


def _bare(party: dict[str, str]) -> dict[str, str]:
    return {"system": party["system"], "value": party["value"]}


def record(member: PlayedMember) -> dict[str, list[dict[str, Any]]]:
    """The member's record by type: enough of each for a requester to take in."""
    me = {"reference": f"Patient/{member.patient_id}"}
    meta = {"lastUpdated": "2025-03-04T05:06:07Z"}
    patient = {**member.demographics(member.patient_id), "meta": meta,
               "identifier": [member.identifier()]}  # fmt: skip
    coverage = {**member.coverage(member.patient_id), "meta": meta, "id": _ident()}
    observations = [
        {"resourceType": "Observation", "id": _ident(), "meta": meta, "status": "final",
         "code": {"text": f"Observation {n}"}, "subject": me,
         "effectiveDateTime": f"2025-0{n + 1}-01"}
        for n in range(4)
    ]  # fmt: skip
    conditions = [
        {"resourceType": "Condition", "id": _ident(), "meta": meta, "subject": me,
         "code": {"text": "Something"}, "recordedDate": "2024-05-06",
         "clinicalStatus": {"coding": [{
             "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
             "code": "active"}]}}
        for _ in range(2)
    ]  # fmt: skip
    return {"Patient": [patient], "Coverage": [coverage], "Condition": conditions,
            "Observation": observations}  # fmt: skip


def lines(resources: list[dict[str, Any]]) -> bytes:
    """Resources as NDJSON."""
    return b"".join(json.dumps(r).encode() + b"\n" for r in resources)
