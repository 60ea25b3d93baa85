"""Whom the ids of a request open, before anybody's demographics are looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .person import Identifier, Member
    from .strategy import MatchRequest, Registry

# A request that tries more numbers than a card and a record can hold is a search, not a match.
MOST_IDS = 8


@dataclass(frozen=True, slots=True)
class Candidates:
    """The members every known id of the request leads to.

    `own`: a member id led here, not a subscriber id alone. `conflict`: two known ids lead to
    different people, so nobody is left.
    """

    members: tuple[Member, ...] = ()
    own: bool = False
    conflict: bool = False


def ids_of(request: MatchRequest) -> tuple[Identifier, ...]:
    """Return the distinct member ids of Coverage and Patient, the card's first."""
    return tuple(dict.fromkeys((*request.card.member_ids, *request.person.member_ids)))


def open_candidates(
    request: MatchRequest, registry: Registry, ids: tuple[Identifier, ...]
) -> Candidates:
    """Return the members that these ids and the subscriber id lead to.

    The sender's Coverage.id is its own and opens nothing. An id the registry does not know says
    nothing. All that it knows must lead to the same person: the right person with a sibling's
    card is refused, not helped.
    """
    found = Candidates()
    for system, value in ids:
        members = registry.by_member_id(system, value)
        if members:
            found = _narrowed(found, members, own=True)
        else:
            # Payers that print one number for the whole family: the sender takes it for the
            # member's own.
            found = _narrowed(found, registry.by_subscriber_id(None, value), own=False)
    subscriber_id = request.card.subscriber_id
    if not subscriber_id or _all_hold(found.members, subscriber_id):
        return found
    members = registry.by_subscriber_id(None, subscriber_id)
    if not members and not found.members:
        return _narrowed(found, registry.by_member_id(None, subscriber_id), own=True)
    return _narrowed(found, *_of_dependent(request, members))


def _all_hold(members: Sequence[Member], subscriber_id: str) -> bool:
    return bool(members) and all(subscriber_id in member.subscriber_ids for member in members)


def _of_dependent(
    request: MatchRequest, members: Sequence[Member]
) -> tuple[Sequence[Member], bool]:
    """Return those with the request's dependent number, if there are any, and whether so."""
    card = request.card
    if not card.dependent:
        return members, False
    pair = (card.subscriber_id, card.dependent)
    named = [m for m in members if pair in {(c.subscriber_id, c.dependent) for c in m.coverages}]
    return (named, True) if named else (members, False)


def _narrowed(found: Candidates, members: Sequence[Member], own: bool) -> Candidates:
    if not members or found.conflict:
        return found
    if not found.members:
        return Candidates(tuple(members), own)
    keys = {member.key for member in members}
    kept = tuple(member for member in found.members if member.key in keys)
    return Candidates(kept, own or found.own, conflict=not kept)
