"""Defects of a simulated requesting payer: what goes over the wire, and what is made of it.

Each changes the process that `payer-exchange answer-trigger` runs in, and no other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

Install = Callable[[], None]


@dataclass(frozen=True, slots=True)
class RequestingDefect:
    """One defect: what is wrong, which requirements that violates, and how it is put in."""

    id: str
    summary: str
    violates: tuple[str, ...]
    install: Install
    also: tuple[str, ...] = ()


REQUESTING_DEFECTS: dict[str, RequestingDefect] = {}


def break_requester(ident: str) -> None:
    """Give the requesting payers of this process a defect; raises KeyError for an unknown one."""
    REQUESTING_DEFECTS[ident].install()
