"""Where an extension may stand: at the elements and extensions that its definition names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from .run import Run
from .tables import Tables

Row = dict[str, Any]
_CORE = "http://hl7.org/fhir/StructureDefinition/"
_PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-"
# PDex 2.2.0 as published has these in its prior authorizations; the package that the tables are
# made of was built before.
_NAMED = {
    _PAS + "claimResponseReviewer": ["ExplanationOfBenefit"],
    _PAS + "admissionDates": ["ExplanationOfBenefit.item"],
    _PAS + "dischargeDate": ["ExplanationOfBenefit.item"],
}
# Definitions say Element and mean any place, resources too.
_ANYWHERE = frozenset({"Element", "Any"})


class Where(NamedTuple):
    """The element that has an extension: by its path in a resource, and in which extension."""

    kind: str
    path: tuple[str, ...]
    inside: str | None


class Contexts:
    """Tells whether extensions stand where they may (R4, 2.24.0.3.2); keeps what it looked up."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self._names: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}
        self._allowed: dict[str, frozenset[str]] = {}

    def check(self, value: Any, at: str, run: Run) -> None:
        """Note an extension at a place that no version of its definition here allows."""
        url = value.get("url") if isinstance(value, dict) else None
        allowed = self._of(url) if isinstance(url, str) else frozenset()
        where = _where(run.around.root, at, value) if allowed else None
        if where is None or where.inside in allowed:
            return
        if allowed.isdisjoint(self._called(where.kind, where.path)):
            run.add("error", "extension-context", at, f"on {', '.join(sorted(allowed))}",
                    "on another element", "")  # fmt: skip

    def _of(self, url: str) -> frozenset[str]:
        """The elements and extensions that a definition allows; empty where that is not told."""
        if url not in self._allowed:
            versions = self._tables.versions(url)
            if not versions:
                return frozenset()  # strangers are not kept: there may be any number
            told = [self._told(url, version) for version in versions]
            # A guide may have another's extension where that one does not see it: either is right.
            rows = self._tables.all("places", url)
            named = [*_NAMED.get(url, ()), *(place for row in rows for place in row["at"])]
            self._allowed[url] = frozenset(named).union(*told) if all(told) else frozenset()
        return self._allowed[url]

    def _told(self, url: str, version: str) -> frozenset[str]:
        contexts = self._tables.row("profile", (url, version)).get("ctx") or []
        if not all(self._is_clear(kind, text) for kind, text in contexts):
            return frozenset()
        return frozenset(text.partition("|")[0] for _, text in contexts)

    def _is_clear(self, kind: str, text: str) -> bool:
        """Whether a context is one that can be told here: no FHIRPath, no slice, a type of R4."""
        if kind == "extension":
            return "#" not in text
        first = text.partition(".")[0]
        known = self._tables.find("profile", _CORE + first) is not None
        return kind == "element" and known and text not in _ANYWHERE and ":" not in text

    def _called(self, kind: str, path: tuple[str, ...]) -> frozenset[str]:
        """All that definitions may call an element: by its path, by its types, and from those."""
        if (kind, path) not in self._names:
            self._names[kind, path] = frozenset(self._walked(kind, path))
        return self._names[kind, path]

    def _walked(self, kind: str, path: tuple[str, ...]) -> set[str]:
        root = self._root(kind)
        node, names = root, {kind, *self._bases(kind)}
        for step in path:
            element, child = _child(node, step)
            names = {f"{name}.{element}" for name in names}
            names |= {name + "[x]" for name in names} if step != element else set()
            if "ref" in child:
                names.add(child["ref"])
                child = _at(root, child["ref"])
            for of, *_ in child.get("t") or []:
                names |= {of, *self._bases(of)}
            node = child if child.get("k") else self._root(((child.get("t") or [[""]])[0])[0])
        return names

    def _root(self, kind: str) -> Row:
        row = self._row(kind)
        return dict(row["root"]) if row else {}

    def _bases(self, kind: str) -> Iterator[str]:
        row = self._row(kind)
        while row and row.get("base"):
            base = str(row["base"]).rpartition("/")[2]
            yield base
            row = self._row(base)

    def _row(self, kind: str) -> Row | None:
        key = self._tables.find("profile", _CORE + kind)
        return self._tables.row("profile", key) if key else None


def _at(root: Row, path: str) -> Row:
    node = root
    for part in path.split(".")[1:]:
        node = (node.get("k") or {}).get(part) or {}
    return node


def _child(node: Row, step: str) -> tuple[str, Row]:
    """(element, its facts) of a key of JSON; a choice has one type left."""
    children = node.get("k") or {}
    if step in children:
        return step, children[step]
    for name, child in children.items():
        plain = name.removesuffix("[x]")
        if plain != name and step.startswith(plain):
            for entry in child.get("t") or []:
                if step[len(plain) :] == entry[0][0].upper() + entry[0][1:]:
                    return plain, {**child, "t": [entry]}
    return step, {}


def _where(root: Any, at: str, extension: Row) -> Where | None:
    """The place that a pointer to an extension tells; None where it leads elsewhere."""
    kind, value = "", root
    path: list[str] = []
    holders: list[Any] = []
    for part in at.split("/")[1:]:
        if isinstance(value, dict) and "resourceType" in value:
            kind, path = str(value["resourceType"]), []
        holders.append(value)
        value = _step(value, part)
        if not part.isdigit():
            path.append(part.removeprefix("_"))
    if value is not extension or len(holders) < 2:
        return None
    holder = holders[-2]
    inside = holder.get("url") if path[-2:-1] == ["extension"] else None
    return Where(kind, tuple(path[:-1]), inside if isinstance(inside, str) else None)


def _step(value: Any, part: str) -> Any:
    if isinstance(value, dict):
        return value.get(part)
    among = isinstance(value, list) and part.isdigit() and int(part) < len(value)
    return value[int(part)] if among else None
