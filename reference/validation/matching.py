"""Whether a value is of a slice: yes, no, or undecidable with what is here (None)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from .run import Run

Row = dict[str, Any]
Answer = "bool | None"
Test = Callable[[Any, Run], "bool | None"]
_EXTENSION = re.compile(r"extension\('([^']+)'\)")


def equals(value: Any, wanted: Any) -> bool:
    """FHIR's fixed: the same, to the last element."""
    if isinstance(wanted, dict):
        return (
            isinstance(value, dict)
            and value.keys() == wanted.keys()
            and all(equals(value[k], wanted[k]) for k in wanted)
        )
    if isinstance(wanted, list):
        return (
            isinstance(value, list)
            and len(value) == len(wanted)
            and all(map(equals, value, wanted))
        )
    return bool(value == wanted) and isinstance(value, bool) is isinstance(wanted, bool)


def fits(value: Any, wanted: Any) -> bool:
    """FHIR's pattern: all that is wanted is there; more may be."""
    if isinstance(wanted, dict):
        return isinstance(value, dict) and all(
            k in value and fits(value[k], w) for k, w in wanted.items()
        )
    if isinstance(wanted, list):
        return isinstance(value, list) and all(any(fits(v, w) for v in value) for w in wanted)
    return equals(value, wanted)


def fitting(wanted: Any) -> Callable[[Any], bool]:
    """`fits` for one pattern, taken apart once."""
    if isinstance(wanted, dict):
        inner = [(key, fitting(value)) for key, value in wanted.items()]

        def of_object(value: Any) -> bool:
            if not isinstance(value, dict):
                return False
            for key, test in inner:  # noqa: SIM110 - a plain loop is twice as fast
                if key not in value or not test(value[key]):
                    return False
            return True

        return of_object
    if isinstance(wanted, list):
        tests = [fitting(value) for value in wanted]
        return lambda value: (
            isinstance(value, list) and all(any(map(test, value)) for test in tests)
        )
    if isinstance(wanted, str):
        return lambda value: bool(value == wanted)
    return lambda value: equals(value, wanted)


