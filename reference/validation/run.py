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


class Around:
    """What all runs of one validation share: the outermost resource, and what lies around it."""

    __slots__ = ("_meets", "_names", "met", "outside", "points", "root")

    def __init__(self, root: Row, outside: Resolver) -> None:
        self.root = root
        self.outside = outside
        # What references name that is neither contained nor near by, each with its first place.
        self.points: dict[str, str] = {}
        # By which profiles resources were judged: those that they claim, each with its version.
        self.met: dict[tuple[int, str], Row] = {}
        self._names: dict[str, Row] | None = None
        self._meets: dict[tuple[int, str], bool] = {}

    def apart(self) -> Around:
        """The same surroundings for a try: what it points at and is judged by is not noted here."""
        made = Around(self.root, self.outside)
        made._names, made._meets = self._names, self._meets
        return made

    def meets(self, target: Row, profile: str, judge: Callable[[Row], bool]) -> bool:
        """Whether a resource near by meets a profile; judged once, however many point at it."""
        key = (id(target), profile)
        if key not in self._meets:
            # Resources may point at each other: while one is judged, it is taken to be right.
            self._meets[key] = True
            self._meets[key] = judge(target)
        return self._meets[key]

    def near(self, reference: str) -> Row | None:
        """A resource of the same Bundle or Parameters; looked through once, however many ask."""
        if self._names is None:
            self._names = names(self.root)
        return self._names.get(reference.partition("/_history/")[0])


class Run:
    """Gathers findings; knows the resource, the one around it, and how to resolve."""

    __slots__ = ("around", "found", "holder", "resource")

    def __init__(self, resource: Row, around: Around, holder: Row | None = None) -> None:
        self.found: list[Found] = []
        self.resource = resource
        self.around = around
        self.holder = holder if holder is not None else resource

    def add(
        self, severity: str, rule: str, at: str, expected: str, actual: str, profile: str
    ) -> None:
        """Note one finding."""
        self.found.append((severity, rule, at, expected, actual, profile))

    def aside(self) -> Run:
        """A run whose findings do not count, to try something out."""
        return Run(self.resource, self.around, self.holder)

    def inside(self, resource: Row) -> Run:
        """A run for a resource within this one; what it finds counts here."""
        among = self.holder.get("contained")
        own = isinstance(among, list) and any(resource is one for one in among)
        made = Run(resource, self.around, self.holder if own else resource)
        made.found = self.found
        return made

    def met(self, resource: Row, by: tuple[list[Found], str]) -> list[Found]:
        """What is found by the version of a profile that a resource is held to; it is noted."""
        self.around.met[id(resource), by[1]] = resource
        return by[0]

    def failed(self) -> bool:
        """Whether an error was found."""
        return any(found[0] == "error" for found in self.found)

    def resolve(self, reference: str) -> Row | None:
        """The resource a reference points at, if it is contained, near by or in the delivery."""
        near = self.near(reference)
        return near or (None if reference.startswith("#") else self.around.outside(reference))

    def near(self, reference: str) -> Row | None:
        """The resource a reference points at, if it is contained or in the same Bundle."""
        if reference.startswith("#"):
            return contained(self.holder, reference[1:])
        return self.around.near(reference)


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


def names(resource: Row) -> dict[str, Row]:
    """What a resource holds by all that references may call it: itself, entries, parameters."""
    found: dict[str, Row] = {}
    _call(found, resource, "")
    entries = resource.get("entry") if resource.get("resourceType") == "Bundle" else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            full = entry.get("fullUrl")
            _call(found, entry["resource"], full if isinstance(full, str) else "")
    if resource.get("resourceType") == "Parameters":
        _of_parameters(resource.get("parameter"), found)
    return found


def _call(found: dict[str, Row], resource: Row, full: str) -> None:
    own = f"{resource.get('resourceType')}/{resource.get('id')}"
    for name in (full, "/".join(full.split("/")[-2:]), own):
        if name:
            found.setdefault(name, resource)


def _of_parameters(parameters: Any, found: dict[str, Row]) -> None:
    for one in parameters if isinstance(parameters, list) else ():
        if isinstance(one, dict):
            if isinstance(one.get("resource"), dict):
                _call(found, one["resource"], "")
            _of_parameters(one.get("part"), found)
