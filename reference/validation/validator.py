"""Is a resource what it claims to be."""

from __future__ import annotations

from typing import Any

from .engine import Engine
from .findings import Finding
from .reading import NotReadable, read_strict
from .run import Found, Resolver, Run
from .tables import Tables, standard

_CORE = "http://hl7.org/fhir/StructureDefinition/"


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
        try:
            return self.validate(read_strict(body), profiles, resolve)
        except NotReadable as error:
            return [Finding("error", "json", "", "Resource", "one JSON object", str(error), "")]

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
        kind = resource.get("resourceType")
        check = self._engine.check_of(_CORE + kind) if isinstance(kind, str) else None
        if check is None or not isinstance(kind, str):
            return [Finding("error", "type", "", "Resource", "a resource of R4", "none", "")]
        run = Run(resource, resolve)
        check(resource, "", run)
        found = run.found
        for canonical in claimed(resource) if profiles is None else profiles:
            found += self._against(resource, canonical, resolve)
        return _findings(kind, found)

    def _against(self, resource: dict[str, Any], canonical: str, resolve: Resolver) -> list[Found]:
        best: list[Found] | None = None
        for one in self._versions(canonical):
            check = self._engine.check_of(one)
            if check is None:
                continue
            run = Run(resource, resolve)
            check(resource, "", run)
            if best is None or _errors(run.found) < _errors(best):
                best = run.found
            if not _errors(best):
                return best
        if best is None:
            said = ("a profile whose tables are here", "one that no package here defines")
            return [("information", "profile-unknown", "/meta/profile", *said, "")]
        return best

    def _versions(self, canonical: str) -> list[str]:
        if "|" in canonical:
            return [canonical]
        return [f"{canonical}|{version}" for version in self.tables.versions(canonical)]


def claimed(resource: dict[str, Any]) -> list[str]:
    """The profiles a resource claims, as written."""
    meta = resource.get("meta")
    profiles = meta.get("profile") if isinstance(meta, dict) else None
    return [p for p in profiles if isinstance(p, str)] if isinstance(profiles, list) else []


def _errors(found: list[Found]) -> int:
    return sum(one[0] == "error" for one in found)


def _findings(kind: str, found: list[Found]) -> list[Finding]:
    """One finding for what base and profile both found at a place; the base said it first."""
    kept: dict[tuple[str, str], Finding] = {}
    for severity, rule, at, expected, actual, profile in found:
        key = (at, rule if rule != "binding" else rule + expected)
        kept.setdefault(key, Finding(severity, rule, at, kind, expected, actual, profile))
    return list(kept.values())
