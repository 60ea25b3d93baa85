"""Who is meant: the strategies that answer a member match, and the registry they ask.

One decision function serves the single and the bulk operation. A strategy proposes; the decision
function enforces one-or-none, the time limit and that an exception never becomes a match.
"""

from __future__ import annotations

from .deciding import TIME_LIMIT_S, decide, decide_many
from .loading import load_strategy, strategy_names
from .person import Card, Member, Name, Person
from .registry import MemberRegistry
from .strategy import Decision, MatchRequest, MatchStrategy, Outcome, Registry, RegistryError

__all__ = [
    "TIME_LIMIT_S",
    "Card",
    "Decision",
    "MatchRequest",
    "MatchStrategy",
    "Member",
    "MemberRegistry",
    "Name",
    "Outcome",
    "Person",
    "Registry",
    "RegistryError",
    "decide",
    "decide_many",
    "load_strategy",
    "strategy_names",
]
