"""What is asked of a source payer because a member opted in: the body of an invoke-export."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from ..asking import coverage_to_link, hrex_consent
from ..fhir.hrex import SUBSCRIBER_RELATIONSHIP, V2_0203
from ..fhir.parameters import make_parameters
from ..opt_in import OptIn, OptInEvent, OtherPayer
from ..parties import PayerIdentity
from ..registration.servers import Server

MEMBER = "member"


def request_parameters(
    opt_in: OptIn, patient: Mapping[str, Any], server: Server, own: PayerIdentity, subscriber: str
) -> dict[str, Any]:
    """The body of `$sdh.s2s.invoke-export` that an opt-in stands for (SD-30)."""
    event = opt_in.event
    match = [
        ("MemberPatient", _member_patient(patient)),
        ("CoverageToMatch", coverage_to_match(event.other_payer, server.organization)),
        ("CoverageToLink", coverage_to_link(MEMBER, own, subscriber)),
        ("Consent", _consent(event, server.organization, own)),
    ]
    return make_parameters(
        [
            {"name": "localPatient",
             "valueReference": {"reference": f"Patient/{event.local_patient}"}},
            {"name": "sourceIssuerUrl", "valueString": server.issuer},
            {"name": "memberMatch",
             "part": [{"name": name, "resource": resource} for name, resource in match]},
        ]
    )  # fmt: skip


def coverage_to_match(other: OtherPayer, payer: PayerIdentity) -> dict[str, Any]:
    """The old plan's Coverage as the member tells it."""
    found: dict[str, Any] = {
        "resourceType": "Coverage",
        "id": "coverage-to-match",
        "status": "active",
        "beneficiary": {"reference": f"Patient/{MEMBER}"},
        "relationship": {
            "coding": [{"system": SUBSCRIBER_RELATIONSHIP, "code": other.relationship}]
        },
        "payor": [payer.reference()],
    }
    if other.subscriber_id:
        found["subscriberId"] = other.subscriber_id
    if other.member_id:
        identifier = {"type": {"coding": [{"system": V2_0203, "code": "MB"}]},
                      "value": other.member_id}  # fmt: skip
        if other.member_system:
            identifier["system"] = other.member_system
        found["identifier"] = [identifier]
    return found


def _consent(event: OptInEvent, source: PayerIdentity, own: PayerIdentity) -> dict[str, Any]:
    consent = hrex_consent(
        MEMBER,
        discloser=source,
        recipient=own,
        start=date.fromisoformat(event.start),
        end=date.fromisoformat(event.end),
        policy=event.policy,
        source=event.source,
    )
    if event.performer:
        consent["performer"] = [{"reference": event.performer}]
    return consent


def _member_patient(patient: Mapping[str, Any]) -> dict[str, Any]:
    """The least that HRex demographics ask for, no identifier of this payer among it."""
    wanted = ("name", "gender", "birthDate", "address")
    return {
        "resourceType": "Patient",
        "id": MEMBER,
        **{name: patient[name] for name in wanted if name in patient},
    }
