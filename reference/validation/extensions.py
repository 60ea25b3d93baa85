"""Extensions: by their own definition where a package in reach has it; no modifier unknown."""

from __future__ import annotations

from typing import Any

from .contexts import Contexts
from .run import Check, Run

# Definitions in reach are fewer; urls of nobody's are as many as there are resources.
_MOST = 2000
_EXTENSION = "http://hl7.org/fhir/StructureDefinition/Extension"


class Extensions:
    """Makes the check of extensions as seen from a package, and keeps it."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._made: dict[str, Check] = {}
        self._contexts = Contexts(engine.tables)

    def of(self, place: Any) -> Check:
        """The check of an Extension: what its url defines, or else the type (R4 2.24.0.1)."""
        if place.package not in self._made:
            self._made[place.package] = self._check(place.package)
        return self._made[place.package]

    def _check(self, package: str) -> Check:
        found: dict[str, Check] = {}
        base = self._engine.check_of(_EXTENSION, package)

        def check(value: Any, at: str, run: Run) -> None:
            url = value.get("url") if isinstance(value, dict) else None
            own = found.get(url) if isinstance(url, str) else base
            if own is None and isinstance(url, str):
                own = self._engine.check_of(self._canonical(url, package), package)
                if len(found) < _MOST:
                    found[url] = own
            if own is not None:
                own(value, at, run)
            if isinstance(value, dict) and "extension" in value and _valued(value):
                run.add("error", "ext-1", at, "a value or extensions", "both", _EXTENSION)

        return check

    def is_own(self, canonical: str, package: str) -> bool:
        """Whether a profile of extensions is the one that each value's url leads to."""
        tables = self._engine.tables
        found = tables.find("profile", canonical, package)
        return found is not None and found == tables.near("profile", found[0], package)

    def _canonical(self, url: str, package: str) -> str:
        known = self._engine.tables.near("profile", url, package)
        return "|".join(known) if known else _EXTENSION

    def placed(self, rule: Any) -> Any:
        """The rule of an element's extensions, and that each stands where it may."""

        def check(values: Any, at: str, run: Run, parent: Any) -> None:
            rule(values, at, run, parent)
            for index, value in enumerate(values if isinstance(values, list) else ()):
                self._contexts.check(value, f"{at}/{index}", run)

        return check

    def modifier(self, value: Any, at: str, run: Run) -> None:
        """A modifier that nobody here knows may turn the meaning: nothing is to be made of it."""
        url = value.get("url") if isinstance(value, dict) else None
        if isinstance(url, str) and not self._engine.tables.versions(url):
            run.add("error", "modifier-extension", at, "a modifier that a package here defines",
                    "one that none defines", "")  # fmt: skip


def _valued(value: dict[str, Any]) -> bool:
    return any(key.startswith(("value", "_value")) for key in value)
