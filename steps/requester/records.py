"""Whom the played payer knows: members made anew for each exchange, and their small records."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .must_support import with_must_support
from .script import Script

_IDENTIFIERS = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
_HREX = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/"
_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_CLASSES = "http://terminology.hl7.org/CodeSystem/coverage-class"
PAYERS = "https://payer-exchange.example.org/payer-id"
PLAYED = {"system": PAYERS, "value": "PLAYED-PAYER", "name": "Played Payer Health Plan (test)"}
ASKING = {"system": PAYERS, "value": "ASKING-PAYER", "name": "Asking Payer Health Plan (test)"}
_META = {"lastUpdated": "2025-03-04T05:06:07Z"}
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
            "class": [{"type": {"coding": [{"system": _CLASSES, "code": code}]}, "value": value}
                      for code, value in (("group", "G-77"), ("plan", "GOLD"))],
        }  # fmt: skip

    def representative(self) -> dict[str, Any]:
        """A daughter who may decide for the member."""
        return {
            "resourceType": "RelatedPerson",
            "id": "representative",
            "patient": {"reference": "Patient/member-1"},
            "name": [{"family": f"{self.family}-Heir", "given": ["Kim"]}],
            "birthDate": "1995-04-05",
        }

    def identifier(self) -> dict[str, Any]:
        """The unique member identifier that the match answers with."""
        return {"type": {"coding": [{"system": _IDENTIFIERS, "code": "UMB"}]},
                "system": MEMBER_SYSTEM, "value": self.number}  # fmt: skip

    def told(self, ident: str) -> dict[str, Any]:
        """What a requesting payer is handed of the member, under an id of its own."""
        return {"patient": self.demographics(ident), "coverage_to_match": self.coverage(ident)}


def told_members(members: Sequence[PlayedMember], *, bulk: bool) -> dict[str, Any]:
    """What a requesting payer is handed: whom to ask for, and at whom."""
    told = [member.told(f"member-{n}") for n, member in enumerate(members, 1)]
    return {
        **({"members": told} if bulk else told[0]),
        "responding_payer": {"identifier": bare(PLAYED), "name": PLAYED["name"]},
        "requesting_payer": {"identifier": bare(ASKING), "name": ASKING["name"]},
    }


def bare(party: dict[str, str]) -> dict[str, str]:
    """The identifier of a party without its name."""
    return {"system": party["system"], "value": party["value"]}


Content = dict[str, list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Record:
    """A member's record: what is there at first, and what has changed by a later round."""

    first: Content
    later: Content
    gone: tuple[str, ...] = ()
    """What is deleted by then, as type and id."""

    @classmethod
    def of(cls, member: PlayedMember, script: Script, file_host: str) -> Record:
        """The record that a script gives a member."""
        first = _plain(member)
        if script.must_support:
            first = with_must_support(first, member.patient_id)
        if script.foreign_references:
            first["DocumentReference"] = [_document(member, file_host)]
        changed = {
            kind: [_scripted(resource, script) for resource in resources]
            for kind, resources in first.items()
        }
        if not script.changes:
            return cls(changed, {})
        gone = f"Condition/{changed['Condition'][0]['id']}"
        return cls(changed, {"Observation": [_observation(member, 9)]}, (gone,))

    @property
    def patient(self) -> dict[str, Any]:
        """The member's Patient."""
        return self.first["Patient"][0]

    def content(self, number: int = 0, *, granted: str = "") -> Content:
        """All that is there in a round, of the types that a scope opens."""
        kinds = {s.partition("/")[2].partition(".")[0] for s in granted.split()}
        found = {kind: list(resources) for kind, resources in self.first.items()
                 if not granted or kind in kinds or "*" in kinds}  # fmt: skip
        if number:
            for kind, resources in self.later.items():
                found[kind] = [*found[kind], *resources]
            gone = set(self.gone)
            found = {kind: [r for r in resources if f"{kind}/{r['id']}" not in gone]
                     for kind, resources in found.items()}  # fmt: skip
        return found

    def new(self) -> Content:
        """What came after the first round."""
        return self.later

    def counts(self, number: int) -> dict[str, int]:
        """How many resources of each type there are in a round."""
        return {kind: len(resources) for kind, resources in self.content(number).items()}


def _plain(member: PlayedMember) -> Content:
    """Enough of each type for a requester to take in."""
    me = {"reference": f"Patient/{member.patient_id}"}
    patient = {**member.demographics(member.patient_id), "meta": _META,
               "identifier": [member.identifier()]}  # fmt: skip
    coverage = {**member.coverage(member.patient_id), "meta": _META, "id": _ident()}
    conditions = [
        {"resourceType": "Condition", "id": _ident(), "meta": _META, "subject": me,
         "code": {"text": "Something"}, "recordedDate": "2024-05-06",
         "clinicalStatus": {"coding": [{
             "system": "http://terminology.hl7.org/CodeSystem/condition-clinical",
             "code": "active"}]}}
        for _ in range(2)
    ]  # fmt: skip
    return {"Patient": [patient], "Coverage": [coverage], "Condition": conditions,
            "Observation": [_observation(member, n) for n in range(1, 5)]}  # fmt: skip


def _observation(member: PlayedMember, month: int) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": _ident(), "meta": _META, "status": "final",
            "code": {"text": "Something measured"},
            "subject": {"reference": f"Patient/{member.patient_id}"},
            "effectiveDateTime": f"2025-{month:02}-01"}  # fmt: skip


def _document(member: PlayedMember, file_host: str) -> dict[str, Any]:
    """A document whose content lies at another host, and an author who does so as well."""
    return {"resourceType": "DocumentReference", "id": _ident(), "meta": _META, "status": "current",
            "subject": {"reference": f"Patient/{member.patient_id}"},
            "author": [{"reference": f"{file_host}/Practitioner/{_ident()}"}],
            "content": [{"attachment": {"contentType": "application/pdf",
                                        "url": f"{file_host}/Binary/{_ident()}"}}]}  # fmt: skip


def _scripted(resource: dict[str, Any], script: Script) -> dict[str, Any]:
    found = _with_extensions(resource) if script.extensions else resource
    return {k: v for k, v in found.items() if k != "meta" or not script.without_meta}


def _with_extensions(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource with what a consumer may not know, and may not stumble over."""
    extension = {"url": "https://example.org/StructureDefinition/made-up", "valueString": "x"}
    absent = {"extension": [{
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": "unknown"}]}  # fmt: skip
    found = {**resource, "extension": [extension]}
    if resource["resourceType"] == "Condition":
        found.pop("recordedDate")
        found["_recordedDate"] = absent
    return found


def lines(resources: Sequence[Any]) -> bytes:
    """Resources as NDJSON."""
    return b"".join(json.dumps(r).encode() + b"\n" for r in resources)
