"""The functions that rules of profiles call."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .fhirpath import Items, Scope, Step, Unsupported, _distinct, _said, _same, _take, _truth
from .narrative import is_safe_narrative


def _each(criterion: Step, items: Items, scope: Scope) -> list[bool | None]:
    return [_truth(criterion([item], {**scope, "this": item})) for item in items]


def _where(criterion: Step) -> Step:
    return lambda items, scope: [
        item for item, kept in zip(items, _each(criterion, items, scope), strict=True) if kept
    ]


def _exists(*criterion: Step) -> Step:
    if not criterion:
        return lambda items, _scope: [(bool(items), None)]
    return lambda items, scope: [(any(_each(criterion[0], items, scope)), None)]


def _all(criterion: Step) -> Step:
    return lambda items, scope: [(all(_each(criterion, items, scope)), None)]


def _select(projection: Step) -> Step:
    return lambda items, scope: [
        found for item in items for found in projection([item], {**scope, "this": item})
    ]


def _repeat(projection: Step) -> Step:
    def walk(items: Items, scope: Scope) -> Items:
        found: Items = []
        left = list(items)
        while left:
            item = left.pop(0)
            more = projection([item], {**scope, "this": item})
            found += more
            left += more
        return found

    return walk


def _iif(criterion: Step, then: Step, *otherwise: Step) -> Step:
    def choose(items: Items, scope: Scope) -> Items:
        if _truth(criterion(items, scope)):
            return then(items, scope)
        return otherwise[0](items, scope) if otherwise else []

    return choose


def _not() -> Step:
    def turn(items: Items, _scope: Scope) -> Items:
        said = _truth(items)
        return _said(None if said is None else not said)

    return turn


def _text(work: Callable[..., Any]) -> Callable[..., Step]:
    """A function of one text and of what its parameters say; empty in, empty out."""

    def made(*given: Step) -> Step:
        def run(items: Items, scope: Scope) -> Items:
            values = [one(items, scope) for one in given]
            if not items or not all(values):
                return []
            if not isinstance(items[0][0], str):
                raise Unsupported("a text was expected")
            found = work(items[0][0], *(v[0][0] for v in values))
            return [] if found is None else [(found, None)]

        return run

    return made


def _substring(text: str, start: int, long: int | None = None) -> str | None:
    if not 0 <= start < len(text):
        return None
    return text[start:] if long is None else text[start : start + long]


def _to_integer() -> Step:
    def run(items: Items, _scope: Scope) -> Items:
        value = items[0][0] if items else None
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d{1,18}", value):
            return [(int(value), None)]
        return [(value, None)] if isinstance(value, int) else []

    return run


def _extension(url: Step) -> Step:
    def run(items: Items, scope: Scope) -> Items:
        wanted = url(items, scope)[0][0]
        found: Items = []
        for value, _ in items:
            for extension in value.get("extension") or [] if isinstance(value, dict) else []:
                if extension.get("url") == wanted:
                    found.append((extension, "Extension"))
        return found

    return run


def _resolve() -> Step:
    def run(items: Items, scope: Scope) -> Items:
        found: Items = []
        for value, _ in items:
            text = value.get("reference") if isinstance(value, dict) else value
            resource = scope["resolve"](text) if isinstance(text, str) else None
            if resource is None and text is not None:
                raise Unsupported("a reference to elsewhere")
            if resource is not None:
                found.append((resource, resource.get("resourceType")))
        return found

    return run


def _member_of(canonical: Step) -> Step:
    def run(items: Items, scope: Scope) -> Items:
        if not items:
            return []
        answer = scope["member_of"](items[0][0], canonical(items, scope)[0][0])
        if answer is None:
            raise Unsupported("a code list that is not here")
        return [(answer, None)]

    return run


def _children(items: Items) -> Items:
    found: Items = []
    for value, _ in items:
        for key, child in value.items() if isinstance(value, dict) else ():
            if key != "resourceType":
                _take(found, child, None, None)
    return found


def _descendants() -> Step:
    def run(items: Items, _scope: Scope) -> Items:
        found: Items = []
        left = _children(items)
        while left:
            found += left
            left = _children(left)
        return found

    return run


def _has_value() -> Step:
    return lambda items, _scope: [
        (len(items) == 1 and not isinstance(items[0][0], (dict, list)), None)
    ]


def _set(work: Callable[[Items, Items], Any]) -> Callable[[Step], Step]:
    def made(other: Step) -> Step:
        def run(items: Items, scope: Scope) -> Items:
            # A parameter that is a path starts at the rule's own element.
            focus = [scope["this"]] if "this" in scope else [scope["context"]]
            found = work(items, other(focus, scope))
            return found if isinstance(found, list) else [(found, None)]

        return run

    return made


def _within(items: Items, others: Items) -> bool:
    return all(any(_same(v, w) for w, _ in others) for v, _ in items)


def _kept(items: Items, others: Items) -> Items:
    return _distinct([i for i in items if any(_same(i[0], o[0]) for o in others)])


def _plain(work: Callable[[Items], Any]) -> Callable[[], Step]:
    def made() -> Step:
        def run(items: Items, _scope: Scope) -> Items:
            found = work(items)
            return found if isinstance(found, list) else [(found, None)]

        return run

    return made


def _counted(work: Callable[[Items, int], Items]) -> Callable[[Step], Step]:
    return lambda number: lambda items, scope: work(items, number(items, scope)[0][0])


FUNCTIONS: dict[str, Callable[..., Step]] = {
    "where": _where,
    "exists": _exists,
    "all": _all,
    "select": _select,
    "repeat": _repeat,
    "iif": _iif,
    "not": _not,
    "extension": _extension,
    "resolve": _resolve,
    "memberOf": _member_of,
    "descendants": _descendants,
    "hasValue": _has_value,
    "children": _plain(_children),
    "empty": _plain(lambda items: not items),
    "count": _plain(len),
    "first": _plain(lambda items: items[:1]),
    "last": _plain(lambda items: items[-1:]),
    "tail": _plain(lambda items: items[1:]),
    "single": _plain(lambda items: items[:1]),
    "distinct": _plain(_distinct),
    "isDistinct": _plain(lambda items: len(_distinct(items)) == len(items)),
    "allTrue": _plain(lambda items: all(v is True for v, _ in items)),
    "anyTrue": _plain(lambda items: any(v is True for v, _ in items)),
    "allFalse": _plain(lambda items: all(v is False for v, _ in items)),
    "trace": lambda *_given: lambda items, _scope: items,
    "skip": _counted(lambda items, n: items[n:]),
    "take": _counted(lambda items, n: items[:n]),
    "toInteger": _to_integer,
    "toString": _plain(lambda items: [(str(v), None) for v, _ in items[:1]]),
    "htmlChecks": _plain(lambda items: all(is_safe_narrative(v) for v, _ in items)),
    "startsWith": _text(str.startswith),
    "endsWith": _text(str.endswith),
    "contains": _text(lambda text, part: part in text),
    "matches": _text(lambda text, pattern: re.search(pattern, text) is not None),
    "replace": _text(str.replace),
    "length": _text(len),
    "indexOf": _text(str.find),
    "upper": _text(str.upper),
    "lower": _text(str.lower),
    "substring": _text(_substring),
    "combine": _set(lambda items, others: items + others),
    "union": _set(lambda items, others: _distinct(items + others)),
    "intersect": _set(_kept),
    "subsetOf": _set(_within),
    "supersetOf": _set(lambda items, others: _within(others, items)),
}
