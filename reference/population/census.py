"""From drafts to persons: numbers, addresses and coverages of one household at a time."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from .dice import Dice
from .households import YEAR, Draft, draft_household, household_slots
from .named import NAMED, SPECIAL, draft_named, named_household
from .people import Address, Enrolment, Name, Person
from .vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Odd and not a multiple of five, so times it modulo 10**9 gives every number exactly once.
_SCATTER = 618033989
_RACE_POOL = ("2106-3",) * 13 + ("2054-5",) * 4 + ("2028-9",) * 2 + ("1002-5",)
_AREA_CODES = tuple(str(code) for code in range(201, 990) if code % 100 != 11)
_PLANS = ("PPO-1000", "PPO-2500", "HMO-500", "HMO-1500", "HDHP-3000", "EPO-750")


class Census:
    """Every person of a population, made by household on demand."""

    def __init__(self, seed: int, as_of: date) -> None:
        self._seed = seed
        self._as_of = as_of
        self._today = as_of.toordinal()
        self._made: dict[int, tuple[Person, ...]] = {}

    def person(self, index: int) -> Person:
        """Return the person of this index; any index, in any order, alone or not."""
        if index < SPECIAL:
            members = named_household(index)
            return self._household(members[0], members)[members.index(index)]
        offset, size = household_slots(self._seed, index - SPECIAL)
        first = offset + SPECIAL
        return self._household(first, range(first, first + size))[index - first]

    def people(self, count: int) -> Iterator[Person]:
        """Yield the first persons in order, each household made once and not kept."""
        index = 0
        while index < count:
            if index < SPECIAL:
                yield self.person(index)
                index += 1
                continue
            offset, size = household_slots(self._seed, index - SPECIAL)
            first = offset + SPECIAL
            yield from self._make(first, tuple(range(first, first + size)))[: count - index]
            index = first + size

    def _household(self, first: int, members: Sequence[int]) -> tuple[Person, ...]:
        made = self._made.get(first)
        if made is None:
            if len(self._made) > 256:
                self._made.clear()
            made = self._made[first] = self._make(first, tuple(members))
        return made

    def _make(self, first: int, members: tuple[int, ...]) -> tuple[Person, ...]:
        dice = Dice(self._seed, "household", first)
        if first < SPECIAL:
            drafts = [draft_named(member, self._as_of) for member in members]
        else:
            drafts = draft_household(dice, len(members), self._as_of)
        home = _Home(dice, self._seed, first, members, self._today)
        home.keep_covering(max(draft.born for draft in drafts))
        return tuple(home.person(n, draft) for n, draft in enumerate(drafts))


class _Home:
    """What the members of one household share: number, place, telephone, plan."""

    def __init__(
        self, dice: Dice, seed: int, first: int, members: tuple[int, ...], today: int
    ) -> None:
        self.dice, self.members, self.today, self.first = dice, members, today, first
        number = f"{(first * _SCATTER + seed * 7919) % 10**9:09d}"
        self.subscriber_id = f"WPX{number}"
        self.former_id = f"GRV{number[::-1]}" if dice.chance(0.4) else self.subscriber_id
        self.named = first < SPECIAL
        self.addresses = self._addresses()
        self.phone = f"+1-{dice.pick(_AREA_CODES)}-555-01{dice.digits(2)}"
        self.group = f"GRP-{dice.digits(4)}"
        self.plan = dice.pick(_PLANS)
        self.dental = dice.chance(0.12)
        self._enrol()
        self.race = dice.pick(_RACE_POOL)
        self.ethnicity = "2135-2" if dice.chance(0.19) else "2186-5"

    def _enrol(self) -> None:
        """Choose when the household was covered: now, formerly, and with which gap."""
        dice = self.dice
        self.start = self.today - dice.between(60, 4400)
        self.end = self.today - dice.between(1, 400) if dice.chance(0.15) else 0
        self.former_end = 0
        self.former_start = 0
        if self.named:
            self.start, self.end, self.dental = self.today - int(12 * YEAR), 0, False
        elif dice.chance(0.25):
            gap = dice.between(63, 250) if dice.chance(0.4) else 1
            self.former_end = self.start - gap
            self.former_start = self.former_end - dice.between(200, 2500)

    def keep_covering(self, last_birth: int) -> None:
        """Undo an end that would leave somebody without any coverage."""
        if self.end <= max(self.start, last_birth):
            self.end = 0

    def _addresses(self) -> tuple[Address, ...]:
        dice = self.dice
        if not (self.named or dice.chance(0.15)):
            return (_address(dice),)
        moved = date.fromordinal(self.today - dice.between(30, 1500))
        return (_address(dice, since=moved), _address(dice, until=moved))

    def person(self, place: int, draft: Draft) -> Person:
        """Return the household's member at this place."""
        index = self.members[place]
        dependent = f"{place + 1:02d}"
        return Person(
            index,
            self._names(draft),
            draft.gender,
            date.fromordinal(draft.born),
            date.fromordinal(draft.died) if draft.died else None,
            draft.birth_order if draft.birth_flagged else None,
            self.addresses,
            self.phone,
            self.subscriber_id,
            dependent,
            draft.role,
            self._coverages(draft, f"m{index:07d}", dependent),
            self.members,
            self.race,
            self.ethnicity,
            NAMED[index].key if index < SPECIAL else "",
        )

    def _names(self, draft: Draft) -> tuple[Name, ...]:
        current = Name(draft.family, draft.given, "official", draft.suffix)
        if not draft.old_names:
            return (current,)
        since = min(self.today - 400, draft.born + int(28 * YEAR))
        until = date.fromordinal(since)
        former = (Name(family, draft.given, use, "", until) for use, family in draft.old_names)
        return (current, *former)

    def _coverages(self, draft: Draft, patient_id: str, dependent: str) -> tuple[Enrolment, ...]:
        last = draft.died or self.end
        spans = [("cov-1", "medical", self.subscriber_id, self.start, last)]
        if self.former_end and not (draft.died and draft.died - 400 <= self.former_end):
            spans.append(("cov-0", "medical", self.former_id, self.former_start, self.former_end))
        if self.dental or (self.named and NAMED[self.members[0]].key in "FK"):
            spans.append(("cov-2", "dental", self.subscriber_id, self.start, last))
        enrolments = []
        for name, kind, subscriber, start, end in spans:
            begin = max(draft.born, start)
            if draft.died:
                begin = min(begin, draft.died - 400)
            if end and end < begin:
                continue
            enrolments.append(
                Enrolment(
                    f"{patient_id}-{name}",
                    kind,
                    subscriber,
                    subscriber + dependent,
                    self.group,
                    "DENTAL-1" if kind == "dental" else self.plan,
                    date.fromordinal(begin),
                    date.fromordinal(end) if end else None,
                )
            )
        return tuple(enrolments)


def _address(dice: Dice, *, since: date | None = None, until: date | None = None) -> Address:
    pools = vocabulary()
    place = dice.pick(pools.places)
    return Address(
        f"{dice.between(1, 9899)} {dice.pick(pools.streets)}",
        place.city,
        place.state,
        f"{dice.between(place.first_zip, place.last_zip):05d}",
        since,
        until,
    )
