"""Searching Tasks: by what a monitor asks for (seed page; exchange facts, section 1.5)."""

from __future__ import annotations

from .errors import BadRequest
from .fhir.search import COMMON, REFERENCE, TOKEN, Condition, SearchParameter

_SEARCH = {
    "_id": COMMON["_id"],
    "_tag": COMMON["_tag"],
    "code": SearchParameter(TOKEN, ("code",)),
    "status": SearchParameter(TOKEN, ("status",)),
    "patient": SearchParameter(REFERENCE, ("for",)),
    "subject": SearchParameter(REFERENCE, ("for",)),
    "part-of": SearchParameter(REFERENCE, ("partOf",)),
}


def task_condition(name: str, value: str) -> Condition:
    """The condition a parameter stands for; raises BadRequest for another one."""
    if name not in _SEARCH or not value:
        raise BadRequest(
            f"Tasks are searched by {', '.join(sorted(_SEARCH))}, each with a value.",
            code="not-supported",
            expression=name if name in _SEARCH else "",
        )
    return Condition(name, _SEARCH[name], "", tuple(value.split(",")))
