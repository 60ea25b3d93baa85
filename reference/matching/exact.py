"""All equal or nothing: the strategy that misses many and mistakes nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .agreement import same_payor
from .candidates import MOST_IDS, ids_of, open_candidates
from .strategy import Decision, MatchRequest, Outcome, Registry

if TYPE_CHECKING:
    from .person import Member, Person


@dataclass(frozen=True)
class Exact:
    """Answers for the one member whose id, names, birth date and sex are all equal."""

    @property
    def name(self) -> str:
        return "exact"

    @property
    def version(self) -> str:
        return "1"

    def decide(self, req: MatchRequest, registry: Registry) -> Decision:
        """Return MATCH for the only equal member behind the ids of the request."""
        ids = ids_of(req)
        if len(ids) > MOST_IDS:
            return Decision(Outcome.REFUSED, reason="too-many-ids")
        if not ids and not req.card.subscriber_id:
            return Decision(Outcome.NONE, reason="no-id")
        found = open_candidates(req, registry, ids)
        if not found.members:
            return Decision(Outcome.NONE, reason="id-conflict" if found.conflict else "id-unknown")
        equal = [member for member in found.members if _is_equal(req, member)]
        if len(equal) == 1:
            return Decision(Outcome.MATCH, equal[0].key)
        if equal:
            return Decision(Outcome.MULTIPLE, reason="ambiguous")
        return Decision(Outcome.NONE, reason="demographics-differ")


def _is_equal(req: MatchRequest, member: Member) -> bool:
    one, other = req.person, member.person
    if not one.birth_date or one.birth_date != other.birth_date or one.gender != other.gender:
        return False
    cards = member.coverages
    insured = not cards or any(same_payor(req.card, card) for card in cards)
    return insured and _same_name(one, other)


def _same_name(one: Person, other: Person) -> bool:
    if not one.names or not other.names:
        return False
    name, held = one.names[0], other.names[0]
    return bool(name.given and name.family) and (
        (name.given, name.family) == (held.given, held.family)
    )
