"""From the definitions of a package to rows of facts: what stands where, how often, of which kind.

No sentence of a guide gets into a row: no definition, comment, requirement or human wording of
a rule; of a rule its key, its severity and its expression remain.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .differentials import Look, laid_over
from .matching import Discriminators
from .packages import Package
from .questions import form_row
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
# R4's expression of que-12 counts otherwise than its words: of more than one, not of more than two.
_CORRECTED = {
    "enableWhen.count() > 2 implies enableBehavior.exists()":
    "enableWhen.count() > 1 implies enableBehavior.exists()",
}  # fmt: skip
# R4 asks the units of vital signs of whatever a component tells, an oxygen flow among it; its own
# example of one (satO2-fiO2) shows that this was not meant.
_VITAL_SIGNS = frozenset(
    "http://hl7.org/fhir/StructureDefinition/" + name
    for name in ("vitalsigns", "vitalspanel", "resprate", "heartrate", "oxygensat", "bodytemp",
                 "bodyheight", "headcircum", "bodyweight", "bmi")
)  # fmt: skip
_LIMITS = ("maxLength", "minValue", "maxValue")


def compile_package(
    package: Package, look: Look = lambda _canonical: None
) -> list[tuple[str, str, str, Row]]:
    """Rows as (kind, canonical, version, row): profile, values, codes, questionnaire and places.

    Places are where the package's profiles have an extension; their version is the package.

    `look` has the rows of other packages, for profiles that have no snapshot of their own.
    """
    rows = []
    bases = _Bases(package, look)
    for resource in package.resources:
        kind, row = _row(resource, bases)
        if row is not None:
            version = str(resource.get("version") or package.version)
            rows.append((kind, str(resource["url"]), version, row))
    found: dict[str, set[str]] = {}
    for _, _, _, row in [one for one in rows if one[0] == "profile" and one[3]["profile"]]:
        for url, path in _extensions(row["root"], str(row["type"])):
            found.setdefault(url, set()).add(path)
    places = ((url, {"at": sorted(paths)}) for url, paths in sorted(found.items()))
    return [*rows, *(("places", url, package.label, row) for url, row in places)]


def _extensions(node: Row, path: str) -> Iterator[tuple[str, str]]:
    """(url, path of the element) of each extension that a profile names."""
    for name, child in (node.get("k") or {}).items():
        for slice_ in (child.get("s") or {}).values():
            url = Discriminators.url(slice_) if name in ("extension", "modifierExtension") else None
            if url:
                yield url, path
            yield from _extensions(slice_, f"{path}.{name}")
        yield from _extensions(child, f"{path}.{name}")


class _Bases:
    """The rows that profiles without a snapshot are made of: of their package, or of others."""

    def __init__(self, package: Package, look: Look) -> None:
        self._look = look
        self._own = {
            str(r["url"]): r
            for r in package.resources
            if r["resourceType"] == "StructureDefinition"
        }
        self._under_way: set[str] = set()

    def row(self, canonical: str) -> Row | None:
        """A row by its canonical; None for what is not there, or is based on itself."""
        url = canonical.partition("|")[0]
        if url not in self._own or url in self._under_way:
            return self._look(canonical)
        self._under_way.add(url)
        try:
            return _profile_row(self._own[url], self)
        finally:
            self._under_way.remove(url)


def _row(resource: Row, bases: _Bases) -> tuple[str, Row | None]:
    if resource["resourceType"] == "ValueSet":
        return "values", value_set_row(resource)
    if resource["resourceType"] == "CodeSystem":
        return "codes", code_system_row(resource)
    if resource["resourceType"] == "Questionnaire":
        return "questionnaire", form_row(resource)
    return "profile", _profile_row(resource, bases)


def _profile_row(definition: Row, bases: _Bases) -> Row | None:
    root = None if definition.get("kind") == "logical" else _root(definition, bases)
    if root is None:
        return None
    if definition["url"] in _VITAL_SIGNS:
        root["k"]["component"]["k"]["value[x]"].pop("b", None)
    row = {
        "type": definition.get("type"),
        "kind": definition.get("kind"),
        "base": definition.get("baseDefinition"),
        "profile": definition.get("derivation") == "constraint",
        "abstract": bool(definition.get("abstract")),
        "root": root,
    }
    contexts = [[c.get("type"), c.get("expression")] for c in definition.get("context") or []]
    return row | ({"ctx": contexts} if contexts else {})


def _root(definition: Row, bases: _Bases) -> Row | None:
    snapshot = (definition.get("snapshot") or {}).get("element")
    if snapshot:
        return _tree(snapshot, str(definition.get("kind")))
    base = bases.row(str(definition.get("baseDefinition")))
    changes = (definition.get("differential") or {}).get("element") or []
    return laid_over(base, [(_id(e), _stated(e)) for e in changes], bases.row) if base else None


def _id(element: Row) -> str:
    """The id of an element, made of path and slice where it has none."""
    name = element.get("sliceName")
    return str(element.get("id") or f"{element['path']}{':' + name if name else ''}")


def _stated(element: Row) -> Row:
    """The facts that a differential states of an element, and no others."""
    facts = _facts(element)
    return {
        key: value for key, value in facts.items()
        if key not in ("min", "max", "bmax") or key in element
    }  # fmt: skip


def _tree(elements: list[Row], kind: str) -> Row:
    root: Row = {}
    for element in elements:
        parts = str(element.get("id") or element["path"]).split(".")
        node = root
        for part in parts[1:]:
            node = _child(node, part)
        node.update(_facts(element))
    if kind == "resource" and "id" in (root.get("k") or {}):
        # R4 has it as a string, and means the id that a server gives; elements' ids are free.
        root["k"]["id"]["t"] = [["id"]]
    return root


def _child(node: Row, part: str) -> Row:
    name, _, slices = part.partition(":")
    found: Row = node.setdefault("k", {}).setdefault(name, {})
    if slices:
        found = found.setdefault("s", {}).setdefault(slices, {})
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
    return [_type(t) for t in element.get("type") or []]


def _type(given: Row) -> list[Any]:
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
        [c["key"], c.get("severity", "error"), _CORRECTED.get(c["expression"], c["expression"])]
        for c in element.get("constraint") or []
        if c.get("expression") and c["key"] not in _LEFT_OUT
    ]
