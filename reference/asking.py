"""What a requesting payer submits: HRex resources made of what it knows of its member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from .fhir.hrex import (
    DISCLOSE,
    DISCLOSER_ROLE,
    POLICY,
    RECIPIENT_ROLE,
    SUBSCRIBER_RELATIONSHIP,
)
from .fhir.parameters import make_parameters
from .parties import PayerIdentity

_ROLES = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


@dataclass(frozen=True, slots=True)
class Representative:
    """Who gives a permission in a member's place: a RelatedPerson with an id, and by what right."""

    person: Mapping[str, Any]
    role: str
    """A code of SecurityRoleType, as HPOWATT: by a power of attorney for health care."""


def hrex_consent(
    member: str,
    *,
    discloser: PayerIdentity,
    recipient: PayerIdentity,
    start: date,
    end: date,
    policy: str = "regular",
    status: str = "active",
    source: str = "DocumentReference/signed-consent",
    representative: Representative | None = None,
) -> dict[str, Any]:
    """A Consent in the HRex profile: to disclose, from one payer to another, for a period.

    Whoever gave it in the member's place is contained, and is an actor (pdex-205, pdex-206).
    """
    consent: dict[str, Any] = {
        "resourceType": "Consent",
        "id": f"consent-{member}"[:64],
        "status": status,
        "scope": _concept("http://terminology.hl7.org/CodeSystem/consentscope", "patient-privacy"),
        "category": [_concept("http://terminology.hl7.org/CodeSystem/v3-ActCode", "IDSCL")],
        "patient": {"reference": f"Patient/{member}"},
        "performer": [{"reference": f"Patient/{member}"}],
        "sourceReference": {"reference": source},
        "policy": [{"uri": POLICY + policy}],
        "provision": {
            "type": "permit",
            "period": {"start": start.isoformat(), "end": end.isoformat()},
            "actor": [
                {"role": _concept(*DISCLOSER_ROLE), "reference": discloser.reference()},
                {"role": _concept(*RECIPIENT_ROLE), "reference": recipient.reference()},
            ],
            "action": [_concept(*DISCLOSE)],
        },
    }  # fmt: skip
    return _given_by(consent, representative) if representative else consent


def _given_by(consent: dict[str, Any], by: Representative) -> dict[str, Any]:
    reference = {"reference": f"#{by.person['id']}"}
    actor = {"role": _concept(_ROLES, by.role), "reference": reference}
    provision = consent["provision"]
    return {
        **consent,
        "contained": [by.person],
        "performer": [reference],
        "provision": {**provision, "actor": [*provision["actor"], actor]},
    }


def coverage_to_link(member: str, payer: PayerIdentity, subscriber_id: str) -> dict[str, Any]:
    """The new plan's own Coverage, kept minimal (mm-5)."""
    return {
        "resourceType": "Coverage",
        "id": f"link-{member}"[:64],
        "status": "active",
        "subscriberId": subscriber_id,
        "beneficiary": {"reference": f"Patient/{member}"},
        "relationship": _concept(SUBSCRIBER_RELATIONSHIP, "self"),
        "payor": [payer.reference()],
    }


def member_match_parameters(
    patient: Mapping[str, Any],
    coverage_to_match: Mapping[str, Any],
    consent: Mapping[str, Any],
    link: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """The body of `$member-match` (hrex-parameters-member-match-in)."""
    entries = [
        ("MemberPatient", patient),
        ("Consent", consent),
        ("CoverageToMatch", coverage_to_match),
        ("CoverageToLink", link),
    ]
    return make_parameters(
        {"name": name, "resource": resource} for name, resource in entries if resource is not None
    )


def consent_period(kind: str, today: date) -> tuple[date, date]:
    """The first and last day of a consent that is `current`, `expired` or `future` today."""
    start, end = {"current": (-30, 60), "expired": (-400, -35), "future": (30, 120)}[kind]
    return today + timedelta(days=start), today + timedelta(days=end)


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
