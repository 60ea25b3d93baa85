"""The exchange's own Provenance: who transmitted what, and when (pdex-127)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from ..fhir import json

PDEX_PROVENANCE = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-provenance"
_AGENT_TYPE = "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type"
# One Provenance names at most so many targets, so that no line grows with the export.
TARGETS = 1000


def transmitter_provenance(
    member: str, targets: Sequence[tuple[str, str]], organization_id: str, recorded: str
) -> Iterator[dict[str, Any]]:
    """Provenance resources that together name every resource sent for a member.

    Their ids depend on the member and the part only, so that the next export updates them; the
    targets stand in order, whatever order they were sent in.
    """
    targets = sorted(targets)
    for part, start in enumerate(range(0, len(targets), TARGETS)):
        yield {
            "resourceType": "Provenance",
            "id": provenance_id(member, part),
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


class ProvenanceLines:
    """The same resources as bytes, quickly, for the many members of one organization."""

    def __init__(self, organization_id: str) -> None:
        self._organization = organization_id

    def lines(self, member: str, targets: Sequence[bytes], recorded: str) -> Iterator[bytes]:
        """What `transmitter_provenance` yields, as JSON; targets are given by `target`."""
        targets = sorted(targets)
        for part, start in enumerate(range(0, len(targets), TARGETS)):
            [empty] = transmitter_provenance(member, [("", "")], self._organization, recorded)
            empty |= {"id": provenance_id(member, part), "target": []}
            before, _, after = json.write(empty).partition(_NO_TARGET)
            chosen = b",".join(targets[start : start + TARGETS])
            yield before + b'"target":[' + chosen + b"]" + after


_NO_TARGET = b'"target":[]'


def target(kind: str, ident: str) -> bytes:
    """One target of a Provenance, as JSON: a type and an id need no escapes."""
    return f'{{"reference":"{kind}/{ident}"}}'.encode()


def provenance_id(member: str, part: int) -> str:
    """The id of a transmitter Provenance: it depends on the member and the part only."""
    seed = hashlib.sha256(f"{member}/{part}".encode()).hexdigest()[:24]
    return f"tx-{seed}"
