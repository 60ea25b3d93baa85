"""Is a resource what it claims to be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .coverage import Coverage
from .engine import Engine
from .findings import SEVERITIES, Finding
from .reading import NotReadable, read_strict
from .run import Around, Found, Resolver, Run, claimed, names
from .tables import Tables, standard

_CORE = "http://hl7.org/fhir/StructureDefinition/"


@dataclass(frozen=True)
class Judgement:
    """One resource's findings, what it points at elsewhere and where, and what it is called.

    `met` has the resources that were judged by a profile, each with that profile|version.
    """

    findings: list[Finding]
    points: dict[str, str]
    names: list[str]
    met: list[tuple[dict[str, Any], str]] = field(default_factory=list)


def unreadable(error: NotReadable) -> Judgement:
    """The finding of bytes that are no resource."""
    said = Finding("error", "json", "", "Resource", "one JSON object", str(error), "")
    return Judgement([said], {}, [])


def _nowhere(_reference: str) -> None:
    return None


class Validator:
    """Validates against tables; keeps the checks it has made."""

    def __init__(self, tables: Tables | None = None) -> None:
        self.tables = tables or standard()
        self._engine = Engine(self.tables)

    def validate_bytes(
        self, body: bytes, profiles: list[str] | None = None, resolve: Resolver = _nowhere
    ) -> list[Finding]:
        """Findings of one resource as JSON. Never raises, whatever the bytes are."""
        return self.judge(body, profiles, resolve).findings

    def judge(
        self, body: bytes, profiles: list[str] | None = None, resolve: Resolver = _nowhere
    ) -> Judgement:
        """Findings of one resource as JSON, and what a delivery needs to know of it."""
        try:
            resource = read_strict(body)
        except NotReadable as error:
            return unreadable(error)
        return self.examine(resource, profiles, resolve)

    def validate(
        self,
        resource: dict[str, Any],
        profiles: list[str] | None = None,
        resolve: Resolver = _nowhere,
    ) -> list[Finding]:
        """Findings of a resource: of its type, and of given profiles or else those it claims.

        A claim without a version is met when one version here is met; findings are then those
        of the version that is met best. `resolve` finds what else the delivery holds.
        """
        return self.examine(resource, profiles, resolve).findings

    def examine(
        self,
        resource: dict[str, Any],
        profiles: list[str] | None = None,
        resolve: Resolver = _nowhere,
    ) -> Judgement:
        """The findings of a resource, and what a delivery needs to know of it."""
        around = Around(resource, resolve)
        found = self._validate(resource, profiles, around)
        met = [(one, profile) for (_, profile), one in around.met.items()]
        return Judgement(found, around.points, list(names(resource)), met)

    def coverage(self) -> Coverage:
        """A coverage of must-support elements with nothing seen yet."""
        return Coverage(self._engine)

    def _validate(
        self, resource: dict[str, Any], profiles: list[str] | None, around: Around
    ) -> list[Finding]:
        kind = resource.get("resourceType")
        if not isinstance(kind, str) or self.tables.find("profile", _CORE + kind) is None:
            return [Finding("error", "type", "", "Resource", "a resource of R4", "none", "")]
        run = Run(resource, around)
        self._engine.judge(resource, claimed(resource) if profiles is None else profiles, "", run)
        return _findings(kind, run.found)


def _findings(kind: str, found: list[Found]) -> list[Finding]:
    """One finding for what base and profile both found at a place: the worst, the first of those.

    A profile may require a code of the list that the base only advises.
    """
    kept: dict[tuple[str, str], Finding] = {}
    worst_first = sorted(found, key=lambda one: SEVERITIES.index(one[0]))
    for severity, rule, at, expected, actual, profile in worst_first:
        key = (at, rule if rule != "binding" else rule + expected)
        kept.setdefault(key, Finding(severity, rule, at, kind, expected, actual, profile))
    return list(kept.values())
