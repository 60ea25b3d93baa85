"""References between resources: finding them, reading them, and whose compartment they make."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_RELATIVE = re.compile(r"(?:^|/)([A-Z][A-Za-z]{1,63})/([A-Za-z0-9.-]{1,64})(?:/_history/[^/#]+)?$")

# The element that puts a resource of a type into a Patient compartment (R4
# compartmentdefinition-patient, narrowed to the person the record is about: a subscriber is not
# the beneficiary of a dependent's Coverage).
_PATIENT_ELEMENT: dict[str, str] = {
    "AllergyIntolerance": "patient",
    "Claim": "patient",
    "ClaimResponse": "patient",
    "Consent": "patient",
    "Coverage": "beneficiary",
    "CoverageEligibilityRequest": "patient",
    "CoverageEligibilityResponse": "patient",
    "Device": "patient",
    "DeviceUseStatement": "subject",
    "ExplanationOfBenefit": "patient",
    "FamilyMemberHistory": "patient",
    "Immunization": "patient",
    "NutritionOrder": "patient",
    "RelatedPerson": "patient",
    "VisionPrescription": "patient",
    "Task": "for",
}


def split_reference(reference: Any) -> tuple[str, str] | None:
    """(type, id) of a literal reference, relative or absolute; None for anything else."""
    if not isinstance(reference, str) or reference.startswith("#"):
        return None
    found = _RELATIVE.search(reference)
    return (found[1], found[2]) if found else None


def references_in(value: Any) -> Iterator[str]:
    """Every `reference` string below a resource, in document order."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if key == "reference" and isinstance(child, str):
                yield child
            else:
                yield from references_in(child)
    elif isinstance(value, list):
        for child in value:
            yield from references_in(child)


def binary_urls(resource: Mapping[str, Any]) -> Iterator[str]:
    """Attachment URLs of a resource that name a Binary on the same server."""
    for part in ("content", "presentedForm"):
        for entry in _objects(resource.get(part)):
            attachment = entry.get("attachment", entry)
            url = attachment.get("url") if isinstance(attachment, Mapping) else None
            key = split_reference(url)
            if key and key[0] == "Binary":
                yield str(url)


def patient_of(resource: Mapping[str, Any]) -> str | None:
    """The id of the Patient a resource is about, or None when it names none."""
    kind = str(resource.get("resourceType"))
    if kind == "Patient":
        return str(resource.get("id"))
    element = resource.get(_PATIENT_ELEMENT.get(kind, "subject"))
    if element is None:
        element = resource.get("patient")
    key = split_reference(element.get("reference")) if isinstance(element, Mapping) else None
    return key[1] if key and key[0] == "Patient" else None


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    for child in value if isinstance(value, list) else ():
        if isinstance(child, Mapping):
            yield child


def is_id(value: Any) -> bool:
    """Whether a value can be a resource's id: 1 to 64 letters, digits, hyphens and dots."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= 64
        and value.isascii()
        and value.replace("-", "").replace(".", "").isalnum()
    )
