"""Single defects of a resource, made by what its profile's own definition says.

The mutator reads the StructureDefinition as published, not our tables: what it breaks is known
from the guide. Each mutant says which rule is broken at which JSON pointer.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .official import CORE, definitions

BASE = "http://hl7.org/fhir/StructureDefinition/"
PRIMITIVES = frozenset(
    ["boolean", "integer", "string", "decimal", "uri", "url", "canonical", "base64Binary",
     "instant", "date", "dateTime", "time", "code", "oid", "id", "markdown", "unsignedInt",
     "positiveInt", "uuid"]
)  # fmt: skip
# A text that is no value of the type, by the type's regex (R4 2.24.0.1) or its calendar.
UNFIT = {
    "date": ("2020-13-01", "2021-02-29", "20200101"),
    "dateTime": ("2020-02-30", "2020-01-01T10:00:00", "2020-00"),
    "instant": ("2020-01-01", "2020-01-01T10:00:00", "2020-01-32T10:00:00Z"),
    "time": ("25:00:00", "10:00"),
    "code": (" a", "a  b", ""),
    "id": ("a b", "x" * 65, "a_b"),
    "uri": ("a b", ""),
    "url": ("a b",),
    "canonical": ("a b",),
    "oid": ("1.2.3",),
    "uuid": ("urn:uuid:1",),
    "base64Binary": ("@@@@", "abc"),
    "boolean": ("true", 1),
    "integer": ("1", 1.5, 2**31),
    "unsignedInt": (-1, "1"),
    "positiveInt": (0, -1),
    "decimal": ("1.0", True),
    "string": ("", 7, True),
    "markdown": ("", 7),
}
NO_CODE = "no-such-code"
# Nodes whose inside is another matter: they are played on their own.
APART = ("contained", "resource", "text", "extension", "modifierExtension")


@dataclass(frozen=True)
class Mutant:
    """A resource with one defect: of which kind, found by one of which rules, exactly where."""

    kind: str
    rules: frozenset[str]
    pointer: str
    resource: Any
    severity: str = "error"


@dataclass
class Node:
    """What the definition says of an element, of its children, and of slices of it."""

    element: dict[str, Any] = field(default_factory=dict)
    kids: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)


@cache
def tree(file, url):
    """The tree of a definition's snapshot."""
    root = Node()
    for element in definitions(file)[url]["snapshot"]["element"]:
        node = root
        for part in element["id"].split(".")[1:]:
            name, _, slice_ = part.partition(":")
            node = node.kids.setdefault(name, Node())
            node = node.slices.setdefault(slice_, Node()) if slice_ else node
        node.element = element
    return root


