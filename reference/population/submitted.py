"""What a requesting payer submits: the HRex demographics Patient and the HRex Coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .people import (
    HREX,
    MEMBER_ID_SYSTEM,
    MEMBER_NUMBER_TYPE,
    PAYER_IDENTIFIER,
    PAYER_NAME,
    coverage_class,
    subscriber_relationship,
)

if TYPE_CHECKING:
    from .people import Name

SUBMITTED_ID = "submitted"


def submitted_patient(
    name: Name, gender: str, birth_date: str, patient_id: str = SUBMITTED_ID
) -> dict[str, Any]:
    """Return the least that the HRex demographics profile allows, with one name."""
    return {
        "resourceType": "Patient",
        "id": patient_id,
        "meta": {"profile": [HREX + "hrex-patient-demographics"]},
        "name": [name.human_name()],
        "gender": gender,
        "birthDate": birth_date,
    }


def submitted_coverage(
    *,
    member_id: str = "",
    subscriber_id: str = "",
    patient_id: str = SUBMITTED_ID,
    relationship: str = "self",
    system: str = MEMBER_ID_SYSTEM,
    group: str = "",
    plan: str = "",
    payer: dict[str, str] | None = None,
    payer_name: str = PAYER_NAME,
) -> dict[str, Any]:
    """Return a CoverageToMatch as copied from the old card: only what the card shows."""
    coverage: dict[str, Any] = {
        "resourceType": "Coverage",
        "id": f"{patient_id}-card",
        "meta": {"profile": [HREX + "hrex-coverage"]},
        "status": "active",
        "beneficiary": {"reference": f"Patient/{patient_id}"},
        "relationship": subscriber_relationship(relationship),
        "payor": [{"identifier": payer or PAYER_IDENTIFIER, "display": payer_name}],
    }
    if member_id:
        coverage["identifier"] = [
            {"type": MEMBER_NUMBER_TYPE, "system": system, "value": member_id}
        ]
    if subscriber_id:
        coverage["subscriberId"] = subscriber_id
    classes = [coverage_class(k, v, v) for k, v in (("group", group), ("plan", plan)) if v]
    return {**coverage, "class": classes} if classes else coverage
