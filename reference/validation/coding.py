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
    among = value.get("coding")
    if isinstance(among, list):
        return [pair for coding in among if isinstance(coding, dict) for pair in codes_of(coding)]
    code, system = value.get("code"), value.get("system")
    if not isinstance(code, str):
        return []
    return [(system if isinstance(system, str) else "", code)]


def coded(member: Member) -> Callable[[Any], bool | None]:
    """Whether a coded value is in: one coding suffices; None where a list is not here."""
    return lambda value: any_member(member, codes_of(value))


def any_member(member: Member, codes: list[tuple[str | None, str]]) -> bool | None:
    """Whether one of some codes is in; None where a list is not here."""
    unknown = False
    for system, code in codes:
        answer = member(system, code)
        if answer:
            return True
        unknown = unknown or answer is None
    return None if unknown else False
