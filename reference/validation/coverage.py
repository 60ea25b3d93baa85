"""Must-support coverage: which elements that profiles mark are seen in a delivery, which never."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from .matching import children
from .places import types_left
from .primitives import NAMES
from .run import Around, Run

Row = dict[str, Any]
# What is known of an element, the least first: a slice that cannot be told apart is no "never".
NEVER, UNDECIDED, SEEN = "never", "undecided", "seen"
_ORDER = (NEVER, UNDECIDED, SEEN)
# (values of an element or slice, whether there were some of which that cannot be told)
_Find = Callable[[Any, Run], "tuple[list[Any], bool]"]


@dataclass
class Support:
    """A profile's must-support elements by their ids, and what is known of each."""

    resources: int = 0
    elements: dict[str, str] = field(default_factory=dict)

    def merge(self, other: Support) -> None:
        """Add what another process saw."""
        self.resources += other.resources
        for name, state in other.elements.items():
            self.elements[name] = _most(self.elements.get(name, NEVER), state)

    def named(self, state: str) -> list[str]:
        """The ids of the elements of which that is known."""
        return [name for name, known in self.elements.items() if known == state]


@dataclass(frozen=True)
class Supported:
    """A must-support element: its id, its path as in `fhir.elements`, whether it may lack.

    A choice has `[x]` in its path. Only what a path tells is one: of slices, those of extensions,
    of types, and of identifiers with a system.
    """

    name: str
    path: str
    optional: bool


@dataclass
class _Element:
    name: str
    marked: bool
    find: _Find
    inner: list[_Element]
    # Where what stands below it is found: of a primitive, beside it.
    below: _Find


class Coverage:
    """Looks at resources by profile; what was seen once is not looked for again."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._left: dict[str, list[_Element]] = {}
        self.profiles: dict[str, Support] = {}

    def see(self, resource: Row, profile: str) -> None:
        """Take a resource into account for a profile, as canonical|version."""
        if profile not in self.profiles:
            self._begin(profile)
        support = self.profiles[profile]
        support.resources += 1
        run = Run(resource, Around(resource, lambda _reference: None))
        self._left[profile] = _look(self._left[profile], resource, run, support.elements)

    def supported(self, profile: str) -> list[Supported]:
        """The must-support elements of a profile, as canonical|version."""
        row = self._engine.tables.row("profile", self._engine.tables.find("profile", profile))
        return list(self._supported(row["root"], str(row["type"]), ""))

    def _supported(self, node: Row, name: str, path: str | None) -> Iterator[Supported]:
        for key, child in (node.get("k") or {}).items():
            slices = (child.get("s") or {}).items()
            inner = [(f"{key}:{n}", self._step(key, s), s) for n, s in slices]
            for step, told, one in [(key, key, child), *inner]:
                below = f"{path}.{told}".lstrip(".") if told and path is not None else None
                if one.get("ms") and one.get("max") != 0 and below:
                    yield Supported(f"{name}.{step}", below, not one.get("min"))
                yield from self._supported(one, f"{name}.{step}", below)

    def _step(self, key: str, slice_: Row) -> str | None:
        """How a path tells values of a slice, if it can."""
        types = slice_.get("t") or []
        if key.endswith("[x]") and len(types) == 1:
            return f"{key[:-3]}{types[0][0][0].upper()}{types[0][0][1:]}"
        url = self._engine.discriminators.url(slice_) if "xtension" in key else None
        url = _system(slice_) if key == "identifier" else url
        return f"{key}({url})" if url else None

    def _begin(self, profile: str) -> None:
        tables = self._engine.tables
        key = tables.find("profile", profile)
        row = tables.row("profile", key)
        package = tables.package_of("profile", key)
        made = self._elements(row["root"], str(row["type"]), package)
        self._left[profile] = made
        self.profiles[profile] = Support(elements=dict.fromkeys(_names(made), NEVER))

    def _elements(self, node: Row, path: str, package: str) -> list[_Element]:
        made = []
        for name, child in (node.get("k") or {}).items():
            plain = name.removesuffix("[x]")
            made.append(self._element(child, f"{path}.{name}", _all(plain), package, plain))
            for slice_, inner in (child.get("s") or {}).items():
                find = self._slice(plain, name, child, slice_, package)
                made.append(self._element(inner, f"{path}.{name}:{slice_}", find, package))
        return [one for one in made if one.marked or one.inner]

    def _element(
        self, node: Row, name: str, find: _Find, package: str, plain: str = ""
    ) -> _Element:
        may_be = node.get("max") != 0
        inner = self._elements(node, name, package) if may_be else []
        bare = plain and ((node.get("t") or [[""]])[0] or [""])[0] in NAMES
        below = _all("_" + plain) if bare else find
        return _Element(name, bool(node.get("ms")) and may_be, find, inner, below)

    def _slice(self, plain: str, name: str, child: Row, slice_: str, package: str) -> _Find:
        own = child["s"][slice_]
        if name.endswith("[x]"):
            return _typed(plain, types_left(own))
        outer, _, _ = slice_.rpartition("/")
        above = self._slice(plain, name, child, outer, package) if outer else _all(plain)
        slicing = (child["s"][outer] if outer else child).get("sl")
        test = self._engine.discriminators.test(slicing or {"d": []}, own, package)
        return _telling(above, test)


def _system(slice_: Row) -> str | None:
    """The one system that identifiers of a slice have."""
    system = (slice_.get("k") or {}).get("system") or {}
    wanted = slice_.get("p") or slice_.get("f") or {}
    found = system.get("f") or system.get("p") or wanted.get("system")
    return str(found) if found else None


def _names(elements: Iterable[_Element]) -> list[str]:
    found = []
    for one in elements:
        found += [one.name] if one.marked else []
        found += _names(one.inner)
    return found


def _look(elements: list[_Element], value: Any, run: Run, known: dict[str, str]) -> list[_Element]:
    """The elements that are still to be looked for after a value."""
    left = []
    for one in elements:
        values, doubt = one.find(value, run)
        if one.marked and (values or doubt):
            known[one.name] = _most(known[one.name], SEEN if values else UNDECIDED)
        for item in one.below(value, run)[0] if one.inner else ():
            one.inner = _look(one.inner, item, run, known)
        if one.inner or (one.marked and known[one.name] != SEEN):
            left.append(one)
    return left


def _most(one: str, other: str) -> str:
    return max(one, other, key=_ORDER.index)


def _all(plain: str) -> _Find:
    walk = children(plain)
    return lambda value, run: ([v for v in walk([value], run) if v is not None], False)


def _typed(plain: str, types: list[Any]) -> _Find:
    finds = [_all(plain + entry[0][0].upper() + entry[0][1:]) for entry in types]
    return lambda value, run: ([v for find in finds for v in find(value, run)[0]], False)


def _telling(above: _Find, test: Any) -> _Find:
    def find(value: Any, run: Run) -> tuple[list[Any], bool]:
        values, doubt = above(value, run)
        answers = [(item, test(item, run)) for item in values]
        unknown = any(answer is None for _, answer in answers)
        return [item for item, answer in answers if answer], doubt or unknown

    return find
