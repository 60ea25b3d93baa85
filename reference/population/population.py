"""A whole population behind one seed: people, records, shared resources, truth table."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from .census import Census
from .named import SPECIAL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .people import Person

DEFAULT_AS_OF = date(2027, 1, 15)


class Population:
    """Synthetic members, each a function of seed, date and index alone.

    The named members are always there: a population never has fewer than `SPECIAL` members.
    """

    def __init__(self, seed: int = 1, members: int = 100, as_of: date | None = None) -> None:
        self.seed = seed
        self.members = max(members, SPECIAL)
        self.as_of = as_of or DEFAULT_AS_OF
        self._census = Census(seed, self.as_of)

    def person(self, index: int) -> Person:
        """Return the person of this index, which may lie outside the population's size."""
        return self._census.person(index)

    def people(self) -> Iterator[Person]:
        """Yield every person in the order of their indices."""
        return map(self.person, range(self.members))
