"""Searching a client's own Groups: by identifier, code, characteristic and what that names.

PDex asks for identifier and characteristic at least (pdex-157); results hold the client's own
Groups alone (pdex-161), for no other ones are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from ..fhir import json
from ..retrieval import Page, conditions_of, link_to, window_of
from .store import StoredGroup


def search_groups(
    groups: Iterable[StoredGroup],
    pairs: Sequence[tuple[str, str]],
    *,
    url: str,
    count: int,
    strict: bool,
) -> Page:
    """A page of the Groups that meet every condition; raises BadRequest for a bad one."""
    conditions, used = conditions_of("Group", pairs, strict=strict)
    found = [group for group in groups if all(c.holds(group.head) for c in conditions)]
    size, start = window_of(pairs, count)
    page = found[start : start + size]
    following = [*used, ("_count", str(size)), ("_page", str(start + size))]
    return Page(
        [("Group", group.id, group.body, "match") for group in page],
        len(found),
        link_to(url, [*used, *((n, v) for n, v in pairs if n in ("_count", "_page"))]),
        link_to(url, following) if 0 < size < len(found) - start else None,
    )


def history_of(group: StoredGroup, url: str) -> bytes:
    """The history of a Group: it is made once and does not change."""
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "history",
        "total": 1,
        "link": [{"relation": "self", "url": f"{url}/_history"}],
        "entry": [
            {
                "fullUrl": url,
                "resource": orjson.Fragment(group.body),
                "request": {"method": "PUT", "url": f"Group/{group.id}"},
                "response": {"status": "201", "etag": 'W/"1"', "lastModified": group.created},
            }
        ],
    }
    return json.write(bundle)
