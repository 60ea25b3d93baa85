"""Who lives with whom: the members of one household, made together from the household's own key.

Blocks of twelve indices are cut into households by a dealt pattern, so the household of any
index is found without making any other member.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .vocabulary import vocabulary

if TYPE_CHECKING:
    from datetime import date

    from .dice import Dice
    from .vocabulary import Culture

BLOCK = 12
# Sizes follow the United States' mix: singles and couples are most households, not most people.
PATTERNS: tuple[tuple[int, ...], ...] = (
    (4, 3, 2, 1, 1, 1),
    (5, 2, 2, 1, 1, 1),
    (4, 4, 2, 1, 1),
    (6, 3, 2, 1),
    (3, 3, 2, 2, 1, 1),
    (2, 2, 2, 2, 2, 1, 1),
    (5, 4, 2, 1),
    (4, 3, 3, 2),
    (2, 2, 2, 1, 1, 1, 1, 1, 1),
)
YEAR = 365.25
# Started per child slot with room for a second one; gives 3.1 % of births (a test counts them).
TWINS = 0.036
TRIPLETS = 0.02


@dataclass(slots=True)
class Draft:
    """One member while the household is still being put together."""

    role: str  # self, spouse or child
    gender: str
    given: tuple[str, ...]
    family: str
    born: int  # proleptic ordinal day
    suffix: str = ""
    birth_order: int = 0
    birth_flagged: bool = False
    old_names: list[tuple[str, str]] = field(default_factory=list)  # (use, family)
    died: int | None = None


def household_slots(seed: int, offset: int) -> tuple[int, int]:
    """Return the first offset and the size of the household that holds this offset."""
    block, place = divmod(offset, BLOCK)
    pattern = PATTERNS[(block * 7 + seed + block // 9) % len(PATTERNS)]
    first = 0
    for size in pattern:
        if place < first + size:
            return block * BLOCK + first, size
        first += size
    raise AssertionError(place)  # every pattern adds up to BLOCK


def draft_household(dice: Dice, size: int, as_of: date) -> list[Draft]:
    """Return the members of a household, subscriber first, coherent in names and ages."""
    culture = dice.pick(vocabulary().cultures)
    today = as_of.toordinal()
    paired = size > 2 or (size == 2 and dice.chance(0.7))
    children = size - (2 if paired and (size == 2 or dice.chance(0.8)) else 1)
    adults = _adults(dice, culture, size - children, children, today)
    return [*adults, *_children(dice, culture, adults, children, today)]


def _adults(dice: Dice, culture: Culture, count: int, children: int, today: int) -> list[Draft]:
    years = dice.bell(38, 9) if children else 20 + 70 * dice.random() ** 1.2
    age = int(min(max(years, 21), 95) * YEAR)
    gender = "male" if dice.chance(0.5) else "female"
    first = Draft(
        "self", gender, _given(dice, culture, gender), _family(dice, culture), today - age
    )
    if not children and dice.chance(0.02):
        first.suffix = dice.pick(("Jr", "III", "Sr"))
    adults = [first]
    if count == 2:
        adults.append(_spouse(dice, culture, first, today))
    elif dice.chance(0.04):
        first.old_names.append(("old", _family(dice, culture)))
    for adult in adults:
        if today - adult.born > 60 * YEAR and dice.chance(0.06):
            adult.died = today - dice.between(1, 700)
    return adults


def _spouse(dice: Dice, culture: Culture, first: Draft, today: int) -> Draft:
    other = "male" if first.gender == "female" else "female"
    gender = first.gender if dice.chance(0.02) else other
    born = min(first.born + dice.between(-2000, 2000), today - int(20 * YEAR))
    spouse = Draft("spouse", gender, _given(dice, culture, gender), _family(dice, culture), born)
    bride = spouse if gender == "female" else first
    groom = first if bride is spouse else spouse
    draw = dice.random()
    if draw < 0.6:
        bride.old_names.append(("maiden", bride.family))
        bride.family = groom.family
    elif draw < 0.7:
        bride.old_names.append(("maiden", bride.family))
        bride.family = f"{bride.family}-{groom.family}"
    elif draw < 0.85:
        bride.family = groom.family
    return spouse


def _children(
    dice: Dice, culture: Culture, adults: list[Draft], count: int, today: int
) -> list[Draft]:
    family = dice.pick(adults).family
    if len(adults) == 2 and "-" not in family and dice.chance(0.06):
        family = f"{adults[0].family}-{adults[1].family}"
    youngest_parent = max(adult.born for adult in adults)
    ages = sorted((_child_age(dice, today - youngest_parent) for _ in range(count)), reverse=True)
    children: list[Draft] = []
    while len(children) < count:
        born = today - ages[len(children)]
        room = count - len(children)
        births = _births(dice, room)
        shared = dice.chance(2 / 3)
        flagged = dice.chance(0.7)
        gender = "male" if dice.chance(0.51) else "female"
        for order in range(births):
            if not shared and order == 1:
                gender = "female" if gender == "male" else "male"
            given = _fresh_given(dice, culture, gender, [*adults, *children])
            child = Draft("child", gender, given, family, born)
            if births > 1:
                child.birth_order, child.birth_flagged = order + 1, flagged
            children.append(child)
    _name_junior(dice, adults, children)
    _leave_newborns_unnamed(dice, children, today)
    return children


def _births(dice: Dice, room: int) -> int:
    if room < 2 or not dice.chance(TWINS):
        return 1
    return 3 if room > 2 and dice.chance(TRIPLETS) else 2


def _child_age(dice: Dice, parent_age: int) -> int:
    """Return an age in days: under 26 years, and a parent of 18 or older."""
    if dice.chance(0.02):
        return dice.between(1, 60)
    oldest = min(int(26 * YEAR), parent_age - int(18 * YEAR))
    return dice.between(1, max(oldest, 2))


def _name_junior(dice: Dice, adults: list[Draft], children: list[Draft]) -> None:
    father = next((adult for adult in adults if adult.gender == "male"), None)
    son = next((child for child in children if child.gender == "male"), None)
    if father and son and dice.chance(0.08):
        son.given, son.family, son.suffix = father.given, father.family, "Jr"
        if dice.chance(0.4):
            father.suffix = "Sr"


def _leave_newborns_unnamed(dice: Dice, children: list[Draft], today: int) -> None:
    for child in children:
        if today - child.born < 60 and child.birth_order == 0 and dice.chance(0.2):
            child.given = ("Babyboy" if child.gender == "male" else "Babygirl",)


def _given(dice: Dice, culture: Culture, gender: str) -> tuple[str, ...]:
    pool = culture.female if gender == "female" else culture.male
    first = dice.pick(pool)
    draw = dice.random()
    if draw < 0.04:
        return (f"{first} {dice.pick(pool)}",)
    if draw < 0.05:
        return (f"{first}-{dice.pick(pool)}",)
    if draw < 0.55:
        return (first, dice.pick(pool))
    if draw < 0.70:
        return (first, dice.pick(pool)[0])
    return (first,)


def _fresh_given(dice: Dice, culture: Culture, gender: str, taken: list[Draft]) -> tuple[str, ...]:
    """Return a given name nobody at home bears; one family does not use a name twice."""
    used = {draft.given[0] for draft in taken}
    for _ in range(20):
        given = _given(dice, culture, gender)
        if given[0] not in used:
            return given
    return given


def _family(dice: Dice, culture: Culture) -> str:
    name = dice.pick(culture.family)
    return f"{name}-{dice.pick(culture.family)}" if dice.chance(0.01) else name
