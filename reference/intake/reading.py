"""Which received lines can be imported, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..errors import RecordRejected
from ..fhir import json
from ..store.facts import stored_line
from ..store.repository import Key
from .transform import ONE_IDENTIFIER

# What members share. Every other type belongs to the member it was received for, whether it names
# the member or not.
SHARED = frozenset({"Endpoint", "HealthcareService", "Location", "Medication", "Organization",
                    "Practitioner", "PractitionerRole", "Substance"})  # fmt: skip
# R4 resources nest nowhere near as deep; a walk that recurses is safe up to here.
_MAX_DEPTH = 100
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """One received line: its number, its bytes, its key, or why it is turned away."""

    number: int
    body: bytes
    key: Key = ("", "")
    fault: str = ""


def read_lines(
    lines: Iterable[bytes], kind: str, source_patient: str, seen: set[Key]
) -> Iterator[Line]:
    """Each line of one file with its key or its fault; `seen` grows by the keys.

    The same lines give the same answers whenever they are read.
    """
    for number, body in enumerate(lines, 1):
        try:
            key = _key(body, kind, source_patient, seen)
        except RecordRejected as fault:
            yield Line(number, body, fault=str(fault))
            continue
        seen.add(key)
        yield Line(number, body, key)


def _key(body: bytes, kind: str, source_patient: str, seen: set[Key]) -> Key:
    facts = stored_line(body, now=_EPOCH)
    for bad, reason in (
        (facts.type != kind, "A line holds another type than its file."),
        (_is_anothers(facts.compartment, source_patient), "A resource is about another member."),
        ((facts.type, facts.id) in seen, "A resource came twice."),
    ):
        if bad:
            raise RecordRejected(reason)
    _check_shape(json.read(body))
    return facts.type, facts.id


def _is_anothers(patient: str, source_patient: str) -> bool:
    return patient not in ("", source_patient)


def _check_shape(resource: Mapping[str, Any]) -> None:
    """Raise RecordRejected unless what an import changes has the shape that R4 gives it."""
    meta = resource.get("meta", {})
    identifier = resource.get("identifier", [])
    one = resource["resourceType"] in ONE_IDENTIFIER
    for good in (
        isinstance(meta, Mapping),
        isinstance(meta, Mapping) and _is_list_of_objects(meta.get("tag", [])),
        isinstance(meta, Mapping) and _is_list_of_objects(meta.get("extension", [])),
        isinstance(identifier, Mapping | list) if one else _is_list_of_objects(identifier),
        resource["resourceType"] != "Patient" or _is_list_of_objects(resource.get("link", [])),
        _depth_within(resource, _MAX_DEPTH),
    ):
        if not good:
            raise RecordRejected("A resource has not the shape of R4.")


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, Mapping) for entry in value)


def _depth_within(value: Any, limit: int) -> bool:
    level = [value]
    for _ in range(limit):
        level = [
            child
            for found in level
            if isinstance(found, Mapping | list)
            for child in (found.values() if isinstance(found, Mapping) else found)
            if isinstance(child, Mapping | list)
        ]
        if not level:
            return True
    return False
