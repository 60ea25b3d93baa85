"""The exchange's own Provenance: who transmitted what, and when (pdex-127)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

PDEX_PROVENANCE = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-provenance"
_AGENT_TYPE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type"
# One Provenance names at most so many targets, so that no line grows with the export.
TARGETS = 1000


def transmitter_provenance(
    member: str, targets: Sequence[tuple[str, str]], organization_id: str, recorded: str
) -> Iterator[dict[str, Any]]:
    """Provenance resources that together name every resource sent for a member.

    Their ids depend on the member and the part only, so that the next export updates them.
    """
    for part, start in enumerate(range(0, len(targets), TARGETS)):
        seed = hashlib.sha256(f"{member}/{part}".encode()).hexdigest()[:24]
        yield {
            "resourceType": "Provenance",
            "id": f"tx-{seed}",
            "meta": {"lastUpdated": recorded, "profile": [PDEX_PROVENANCE]},
            "target": [
                {"reference": f"{kind}/{ident}"} for kind, ident in targets[start : start + TARGETS]
            ],
            "recorded": recorded,
            "agent": [
                {
                    "type": {"coding": [{"system": _AGENT_TYPE, "code": "transmitter"}]},
                    "who": {"reference": f"Organization/{organization_id}"},
                }
            ],
        }
