"""The Parameters of a match request, of what the truth table says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..reference.asking import (
    consent_period,
    coverage_to_link,
    hrex_consent,
    member_match_parameters,
)
from ..reference.parties import PayerIdentity


def match_body(
    wanted: Mapping[str, Any], requester: PayerIdentity, responder: PayerIdentity
) -> dict[str, Any]:
    """The request of a member, its Consent dated from today and named as the request has it."""
    patient, terms = wanted["patient"], wanted["consent"]
    ident = patient["id"]
    start, end = consent_period(terms.get("period", "current"), datetime.now(UTC).date())
    other = PayerIdentity(requester.system, "SOME-OTHER-PAYER", "Another payer")
    consent = hrex_consent(
        "somebody-else" if terms.get("patient") == "other" else ident,
        discloser=other if terms.get("discloser") == "other" else responder,
        recipient=other if terms.get("recipient") == "other" else requester,
        start=start,
        end=end,
        policy=terms.get("policy", "regular"),
        status=terms.get("status", "active"),
    )
    link = coverage_to_link(ident, requester, "NEW-PLAN-NUMBER")
    return member_match_parameters(patient, wanted["coverage_to_match"], consent, link)
