"""What a source payer has deleted since, as Bundles of DELETE entries (Bulk Data, `deleted`)."""

from __future__ import annotations

from collections.abc import Iterator

from ..fhir import json
from ..store.repository import Key
from .transform import own_key


def deleted_keys(line: bytes, base: str) -> Iterator[Key]:
    """The (type, id) of all that a line of a `deleted` file says is gone; none for a bad line."""
    try:
        bundle = json.read(line)
    except ValueError:
        return
    entries = bundle.get("entry", []) if isinstance(bundle, dict) else []
    for entry in entries if isinstance(entries, list) else []:
        request = entry.get("request") if isinstance(entry, dict) else None
        if isinstance(request, dict) and request.get("method") == "DELETE":
            key = own_key(str(request.get("url", "")), base)
            if key:
                yield key
