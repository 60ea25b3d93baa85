"""The match requests of the truth table: who asks for whom, and what it must come to.

Consents are told, not built: their dates have to be fresh on the day a request is made.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from .named import INDEX
from .people import Address, Name
from .submitted import submitted_coverage, submitted_patient

if TYPE_CHECKING:
    from .people import Person
    from .population import Population

GOOD_CONSENT = {
    "policy": "regular",
    "period": "current",
    "recipient": "requesting",
    "discloser": "responding",
    "status": "active",
    "patient": "member",
}
# Each way a Consent can fail, for a request that is otherwise in order.
CONSENT_FAULTS = {
    "expired": {"period": "expired"},
    "future": {"period": "future"},
    "wrong-recipient": {"recipient": "other"},
    "wrong-discloser": {"discloser": "other"},
    "inactive": {"status": "inactive"},
    "other-patient": {"patient": "other"},
}
UNKNOWN_NUMBER = "WPZ00000000001"


@dataclass(slots=True)
class Case:
    """One request: a person as submitted, the card shown, and what must come of it."""

    name: str
    case: str
    purpose: str
    person: Person | None = None
    expect: str = "match"
    patient: dict[str, Any] = field(default_factory=dict)
    card: dict[str, str] = field(default_factory=dict)
    consent: dict[str, str] = field(default_factory=dict)
    needs: str = ""

    def told(self, payer: dict[str, Any]) -> dict[str, Any]:
        """Return the request as the truth table tells it."""
        local = f"submitted-{self.name}"
        patient = self.patient or as_known(self.person)
        relationship = self.person.relationship if self.person else "self"
        request = {
            "name": self.name,
            "case": self.case,
            "member": self.person.key if self.person and self.expect == "match" else None,
            "expect": self.expect,
            "patient": {**patient, "id": local},
            "coverage_to_match": submitted_coverage(
                patient_id=local,
                relationship=relationship,
                payer=payer["identifier"],
                payer_name=payer["name"],
                **(self.card or own_card(self.person)),
            ),
            "consent": {**GOOD_CONSENT, **self.consent},
            "purpose": self.purpose,
        }
        return {**request, "needs": self.needs} if self.needs else request


def as_known(person: Person | None) -> dict[str, Any]:
    """Return the member as the responding payer knows them."""
    if person is None:
        raise ValueError("A request without a member needs a patient of its own.")
    return submitted_patient(person.name, person.gender, person.birth_date.isoformat())


def own_card(person: Person | None) -> dict[str, str]:
    """Return what the member's own card shows."""
    if person is None:
        return {"member_id": UNKNOWN_NUMBER}
    cover = person.coverages[0]
    return {"member_id": person.member_id, "group": cover.group, "plan": cover.plan}


def match_requests(population: Population, payer: dict[str, Any]) -> list[dict[str, Any]]:
    """Return every request about the named members and about C, whom nobody knows."""
    people = {key: population.person(index) for key, index in INDEX.items()}
    cases = [*_matches(people), *_refusals(people, population.as_of), *_consents(people)]
    return [case.told(payer) for case in cases]


_PLAIN = {
    "G": "time-windows",
    "H": "prior-authorizations",
    "I": "withdrawn-later",
    "J": "patient-with-extras",
    "K": "every-claim",
    "L": "unstructured-documents",
    "M": "foreign-author",
}


def _matches(people: dict[str, Person]) -> list[Case]:
    plain = [
        Case(name, key, f"{key} is found by name, birth date and card.", people[key])
        for key, name in _PLAIN.items()
    ]
    return [
        Case("unique", "A", "The happy path: A is found.", people["A"]),
        Case(
            "unique-sensitive", "A", "A is found, and agreed to sensitive data as well.",
            people["A"], consent={"policy": "sensitive"},
        ),
        Case(
            "sensitive-held", "E", "E holds labelled data, which stays behind.", people["E"]
        ),
        Case(
            "sensitive-agreed", "E", "E agreed to sensitive data, so all of it may leave.",
            people["E"], consent={"policy": "sensitive"},
        ),
        Case("two-coverages", "F", "F is found by the medical card.", people["F"]),
        *plain,
        _drifted(people["N"]),
    ]  # fmt: skip


def _drifted(person: Person) -> Case:
    """Return the request of a member whose old card shows maiden name and old address."""
    former = person.names[1]
    patient = submitted_patient(
        Name(former.family, former.given), person.gender, person.birth_date.isoformat()
    )
    old = person.addresses[1]
    patient["address"] = [Address(old.line, old.city, old.state, old.postal_code).fhir()]
    return Case(
        "drifted-demographics", "N", "Found by the maiden name kept as an old name.", person,
        patient=patient,
    )  # fmt: skip


def _refusals(people: dict[str, Person], as_of: date) -> list[Case]:
    return [
        *_unknowns(people, as_of),
        *_twin_cases(people),
        Case(
            "unknown-coverage", "F", "F shows a second card, which nobody here issued.",
            people["F"], "no-match", card={"member_id": UNKNOWN_NUMBER},
        ),
        Case(
            "no-segmentation", "E", "Cannot be honoured where sensitive data cannot be told apart.",
            people["E"], "consent", needs="no-segmentation",
        ),
    ]  # fmt: skip


def _unknowns(people: dict[str, Person], as_of: date) -> list[Case]:
    born = (as_of - timedelta(days=16_000)).isoformat()
    nobody = submitted_patient(Name("Castlewick", ("Cora",)), "female", born)
    stranger = submitted_patient(Name("Strangeways", ("Solveig",)), "female", born)
    ada = people["A"]
    return [
        Case("unknown", "C", "C was never a member here.", None, "no-match", nobody),
        Case(
            "wrong-card", "A", "The right person with the card number of nobody.", ada, "no-match",
            card={"member_id": UNKNOWN_NUMBER},
        ),
        Case(
            "stranger-on-known-card", "A", "A stranger shows A's card.", ada, "no-match", stranger,
        ),
    ]  # fmt: skip


def _twin_cases(people: dict[str, Person]) -> list[Case]:
    first, second = people["D1"], people["D2"]
    # The name both twins bear, on a card that names the family and not the child.
    shared = Name(first.name.family, first.name.given[:1])
    either = submitted_patient(shared, first.gender, first.birth_date.isoformat())
    return [
        Case(
            "twins", "D", "The card tells the family only, and the name fits both twins.", first,
            "many", either, {"subscriber_id": first.subscriber_id},
        ),
        Case(
            "co-twins-card", "D", "The first twin's full name with the second twin's number.",
            first, "no-match", card={"member_id": second.member_id},
        ),
        Case("first-twin", "D1", "The first twin with her own number is found.", first),
        Case("second-twin", "D2", "The second twin with her own number is found.", second),
    ]  # fmt: skip


def _consents(people: dict[str, Person]) -> list[Case]:
    return [
        Case(
            f"consent-{fault}-{key.lower()}", key, f"{key} is found; the Consent is {fault}.",
            people[key], "consent", consent=consent,
        )
        for key in ("A", "B")
        for fault, consent in CONSENT_FAULTS.items()
    ]  # fmt: skip
