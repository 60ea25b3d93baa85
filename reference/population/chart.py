"""One member's record while it is written: ids, dates, labels and coverage in one place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from .people import HTEST, PAYER_REFERENCE, US_CORE

if TYPE_CHECKING:
    from .dice import Dice
    from .people import Enrolment, Person

Reference = dict[str, str]

# How the default data scope treats a resource under a #regular consent.
SENT, STRIPPED, WITHHELD = "sent", "stripped", "withheld"


class Entry(NamedTuple):
    """One held resource and what the truth table says of it."""

    kind: str
    id: str
    body: bytes
    expect: str
    reason: str
    served: int  # proleptic ordinal day; 0: the resource tells of no one day
    updated: str


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """Everything held of one member, and the shared resources it points to."""

    person: Person
    entries: list[Entry]
    shared: list[str]

    @property
    def resources(self) -> list[tuple[str, str, bytes]]:
        """The resources as (type, id, JSON bytes)."""
        return [(entry.kind, entry.id, entry.body) for entry in self.entries]


@cache
def iso(day: int) -> str:
    """Return the date of an ordinal day as FHIR writes it."""
    return date.fromordinal(day).isoformat()


@cache
def claimed(*names: str) -> list[str]:
    """Return the canonicals of US Core profiles; full canonicals pass unchanged."""
    return [name if name.startswith("http") else US_CORE + name for name in names]


_LABELS = [HTEST]
_SHORT = {
    "AllergyIntolerance": "alg",
    "CarePlan": "plan",
    "CareTeam": "team",
    "Condition": "con",
    "DiagnosticReport": "rep",
    "DocumentReference": "doc",
    "Encounter": "enc",
    "ExplanationOfBenefit": "eob",
    "Immunization": "imm",
    "MedicationDispense": "disp",
    "MedicationRequest": "rx",
    "Observation": "obs",
    "Procedure": "proc",
    "Provenance": "prov",
    "QuestionnaireResponse": "qr",
    "RelatedPerson": "rel",
    "ServiceRequest": "req",
}


class Chart:
    """Collects one member's resources; every resource leaves it as final bytes."""

    def __init__(self, person: Person, dice: Dice, today: int) -> None:
        self.person = person
        self.dice = dice
        self.today = today
        self.born = person.birth_date.toordinal()
        self.last = person.deceased.toordinal() if person.deceased else today
        self.entries: list[Entry] = []
        self.used: set[str] = {PAYER_REFERENCE}
        self.patient: Reference = {"reference": f"Patient/{person.patient_id}"}
        self._counts: dict[str, int] = {}
        self._next_name = ""
        self._next_updated = 0
        self._labels: list[dict[str, str]] = _LABELS
        self._spans = [
            (span.start.toordinal(), span.end.toordinal() if span.end else today, span)
            for span in person.coverages
        ]
        home = person.index % 4
        self.doctor = self.use(f"Practitioner/doctor-{person.index % 12}")
        self.clinic = self.use(f"Organization/clinic-{home}")
        self.room = self.use(f"Location/clinic-{home}")

    # --- time ------------------------------------------------------------------------------

    def lived(self, day: int) -> bool:
        """Return whether the member was alive on that day, and the day is not to come."""
        return self.born <= day <= self.last

    def age(self, day: int) -> float:
        """Return the age in years on that day."""
        return (day - self.born) / 365.25

    def covered(self, first: int, last: int = 0, kind: str = "medical") -> Enrolment | None:
        """Return the coverage in force from the first to the last day, if one was."""
        for start, end, span in self._spans:
            if start <= first and (last or first) <= end and span.kind == kind:
                return span
        return None

    # --- references ------------------------------------------------------------------------

    def use(self, reference: str) -> Reference:
        """Return a reference to a shared resource, and remember that it is used."""
        self.used.add(reference)
        return {"reference": reference}

    def sensitive(self, *labels: dict[str, str]) -> None:
        """Label what follows as sensitive; without labels, end that."""
        self._labels = [HTEST, *labels] if labels else _LABELS

    def next_as(self, name: str, updated: int = 0) -> None:
        """Give the next resource this id ending, so that a test can ask for it by name."""
        self._next_name, self._next_updated = name, updated

    # --- writing ---------------------------------------------------------------------------

    def add(
        self,
        kind: str,
        profile: list[str],
        day: int,
        body: dict[str, Any],
        *,
        expect: str = SENT,
        reason: str = "",
    ) -> Reference:
        """Write one resource of that day and return a reference to it."""
        number = self._counts[kind] = self._counts.get(kind, 0) + 1
        tail = self._next_name or f"{_SHORT.get(kind) or kind.lower()}-{number}"
        identity = f"{self.person.patient_id}-{tail}"
        # A payer learns of an event days after it; never later than the day the data is of.
        learnt = self._next_updated or min(day + 1 + number % 5, self.today)
        self._next_name, self._next_updated = "", 0
        stamp = f"{iso(learnt)}T{number % 12:02d}:30:00.000Z"
        meta: dict[str, Any] = {"lastUpdated": stamp, "security": self._labels}
        if profile:
            meta["profile"] = profile
        resource = {"resourceType": kind, "id": identity, "meta": meta, **body}
        if self._labels is not _LABELS:
            expect, reason = WITHHELD, "sensitive"
        self.entries.append(
            Entry(kind, identity, orjson.dumps(resource), expect, reason, day, stamp)
        )
        return {"reference": f"{kind}/{identity}"}

    def hold(self, resource: dict[str, Any], *, expect: str = SENT, reason: str = "") -> Reference:
        """Take a resource that is complete already, its id and meta included."""
        kind, identity = resource["resourceType"], resource["id"]
        stamp = resource["meta"]["lastUpdated"]
        body = orjson.dumps(resource)
        self.entries.append(Entry(kind, identity, body, expect, reason, 0, stamp))
        return {"reference": f"{kind}/{identity}"}
