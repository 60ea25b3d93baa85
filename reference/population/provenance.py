"""Who said what: Provenance of the PDex profile over the resources of one member."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .chart import WITHHELD, Chart, Entry, Reference, claimed, iso
from .codes import PDEX, THO, Coded, coded
from .people import PAYER_REFERENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

_PROFILE = claimed(PDEX + "StructureDefinition/pdex-provenance")
_AUTHOR = coded(THO + "provenance-participant-type", "author", "Author")
_TRANSMITTER = coded(
    "http://hl7.org/fhir/us/core/CodeSystem/us-core-provenance-participant-type",
    "transmitter",
    "Transmitter",
)
_SOURCE = PDEX + "StructureDefinition/ProvenanceSourceFrom"
_FORMATS = PDEX + "CodeSystem/ProvenancePayerDataSource"
CLINICAL_FORMAT = coded(_FORMATS, "hl7ccda")
CLAIM_FORMAT = coded(_FORMATS, "x12837")
AUTHORIZATION_FORMAT = coded(_FORMATS, "x12278")
FHIR_FORMAT = coded(_FORMATS, "hl7fhirr4")
# Targets a Provenance; more would make one resource heavier than the notes it vouches for.
_MOST = 100
_NOT_AUTHORED = {"Patient", "Coverage", "Provenance", "Binary"}


def provenance(
    chart: Chart,
    targets: Sequence[str],
    author: Reference,
    source: Coded,
    day: int,
) -> Reference:
    """Write that the author made the targets and the payer passes them on."""
    body: dict[str, Any] = {
        "target": [{"reference": target} for target in targets],
        "recorded": f"{iso(min(day + 7, chart.today))}T12:00:00Z",
        "agent": [
            {"type": _AUTHOR, "who": author},
            {"type": _TRANSMITTER, "who": {"reference": PAYER_REFERENCE}, "onBehalfOf": author},
        ],
        "entity": [
            {
                "extension": [{"url": _SOURCE, "valueCodeableConcept": source}],
                "role": "source",
                "what": {"display": "Kept by the author"},
            }
        ],
    }
    return chart.add("Provenance", _PROFILE, day, body)


def vouch_for_all(chart: Chart, *labels: dict[str, str]) -> None:
    """Write the Provenance of everything that is sent, and labelled, of what is sensitive.

    What the data scope withholds for other reasons gets none: a Provenance that leaves must not
    point to a resource that stays.
    """
    open_, kept = [], []
    for entry in chart.entries:
        if entry.kind in _NOT_AUTHORED:
            continue
        if entry.expect != WITHHELD:
            open_.append(entry)
        elif entry.reason == "sensitive":
            kept.append(entry)
    _vouch(chart, open_)
    if kept:
        chart.sensitive(*labels)
        _vouch(chart, kept)
        chart.sensitive()


def _vouch(chart: Chart, entries: list[Entry]) -> None:
    groups: dict[str, list[Entry]] = {"clinical": [], "claims": [], "authorizations": []}
    for entry in entries:
        if entry.kind != "ExplanationOfBenefit":
            groups["clinical"].append(entry)
        else:
            groups["claims" if entry.id.rsplit("-", 2)[-2] == "eob" else "authorizations"].append(
                entry
            )
    for name, source in _GROUP_FORMATS:
        members = groups[name]
        for start in range(0, len(members), _MOST):
            part = members[start : start + _MOST]
            targets = [f"{entry.kind}/{entry.id}" for entry in part]
            provenance(chart, targets, chart.clinic, source, max(entry.served for entry in part))


_GROUP_FORMATS = (
    ("clinical", CLINICAL_FORMAT),
    ("claims", CLAIM_FORMAT),
    ("authorizations", AUTHORIZATION_FORMAT),
)
