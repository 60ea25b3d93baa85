"""A whole population behind one seed: people, records, shared resources, truth table."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from .census import Census
from .named import SPECIAL
from .records import hot_spot, make_record
from .shared import shared_resources
from .truth import truth_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .chart import Entry, MemberRecord
    from .people import Person

DEFAULT_AS_OF = date(2027, 1, 15)


class Population:
    """Synthetic members, each a function of seed, date and index alone.

    The named members are always there: a population never has fewer than `SPECIAL` members.
    With `hot_spots`, R has 100,000 resources more and S a note of 5 MB; nobody else changes.
    """

    def __init__(
        self,
        seed: int = 1,
        members: int = 100,
        as_of: date | None = None,
        *,
        hot_spots: bool = False,
    ) -> None:
        self.seed = seed
        self.members = max(members, SPECIAL)
        self.as_of = as_of or DEFAULT_AS_OF
        self.hot_spots = hot_spots
        self._census = Census(seed, self.as_of)

    def person(self, index: int) -> Person:
        """Return the person of this index, which may lie outside the population's size."""
        return self._census.person(index)

    def people(self) -> Iterator[Person]:
        """Yield every person in the order of their indices."""
        return self._census.people(self.members)

    def record(self, index: int) -> MemberRecord:
        """Return everything held of one member, hot spots' extra resources not included."""
        return make_record(self.person(index), self.seed, self.as_of.toordinal())

    def entries(self, index: int) -> Iterator[Entry]:
        """Yield everything held of one member, a hot spot's extra resources one by one."""
        yield from self.record(index).entries
        if self.hot_spots and index < SPECIAL:
            yield from hot_spot(self.person(index), self.seed, self.as_of.toordinal())

    def shared(self) -> list[tuple[str, str, bytes]]:
        """Return (type, id, JSON bytes) of what all members' records point to."""
        return list(shared_resources())

    def resources(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield every resource: the shared ones, then each member's."""
        yield from shared_resources()
        for index in range(self.members):
            for entry in self.entries(index):
                yield entry.kind, entry.id, entry.body

    def truth(
        self,
        responding_payer: dict[str, Any],
        requesting_payer: dict[str, Any],
        *,
        detail: int = 100,
    ) -> dict[str, Any]:
        """Return the truth table: what is held, what may leave, and which requests match.

        Each payer is {"identifier": {"system", "value"}, "name"}. Resources are told one by one
        for the named members and the first `detail` members, the others in counts and a digest.
        """
        return truth_table(self, responding_payer, requesting_payer, detail)
