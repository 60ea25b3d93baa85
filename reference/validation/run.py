"""One validation of one resource: what was found, and what references may point at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
Resolver = Callable[[str], "Row | None"]
# What was found: severity, rule, pointer, expected, actual, profile.
Found = tuple[str, str, str, str, str, str]
# A check of a value at a JSON pointer.
Check = Callable[[Any, str, "Run"], None]


class Run:
    """Gathers findings; knows the resource, the one around it, and how to resolve."""

    __slots__ = ("found", "holder", "outside", "resource", "root")

    def __init__(
        self,
        resource: Row,
        outside: Resolver,
        root: Row | None = None,
        holder: Row | None = None,
    ) -> None:
        self.found: list[Found] = []
        self.resource = resource
        self.root = root if root is not None else resource
        self.holder = holder if holder is not None else resource
        self.outside = outside

    def add(
        self, severity: str, rule: str, at: str, expected: str, actual: str, profile: str
    ) -> None:
        """Note one finding."""
        self.found.append((severity, rule, at, expected, actual, profile))

    def aside(self) -> Run:
        """A run whose findings do not count, to try something out."""
        return Run(self.resource, self.outside, self.root, self.holder)

    def inside(self, resource: Row) -> Run:
        """A run for a resource within this one; what it finds counts here."""
        among = self.holder.get("contained")
        own = isinstance(among, list) and any(resource is one for one in among)
        made = Run(resource, self.outside, self.root, self.holder if own else resource)
        made.found = self.found
        return made

    def failed(self) -> bool:
        """Whether an error was found."""
        return any(found[0] == "error" for found in self.found)

    def resolve(self, reference: str) -> Row | None:
        """The resource a reference points at, if it is contained, near by or in the delivery."""
        if reference.startswith("#"):
            return contained(self.holder, reference[1:])
        return near(self.root, reference) or self.outside(reference)


def claimed(resource: Row) -> list[str]:
    """The profiles a resource claims, as written."""
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    return [p for p in profiles if isinstance(p, str)] if isinstance(profiles, list) else []


def errors(found: list[Found]) -> int:
    """How many errors there are."""
    return sum(one[0] == "error" for one in found)


def contained(holder: Row, name: str) -> Row | None:
    """A contained resource by its id; "" is the container itself."""
    if not name:
        return holder
    among = holder.get("contained")
    for inner in among if isinstance(among, list) else ():
        if isinstance(inner, dict) and inner.get("id") == name:
            return inner
    return None


def near(root: Row, reference: str) -> Row | None:
    """A resource of the same Bundle or Parameters."""
    if root.get("resourceType") == "Bundle":
        entries = root.get("entry")
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, dict) and _names(entry, reference):
                return dict(entry["resource"])
    if root.get("resourceType") == "Parameters":
        return _of_parameters(root.get("parameter"), reference)
    return None


def _names(entry: Row, reference: str) -> bool:
    full = str(entry.get("fullUrl") or "")
    resource = entry.get("resource")
    if not isinstance(resource, dict):
        return False
    own = f"{resource.get('resourceType')}/{resource.get('id')}"
    return reference in (full, own) or full.endswith("/" + reference)


def _own(resource: Row) -> str:
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _of_parameters(parameters: Any, reference: str) -> Row | None:
    for one in parameters if isinstance(parameters, list) else ():
        if not isinstance(one, dict):
            continue
        resource = one.get("resource")
        if isinstance(resource, dict) and _own(resource) == reference:
            return resource
        found = _of_parameters(one.get("part"), reference)
        if found is not None:
            return found
    return None
