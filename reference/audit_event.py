"""The audit record as FHIR R4 AuditEvents: who disclosed what to whom, and what was refused.

They are made of the record when they are asked for, so that what is written with each disclosure
stays one small row. Codes are those of R4's own example bindings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .parties import PayerIdentity

_REST = ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_EXPORT, _IMPORT, _LOGIN = (_DICOM, "110106"), (_DICOM, "110107"), (_DICOM, "110114")
_INTERACTION = "http://hl7.org/fhir/restful-interaction"
_SOURCE = "http://terminology.hl7.org/CodeSystem/security-source-type"
_ENTITY = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE = "http://terminology.hl7.org/CodeSystem/object-role"
# A list of members longer than this stays in the record, where a search by member finds it.
MOST_SUBJECTS = 100
REQUEST = "request"


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one kind of record is told."""

    type: tuple[str, str]
    action: str
    interaction: str = "operation"


# By phase and event. What decides on the way (a match's reasons) is no disclosure of its own.
_KINDS: Mapping[tuple[str, str], _Kind] = {
    ("authorization", "token"): _Kind(_LOGIN, "E"),
    ("authorization", "introspection"): _Kind(_LOGIN, "E"),
    ("authorization", "revocation"): _Kind(_LOGIN, "E"),
    ("member-match", "answer"): _Kind(_REST, "E"),
    ("member-match", "bulk"): _Kind(_REST, "E"),
    ("export", "written"): _Kind(_EXPORT, "R"),
    **{(phase, REQUEST): _Kind(_REST, "R", "read") for phase in ("member-match", "export")},
    **{(phase, "phase"): _Kind(_IMPORT, "C") for phase in ("export", "storage")},
    **{(phase, "phase"): _Kind(_REST, "E") for phase in ("authorization", "member-match")},
}
KINDS = frozenset(_KINDS)
_GOOD = frozenset({"granted", "done", "match", "complete", "disclosed", "active", "inactive"})


def audit_event(
    record: Mapping[str, Any], subjects: Sequence[str], observer: PayerIdentity
) -> dict[str, Any]:
    """One record as an AuditEvent; `observer` is the payer that kept it."""
    kind = _KINDS[record["phase"], record["event"]]
    interaction = record["details"].get("interaction", kind.interaction)
    event: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": f"audit-{record['seq']}",
        "type": _coding(*kind.type),
        "subtype": [_coding(_INTERACTION, interaction)],
        "action": kind.action,
        "period": {"start": record["started"], "end": record["ended"]},
        "recorded": record["ended"],
        "outcome": _outcome(record),
        "agent": list(_agents(record, observer)),
        "source": {"observer": _observer(observer), "type": [_coding(_SOURCE, "4")]},
    }
    if record["reason"]:
        event["outcomeDesc"] = record["reason"]
    entities = list(_entities(record, subjects))
    return {**event, "entity": entities} if entities else event


def _outcome(record: Mapping[str, Any]) -> str:
    """R4 audit-event-outcome: 0 done, 4 refused, 8 broken on this payer's side."""
    if record["outcome"] in _GOOD:
        return "0"
    return "8" if record["details"].get("status", 0) >= 500 else "4"


def _agents(record: Mapping[str, Any], observer: PayerIdentity) -> Any:
    """Who asked, who answered: the responding payer is asked, the requesting payer asks."""
    asks = record["actor"] == "requesting"
    client = record["client"] or "unknown"
    other = {"who": {"identifier": {"value": client}}, "altId": client}
    yield {"type": _concept(_DICOM, "110153" if asks else "110152"), **other, "requestor": not asks}
    yield {
        "type": _concept(_DICOM, "110152" if asks else "110153"),
        "who": _observer(observer),
        "requestor": asks,
    }


def _entities(record: Mapping[str, Any], subjects: Sequence[str]) -> Any:
    for reference in subjects[:MOST_SUBJECTS]:
        is_person = reference.startswith("Patient/")
        yield {
            "what": {"reference": reference},
            "type": _coding(_ENTITY, "1" if is_person else "2"),
            "role": _coding(_ROLE, "1" if is_person else "4"),
        }
    details = list(_details(record, len(subjects)))
    if record["exchange"] or details:
        about: dict[str, Any] = {"type": _coding(_ENTITY, "2"), "role": _coding(_ROLE, "20")}
        if record["exchange"]:
            about["what"] = {"identifier": {"value": record["exchange"]}}
        yield {**about, "detail": details} if details else about


def _details(record: Mapping[str, Any], subjects: int) -> Any:
    if subjects > MOST_SUBJECTS:
        yield {"type": "subjects", "valueString": str(subjects)}
    for name in ("route", "operation", "status", "files"):
        if record["details"].get(name) not in (None, ""):
            yield {"type": name, "valueString": str(record["details"][name])}


def _observer(payer: PayerIdentity) -> dict[str, Any]:
    identifier = {"system": payer.system, "value": payer.value}
    return {"identifier": {k: v for k, v in identifier.items() if v}, "display": payer.name or
            payer.value}  # fmt: skip


def _coding(system: str, code: str) -> dict[str, str]:
    return {"system": system, "code": code}


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [_coding(system, code)]}
