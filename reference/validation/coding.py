"""The codes of a coded value, and whether they are in a value set."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .terminology import Member


def codes_of(value: Any) -> list[tuple[str | None, str]]:
    """System and code of all codings of a code, Coding, CodeableConcept or Quantity."""
    if isinstance(value, str):
        return [(None, value)]
    if not isinstance(value, dict):
        return []
    if isinstance(value.get("coding"), list):
        return [pair for coding in value["coding"] for pair in codes_of(coding)]
    code, system = value.get("code"), value.get("system")
    if not isinstance(code, str):
        return []
    return [(system if isinstance(system, str) else "", code)]


def coded(member: Member) -> Callable[[Any], bool | None]:
    """Whether a coded value is in: one coding suffices; None where a list is not here."""

    def test(value: Any) -> bool | None:
        unknown = False
        for system, code in codes_of(value):
            answer = member(system, code)
            if answer:
                return True
            unknown = unknown or answer is None
        return None if unknown else False

    return test
