"""What a CapabilityStatement declares: the judge holds a target to what it offers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .delivered import entries_in

# What a canonical ends in where that is not the operation's own code.
_CANONICAL_NAMES = {"BulkMemberMatch": "bulk-member-match", "patient-export": "export",
                    "group-export": "export", "Patient-everything": "everything"}  # fmt: skip


def declared_operations(statement: Mapping[str, Any], kind: str) -> set[str]:
    """The operations a CapabilityStatement declares on a type, by name and by canonical's end.

    Those of the server as a whole for an empty type.
    """
    found: set[str] = set()
    for rest in entries_in(statement, "rest"):
        resources = [r for r in entries_in(rest, "resource") if r.get("type") == kind]
        for declared in resources if kind else [rest]:
            for operation in entries_in(declared, "operation"):
                canonical = str(operation.get("definition", "")).split("|")[0]
                found |= {str(operation.get("name", "")), canonical.rsplit("/", 1)[-1]}
    return {_CANONICAL_NAMES.get(name, name) for name in found}
