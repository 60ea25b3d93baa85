"""Retrieving one member by plain searches, for a payer that offers nothing better."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from ..errors import OutcomeReturned
from ..fhir.references import binary_urls, references_in, split_reference
from ..fhir.search import PARAMETERS
from ..intake.reading import SHARED
from ..store.repository import Key
from .trace import Phase

Pages = Callable[[str], Iterable[Mapping[str, Any]]]
Read = Callable[[str], Mapping[str, Any] | None]


def searched(
    patient: str, wanted: Mapping[str, str], pages: Pages, read: Read, phase: Phase
) -> Iterator[Mapping[str, Any]]:
    """The member's Patient, what each type's search finds, and what all of it refers to.

    A type the payer does not offer is left out. A Provenance that comes in parts, one for each
    search, is given once with all its targets.
    """
    types = set(wanted["_type"].split(",")) if "_type" in wanted else None
    found: dict[Key, Mapping[str, Any]] = {}
    vouchers: dict[str, Mapping[str, Any]] = {}
    for resource in _own(patient, types, wanted, pages, read, phase):
        if resource.get("resourceType") == "Provenance":
            ident = str(resource.get("id"))
            vouchers[ident] = _joined(vouchers.get(ident), resource)
        else:
            found.setdefault(_key(resource), resource)
    for resource in _closure(list(found.values()), set(found), types, read):
        found[_key(resource)] = resource
    yield from found.values()
    if types is None or "Provenance" in types:
        yield from vouchers.values()


def _own(
    patient: str,
    types: set[str] | None,
    wanted: Mapping[str, str],
    pages: Pages,
    read: Read,
    phase: Phase,
) -> Iterator[Mapping[str, Any]]:
    own = read(f"Patient/{patient}")
    if own is not None:
        yield own
    for kind in sorted(PARAMETERS):
        if "patient" in PARAMETERS[kind] and (types is None or kind in types):
            query = {"patient": patient, "_revinclude": "Provenance:target"}
            if "_since" in wanted:
                query["_lastUpdated"] = f"gt{wanted['_since']}"
            resources = list(_found(f"{kind}?{urlencode(query)}", pages))
            phase.tell(f"{kind} searched", resources=len(resources))
            yield from resources


def _found(url: str, pages: Pages) -> Iterator[Mapping[str, Any]]:
    try:
        for bundle in pages(url):
            for entry in bundle.get("entry") or []:
                if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
                    yield entry["resource"]
    except OutcomeReturned as error:
        if error.status not in (400, 403, 404):
            raise


def _closure(
    resources: list[Mapping[str, Any]], held: set[Key], types: set[str] | None, read: Read
) -> Iterator[Mapping[str, Any]]:
    asked = set(held)
    while resources:
        resource = resources.pop()
        for text in [*references_in(resource), *binary_urls(resource)]:
            key = split_reference(text)
            if key is None or key in asked or key[0] not in SHARED | {"Binary"}:
                continue
            asked.add(key)
            found = read(f"{key[0]}/{key[1]}") if types is None or key[0] in types else None
            if found is not None:
                resources.append(found)
                yield found


def _joined(first: Mapping[str, Any] | None, second: Mapping[str, Any]) -> Mapping[str, Any]:
    if first is None:
        return second
    targets = list(first.get("target", []))
    targets += [t for t in second.get("target", []) if t not in targets]
    return {**first, "target": targets}


def _key(resource: Mapping[str, Any]) -> Key:
    return str(resource.get("resourceType")), str(resource.get("id"))
