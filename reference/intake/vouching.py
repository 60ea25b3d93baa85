"""Provenance of what was imported: from which payer, for whom, and who keeps it now."""

from __future__ import annotations

import hashlib
from typing import Any

from ..export.provenance import PDEX_PROVENANCE
from ..fhir import json
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
# What stands where the ids of one resource come.
_GAP, _URL_GAP = ("Gap", "gap-of-the-form"), "urn:gap-of-the-form"
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
    """The Provenance of one imported resource; without a Patient for what members share.

    The first agent has the seed's fields and PDex's type; the second is this payer's own record
    of what it did with the data (pdex-11).
    """
    behalf = {"onBehalfOf": {"reference": f"Patient/{local_patient}"}} if local_patient else {}
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
                **behalf,
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


class Voucher:
    """Writes the Provenance of many imported resources; the same bytes, each made of a form.

    Of one member only the ids differ, so the rest is written once.
    """

    def __init__(
        self, base: str, source_organization: str, own_organization: str, recorded: str
    ) -> None:
        self._base = json.write(base)[1:-1]
        self._facts = {"source_organization": source_organization,
                       "own_organization": own_organization, "recorded": recorded}  # fmt: skip
        self._form: tuple[bytes, ...] = ()
        self._patient: str | None = None

    def provenance(self, kind: str, ident: str, source_id: str, local_patient: str) -> bytes:
        """The Provenance of one resource, for one local Patient or for nobody."""
        if local_patient != self._patient:
            self._form, self._patient = self._made(local_patient), local_patient
        head, middle, late, tail = self._form
        own = provenance_id(kind, ident).encode()
        key, source = f"{kind}/{ident}".encode(), f"/{kind}/{source_id}".encode()
        return b"".join((head, own, middle, key, late, self._base, source, tail))

    def _made(self, local_patient: str) -> tuple[bytes, ...]:
        form = json.write(
            import_provenance(
                *_GAP, source_url=_URL_GAP, local_patient=local_patient, **self._facts
            )
        )
        pieces = []
        for gap in (provenance_id(*_GAP), "/".join(_GAP), _URL_GAP):
            piece, _, form = form.partition(gap.encode())
            pieces.append(piece)
        return (*pieces, form)
