"""The two parties of an exchange, as consents and coverages name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .fhir.references import split_reference

_US_CORE_ORGANIZATION = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-organization"
_ORGANIZATION_TYPE = "http://terminology.hl7.org/CodeSystem/organization-type"


@dataclass(frozen=True, slots=True)
class PayerIdentity:
    """A payer as consents and coverages name it: a business identifier, and its Organization."""

    system: str
    value: str
    name: str = ""
    organization_id: str = ""

    def reference(self) -> dict[str, Any]:
        """A logical Reference to this payer."""
        found: dict[str, Any] = {"identifier": {"system": self.system, "value": self.value}}
        if self.name:
            found["display"] = self.name
        return found

    def organization(self) -> dict[str, Any]:
        """The Organization resource of this payer."""
        return {
            "resourceType": "Organization",
            "id": self.organization_id,
            "meta": {"profile": [_US_CORE_ORGANIZATION]},
            "identifier": [{"system": self.system, "value": self.value}],
            "active": True,
            "type": [{"coding": [{"system": _ORGANIZATION_TYPE, "code": "pay"}]}],
            "name": self.name,
        }

    def is_meant_by(self, reference: Any) -> bool:
        """Whether a Reference names this payer, by identifier or by its Organization's id."""
        if not isinstance(reference, Mapping):
            return False
        identifier = reference.get("identifier")
        if isinstance(identifier, Mapping):
            return (identifier.get("system"), identifier.get("value")) == (self.system, self.value)
        key = split_reference(reference.get("reference"))
        return bool(self.organization_id) and key == ("Organization", self.organization_id)
