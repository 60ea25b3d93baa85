"""The attestation that comes with a request: the member is enrolled with the asker, and opted in.

No guide gives it an element of its own. The Consent tells the opt-in, and CoverageToLink, which a
payer has to send (HRex, $member-match), the enrollment: active, and issued by the payer that asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .fhir.dates import moment_range
from .parties import PayerIdentity


def attestation_gap(link: Mapping[str, Any] | None, requester: PayerIdentity, now: datetime) -> str:
    """What a request lacks to attest enrollment, as a stable code; empty when it attests it.

    A coverage that is yet to begin is one: members ask before their first day (pdex-208).
    """
    if link is None:
        return "attestation-missing"
    payors = link.get("payor")
    if not isinstance(payors, list) or not any(map(requester.is_meant_by, payors)):
        return "attestation-of-another-payer"
    if link.get("status") not in ("active", "draft"):
        return "attestation-not-active"
    period = link.get("period")
    end = moment_range(period.get("end")) if isinstance(period, Mapping) else None
    return "attestation-ended" if end and now >= end[1] else ""
