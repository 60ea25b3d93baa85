"""Which elements a resource has, as paths: what a table of facts can tell without any value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

# A dot parts the steps of a path, but not within the URL of an extension or the system of an
# identifier.
_DOT = re.compile(r"\.(?![^(]*\))")
_WHOSE = re.compile(r"\bidentifier\([^)]*\)")


def leaf_paths(resource: Mapping[str, Any]) -> set[str]:
    """The paths of all that holds a value, such as `name.given` or `extension(URL).valueCode`.

    Identifiers are told apart by their systems: `identifier(SYSTEM).value`.
    """
    return set(_leaves(resource, ""))


def with_parents(paths: Iterable[str]) -> set[str]:
    """The paths, and those of all that they stand in; of identifiers, of whatever system too."""
    found: set[str] = set()
    for path in paths:
        for told in {path, _WHOSE.sub("identifier", path)}:
            steps = _DOT.split(told)
            found.update(".".join(steps[:n]) for n in range(1, len(steps) + 1))
    return found


def parent_of(path: str) -> str:
    """The path of what an element stands in; empty for an element of the resource itself."""
    return ".".join(_DOT.split(path)[:-1])


def _leaves(value: Mapping[str, Any], at: str) -> Iterator[str]:
    for key, child in value.items():
        for item in child if isinstance(child, list) else [child]:
            yield from _leaf(item, f"{at}{_step(key, item)}")


def _step(key: str, item: Any) -> str:
    if key in ("extension", "modifierExtension") and isinstance(item, Mapping):
        return f"{key}({item.get('url')})"
    if key == "identifier" and isinstance(item, Mapping) and _is_plain(item.get("system")):
        return f"{key}({item['system']})"
    return key.removeprefix("_")


def _is_plain(system: Any) -> bool:
    return isinstance(system, str) and bool(system) and not set("()") & set(system)


def _leaf(item: Any, path: str) -> Iterator[str]:
    if isinstance(item, Mapping):
        yield from _leaves(item, f"{path}.")
    elif item is not None:
        yield path
