"""The named members A to N: who they are, and what each is for.

They take the first indices of every population, whatever its size. C is missing on purpose:
the responding payer does not know C, so C lives in the truth table's requests alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .households import YEAR, Draft

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True, slots=True)
class Named:
    """One named member as the test author thinks of them."""

    key: str
    given: str
    family: str
    gender: str
    age: float
    purpose: str
    role: str = "self"
    household: int = -1  # index of the household's first member; -1: lives alone
    birth_order: int = 0
    maiden: str = ""


NAMED: tuple[Named, ...] = (
    Named("A", "Ada Rose", "Alderwick", "female", 45.3, "The happy path: one match, all data."),
    Named("B", "Bruno", "Bellacourt", "male", 52.1, "Known, but the Consent has run out."),
    Named(
        "D1",
        "Dana Marie",
        "Dunmorrow",
        "female",
        9.4,
        "The first of twins; the card tells both.",
        "child",
        16,
        1,
    ),
    Named(
        "D2",
        "Dana Ruth",
        "Dunmorrow",
        "female",
        9.4,
        "The second of twins, by name nearly one.",
        "child",
        16,
        2,
    ),
    Named("E", "Edwin", "Emberlane", "male", 38.7, "Holds sensitive data under #regular consent."),
    Named("F", "Flora", "Fenwhistle", "female", 61.9, "Has two coverages; one is unknown here."),
    Named("G", "Gareth", "Gallowmere", "male", 70.2, "Has data on both sides of each time limit."),
    Named("H", "Hester", "Hollinbeck", "female", 57.5, "Has a prior authorization of each fate."),
    Named("I", "Ivo", "Inglethorn", "male", 33.8, "Revokes consent between match and export."),
    Named("J", "Juno", "Jessamyle", "female", 28.6, "Patient with version, tag and contained."),
    Named("K", "Kaspar", "Kettleburn", "male", 48.4, "Has a claim of each kind there is."),
    Named("L", "Leona", "Larkhollow", "female", 41.2, "Has unstructured documents, in and by url."),
    Named("M", "Milo", "Marchbanker", "male", 66.6, "Holds data another payer was the author of."),
    Named(
        "N",
        "Nell",
        "Northquill",
        "female",
        36.9,
        "Moved and married since the old card was made.",
        maiden="Nettleship",
    ),
    Named("R", "Rafe", "Ravenstow", "male", 59.1, "Has a record of 100,000 resources on request."),
    Named("S", "Sybil", "Silverlock", "female", 63.3, "Has a note of 5 MB on request."),
    Named("P", "Petra", "Dunmorrow", "female", 39.5, "The twins' mother and their subscriber."),
)
SPECIAL = len(NAMED)
INDEX = {named.key: index for index, named in enumerate(NAMED)}


def named_household(index: int) -> tuple[int, ...]:
    """Return the indices that share a household with this named member, subscriber first."""
    first = NAMED[index].household
    if first < 0:
        first = index
    return (first, *(n for n, named in enumerate(NAMED) if named.household == first))


def draft_named(index: int, as_of: date) -> Draft:
    """Return the draft of a named member; nothing about it is left to chance."""
    named = NAMED[index]
    draft = Draft(
        named.role,
        named.gender,
        tuple(named.given.split()),
        named.family,
        as_of.toordinal() - int(named.age * YEAR),
    )
    draft.birth_order, draft.birth_flagged = named.birth_order, bool(named.birth_order)
    if named.maiden:
        draft.old_names.append(("maiden", named.maiden))
    return draft
