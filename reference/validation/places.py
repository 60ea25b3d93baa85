"""Where a node of a profile stands, and the small checks that the engine puts together."""

from __future__ import annotations

from typing import Any

from . import fhirpath
from .run import Check, Run

Row = dict[str, Any]


class Place:
    """Where a node stands: the profile, its package, and the tree for references within it."""

    __slots__ = ("package", "profile", "root")

    def __init__(self, profile: str, package: str, root: Row) -> None:
        self.profile, self.package, self.root = profile, package, root

    def follow(self, node: Row) -> Row:
        """The node, with the children of the one it says it is like."""
        if "ref" not in node:
            return node
        found: Row = self.root
        for part in node["ref"].split(".")[1:]:
            found = (found.get("k") or {}).get(part) or {}
        kept = {k: v for k, v in found.items() if k not in ("min", "max", "bmax")}
        return {**kept, "like": node["ref"]}

    @staticmethod
    def is_list(child: Row) -> bool:
        """Whether JSON has a list there: what the base says, whatever a profile allows."""
        return child.get("bmax", child.get("max", -1)) not in (0, 1)


def is_same(wanted: Any) -> Any:
    return lambda value: type(value) is type(wanted) and value == wanted


def not_evaluated(_items: Any, _scope: Any) -> Any:
    """Stands for a rule whose expression is beyond what is evaluated here."""
    raise fhirpath.Unsupported("the expression")


def types_left(child: Row) -> list[Any]:
    """The types of a choice; of one closed by type, those that have a slice."""
    types = list(child.get("t") or [])
    slicing = child.get("sl") or {}
    if slicing.get("r") != "closed" or slicing.get("d") != [["type", "$this"]]:
        return types
    sliced = {t[0] for s in (child.get("s") or {}).values() for t in s.get("t") or []}
    return [t for t in types if t[0] in sliced]


def below(name: str, tests: list[Any]) -> Any:
    def test(value: Any) -> bool:
        child = value.get(name) if isinstance(value, dict) else None
        items = child if isinstance(child, list) else [child]
        return any(all(one(item) for one in tests) for item in items)

    return test


def all_of(checks: list[Check]) -> Check:
    if len(checks) == 1:
        return checks[0]

    def every(value: Any, at: str, run: Run) -> None:
        for check in checks:
            check(value, at, run)

    return every


def only_one(rule: Any, plain: str, own: str, keys: list[str], profile: str) -> Any:
    others = frozenset(k for k in keys if k.lstrip("_") != own)

    def check(value: Any, at: str, run: Run, parent: Row) -> None:
        if not others.isdisjoint(parent):
            run.add("error", "choice", at, f"the only {plain}[x]", "one of several", profile)
        rule(value, at, run, parent)

    return check


def shadowed(parent: Row, name: str, index: int) -> bool:
    shadow = parent.get("_" + name)
    return isinstance(shadow, list) and index < len(shadow) and shadow[index] is not None


def kind_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, (dict, list)):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    return "a single value"


def named(key: str) -> str:
    """A key that nothing defines might be anything, a member's name among it."""
    return "?" if len(key) > 40 or not key.lstrip("_").isalnum() or not key.isascii() else key
