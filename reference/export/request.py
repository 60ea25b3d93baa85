"""What an export was asked for: the Bulk Data parameters, read strictly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from ..errors import BadRequest
from ..fhir.dates import read_instant
from ..fhir.media import NDJSON_NAMES
from ..fhir.outcome import issue
from ..fhir.search import Condition, Filters, condition

_KNOWN = ("_outputFormat", "_since", "_until", "_type", "_typeFilter", "patient")
# Not allowed in a _typeFilter (Bulk Data 2.0.0).
_NO_FILTER = ("_include", "_revinclude", "_sort", "_count", "_elements", "_summary")


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """An export's parameters, checked; `ignored` holds issues for the error file."""

    types: tuple[str, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    filters: Filters = field(default_factory=dict)
    patients: tuple[str, ...] | None = None
    ignored: tuple[dict[str, Any], ...] = ()


def read_export_request(
    pairs: Iterable[tuple[str, str]], *, types: frozenset[str], lenient: bool
) -> ExportRequest:
    """The request behind name and value pairs of a query or of Parameters.

    Raises BadRequest naming the parameter; with `lenient` an unsupported one becomes an issue for
    the error file instead (Bulk Data 2.0.0, Prefer: handling=lenient).
    """
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    ignored = [_unsupported(name, lenient) for name in values if name not in _KNOWN]
    _check_format(values.get("_outputFormat", []))
    asked = _types(values.get("_type"), types)
    return ExportRequest(
        types=asked,
        since=_instant(values, "_since"),
        until=_instant(values, "_until"),
        filters=_filters(values.get("_typeFilter", []), asked),
        patients=tuple(_patients(values["patient"])) if "patient" in values else None,
        ignored=tuple(ignored),
    )


def parameter_pairs(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A Parameters body as name and value pairs, whatever the value[x] type is.

    Raises BadRequest when the body is no Parameters or a parameter has no value.
    """
    if body.get("resourceType") != "Parameters":
        raise BadRequest(
            "The body must be a Parameters resource.", code="structure", expression="resourceType"
        )
    entries = body.get("parameter", [])
    if not isinstance(entries, list):
        raise BadRequest(
            "Parameters.parameter must be a list.",
            code="structure",
            expression="Parameters.parameter",
        )
    return [_pair(entry, index) for index, entry in enumerate(entries)]


def _pair(entry: Any, index: int) -> tuple[str, str]:
    where = f"Parameters.parameter[{index}]"
    if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
        raise BadRequest(
            "A parameter must be an object with a name.", code="structure", expression=where
        )
    value = next((v for k, v in entry.items() if k.startswith("value")), None)
    if isinstance(value, Mapping):
        literal = value.get("reference")
        value = literal if isinstance(literal, str) else None
    if not isinstance(value, str | int | bool):
        raise BadRequest(
            "A parameter has no value of the type it needs.", code="structure", expression=where
        )
    return entry["name"], str(value)


def _unsupported(name: str, lenient: bool) -> dict[str, Any]:
    supported = ", ".join(_KNOWN)
    text = f"A parameter of the export is not supported. Supported are {supported}."
    if not lenient:
        raise BadRequest(text, code="not-supported", expression=name if name.isidentifier() else "")
    return issue(text, code="not-supported", severity="warning")


def _check_format(formats: list[str]) -> None:
    # A plus in a query that was not encoded arrives as a blank.
    if any(f.replace(" ", "+") not in NDJSON_NAMES for f in formats):
        raise BadRequest(
            "_outputFormat must be application/fhir+ndjson.",
            code="not-supported",
            expression="_outputFormat",
        )


def _types(values: list[str] | None, allowed: frozenset[str]) -> tuple[str, ...] | None:
    if values is None:
        return None
    asked = [part.strip() for value in values for part in value.split(",")]
    if not all(kind in allowed for kind in asked):
        raise BadRequest(
            "_type names a resource type that this export does not hold. It holds "
            f"{', '.join(sorted(allowed))}.",
            code="not-supported",
            expression="_type",
        )
    return tuple(dict.fromkeys(asked))


def _instant(values: dict[str, list[str]], name: str) -> datetime | None:
    return read_instant(values[name][-1], name) if name in values else None


def _filters(values: list[str], types: tuple[str, ...] | None) -> Filters:
    found: Filters = {}
    for value in values:
        for query in _queries(value):
            kind, _, rest = query.partition("?")
            if types is not None and kind not in types:
                raise BadRequest(
                    "_typeFilter names a type that _type does not.",
                    code="value",
                    expression="_typeFilter",
                )
            found.setdefault(kind, []).append(
                [_filter(kind, *pair) for pair in parse_qsl(rest, keep_blank_values=True)]
            )
    return found


def _queries(value: str) -> list[str]:
    """The queries of one value: a comma parts two only where a new `Type?` begins."""
    queries: list[str] = []
    for part in value.split(","):
        if "?" in part and part[:1].isupper():
            queries.append(part)
        elif queries:
            queries[-1] += "," + part
        else:
            raise BadRequest(
                "_typeFilter must be a search query such as Encounter?date=ge2022.",
                code="value",
                expression="_typeFilter",
            )
    return queries


def _filter(kind: str, name: str, value: str) -> Condition:
    found = None if name.split(":", maxsplit=1)[0] in _NO_FILTER else condition(kind, name, value)
    if found is None:
        raise BadRequest(
            "_typeFilter uses a search parameter that is not supported for its type.",
            code="not-supported",
            expression="_typeFilter",
        )
    return found


def _patients(values: list[str]) -> list[str]:
    return [value.rsplit("/", 1)[-1] for value in values]
