"""Consent: what an HRex Consent says, and whether this payer can honour it.

The facts are those of the HRex consent profile (hrex-consent) and of PDex pdex-154 to pdex-156:
identity of both payers, the period, and whether the policy can be complied with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .fhir.dates import moment_range
from .fhir.hrex import DISCLOSE, DISCLOSER_ROLE, POLICY, RECIPIENT_ROLE
from .parties import PayerIdentity

# Elements of a provision that hrex-consent forbids: each of them would narrow the permit.
_LIMITS = frozenset({"class", "code", "data", "dataPeriod", "modifierExtension", "provision",
                     "purpose", "securityLabel"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConsentDecision:
    """Whether a consent is honoured; `reason` is for the audit record, never for the wire."""

    granted: bool
    policy: str = ""
    start: str = ""
    end: str = ""
    reason: str = ""
    attestation: str = ""
    """What the request lacks to attest enrollment; empty when it attests it."""


def evaluate(
    consent: Mapping[str, Any] | None,
    *,
    member: str,
    requester: PayerIdentity,
    responder: PayerIdentity,
    now: datetime,
    segmented: bool,
) -> ConsentDecision:
    """Decide on the Consent submitted with a match.

    `member` is the id of the submitted Patient, which the Consent must be about (mm-6). The period
    counts whole days at both ends. Nothing that is missing is taken as given.
    """
    if not isinstance(consent, Mapping):
        return ConsentDecision(False, reason="consent-missing")
    provision = consent.get("provision")
    provision = provision if isinstance(provision, Mapping) else {}
    for refused, reason in (
        (consent.get("status") != "active", "consent-not-active"),
        (provision.get("type") != "permit", "consent-not-a-permit"),
        (not _is_about(consent, member), "consent-of-another-person"),
        (not _names(provision, DISCLOSER_ROLE, responder), "consent-names-another-discloser"),
        (not _names(provision, RECIPIENT_ROLE, requester), "consent-names-another-recipient"),
        (not _discloses(provision), "consent-not-to-disclose"),
        (_is_limited(consent, provision), "consent-limits-not-understood"),
    ):
        if refused:
            return ConsentDecision(False, reason=reason)
    return _judge_terms(consent, provision, now, segmented=segmented)


def in_force(decision: ConsentDecision, now: datetime) -> bool:
    """Whether a decision made at the match still holds (pdex-156)."""
    return decision.granted and _period_reason(decision.start, decision.end, now) == ""


def _judge_terms(
    consent: Mapping[str, Any], provision: Mapping[str, Any], now: datetime, *, segmented: bool
) -> ConsentDecision:
    period = provision.get("period")
    period = period if isinstance(period, Mapping) else {}
    start, end = str(period.get("start", "")), str(period.get("end", ""))
    policy = _policy(consent)
    reason = _period_reason(start, end, now)
    if not reason and not policy:
        reason = "consent-policy-unknown"
    if not reason and policy == "regular" and not segmented:
        reason = "consent-policy-cannot-be-honoured"
    return ConsentDecision(not reason, policy, start, end, reason)


def _period_reason(start: str, end: str, now: datetime) -> str:
    first, last = moment_range(start), moment_range(end)
    if not first or not last:
        return "consent-period-missing"
    if now < first[0]:
        return "consent-not-yet-valid"
    return "consent-expired" if now >= last[1] else ""


def _policy(consent: Mapping[str, Any]) -> str:
    """`regular` or `sensitive`; the narrower one when both are named; empty when neither is."""
    policies = consent.get("policy")
    found = {
        entry.get("uri", "")[len(POLICY) :]
        for entry in (policies if isinstance(policies, list) else [])
        if isinstance(entry, Mapping) and str(entry.get("uri", "")).startswith(POLICY)
    }
    return next((name for name in ("regular", "sensitive") if name in found), "")


def _is_about(consent: Mapping[str, Any], member: str) -> bool:
    patient = consent.get("patient")
    reference = patient.get("reference") if isinstance(patient, Mapping) else None
    return reference == f"Patient/{member}"


def _names(provision: Mapping[str, Any], role: tuple[str, str], payer: PayerIdentity) -> bool:
    return any(
        payer.is_meant_by(actor.get("reference"))
        for actor in _objects(provision.get("actor"))
        if _has_coding(actor.get("role"), role)
    )


def _discloses(provision: Mapping[str, Any]) -> bool:
    return any(_has_coding(concept, DISCLOSE) for concept in _objects(provision.get("action")))


def _is_limited(consent: Mapping[str, Any], provision: Mapping[str, Any]) -> bool:
    """Whether the consent narrows what may be disclosed in a way that HRex has no place for.

    To take no account of it would be to disclose more than was agreed to.
    """
    return bool(_LIMITS & provision.keys()) or "modifierExtension" in consent


def _has_coding(concept: Any, coding: tuple[str, str]) -> bool:
    codings = concept.get("coding") if isinstance(concept, Mapping) else None
    return any((c.get("system"), c.get("code")) == coding for c in _objects(codings))


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [v for v in value if isinstance(v, Mapping)] if isinstance(value, list) else []
