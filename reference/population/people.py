"""The values a member is described by, and the FHIR Patient and Coverages they become."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import date

MEMBER_ID_SYSTEM = "https://responding-payer.example.org/member-id"
PATIENT_ID_SYSTEM = "https://responding-payer.example.org/patient-id"
SSN_SYSTEM = "http://hl7.org/fhir/sid/us-ssn"
PAYER_REFERENCE = "Organization/payer"
PAYER_IDENTIFIER = {"system": "https://example.org/payer-id", "value": "RESPONDING-PAYER"}
PAYER_NAME = "Responding Payer Health Plan (test)"

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
HREX = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/"
HTEST = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
_V2_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_COVERAGE_CLASS = "http://terminology.hl7.org/CodeSystem/coverage-class"
_RELATIONSHIP = "http://terminology.hl7.org/CodeSystem/subscriber-relationship"
_CDC_RACE = "urn:oid:2.16.840.1.113883.6.238"
MEMBER_NUMBER_TYPE = {"coding": [{"system": _V2_TYPES, "code": "MB"}]}
_RECORD_NUMBER_TYPE = {"coding": [{"system": _V2_TYPES, "code": "MR"}]}
_SSN_TYPE = {"coding": [{"system": _V2_TYPES, "code": "SS"}]}

RACES = {
    "2106-3": "White",
    "2054-5": "Black or African American",
    "2028-9": "Asian",
    "1002-5": "American Indian or Alaska Native",
}
ETHNICITIES = {"2135-2": "Hispanic or Latino", "2186-5": "Not Hispanic or Latino"}


@dataclass(frozen=True, slots=True)
class Name:
    """One name a member bears or bore."""

    family: str
    given: tuple[str, ...]
    use: str = "official"
    suffix: str = ""
    until: date | None = None

    def human_name(self) -> dict[str, Any]:
        """Return the FHIR HumanName."""
        name: dict[str, Any] = {"use": self.use, "family": self.family, "given": list(self.given)}
        if self.suffix:
            name["suffix"] = [self.suffix]
        if self.until:
            name["period"] = {"end": self.until.isoformat()}
        return name


@dataclass(frozen=True, slots=True)
class Address:
    """One place a member lives or lived at."""

    line: str
    city: str
    state: str
    postal_code: str
    since: date | None = None
    until: date | None = None

    def fhir(self) -> dict[str, Any]:
        """Return the FHIR Address."""
        address: dict[str, Any] = {
            "use": "old" if self.until else "home",
            "line": [self.line],
            "city": self.city,
            "state": self.state,
            "postalCode": self.postal_code,
            "country": "US",
        }
        period = _period(self.since, self.until)
        return {**address, "period": period} if period else address


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One coverage of one member with the responding payer."""

    coverage_id: str
    kind: str  # medical or dental
    subscriber_id: str
    member_id: str
    group: str
    plan: str
    start: date
    end: date | None


