"""Checks of one value: its primitive type, what a profile fixes, bindings and targets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .bounds import bound
from .coding import any_member, codes_of
from .matching import equals, fitting
from .primitives import primitive
from .run import Check, Run

Row = dict[str, Any]
_CORE = "http://hl7.org/fhir/StructureDefinition/"
_CODED = ("code", "Coding", "CodeableConcept", "Quantity", "string", "uri")


class Leaves:
    """Makes the checks; the engine puts them together."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    @staticmethod
    def primitive(name: str, place: Any) -> Check:
        """A value of a primitive type."""
        is_one, profile = primitive(name), place.profile

        def check(value: Any, at: str, run: Run) -> None:
            if not is_one(value):
                run.add("error", "primitive", at, f"a value of type {name}", "another", profile)

        return check

    def profiles(self, canonicals: list[str], place: Any) -> list[Check]:
        """A value of a type that a profile narrows: one of them suffices."""
        made = [self._engine.check_of(c, place.package) for c in canonicals]
        if not made or None in made:
            return []
        if len(made) == 1:
            return [lambda value, at, run: made[0](value, at, _scope(value, run))]

        def any_of(value: Any, at: str, run: Run) -> None:
            for check in made:
                aside = _scope(value, run).aside()
                check(value, at, aside)
                if not aside.failed():
                    return
            run.add("error", "profile", at, "as one of the profiles", "none", place.profile)

        return [any_of]

    def targets(self, kind: str, canonicals: list[str], place: Any) -> list[Check]:
        """A reference to a resource of an allowed type and profile, if it is contained or near."""
        if kind != "Reference":
            return []
        types = {self._type_of(c, place) for c in canonicals}
        if not types or "Resource" in types:
            types = set()
        profile = place.profile
        conforming = self._conforming(canonicals, place)

        def check(value: Any, at: str, run: Run) -> None:
            text = value.get("reference") if isinstance(value, dict) else None
            if not isinstance(text, str):
                return
            if " " in text:
                run.add("error", "reference", at, "a reference without spaces", "another", profile)
            target = run.resolve(text)
            if target is None and text.startswith("#"):
                run.add("error", "contained", at, "contained", "nothing of that id", profile)
            elif target is None:
                run.around.points.setdefault(text, at)
            told = target.get("resourceType") if target else _told(text)
            if types and told and told not in types and self._is_type(told):
                wanted = ", ".join(sorted(types))
                run.add("error", "target", at, f"to {wanted}", "to another type", profile)
            elif target is not None and run.near(text) and not conforming(target, run):
                wanted = ", ".join(canonicals)
                run.add("error", "target-profile", at, f"to what is as {wanted} says",
                        "to another", profile)  # fmt: skip

        return [check]

    def _conforming(self, canonicals: list[str], place: Any) -> Callable[[Row, Run], bool]:
        """Whether a resource that is near is as one of the profiles that a reference asks for."""
        tables = self._engine.tables
        keys = [tables.find("profile", c, place.package) for c in canonicals]
        rows = [tables.row("profile", key) for key in keys if key]
        if None in keys or not any(row["profile"] for row in rows):
            return lambda _target, _run: True
        made = [
            (row["type"], "|".join(key), row["profile"])
            for key, row in zip(keys, rows, strict=True)
        ]

        def conforms(target: Row, run: Run) -> bool:
            asked = [
                (name, narrow) for kind, name, narrow in made if kind == target.get("resourceType")
            ]
            if not asked or not all(narrow for _, narrow in asked):
                return True
            return any(run.around.meets(target, name, self._judged(name, run)) for name, _ in asked)

        return conforms

    def _judged(self, name: str, run: Run) -> Callable[[Row], bool]:
        def failed(target: Row, by: str) -> bool:
            aside = Run(run.resource, run.around.apart(), run.holder).inside(target)
            self._engine.check_of(by)(target, "", aside)
            return aside.failed()

        # What is broken as its type says so itself: who points at it has no fault of its own.
        return lambda target: (
            not failed(target, name) or failed(target, _CORE + target["resourceType"])
        )

    def _is_type(self, name: str) -> bool:
        """Whether R4 has a resource of the name; other servers' paths may look like one."""
        return self._engine.tables.find("profile", _CORE + name) is not None

    def _type_of(self, canonical: str, place: Any) -> str:
        key = self._engine.tables.find("profile", canonical, place.package)
        if key is None:
            self._engine.partial.add(place.profile)
            return "Resource"
        return str(self._engine.tables.row("profile", key)["type"])

    def values(self, node: Row, kind: str, place: Any) -> list[Check]:
        """What is fixed, the shortest and longest, and the binding."""
        made: list[Check] = []
        profile = place.profile
        if "f" in node:
            wanted = node["f"]
            made.append(_told_by("fixed", lambda value: equals(value, wanted), profile))
        if "p" in node:
            made.append(_told_by("pattern", fitting(node["p"]), profile))
        made += [bound(key, node[key], profile) for key in ("minValue", "maxValue") if key in node]
        if "maxLength" in node:
            made.append(_longest(node["maxLength"], profile))
        if node.get("b") and kind in _CODED:
            strength, canonical, *most = node["b"]
            made.append(self._binding(strength, canonical, place))
            made += [self._binding("required", m, place) for m in most]
        return made

    def _binding(self, strength: str, canonical: str, place: Any) -> Check:
        member = self._engine.terms.membership(canonical, place.package)
        severity = "error" if strength == "required" else "warning"
        profile, bare = place.profile, canonical.partition("|")[0]

        def check(value: Any, at: str, run: Run) -> None:
            codes = codes_of(value)
            if not codes:
                only = isinstance(value, dict) and not value.get("extension")
                if only and strength == "required" and "value" not in value:
                    run.add("error", "binding", at, f"a code of {bare}", "no code", profile)
                return
            answer = any_member(member, codes)
            if answer is None:
                run.add("information", "code-not-checked", at, f"a code of {bare}",
                        "a code whose list is not here", profile)  # fmt: skip
            elif not answer:
                run.add(severity, "binding", at, f"a code of {bare}", "another code", profile)

        return check


def _scope(value: Any, run: Run) -> Run:
    return run.inside(value) if isinstance(value, dict) and "resourceType" in value else run


def _told(text: str) -> str | None:
    parts = text.partition("/_history/")[0].split("/")
    name = parts[-2] if len(parts) > 1 and not text.startswith("urn:") else ""
    return name if name[:1].isupper() and name.isalpha() else None


def _told_by(rule: str, test: Callable[[Any], bool], profile: str) -> Check:
    def check(value: Any, at: str, run: Run) -> None:
        if not test(value):
            run.add("error", rule, at, f"the {rule} value of the profile", "another", profile)

    return check


def _longest(most: int, profile: str) -> Check:
    def check(value: Any, at: str, run: Run) -> None:
        if isinstance(value, str) and len(value) > most:
            run.add("error", "length", at, f"at most {most} characters", "more", profile)

    return check
