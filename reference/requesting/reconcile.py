"""What was submitted against what came back: every member in exactly one Group, or in none.

The Groups of a bulk match are told apart by `Group.code`, and each entry is led back to its
submitted Patient by the contained copy it names (pdex-150 to pdex-153). Nothing is guessed: a
member who is missing, stands in two Groups, or cannot be told from another one has no outcome.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..fhir.pdex import (
    CONSENT_CONSTRAINT,
    MATCH,
    NO_MATCH,
    RESULT_CODES,
    SUBMITTED_COVERAGE,
    SUBMITTED_PATIENT,
)
from ..fhir.references import split_reference

MISSING = "The source payer's answer does not hold this member: neither matched nor not matched."
TWICE = "The source payer's answer holds this member more than once."
NO_PATIENT = "The source payer matched this member and does not say which Patient that is."
SAME_PATIENT = (
    "The source payer's answer gives the same Patient for several of the submitted members. "
    "Clear up who is meant before asking again."
)
NO_GROUP = "The source payer matched this member and gave no Group to export."
Contained = Mapping[tuple[Any, Any], Mapping[str, Any]]
Entry = tuple[str, str, Contained, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class MatchedGroup:
    """One Group to export, and the source's Patient of each submitted id in it."""

    id: str
    patients: Mapping[str, str]


@dataclass(slots=True)
class Reconciled:
    """The outcome of each submitted member, by the submitted Patient's id."""

    matched: list[MatchedGroup] = field(default_factory=list)
    no_match: set[str] = field(default_factory=set)
    constrained: set[str] = field(default_factory=set)
    faults: dict[str, str] = field(default_factory=dict)
    unknown: int = 0
    """How many entries of the answer lead to nobody who was submitted."""


def reconcile(submitted: Collection[str], groups: Iterable[Mapping[str, Any]]) -> Reconciled:
    """Lead every entry of the Groups back to what was submitted (one Patient id, one member)."""
    found, seen = Reconciled(), dict[str, list[tuple[str, str, str]]]()
    for code, group, contained, entity in _entries(groups):
        ident = _submitted_id(entity, contained, submitted)
        if ident is None:
            found.unknown += 1
        else:
            patient = _patient(entity) if code == MATCH else ""
            seen.setdefault(ident, []).append((code, group, patient))
    for ident in submitted:
        _judge(ident, seen.get(ident, []), found)
    _gather(seen, found)
    return found


def _judge(ident: str, places: list[tuple[str, str, str]], found: Reconciled) -> None:
    """The outcome of one member who stands in exactly one place."""
    if len(places) != 1:
        found.faults[ident] = TWICE if places else MISSING
        return
    code, group, patient = places[0]
    if code == NO_MATCH:
        found.no_match.add(ident)
    elif code == CONSENT_CONSTRAINT:
        found.constrained.add(ident)
    elif not patient or not group:
        found.faults[ident] = NO_GROUP if patient else NO_PATIENT


def _gather(seen: Mapping[str, list[tuple[str, str, str]]], found: Reconciled) -> None:
    """The matched Groups, without members whose Patient is given for somebody else as well."""
    clear = {ident: places[0] for ident, places in seen.items()
             if places[0][0] == MATCH and ident not in found.faults}  # fmt: skip
    given: dict[str, list[str]] = {}
    for ident, (_, _, patient) in clear.items():
        given.setdefault(patient, []).append(ident)
    groups: dict[str, dict[str, str]] = {}
    for ident, (_, group, patient) in clear.items():
        if len(given[patient]) > 1:
            found.faults[ident] = SAME_PATIENT
        else:
            groups.setdefault(group, {})[ident] = patient
    found.matched = [MatchedGroup(ident, patients) for ident, patients in groups.items()]


def _entries(groups: Iterable[Mapping[str, Any]]) -> Iterator[Entry]:
    """Every entry with its Group's code and id; a Group without one known code tells nothing."""
    for group in groups:
        codes = [code for code in _codes(group) if code in (MATCH, NO_MATCH, CONSENT_CONSTRAINT)]
        contained = {(c.get("resourceType"), c.get("id")): c
                     for c in _objects(group.get("contained"))}  # fmt: skip
        for member in _objects(group.get("member")) if len(codes) == 1 else ():
            entity = member.get("entity")
            yield (
                codes[0],
                str(group.get("id") or ""),
                contained,
                (entity if isinstance(entity, Mapping) else {}),
            )


def _submitted_id(
    entity: Mapping[str, Any], contained: Contained, submitted: Collection[str]
) -> str | None:
    """The submitted Patient that an entry is about; None when it is about nobody submitted.

    A coverage that is named as well must be the one that was submitted with that Patient
    (pdex-153); a responder may have changed its contained id, then its content tells.
    """
    patient = _named(entity, contained, SUBMITTED_PATIENT, "Patient")
    ident = str(patient.get("id")) if patient else ""
    if ident not in submitted:
        return None
    if not any(e.get("url") == SUBMITTED_COVERAGE for e in _objects(entity.get("extension"))):
        return ident
    coverage = _named(entity, contained, SUBMITTED_COVERAGE, "Coverage")
    told = coverage.get("beneficiary") if coverage else None
    of = told.get("reference") if isinstance(told, Mapping) else None
    return ident if of in (f"Patient/{ident}", f"#{ident}") else None


def _named(
    entity: Mapping[str, Any], contained: Contained, url: str, kind: str
) -> Mapping[str, Any] | None:
    """The contained resource that an entry's extension names."""
    for extension in _objects(entity.get("extension")):
        value = extension.get("valueReference")
        reference = value.get("reference") if isinstance(value, Mapping) else None
        if extension.get("url") == url and isinstance(reference, str) and reference[:1] == "#":
            return contained.get((kind, reference[1:]))
    return None


def _patient(entity: Mapping[str, Any]) -> str:
    key = split_reference(entity.get("reference"))
    return key[1] if key and key[0] == "Patient" else ""


def _codes(group: Mapping[str, Any]) -> Iterator[str]:
    code = group.get("code")
    for coding in _objects(code.get("coding")) if isinstance(code, Mapping) else ():
        if coding.get("system") == RESULT_CODES:
            yield str(coding.get("code"))


def _objects(value: Any) -> Iterator[Mapping[str, Any]]:
    for child in value if isinstance(value, list) else ():
        if isinstance(child, Mapping):
            yield child
