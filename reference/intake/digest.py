"""One number for what a set of resources says, whatever their order and their local ids."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import orjson


def resource_digest(resource: Mapping[str, Any]) -> str:
    """The SHA-256 of a resource with its keys in order and its decimals as they were written."""
    return hashlib.sha256(orjson.dumps(resource, option=orjson.OPT_SORT_KEYS)).hexdigest()


def digest_of(resources: Iterable[Mapping[str, Any]]) -> str:
    """The SHA-256 over the digests of resources, by type and id."""
    lines = sorted(f"{r['resourceType']}/{r['id']} {resource_digest(r)}\n" for r in resources)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
