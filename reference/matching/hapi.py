"""What a widespread open server does: an id, then family name and birth date.

Here to be measured and to show its hole: nobody looks at the given name, so a member's card opens
the record to the twin who is not insured here. Not for use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .candidates import MOST_IDS, ids_of
from .strategy import Decision, MatchRequest, Outcome, Registry

if TYPE_CHECKING:
    from .person import Member, Person


@dataclass(frozen=True)
class Hapi:
    """Answers for the beneficiary of the one Coverage an id finds, by family and birth date."""

    @property
    def name(self) -> str:
        return "hapi"

    @property
    def version(self) -> str:
        return "1"

    def decide(self, req: MatchRequest, registry: Registry) -> Decision:
        """Return MATCH when one member is found and family name (as prefix) and birth date fit."""
        found: dict[str, Member] = {}
        for system, value in ids_of(req)[:MOST_IDS]:
            found |= {member.key: member for member in registry.by_member_id(system, value)}
        if not found and req.card.subscriber_id:
            members = registry.by_subscriber_id(None, req.card.subscriber_id)
            found = {member.key: member for member in members}
        if not found:
            return Decision(Outcome.NONE, reason="id-unknown")
        if len(found) > 1:
            return Decision(Outcome.MULTIPLE, reason="ambiguous")
        [member] = found.values()
        if _fits(req.person, member.person):
            return Decision(Outcome.MATCH, member.key)
        return Decision(Outcome.NONE, reason="demographics-differ")


def _fits(one: Person, other: Person) -> bool:
    if not one.birth_date or one.birth_date != other.birth_date:
        return False
    wanted = ["".join(name.family) for name in one.names if name.family]
    held = ["".join(name.family) for name in other.names]
    return any(name.startswith(prefix) for prefix in wanted for name in held)
