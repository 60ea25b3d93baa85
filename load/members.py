"""The members a load run asks for, and what must arrive of each: a fast wrong answer fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ..reference.asking import (
    consent_period,
    coverage_to_link,
    hrex_consent,
    member_match_parameters,
)
from ..reference.errors import SettingsError
from ..reference.member_match import MemberMatchRequest
from ..reference.parties import PayerIdentity
from ..reference.settings import Settings

# The truth table tells what leaves under a regular consent; under any other it would be another.
_POLICY = "regular"
_HREX = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition"


@dataclass(frozen=True, slots=True)
class ExpectedMember:
    """One member who must be found, and what their record must and must not bring."""

    key: str
    """The member's name in the truth table."""
    patient_id: str
    patient: Mapping[str, Any] = field(repr=False)
    coverage_to_match: Mapping[str, Any] = field(repr=False)
    delivered: frozenset[str] = field(repr=False, default=frozenset())
    withheld: frozenset[str] = field(repr=False, default=frozenset())

    def problem_with(self, found: Iterable[str]) -> str:
        """What is wrong with the `Type/id` keys that were delivered; empty when nothing is."""
        keys = frozenset(found)
        missing, extra = self.delivered - keys, self.withheld & keys
        if missing:
            return f"{len(missing)} of {len(self.delivered)} expected resources are missing."
        if extra:
            return f"{len(extra)} resources were delivered that must be withheld."
        return ""


@dataclass(frozen=True, slots=True)
class TruthTable:
    """Who asks whom, and for which members."""

    requester: PayerIdentity
    responder: PayerIdentity
    members: tuple[ExpectedMember, ...]

    def match_request(self, member: ExpectedMember, today: date) -> MemberMatchRequest:
        """What is asked for one member, the Consent valid today."""
        ident = str(member.patient["id"])
        start, end = consent_period("current", today)
        consent = hrex_consent(
            ident, discloser=self.responder, recipient=self.requester, start=start, end=end
        )
        link = coverage_to_link(ident, self.requester, "NEW-PLAN-NUMBER")
        return MemberMatchRequest(
            dict(member.patient), dict(member.coverage_to_match), link, consent
        )

    def match_body(self, member: ExpectedMember, today: date) -> dict[str, Any]:
        """The Parameters of `$member-match`."""
        asked = self.match_request(member, today)
        return member_match_parameters(
            asked.patient, asked.coverage_to_match, asked.consent, asked.coverage_to_link or {}
        )


NOBODY = TruthTable(PayerIdentity("", ""), PayerIdentity("", ""), ())
"""Of a server whose members are not known and not asked for by name."""


def read_truth(settings: Settings) -> TruthTable:
    """The truth table that the settings name.

    Raises SettingsError when there is none, or when it has no member who must be found.
    """
    if not settings.members.file:
        raise SettingsError(
            "No truth table is configured: set [members] file. A load run asks for "
            "its members and compares what comes with it."
        )
    path = settings.path(settings.members.file)
    try:
        return truth_of(json.loads(path.read_text(encoding="utf-8")), settings)
    except (OSError, ValueError) as error:
        raise SettingsError(f"The truth table {path.name} cannot be read.") from error
    except (KeyError, TypeError) as error:
        raise SettingsError(f"The truth table {path.name} is not as documented.") from error


def truth_of(content: Mapping[str, Any], settings: Settings) -> TruthTable:
    """The truth table in the content of members.json.

    Beside the match requests that it tells, each member who is `plain` is asked for by name, birth
    date and card.
    """
    rows = {row["key"]: row for row in content["members"]}
    members = tuple(
        _expected(request, rows[request["member"]])
        for request in content["requests"]
        if _is_plain(request) and request["member"] in rows
    )
    asked = {request.get("member") for request in content["requests"]}
    crowd = (r for key, r in rows.items() if r.get("plain") and key not in asked)
    payer = content["responding_payer"]
    members += tuple(_expected(request_for(row, payer), row) for row in crowd)
    if not members:
        raise SettingsError('The truth table has no match request with expect "match".')
    own = settings.identity.identity()
    return TruthTable(
        own if own.value else _identity(content["requesting_payer"]),
        _identity(content["responding_payer"]),
        members,
    )


def request_for(row: Mapping[str, Any], payer: Mapping[str, Any]) -> dict[str, Any]:
    """Patient and Coverage by which a member of the truth table is asked for at that payer."""
    local = f"submitted-{row['key']}"
    patient, card = row["patient"], row["coverages"][0]
    shown = ("resourceType", "identifier", "relationship", "class")
    return {
        "patient": {
            "resourceType": "Patient",
            "id": local,
            "meta": {"profile": [f"{_HREX}/hrex-patient-demographics"]},
            "name": [name for name in patient["name"] if name.get("use") != "old"][:1],
            **{key: patient[key] for key in ("gender", "birthDate") if key in patient},
        },
        "coverage_to_match": {
            "id": f"{local}-card",
            "meta": {"profile": [f"{_HREX}/hrex-coverage"]},
            "status": "active",
            "beneficiary": {"reference": f"Patient/{local}"},
            "payor": [{"identifier": payer["identifier"], "display": payer.get("name", "")}],
            **{key: card[key] for key in shown if key in card},
        },
    }


def _is_plain(request: Mapping[str, Any]) -> bool:
    terms = request.get("consent", {})
    return (
        request["expect"] == "match"
        and not request.get("needs")
        and terms.get("policy", _POLICY) == _POLICY
    )


def _expected(request: Mapping[str, Any], row: Mapping[str, Any]) -> ExpectedMember:
    told = row.get("record", {}).get("resources", {})
    return ExpectedMember(
        row["key"],
        row["patient_id"],
        request["patient"],
        request["coverage_to_match"],
        frozenset(k for k, r in told.items() if r["expect"] in ("sent", "stripped")),
        frozenset(k for k, r in told.items() if r["expect"] == "withheld"),
    )


def _identity(content: Mapping[str, Any]) -> PayerIdentity:
    identifier = content["identifier"]
    return PayerIdentity(identifier["system"], identifier["value"], content.get("name", ""))
