"""From the definitions of a package to rows of facts: what stands where, how often, of which kind.

No sentence of a guide gets into a row: no definition, comment, requirement or human wording of
a rule; of a rule its key, its severity and its expression remain.
"""

from __future__ import annotations

import re
from typing import Any

from .packages import Package
from .terminology import code_system_row, value_set_row

Row = dict[str, Any]
_FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
_MOST = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_SYSTEM = "http://hl7.org/fhirpath/System."
# Bindings of these strengths change a verdict; the others are advice.
_BINDING = ("required", "extensible")
# Rules that the engine checks itself, for every element there is; and dom-6, which advises a
# narrative for each resource: no payer writes any, and a warning a line would hide the others.
_LEFT_OUT = ("ele-1", "ext-1", "ref-1", "dom-6")
_LIMITS = ("maxLength", "minValue", "maxValue")
_ROOT_ID = re.compile(r"^[A-Z]\w*\.id$")


def compile_package(package: Package) -> list[tuple[str, str, str, Row]]:
    """Rows as (kind, canonical, version, row), kinds being profile, values and codes."""
    rows = []
    own = {r["url"]: r for r in package.resources if r["resourceType"] == "StructureDefinition"}
    for resource in package.resources:
        kind, row = _row(resource, own)
        if row is not None:
            version = str(resource.get("version") or package.version)
            rows.append((kind, str(resource["url"]), version, row))
    return rows


def _row(resource: Row, own: dict[str, Row]) -> tuple[str, Row | None]:
    if resource["resourceType"] == "ValueSet":
        return "values", value_set_row(resource)
    if resource["resourceType"] == "CodeSystem":
        return "codes", code_system_row(resource)
    return "profile", _profile_row(resource, own)


def _profile_row(definition: Row, own: dict[str, Row]) -> Row | None:
    if definition.get("kind") == "logical":
        return None
    elements = _elements(definition, own)
    if not elements:
        return None
    return {
        "type": definition.get("type"),
        "kind": definition.get("kind"),
        "base": definition.get("baseDefinition"),
        "profile": definition.get("derivation") == "constraint",
        "abstract": bool(definition.get("abstract")),
        "root": _tree(elements),
    }


def _elements(definition: Row, own: dict[str, Row]) -> list[Row]:
    snapshot = (definition.get("snapshot") or {}).get("element")
    if snapshot:
        return list(snapshot)
    base = own.get(str(definition.get("baseDefinition")).partition("|")[0])
    if base is None or base is definition:
        return []
    changes = (definition.get("differential") or {}).get("element") or []
    return _merge(_elements(base, own), changes)


def _merge(elements: list[Row], changes: list[Row]) -> list[Row]:
    """A base's elements with a differential laid over them; new ones stand after their parent."""
    merged = {e["id"]: e for e in elements}
    for change in changes:
        key = change["id"]
        unsliced = re.sub(r":[^.]*$", "", key)
        before = merged.get(key) or merged.get(unsliced) or {}
        merged[key] = {**before, **change}
        if key != unsliced:
            merged[key].pop("slicing", None)
    return list(merged.values())


def _tree(elements: list[Row]) -> Row:
    root: Row = {}
    for element in elements:
        parts = str(element.get("id") or element["path"]).split(".")
        node = root
        for part in parts[1:]:
            node = _child(node, part)
        node.update(_facts(element))
    return root


def _child(node: Row, part: str) -> Row:
    name, _, slices = part.partition(":")
    found: Row = node.setdefault("k", {}).setdefault(name, {})
    if slices:
        inner = ""
        for piece in slices.split("/"):
            inner = f"{inner}/{piece}" if inner else piece
            found = found.setdefault("s", {}).setdefault(inner, {})
    return found


def _facts(element: Row) -> Row:
    facts: Row = {"min": element.get("min", 0), "max": _most(element.get("max", "*"))}
    facts |= {key: element[key] for key in _LIMITS if key in element}
    facts |= {key[0:1]: element[key] for key in element if key.startswith(("fixed", "pattern"))}
    for key in element:
        if key.startswith(("minValue", "maxValue")):
            facts[key[:8]] = element[key]
    made = {
        "t": _types(element),
        "sl": _slicing(element.get("slicing")),
        "b": _binding(element.get("binding")),
        "c": _constraints(element),
        "ref": (element.get("contentReference") or "").rpartition("#")[2],
        "ms": element.get("mustSupport"),
        "bmax": _base_most(element),
    }
    return facts | {key: value for key, value in made.items() if value}


def _most(text: str) -> int:
    """The maximum as a number; -1 where there is none."""
    return -1 if text == "*" else int(text)


def _base_most(element: Row) -> int | None:
    """The maximum of the base, where a profile narrowed it: JSON still has the base's list."""
    base = (element.get("base") or {}).get("max")
    return _most(base) if base is not None and base != element.get("max") else None


def _types(element: Row) -> list[list[Any]]:
    return [_type(t, element) for t in element.get("type") or []]


def _type(given: Row, element: Row) -> list[Any]:
    code = str(given.get("code"))
    if code.startswith(_SYSTEM):
        code = (
            next(
                (
                    e.get("valueUrl", "")
                    for e in given.get("extension") or []
                    if e["url"] == _FHIR_TYPE
                ),
                "",
            )
            or code.removeprefix(_SYSTEM).lower()
        )
        if _ROOT_ID.match(element["path"]) and code == "string":
            code = "id" if len(element["path"].split(".")) == 2 else code
    row: list[Any] = [code, given.get("profile") or [], given.get("targetProfile") or []]
    return row[: 3 if row[2] else 2 if row[1] else 1]


def _slicing(given: Row | None) -> Row | None:
    if not given:
        return None
    return {
        "d": [[d["type"], d["path"]] for d in given.get("discriminator") or []],
        "r": given.get("rules", "open"),
        "o": bool(given.get("ordered")),
    }


def _binding(given: Row | None) -> list[str] | None:
    if not given or given.get("strength") not in _BINDING or not given.get("valueSet"):
        return None
    most = [
        e.get("valueCanonical") or e.get("valueUri") or ""
        for e in given.get("extension") or []
        if e.get("url") == _MOST
    ]
    return [given["strength"], given["valueSet"], *most]


def _constraints(element: Row) -> list[list[str]]:
    return [
        [c["key"], c.get("severity", "error"), c["expression"]]
        for c in element.get("constraint") or []
        if c.get("expression") and c["key"] not in _LEFT_OUT
    ]