class Discriminators:
    """Makes the tests that tell a slice's values from the others."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def test(self, slicing: Row, slice_: Row, package: str) -> Test:
        """The test of one slice, all of its discriminators together."""
        made = [self._one(kind, path, slice_, package) for kind, path in slicing["d"]]
        # A discriminator that a slice says nothing of tells nothing; another one may.
        tests = [test for test in made if test is not _tells_nothing] or made
        if not tests:
            return lambda _value, _run: None

        def every(value: Any, run: Run) -> bool | None:
            unknown = False
            for test in tests:
                answer = test(value, run)
                if answer is False:
                    return False
                unknown = unknown or answer is None
            return None if unknown else True

        return every

    def _one(self, kind: str, path: str, slice_: Row, package: str) -> Test:
        steps = [] if path == "$this" else _EXTENSION.sub(r"extension:\1", path).split(".")
        if path.startswith("extension("):
            steps = [path]
        if kind == "value" and steps == ["url"]:
            url = self.url(slice_)
            if url:
                return lambda value, _run: isinstance(value, dict) and value.get("url") == url
        node, walk = self._descend(slice_, steps, package)
        if kind == "exists":
            return _exists(node, walk)
        if kind == "type":
            return _types(node, walk)
        if kind == "profile":
            return self._profile(node, walk, package)
        return self._value(node, walk, package)

    @staticmethod
    def url(slice_: Row) -> str | None:
        """The URL of an extension that is a slice; None for a slice of something else."""
        fixed = ((slice_.get("k") or {}).get("url") or {}).get("f")
        if fixed:
            return str(fixed)
        profiles = [p for t in slice_.get("t") or [] for p in (t[1:2] or [[]])[0]]
        return profiles[0].partition("|")[0] if profiles else None

    def _descend(self, node: Row, steps: list[str], package: str) -> tuple[Row, Any]:
        walks: list[Callable[[list[Any], Run], list[Any]]] = []
        for step in steps:
            if step == "resolve()":
                walks.append(_resolved)
            elif step.startswith("extension("):
                walks.append(_extensions(_EXTENSION.fullmatch(step)))
                node = {}
            else:
                node = self._engine.child(node, step, package)
                walks.append(children(step))

        def walk(value: Any, run: Run) -> list[Any]:
            values = [value]
            for one in walks:
                values = one(values, run)
            return values

        return node, walk

    def _value(self, node: Row, walk: Any, package: str) -> Test:
        wanted = self._engine.wanted(node)
        if wanted:
            return lambda value, run: any(
                all(test(found) for test in wanted) for found in walk(value, run)
            )
        binding = node.get("b")
        if binding and binding[0] == "required":
            member = self._engine.coded(binding[1], package)
            return lambda value, run: _any(member(found) for found in walk(value, run))
        return _tells_nothing

    def _profile(self, node: Row, walk: Any, package: str) -> Test:
        profiles = [p for t in node.get("t") or [] for p in (t[1:2] or [[]])[0]]

        def conforms(value: Any, run: Run) -> bool | None:
            answers: list[bool | None] = []
            for found in walk(value, run):
                for profile in profiles:
                    check = self._engine.check_of(profile, package)
                    if check is None or not isinstance(found, dict):
                        answers.append(None)
                        continue
                    aside = run.aside()
                    check(found, "", aside)
                    answers.append(not aside.failed())
            return _any(answers)

        return conforms


def _tells_nothing(_value: Any, _run: Run) -> None:
    """The test of a discriminator that a slice says nothing of."""


def _any(answers: Iterable[bool | None]) -> bool | None:
    unknown = False
    for answer in answers:
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False


def children(name: str) -> Callable[[list[Any], Run], list[Any]]:
    """All values of an element of some objects, of whatever type a choice has."""
    long = len(name)

    def walk(values: list[Any], _run: Run) -> list[Any]:
        found: list[Any] = []
        for value in values:
            if not isinstance(value, dict):
                continue
            if name in value:
                found += value[name] if isinstance(value[name], list) else [value[name]]
                continue
            for key, child in value.items():
                if key.startswith(name) and key[long : long + 1].isupper():
                    found += child if isinstance(child, list) else [child]
        return found

    return walk


def _extensions(found: re.Match[str] | None) -> Callable[[list[Any], Run], list[Any]]:
    url = found[1] if found else ""
    return lambda values, _run: [
        e
        for v in values
        if isinstance(v, dict) and isinstance(v.get("extension"), list)
        for e in v["extension"]
        if isinstance(e, dict) and e.get("url") == url
    ]


def _resolved(values: list[Any], run: Run) -> list[Any]:
    made = []
    for value in values:
        text = value.get("reference") if isinstance(value, dict) else None
        resource = run.resolve(text) if isinstance(text, str) else None
        if resource is not None:
            made.append(resource)
        elif isinstance(text, str) and "/" in text:
            made.append({"resourceType": text.split("/")[-2]})
    return made


def _exists(node: Row, walk: Any) -> Test:
    wanted = node.get("max") != 0
    return lambda value, run: bool(walk(value, run)) is wanted


def _types(node: Row, walk: Any) -> Test:
    types = {t[0] for t in node.get("t") or []}
    # Through a reference, a type is one of the targets.
    for entry in node.get("t") or []:
        types |= {p.partition("|")[0].rpartition("/")[2] for p in (entry[2:3] or [[]])[0]}

    def of_type(value: Any, run: Run) -> bool | None:
        answers = [_is_of(found, types) for found in walk(value, run)]
        return _any(answers)

    return of_type


def _is_of(value: Any, types: set[str]) -> bool | None:
    if isinstance(value, dict) and "resourceType" in value:
        return value["resourceType"] in types or "Resource" in types
    return None
