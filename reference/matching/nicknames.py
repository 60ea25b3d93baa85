"""Strict, and short forms of given names as well: finds more, and is opt-in for a reason.

Related names are given to twins (Bill and Will), and then nothing on a card tells them apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .agreement import Given
from .hypocorisms import are_forms_of_one_name
from .strict import Strict

if TYPE_CHECKING:
    from .person import Name
    from .strategy import Registry


@dataclass(frozen=True)
class Nicknames(Strict):
    """Answers as Strict does, taking Bill for William unless it is a multiple birth."""

    @property
    def name(self) -> str:
        return "nicknames"

    def compare_given(self, one: Name, other: Name, registry: Registry) -> Given:
        """Return NICKNAME where Strict sees two names and one is a short form of the other."""
        given = super().compare_given(one, other, registry)
        if given is not Given.DIFFERENT or not (one.given and other.given):
            return given
        related = are_forms_of_one_name(one.given[0], other.given[0])
        return Given.NICKNAME if related else Given.DIFFERENT