class Mutator:
    """Makes mutants of one resource by one profile of a package."""

    def __init__(self, file, url, resource):
        self.file, self.resource = file, resource
        self.root = tree(file, url)

    def mutants(self):
        """All of them, in the order of the definition."""
        yield from self._object(self.root, self.resource, "")

    def _made(self, kind, rules, pointer, at, value, severity="error"):
        """`value` put at `at`, or taken away where it is ABSENT."""
        made = copy.deepcopy(self.resource)
        put(made, at, value)
        return Mutant(kind, frozenset(rules.split()), pointer, made, severity)

    def _object(self, node, value, at):
        yield self._made("unknown element", "unknown", f"{at}/nonsuch", f"{at}/nonsuch", "x")
        for name, child in node.kids.items():
            if name in APART and name not in ("extension", "modifierExtension"):
                continue
            for key, kind in present(name, child, value):
                yield from self._element(child, key, kind, value, at)

    def _element(self, node, key, kind, parent, at):
        pointer, plain = f"{at}/{key}", key
        if name_of(node).endswith("[x]"):
            plain = name_of(node)[:-3]
        if node.element.get("min", 0) and f"_{key}" not in parent and len(parent) > 1:
            yield self._made("required element missing", "min", f"{at}/{plain}", pointer, ABSENT)
        yield from self._many(node, pointer, parent[key])
        items = parent[key] if isinstance(parent[key], list) else [parent[key]]
        for index, item in enumerate(items):
            where = f"{pointer}/{index}" if isinstance(parent[key], list) else pointer
            if item is not None:
                yield from self._value(node, kind, item, where)

    def _many(self, node, pointer, value):
        if not isinstance(value, list):
            yield self._made("list for one value", "single", pointer, pointer, [value, value])
            return
        yield self._made("empty list", "list", pointer, pointer, [])
        yield self._made("one value for a list", "list", pointer, pointer, value[0])
        most = node.element.get("max", "*")
        if most.isdigit() and int(most) > 0:
            more = [value[0]] * (int(most) + 1)
            yield self._made("maximum exceeded", "max", pointer, pointer, more)
        yield from self._sliced(node, pointer, value)

    def _sliced(self, node, pointer, value):
        slicing = node.element.get("slicing")
        if not slicing:
            return
        tests = {name: membership(slicing, s, self.file) for name, s in node.slices.items()}
        if slicing["rules"] == "closed" and all(tests.values()) and tests:
            step = slicing["discriminator"][0]["path"]
            stranger = {**value[0], step: changed(value[0].get(step))}
            if not any(test(stranger) for test in tests.values()):
                yield self._made("value of no slice", "closed", f"{pointer}/{len(value)}",
                                 pointer, [*value, stranger])  # fmt: skip
        for name, test in tests.items():
            if test is not None and "/" not in name:
                yield from self._slice(node.slices[name], test, pointer, value)

    def _slice(self, node, test, pointer, value):
        members = [i for i, v in enumerate(value) if test(v)]
        least, most = node.element.get("min", 0), node.element.get("max", "*")
        if least and len(members) == least:
            left = [v for i, v in enumerate(value) if i not in members]
            yield self._made("slice missing", "slice-min min", pointer, pointer, left or ABSENT)
        if most.isdigit() and members and int(most):
            more = [*value, *[value[members[0]]] * (int(most) + 1 - len(members))]
            yield self._made("too many of a slice", "slice-max max", pointer, pointer, more)
        for index in members:
            yield from self._of_slice(node, test, value[index], f"{pointer}/{index}", least)

    def _of_slice(self, node, test, value, at, least):
        """What a slice says of its values, save what makes them its values."""
        if not isinstance(value, dict):
            return
        for mutant in self._object_of_slice(node, value, at):
            if test(pick(mutant.resource, at)):
                yield mutant

    def _object_of_slice(self, node, value, at):
        for name, child in node.kids.items():
            for key, kind in present(name, child, value):
                plain = name.removesuffix("[x]")
                if child.element.get("min", 0) and len(value) > 1:
                    yield self._made("required element of a slice missing", "min slice-min",
                                     f"{at}/{plain}", f"{at}/{key}", ABSENT)  # fmt: skip
                if not isinstance(value[key], list):
                    yield from self._told(child, kind, value[key], f"{at}/{key}")

    def _value(self, node, kind, value, at):
        yield from self._told(node, kind, value, at)
        if kind in PRIMITIVES:
            yield from self._primitive(kind, at)
        elif kind == "Reference":
            yield from self._reference(node, value, at)
        if kind not in PRIMITIVES and isinstance(value, dict):
            yield self._made("text for an object", "object", at, at, "x")
            yield self._made("empty object", "object", at, at, {})
            inner = node if node.kids else self._type(kind)
            if inner is not None:
                yield from self._object(inner, value, at)

    def _type(self, kind):
        url = BASE + str(kind)
        return tree(CORE, url) if url in definitions(CORE) else None

    def _primitive(self, kind, at):
        for value in UNFIT[kind]:
            yield self._made(f"no {kind}", "primitive", at, at, value)
        yield self._made("object for a primitive", "primitive", at, at, {"value": 1})
        yield self._made("null", "single primitive", at, at, None)

    def _reference(self, node, value, at):
        targets = [t for e in node.element.get("type", []) for t in e.get("targetProfile", [])]
        if targets and BASE + "Resource" not in targets and "reference" in value:
            wrong = {**value, "reference": "Binary/1"}
            yield self._made("target of another type", "target", at, at, wrong)

    def _told(self, node, kind, value, at):
        """What a profile fixes, and codes of a list that is here whole."""
        for key in node.element:
            if key.startswith(("fixed", "pattern")):
                rule = "fixed" if key.startswith("fixed") else "pattern"
                yield self._made(f"another value than the {rule} one", rule, at, at,
                                 changed(value))  # fmt: skip
        binding = node.element.get("binding") or {}
        if binding.get("strength") == "required" and listed(binding.get("valueSet"), self.file):
            wrong = uncoded(kind, value)
            if wrong is not None:
                yield self._made("code of no list", "binding", at, at, wrong)


