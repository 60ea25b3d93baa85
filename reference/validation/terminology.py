"""Value sets and code systems as facts, and whether a code is in them: yes, no or unknown.

Code lists that their owners restrict are left out of the rows; a code of theirs is "unknown",
never wrong, unless the user's own package holds the list.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

Row = dict[str, Any]
# Owners restrict these lists (licence, fee or membership): rows of ours hold no code of them.
RESTRICTED = (
    "http://www.ama-assn.org/",
    "http://snomed.info/",
    "https://x12.org",
    "https://codesystem.x12.org",
    "http://codesystem.x12.org",
    "https://www.nubc.org",
    "http://www.nubc.org",
    "http://www.ada.org",
    "http://hl7.org/fhir/sid/ndc",
    "http://hl7.org/fhir/sid/icd",
    "http://www.cms.gov/Medicare/Coding/ICD10",
    "https://www.cms.gov/Medicare/Medicare-Fee-for-Service-Payment",
    "http://terminology.hl7.org/CodeSystem/NCPDP",
    "http://standardterms.edqm.eu",
    "http://www.nucc.org",
    "http://nucc.org",
)
_PROPERTIES = ("concept", "is-a", "descendent-of")


def is_restricted(system: str) -> bool:
    """Whether codes of a system may not be copied into a product."""
    return system.startswith(RESTRICTED)


def value_set_row(resource: Row) -> Row | None:
    """What a value set takes in and leaves out; None when it says nothing of it."""
    compose = resource.get("compose") or {}
    if not compose.get("include"):
        codes = _expanded((resource.get("expansion") or {}).get("contains") or [])
        return {"in": codes} if codes else None
    row = {"in": [_part(p) for p in compose["include"]]}
    if compose.get("exclude"):
        row["ex"] = [_part(p) for p in compose["exclude"]]
    return row


def _expanded(contains: list[Row]) -> list[Row]:
    systems: dict[str, list[str]] = {}
    stack = list(contains)
    while stack:
        entry = stack.pop()
        stack.extend(entry.get("contains") or [])
        if entry.get("code") and not entry.get("abstract"):
            systems.setdefault(entry.get("system", ""), []).append(entry["code"])
    return [{"s": s, **({} if is_restricted(s) else {"c": c})} for s, c in systems.items()]


def _part(given: Row) -> Row:
    system = given.get("system", "")
    part: Row = {"s": system} if system else {}
    if given.get("valueSet"):
        part["v"] = given["valueSet"]
    if given.get("concept"):
        listed: Row = {} if is_restricted(system) else {"c": [c["code"] for c in given["concept"]]}
        part |= listed or {"u": True}
    if given.get("filter"):
        filters = [[f.get("property"), f.get("op"), f.get("value")] for f in given["filter"]]
        part |= {"u": True} if is_restricted(system) else {"f": filters}
    return part


def code_system_row(resource: Row) -> Row | None:
    """Codes with their parents; None for a list that is not here whole, or may not be."""
    if is_restricted(resource["url"]) or resource.get("content") != "complete":
        return None
    codes: dict[str, str] = {}
    stack = [("", c) for c in resource.get("concept") or []]
    while stack:
        parent, concept = stack.pop()
        codes[concept["code"]] = parent
        stack.extend((concept["code"], c) for c in concept.get("concept") or [])
    return {"c": codes, "cs": resource.get("caseSensitive", True)} if codes else None


# Whether a code is in: a system (None when the element has none) and a code.
Member = Callable[[str | None, str], "bool | None"]


class Terminology:
    """Answers membership from tables. What no table tells is None, never a guess."""

    def __init__(self, tables: Any) -> None:
        self._tables = tables
        self._made: dict[tuple[str, str | None], Member] = {}

    def membership(self, canonical: str, near: str | None = None) -> Member:
        """The membership test of a value set, as seen from a package."""
        key = (canonical, near)
        if key not in self._made:
            self._made[key] = lambda _s, _c: None  # a value set that includes itself
            # The same few codes come again and again.
            self._made[key] = lru_cache(maxsize=512)(self._value_set(canonical, near))
        return self._made[key]

    def _value_set(self, canonical: str, near: str | None) -> Member:
        found = self._tables.find("values", canonical, near)
        if found is None:
            return lambda _system, _code: None
        row = self._tables.row("values", found)
        package = self._tables.package_of("values", found)
        takes = [self._include(p, package) for p in row["in"]]
        leaves = [self._include(p, package) for p in row.get("ex") or []]

        def member(system: str | None, code: str) -> bool | None:
            answer = _any(test(system, code) for test in takes)
            if answer is not False and leaves:
                out = _any(test(system, code) for test in leaves)
                return False if out else (None if out is None else answer)
            return answer

        return member

    def _include(self, part: Row, near: str | None) -> Member:
        tests = [self.membership(v, near) for v in part.get("v") or []]
        if "s" in part:
            tests.append(self._system(part, near))
        return tests[0] if len(tests) == 1 else lambda s, c: _all(test(s, c) for test in tests)

    def _system(self, part: Row, near: str | None) -> Member:
        wanted = part["s"]
        if "c" in part:
            listed = frozenset(part["c"])
            return lambda s, c: c in listed and s in (wanted, None)
        codes = None if "u" in part else self._codes(wanted, near)
        if codes is not None and part.get("f"):
            codes = _filtered(codes, part["f"])
        if codes is None:
            return lambda s, _c: None if s in (wanted, None) else False
        kept = frozenset(codes)
        return lambda s, c: c in kept and s in (wanted, None)

    def _codes(self, system: str, near: str | None) -> dict[str, str] | None:
        found = self._tables.find("codes", system, near)
        return None if found is None else self._tables.row("codes", found)["c"]


def _filtered(codes: dict[str, str], filters: list[list[str]]) -> dict[str, str] | None:
    for name, operator, value in filters:
        if name not in _PROPERTIES or operator not in ("is-a", "descendent-of"):
            return None
        below = {code for code in codes if _is_below(code, value, codes)}
        if operator == "is-a":
            below.add(value)
        codes = {code: parent for code, parent in codes.items() if code in below}
    return codes


def _is_below(code: str, top: str, codes: dict[str, str]) -> bool:
    seen = set()
    while code and code not in seen:
        seen.add(code)
        code = codes.get(code, "")
        if code == top:
            return True
    return False


def _any(answers: Any) -> bool | None:
    unknown = False
    for answer in answers:
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False


def _all(answers: Any) -> bool | None:
    unknown = False
    for answer in answers:
        if answer is False:
            return False
        unknown = unknown or answer is None
    return None if unknown else True
