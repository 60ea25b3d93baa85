"""The search queries in granular scopes, as conditions that resources are held against.

SMART App Launch 2.x, "finer-grained resource constraints": `system/Observation.rs?category=...`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

from ..errors import BadRequest
from ..fhir import json
from ..fhir.search import Condition, Filters, condition


def query_conditions(kind: str, query: str) -> list[Condition] | None:
    """What a resource has to meet; None when this payer cannot hold the type to all of it."""
    pairs = parse_qsl(query, keep_blank_values=True)
    try:
        found = [condition(kind, name, value) for name, value in pairs]
    except BadRequest:
        return None
    conditions = [c for c in found if c is not None]
    return conditions if conditions and len(conditions) == len(found) else None


def passes(filters: Filters, kind: str, resource: bytes | Any) -> bool:
    """Whether a resource, as bytes or read, meets one of its type's queries, if there are any."""
    if kind not in filters:
        return True
    content = json.read(resource) if isinstance(resource, bytes) else resource
    return any(all(c.holds(content) for c in query) for query in filters[kind])


def both(one: Filters, other: Filters) -> Filters:
    """Filters that let through what two filters both let through."""
    common = {
        kind: [[*first, *second] for first in one[kind] for second in other[kind]]
        for kind in one.keys() & other.keys()
    }
    return {**one, **other, **common}
