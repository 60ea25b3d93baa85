"""How far two descriptions of a person agree, element by element."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from rapidfuzz.distance import OSA, JaroWinkler

if TYPE_CHECKING:
    from collections.abc import Callable

    from .person import Card, Identifier, Name

_ALIKE = 0.94
# Two letters that differ in one are two names, not a name and its slip.
_SHORTEST_WITH_SLIP = 3
# A longer list of given names is no name but a list of guesses; only equality counts.
_MOST_GIVEN = 5
# Fathers and sons share their names; a wrong digit that moves the year this far is another person.
_GENERATION_YEARS = 10
# Words that half a country shares: having them in common says nothing.
_PARTICLES = frozenset([
    "a", "al", "abu", "bin", "ben", "da", "das", "de", "del", "della", "den", "der", "des", "di",
    "do", "dos", "du", "e", "el", "ibn", "la", "las", "le", "los", "mac", "mc", "o", "of",
    "saint", "san", "santa", "st", "ste", "ten", "ter", "the", "van", "von", "y", "zu",
])  # fmt: skip


class Birth(IntEnum):
    DIFFERENT = 0
    SLIP = 1
    SAME = 2


class Given(IntEnum):
    DIFFERENT = 0
    INITIAL = 1
    SLIP = 2
    NICKNAME = 3
    TOKEN = 4
    LEADING = 5
    SAME = 6


class Family(IntEnum):
    DIFFERENT = 0
    SLIP = 1
    SHARED = 2
    SAME = 3


class Sex(IntEnum):
    DIFFERENT = 0
    UNKNOWN = 1
    SAME = 2


def compare_birth(one: str, other: str) -> Birth:
    """Return SAME for equal dates, SLIP for one wrong digit or day and month swapped."""
    if not one or not other:
        return Birth.DIFFERENT
    if one == other:
        return Birth.SAME
    swapped = one[:4] + other[4:] == other and one[5:7] == other[8:] and one[8:] == other[5:7]
    return Birth.SLIP if swapped or _one_wrong_digit(one, other) else Birth.DIFFERENT


def _one_wrong_digit(one: str, other: str) -> bool:
    wrong = sum(a != b for a, b in zip(one, other, strict=True))
    return wrong == 1 and abs(int(one[:4]) - int(other[:4])) < _GENERATION_YEARS


def compare_sex(one: str, other: str) -> Sex:
    """Return UNKNOWN unless both sides tell."""
    if not one or not other:
        return Sex.UNKNOWN
    return Sex.SAME if one == other else Sex.DIFFERENT


def compare_given(
    one: tuple[str, ...], other: tuple[str, ...], real: Callable[[str], bool]
) -> Given:
    """Return how two given names agree; `real` tells whether a word is an established name.

    A slip of the pen needs one side that is nobody's name: two real names are two people.
    """
    if not one or not other:
        return Given.DIFFERENT
    if one == other or "".join(one) == "".join(other):
        return Given.SAME
    if len(one) > _MOST_GIVEN or len(other) > _MOST_GIVEN:
        return Given.DIFFERENT
    if one[0] != other[0] and (_is_token_of(one, other) or _is_token_of(other, one)):
        return Given.TOKEN
    if not _rest_fits(one[1:], other[1:]):
        return Given.DIFFERENT
    return _compare_first(one[0], other[0], real)


def _compare_first(first: str, second: str, real: Callable[[str], bool]) -> Given:
    if first == second:
        return Given.LEADING
    if len(first) == 1 or len(second) == 1:
        return Given.INITIAL if first[0] == second[0] else Given.DIFFERENT
    if alike(first, second) and not (real(first) and real(second)):
        return Given.SLIP
    return Given.DIFFERENT


def _rest_fits(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Middle names fit unless both sides give some and they are not the same or initials of it."""
    return all(
        a == b or (a[0] == b[0] and 1 in (len(a), len(b))) for a, b in zip(one, other, strict=False)
    )


def _is_token_of(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return len(one) == 1 and len(one[0]) > 1 and one[0] in other


def compare_family(one: tuple[str, ...], other: tuple[str, ...]) -> Family:
    """Return SHARED for a common part of a multi-part name, SLIP for a near spelling."""
    if not one or not other:
        return Family.DIFFERENT
    joined, others = "".join(one), "".join(other)
    if joined == others:
        return Family.SAME
    parts = (set(one) & set(other)) - _PARTICLES
    if any(len(part) > 1 for part in parts):
        return Family.SHARED
    return Family.SLIP if alike(joined, others) else Family.DIFFERENT


def alike(one: str, other: str) -> bool:
    """Return whether two words are one edit apart, or near by Jaro-Winkler."""
    if min(len(one), len(other)) < _SHORTEST_WITH_SLIP:
        return False
    if OSA.distance(one, other, score_cutoff=1) <= 1:
        return True
    return JaroWinkler.similarity(one, other, score_cutoff=_ALIKE) >= _ALIKE


def crosswise(one: Name, other: Name) -> bool:
    """Return whether given and family names stand in each other's place, exactly.

    A middle name may be missing: whoever fills the fields the wrong way round has only two.
    """
    return _stands_for(one.given, other.family, one.family, other.given) or _stands_for(
        other.given, one.family, other.family, one.given
    )


def _stands_for(
    given: tuple[str, ...],
    their_family: tuple[str, ...],
    family: tuple[str, ...],
    their_given: tuple[str, ...],
) -> bool:
    if not given or not family or "".join(given) != "".join(their_family):
        return False
    name = "".join(family)
    return name in ("".join(their_given), *their_given[:1])


def same_payor(card: Card, held: Card) -> bool:
    """Return False only when both name their payor in one system, and differ."""
    if card.payors == held.payors:
        return True
    systems = {system for system, _ in card.payors} & {system for system, _ in held.payors}
    return all(_values(card.payors, system) & _values(held.payors, system) for system in systems)


def _values(identifiers: tuple[Identifier, ...], system: str) -> set[str]:
    return {value for own, value in identifiers if own == system}


def same_plan(card: Card, held: Card) -> bool:
    """Return False when plan, group or period are given on both sides and cannot be the same."""
    return (
        _overlap(card.plans, held.plans)
        and _overlap(card.groups, held.groups)
        and _not_after(card.start, held.end)
        and _not_after(held.start, card.end)
    )


def _overlap(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return not one or not other or not set(one).isdisjoint(other)


def _not_after(start: str, end: str) -> bool:
    # A date may be a year or a month alone: compared as far as both are precise.
    width = min(len(start), len(end))
    return start[:width] <= end[:width]
