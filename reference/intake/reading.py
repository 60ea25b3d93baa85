"""Which received lines can be imported, and why the others cannot."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from ..errors import RecordRejected
from ..fhir import json
from ..fhir.references import patient_of
from ..store.facts import stored_line
from ..store.repository import Key
from .transform import ONE_IDENTIFIER

# What members share. Every other type belongs to the member it was received for, whether it names
# the member or not.
SHARED = frozenset({"Endpoint", "HealthcareService", "Location", "Medication", "Organization",
                    "Practitioner", "PractitionerRole", "Substance"})  # fmt: skip
FOREIGN = "A resource is about another member."
NOT_CONFORMING = "A resource does not conform to its profile."
TWICE = "A resource came twice."
_WRONG_TYPE = "A line holds another type than its file."
_WRONG_SHAPE = "A resource has not the shape of R4."
_ID = re.compile(r"(?=.*[A-Za-z0-9])[A-Za-z0-9.-]{1,64}")
# A line indented like this stands as deep as a resource may be.
_DEEPEST = b"\n" + b"  " * json.MAX_DEPTH
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Line:
    """One received line: its number, its bytes, its key, or why it is turned away."""

    number: int
    body: bytes
    key: Key = ("", "")
    fault: str = ""


def read_lines(
    lines: Iterable[bytes],
    kind: str,
    source_patient: str,
    seen: set[Key],
    set_aside: Collection[int] = (),
) -> Iterator[Line]:
    """Each line of one file with its key or its fault; `seen` grows by the keys.

    The same lines give the same answers whenever they are read. `set_aside` has the numbers of
    those that do not conform.
    """
    for number, body in enumerate(lines, 1):
        try:
            key = _key(body, kind, source_patient, seen)
        except RecordRejected as fault:
            yield Line(number, body, fault=str(fault))
            continue
        seen.add(key)
        yield Line(number, body, key, NOT_CONFORMING if number in set_aside else "")


def read_resource(body: bytes) -> dict[str, Any]:
    """The resource in a line, read once; raises RecordRejected as `stored_line` does.

    What looks unusual is left to that function, which finds the reason or lets it pass.
    """
    try:
        resource = orjson.loads(body)
    except ValueError:
        resource = None
    if not isinstance(resource, dict) or not _is_usual(body, resource):
        stored_line(body, now=_EPOCH)
    assert isinstance(resource, dict), "a line that is no object is turned away"
    return resource


def line_fault(resource: Mapping[str, Any], kind: str) -> str:
    """Why a resource cannot be imported from a file of a type, or an empty text."""
    if resource["resourceType"] != kind:
        return _WRONG_TYPE
    return "" if _has_shape(resource) else _WRONG_SHAPE


def _is_usual(body: bytes, resource: Mapping[str, Any]) -> bool:
    """Whether nothing calls for a closer look: type, id, depth and characters are plain."""
    kind, ident = resource.get("resourceType"), resource.get("id")
    return (
        isinstance(kind, str)
        and kind.isalnum()
        and isinstance(ident, str)
        and _ID.fullmatch(ident) is not None
        and b"\\u0000" not in body
        and _is_shallow(body, resource)
    )


def _is_shallow(body: bytes, resource: Mapping[str, Any]) -> bool:
    """Whether no more brackets stand open at any place than may; told at the speed of a write."""
    if body.count(b"[") + body.count(b"{") <= json.MAX_DEPTH:
        return True
    return _DEEPEST not in orjson.dumps(resource, option=orjson.OPT_INDENT_2)


def _key(body: bytes, kind: str, source_patient: str, seen: set[Key]) -> Key:
    resource = read_resource(body)
    key = (resource["resourceType"], resource["id"])
    for bad, reason in (
        (key[0] != kind, _WRONG_TYPE),
        ((patient_of(resource) or "") not in ("", source_patient), FOREIGN),
        (key in seen, TWICE),
        (not _has_shape(resource), _WRONG_SHAPE),
    ):
        if bad:
            raise RecordRejected(reason)
    return key


def _has_shape(resource: Mapping[str, Any]) -> bool:
    """Whether what an import changes has the shape that R4 gives it."""
    meta = resource.get("meta", {})
    identifier = resource.get("identifier", [])
    one = resource["resourceType"] in ONE_IDENTIFIER
    return (
        isinstance(meta, Mapping)
        and _is_list_of_objects(meta.get("tag", []))
        and _is_list_of_objects(meta.get("extension", []))
        and (isinstance(identifier, Mapping | list) if one else _is_list_of_objects(identifier))
        and (resource["resourceType"] != "Patient" or _is_list_of_objects(resource.get("link", [])))
    )


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)
