"""Provenance of what was imported: from which payer, for whom, and who keeps it now."""

from __future__ import annotations

import hashlib
from typing import Any

from ..export.provenance import PDEX_PROVENANCE
from .transform import URI

_PDEX = "http://hl7.org/fhir/us/davinci-pdex/"
_TRANSMITTER = {
    "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type",
    "code": "transmitter",
}
_CUSTODIAN = {
    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
    "code": "custodian",
}
_FHIR_R4 = {"system": _PDEX + "CodeSystem/ProvenancePayerDataSource", "code": "hl7fhirr4"}


def provenance_id(kind: str, ident: str) -> str:
    """The id of the Provenance of an imported resource."""
    return "from-" + hashlib.sha256(f"{kind}/{ident}".encode()).hexdigest()[:40]


def import_provenance(
    kind: str,
    ident: str,
    *,
    source_url: str,
    source_organization: str,
    own_organization: str,
    local_patient: str,
    recorded: str,
) -> dict[str, Any]:
    """The Provenance of one imported resource.

    The first agent has the seed's fields and PDex's type; the second is this payer's own record
    of what it did with the data (pdex-11).
    """
    return {
        "resourceType": "Provenance",
        "id": provenance_id(kind, ident),
        "meta": {"profile": [PDEX_PROVENANCE]},
        "target": [{"reference": f"{kind}/{ident}"}],
        "recorded": recorded,
        "agent": [
            {
                "type": {"coding": [_TRANSMITTER]},
                "who": {"reference": f"Organization/{source_organization}"},
                "onBehalfOf": {"reference": f"Patient/{local_patient}"},
            },
            {
                "type": {"coding": [_CUSTODIAN]},
                "who": {"reference": f"Organization/{own_organization}"},
            },
        ],
        "entity": [
            {
                "extension": [
                    {
                        "url": _PDEX + "StructureDefinition/ProvenanceSourceFrom",
                        "valueCodeableConcept": {"coding": [_FHIR_R4]},
                    }
                ],
                "role": "source",
                "what": {"identifier": {"system": URI, "value": source_url}},
            }
        ],
    }
