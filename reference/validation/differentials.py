"""Profiles without a snapshot: their differential laid over the rows of what they are based on.

R4, profiling 5.1.0: what a differential does not say is as the base has it. A slice that it adds
begins as the element that is sliced, and is not required unless it says so.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

Row = dict[str, Any]
# The row of a profile or a type by its canonical, or None.
Look = Callable[[str], "Row | None"]
_CORE = "http://hl7.org/fhir/StructureDefinition/"
# What a slice does not take over from the element that is sliced.
_NOT_OF_SLICES = ("s", "sl", "min", "ms")


def laid_over(base: Row, changes: list[tuple[str, Row]], look: Look) -> Row:
    """The root of a base with (element id, stated facts) laid over it in their order."""
    root: Row = deepcopy(base["root"])
    for ident, facts in changes:
        node = root
        for part in ident.split(".")[1:]:
            node = _step(root, node, part, look)
        _state(node, facts)
    return root


def _step(root: Row, node: Row, part: str, look: Look) -> Row:
    """The child, or the slice of it, that a part of an element's id names; made if it is new."""
    name, _, slices = part.partition(":")
    children = _children(root, node, look)
    kind = None
    if name not in children:
        name, slices, kind = _choice(children, name, slices)
    found: Row = children.setdefault(name, {})
    if not slices:
        return found
    among = found.setdefault("s", {})
    sliced = among.get(slices.rpartition("/")[0]) or found
    return dict.setdefault(among, slices, _slice_of(sliced, kind))


def _choice(children: Row, name: str, slices: str) -> tuple[str, str, Row | None]:
    """The choice that a name as valueQuantity stands for, the slice, and the slice's type."""
    for key, child in children.items():
        suffix = name.removeprefix(key[:-3])
        for entry in (child.get("t") or []) if key.endswith("[x]") and suffix != name else ():
            if suffix.lower() == str(entry[0]).lower():
                child.setdefault("sl", {"d": [["type", "$this"]], "r": "open", "o": False})
                return key, slices or name, {"t": [deepcopy(entry)]}
    return name, slices, None


def _slice_of(node: Row, kind: Row | None) -> Row:
    kept = {key: deepcopy(value) for key, value in node.items() if key not in _NOT_OF_SLICES}
    return {**kept, "min": 0, **(kind or {})}


def _children(root: Row, node: Row, look: Look) -> Row:
    """The children of a node; those of its type when no base walked into it."""
    if "k" not in node:
        like = _at(root, node["ref"]) if "ref" in node else {}
        types = node.get("t") or []
        found = look(_CORE + str(types[0][0])) if len(types) == 1 else None
        inner = like or (found or {}).get("root") or {}
        node["k"] = deepcopy(inner.get("k") or {})
        node.pop("ref", None)
    children: Row = node["k"]
    return children


def _at(root: Row, path: str) -> Row:
    for part in path.split(".")[1:]:
        root = (root.get("k") or {}).get(part) or {}
    return root


def _state(node: Row, facts: Row) -> None:
    """Lay what is stated of one element over what stood there."""
    if facts.get("max", node.get("max", -1)) != node.get("max", -1):
        # JSON still has the base's list.
        node.setdefault("bmax", node.get("max", -1))
    rules = {rule[0]: rule for rule in [*(node.get("c") or []), *(facts.get("c") or [])]}
    node.update(facts)
    if rules:
        node["c"] = list(rules.values())