@dataclass(frozen=True, slots=True)
class Person:
    """One member: who they are and how they are covered; no clinical facts."""

    index: int
    names: tuple[Name, ...]
    gender: str
    birth_date: date
    deceased: date | None
    multiple_birth: int | None
    addresses: tuple[Address, ...]
    phone: str
    subscriber_id: str
    dependent: str
    relationship: str
    coverages: tuple[Enrolment, ...]
    household: tuple[int, ...]
    race: str
    ethnicity: str
    letter: str = ""  # of a named member

    # What follows from the fields is computed when asked: a registry of millions never asks.

    @property
    def patient_id(self) -> str:
        """The id of the FHIR Patient."""
        return f"m{self.index:07d}"

    @property
    def key(self) -> str:
        """The key of the truth table: a letter for named members, else the Patient's id."""
        return self.letter or self.patient_id

    @property
    def household_id(self) -> str:
        """The id all members of the household share."""
        return f"h{self.household[0]:07d}"

    @property
    def member_id(self) -> str:
        """The number on the member's card today."""
        return self.subscriber_id + self.dependent

    @property
    def email(self) -> str:
        """An address at an example domain, or nothing."""
        return f"{self.patient_id}@mail.example.com" if self.index % 5 < 3 else ""

    @property
    def ssn(self) -> str:
        """A number of area 666, which was never issued; or nothing."""
        index = self.index
        return f"666-{index % 99 + 1:02d}-{index * 7919 % 10000:04d}" if index % 3 else ""

    @property
    def updated(self) -> date:
        """The day of the last change: of coverage, of address, or death."""
        cover = self.coverages[0]
        days = (cover.end or cover.start, self.deceased, self.address.since)
        return max(day for day in days if day)

    @property
    def name(self) -> Name:
        """The name borne today."""
        return self.names[0]

    @property
    def address(self) -> Address:
        """The address lived at today."""
        return self.addresses[0]

    def age_on(self, day: date) -> int:
        """Return the age in whole years on that day."""
        born = self.birth_date
        return day.year - born.year - ((day.month, day.day) < (born.month, born.day))

    def patient(self) -> dict[str, Any]:
        """Return the FHIR Patient, US Core profile, as the responding payer holds it."""
        patient: dict[str, Any] = {
            "resourceType": "Patient",
            "id": self.patient_id,
            "meta": _meta(self.updated, US_CORE + "us-core-patient"),
            "extension": _demographic_extensions(self),
            "identifier": self._identifiers(),
            "active": True,
            "name": [name.human_name() for name in self.names],
            "telecom": self._telecom(),
            "gender": self.gender,
            "birthDate": self.birth_date.isoformat(),
            "address": [address.fhir() for address in self.addresses],
            "communication": [_ENGLISH],
        }
        if self.deceased:
            patient["deceasedDateTime"] = self.deceased.isoformat()
        if self.multiple_birth is not None:
            patient["multipleBirthInteger"] = self.multiple_birth
        return patient

    def coverage_dicts(self) -> list[dict[str, Any]]:
        """Return each coverage as a FHIR Coverage of both the US Core and the HRex profile."""
        return [self.coverage_dict(enrolment) for enrolment in self.coverages]

    def coverage_dict(self, enrolment: Enrolment) -> dict[str, Any]:
        """Return one coverage as FHIR."""
        return {
            "resourceType": "Coverage",
            "id": enrolment.coverage_id,
            "meta": _meta(
                max(enrolment.start, enrolment.end or enrolment.start),
                US_CORE + "us-core-coverage",
                HREX + "hrex-coverage",
            ),
            "identifier": [
                {
                    "type": MEMBER_NUMBER_TYPE,
                    "system": MEMBER_ID_SYSTEM,
                    "value": enrolment.member_id,
                }
            ],
            "status": "cancelled" if enrolment.end else "active",
            "type": _COVERAGE_TYPES[enrolment.kind],
            "subscriberId": enrolment.subscriber_id,
            "beneficiary": {"reference": f"Patient/{self.patient_id}"},
            "dependent": self.dependent,
            "relationship": subscriber_relationship(self.relationship),
            "period": _period(enrolment.start, enrolment.end),
            "payor": [
                {
                    "reference": PAYER_REFERENCE,
                    "identifier": PAYER_IDENTIFIER,
                    "display": PAYER_NAME,
                }
            ],
            "class": [
                coverage_class("group", enrolment.group, "Employer group"),
                coverage_class("plan", enrolment.plan, f"Plan {enrolment.plan}"),
            ],
        }

    def _identifiers(self) -> list[dict[str, Any]]:
        identifiers: list[dict[str, Any]] = [
            {"type": MEMBER_NUMBER_TYPE, "system": MEMBER_ID_SYSTEM, "value": self.member_id},
            {"type": _RECORD_NUMBER_TYPE, "system": PATIENT_ID_SYSTEM, "value": self.patient_id},
        ]
        if self.ssn:
            identifiers.append({"type": _SSN_TYPE, "system": SSN_SYSTEM, "value": self.ssn})
        return identifiers

    def _telecom(self) -> list[dict[str, str]]:
        telecom = [{"system": "phone", "value": self.phone, "use": "home"}]
        if self.email:
            telecom.append({"system": "email", "value": self.email})
        return telecom


_ENGLISH = {
    "language": {
        "coding": [{"system": "urn:ietf:bcp:47", "code": "en", "display": "English"}],
        "text": "English",
    },
    "preferred": True,
}
_COVERAGE_TYPES = {
    "medical": {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "EHCPOL",
                "display": "extended healthcare",
            }
        ]
    },
    "dental": {
        "coding": [
            {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "DENTPRG",
                "display": "dental program",
            }
        ]
    },
}


def _meta(updated: date, *profiles: str) -> dict[str, Any]:
    return {
        "lastUpdated": f"{updated.isoformat()}T06:00:00.000Z",
        "profile": list(profiles),
        "security": [HTEST],
    }


def _period(start: date | None, end: date | None) -> dict[str, str]:
    period = {}
    if start:
        period["start"] = start.isoformat()
    if end:
        period["end"] = end.isoformat()
    return period


def subscriber_relationship(code: str) -> dict[str, Any]:
    """Return how the member stands to the subscriber."""
    return {"coding": [{"system": _RELATIONSHIP, "code": code}]}


def coverage_class(kind: str, value: str, name: str) -> dict[str, Any]:
    """Return one class of a Coverage: its group or its plan."""
    return {
        "type": {"coding": [{"system": _COVERAGE_CLASS, "code": kind}]},
        "value": value,
        "name": name,
    }


def _demographic_extensions(person: Person) -> list[dict[str, Any]]:
    return [
        _category("race", person.race, RACES[person.race]),
        _category("ethnicity", person.ethnicity, ETHNICITIES[person.ethnicity]),
        {"url": US_CORE + "us-core-birthsex", "valueCode": person.gender[0].upper()},
    ]


def _category(name: str, code: str, display: str) -> dict[str, Any]:
    coding = {"system": _CDC_RACE, "code": code, "display": display}
    return {
        "url": f"{US_CORE}us-core-{name}",
        "extension": [
            {"url": "ombCategory", "valueCoding": coding},
            {"url": "text", "valueString": display},
        ],
    }
