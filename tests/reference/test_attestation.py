"""The attestation of enrollment: CoverageToLink of the payer that asks (cms0057-attestation)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from payer_exchange.reference.attestation import attestation_gap
from payer_exchange.reference.parties import PayerIdentity

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
ASKER = PayerIdentity("https://example.org/payer-id", "ASKER")
LINK = {
    "resourceType": "Coverage",
    "status": "active",
    "payor": [{"identifier": {"system": ASKER.system, "value": ASKER.value}}],
}


@pytest.mark.parametrize(
    ("link", "gap"),
    [
        (LINK, ""),
        ({**LINK, "status": "draft", "period": {"start": "2027-02-01"}}, ""),
        ({**LINK, "period": {"end": "2027-01-15"}}, ""),
        ({**LINK, "period": {"end": "2027-01-14"}}, "attestation-ended"),
        ({**LINK, "status": "cancelled"}, "attestation-not-active"),
        ({**LINK, "payor": []}, "attestation-of-another-payer"),
        ({**LINK, "payor": "nobody"}, "attestation-of-another-payer"),
        ({**LINK, "payor": [{"display": "Somebody"}]}, "attestation-of-another-payer"),
        (None, "attestation-missing"),
    ],
)
def test_what_is_missing_is_told(link, gap):
    assert attestation_gap(link, ASKER, NOW) == gap
