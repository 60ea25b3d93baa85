"""What is gone next: which journey, for which members, and whether its delivery is compared."""

from __future__ import annotations

import itertools

from .members import ExpectedMember, TruthTable
from .scenario import Scenario, turns

# Comparing a delivery reads every line; each journey's first is compared, then one of so many.
_SAMPLE_EVERY = 5
_OF_MANY = ("bulk-match", "bulk-export", "group-export", "bulk-exchange")


class Plan:
    """What is gone next, by all users of one process together.

    Of several processes each has every nth member, so that no two ask for the same one at once.
    """

    def __init__(
        self, scenario: Scenario, truth: TruthTable, index: int = 0, processes: int = 1
    ) -> None:
        self._turns = turns(scenario.journeys)
        own = truth.members[index::processes] or truth.members
        self._members = itertools.cycle(own)
        self._bulk = max(1, min(scenario.bulk_members, len(own)))
        self._impatient, self._numbers = scenario.impatient, itertools.count()
        self._counts = {name: itertools.count() for name in scenario.journeys}

    def impatient(self) -> bool:
        """Whether the next journey is that of a client that does not wait, spread evenly."""
        number = next(self._numbers)
        return int((number + 1) * self._impatient) > int(number * self._impatient)

    def next(self) -> tuple[str, list[ExpectedMember], bool]:
        """The next journey, its members, and whether its delivery is compared."""
        name = next(self._turns)
        many = self._bulk if name in _OF_MANY else 1
        members = list(itertools.islice(self._members, many))
        return name, members, next(self._counts[name]) % _SAMPLE_EVERY == 0
