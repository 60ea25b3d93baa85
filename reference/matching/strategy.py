"""The contract between the exchange, a matching strategy and the registry."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import PayerExchangeError
from .person import Card, Member, Person, read_card, read_person

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Outcome(Enum):
    """How a member match ended; on the wire only one, none and several can be told apart."""

    MATCH = "match"
    NONE = "none"
    MULTIPLE = "multiple"
    REFUSED = "refused"
    DEFER = "defer"


@dataclass(frozen=True, slots=True)
class MatchRequest:
    """One member as the requesting payer describes them; read-only.

    The resources are as received. `person` and `card` are their normalised views, read once.
    Nothing of the member shows in the representation.
    """

    patient: Mapping[str, Any] = field(repr=False)
    coverage_to_match: Mapping[str, Any] = field(repr=False)
    coverage_to_link: Mapping[str, Any] | None = field(default=None, repr=False)
    consent: Mapping[str, Any] | None = field(default=None, repr=False)
    client_id: str = ""
    _person: Person | None = field(default=None, init=False, repr=False, compare=False)
    _card: Card | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def person(self) -> Person:
        """The demographics of MemberPatient."""
        if self._person is None:
            object.__setattr__(self, "_person", read_person(self.patient))
        return self._person or Person()

    @property
    def card(self) -> Card:
        """The numbers, payor, plan, group and period of CoverageToMatch."""
        if self._card is None:
            object.__setattr__(self, "_card", read_card(self.coverage_to_match))
        return self._card or Card()


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided; reason and evidence are codes for the audit log, never for the wire."""

    outcome: Outcome
    member_key: str | None = None
    reason: str = ""
    evidence: tuple[str, ...] = ()


class RegistryError(PayerExchangeError):
    """The registry cannot be read or written, so nothing is known of any member."""


class Registry(Protocol):
    """The only door from a strategy to the members."""

    def by_member_id(self, system: str | None, value: str) -> Sequence[Member]:
        """The members who own this number; a system of None or "" leaves the system open."""
        ...

    def by_subscriber_id(self, payer: str | None, value: str) -> Sequence[Member]:
        """The household insured under this number, with this payor unless it is None."""
        ...

    def household(self, member_key: str) -> Sequence[Member]:
        """All who share a subscriber id with the member, who comes with them; empty: no such."""
        ...

    def block(self, **keys: str) -> Sequence[Member]:
        """The members with this `birth_date`, and `family` if given."""
        ...

    def bearers(self, given: str) -> int:
        """How many members bear this folded given name."""
        ...


class MatchStrategy(Protocol):
    """A way to find the one member a request means.

    `name` and `version` go to the audit log. A strategy keeps no state between requests.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    def decide(self, req: MatchRequest, registry: Registry) -> Decision: ...