ABSENT = object()


def name_of(node):
    return node.element["id"].rpartition(".")[2].partition(":")[0]


def present(name, node, value):
    """(key, type) of an element that a value has; of a choice, the one that is there."""
    types = [kind_of(t) for t in node.element.get("type") or []]
    if not name.endswith("[x]"):
        return [(name, types[0] if types else None)] if name in value else []
    plain = name[:-3]
    return [(key, t) for t in types for key in [plain + t[0].upper() + t[1:]] if key in value]


def kind_of(given):
    code = given["code"]
    if code.startswith("http://hl7.org/fhirpath/"):
        told = [e.get("valueUrl") for e in given.get("extension", [])]
        return next((t for t in told if t), "string")
    return code


def membership(slicing, slice_, file):
    """Whether a value is of a slice, where the definition tells it plainly; else None."""
    tests = []
    for one in slicing.get("discriminator") or []:
        wanted = fixed_at(slice_, one["path"], file)
        if one["type"] not in ("value", "pattern") or wanted is None:
            return None
        path = [] if one["path"] == "$this" else one["path"].split(".")
        tests.append((path, wanted))
    return (lambda value: all(reached(value, p, w) for p, w in tests)) if tests else None


def fixed_at(node, path, file):
    if path == "url" and "url" not in node.kids:
        profiles = [p for t in node.element.get("type", []) for p in t.get("profile", [])]
        return profiles[0].partition("|")[0] if profiles else None
    for step in [] if path == "$this" else path.split("."):
        if step not in node.kids:
            return None
        node = node.kids[step]
    told = [v for k, v in node.element.items() if k.startswith(("fixed", "pattern"))]
    return told[0] if told else None


def reached(value, path, wanted):
    if path:
        inner = value.get(path[0]) if isinstance(value, dict) else None
        return any(reached(v, path[1:], wanted)
                   for v in (inner if isinstance(inner, list) else [inner]))  # fmt: skip
    return includes(value, wanted)


def includes(value, wanted):
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(includes(value.get(k), w) for k, w in wanted.items())
    if isinstance(wanted, list):
        return isinstance(value, list) and all(any(includes(v, w) for v in value) for w in wanted)
    return value == wanted


def changed(value):
    """The value with each text another, so that no pattern fits any more."""
    if isinstance(value, dict):
        return {k: changed(v) for k, v in value.items()}
    if isinstance(value, list):
        return [changed(v) for v in value]
    if isinstance(value, bool):
        return not value
    return f"{value}-x" if isinstance(value, str) else value


@cache
def listed(canonical, file):
    """Whether a value set lists its codes itself, or takes whole lists that are here."""
    if canonical is None:
        return False
    url = canonical.partition("|")[0]
    found = definitions(file).get(url) or definitions(CORE).get(url) or {}
    parts = (found.get("compose") or {}).get("include") or []
    return bool(parts) and all(
        ("concept" in p or whole(p.get("system"), file))
        and not p.get("filter") and not p.get("valueSet")
        for p in parts
    )  # fmt: skip


def whole(system, file):
    found = definitions(file).get(system) or definitions(CORE).get(system) or {}
    return found.get("resourceType") == "CodeSystem" and found.get("content") == "complete"


def uncoded(kind, value):
    """The coded value with codes of a system that no value set takes from."""
    stranger = {"system": "http://example.org/codes", "code": NO_CODE}
    if kind == "code":
        return NO_CODE
    if kind == "Coding":
        return stranger
    return {"coding": [stranger]} if kind == "CodeableConcept" else None


def pick(resource, pointer):
    for step in pointer.split("/")[1:]:
        resource = resource[int(step) if isinstance(resource, list) else step]
    return resource


def put(resource, pointer, value):
    *way, last = re.split("/", pointer)[1:]
    for step in way:
        resource = resource[int(step) if isinstance(resource, list) else step]
    key = int(last) if isinstance(resource, list) else last
    if value is ABSENT:
        del resource[key]
    else:
        resource[key] = value
