"""The default strategy: an id opens the door, the demographics decide, doubt refuses.

Measured against requests that must be refused it matches none of them; what it tolerates stands
in one place, `_is_accepted`, and every tolerance has the conditions that keep it safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from .agreement import (
    Birth,
    Family,
    Given,
    Sex,
    compare_birth,
    compare_family,
    compare_given,
    compare_sex,
    crosswise,
    same_payor,
    same_plan,
)
from .candidates import MOST_IDS, Candidates, ids_of, open_candidates
from .given_names import common_given_names
from .person import Card, Member, Name, Person
from .strategy import Decision, MatchRequest, Outcome, Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Grade(IntEnum):
    """How well a member fits a request."""

    REFUSED = 0
    ACCEPTED = 1
    EXACT = 2


@dataclass(frozen=True, slots=True)
class Likeness:
    """The agreement of one name of the request with one name of a member, and of the rest."""

    birth: Birth
    given: Given
    family: Family
    sex: Sex
    swapped: bool = False
    generations_differ: bool = False

    @property
    def exact(self) -> bool:
        """All that is compared is equal, and the sexes do not differ."""
        same = (self.birth, self.given, self.family) == (Birth.SAME, Given.SAME, Family.SAME)
        return same and not self.weakened

    @property
    def weakened(self) -> bool:
        """Something differs that records get wrong often enough not to be a veto."""
        return self.sex is Sex.DIFFERENT or self.generations_differ

    def evidence(self, own: bool) -> tuple[str, ...]:
        """Return the codes for the audit log: elements and grades, never values."""
        return (
            "id:member" if own else "id:subscriber",
            f"birth-date:{self.birth.name.lower()}",
            f"given:{self.given.name.lower()}",
            f"family:{'swapped' if self.swapped else self.family.name.lower()}",
            f"sex:{self.sex.name.lower()}",
        )


_UNLIKE = Likeness(Birth.DIFFERENT, Given.DIFFERENT, Family.DIFFERENT, Sex.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Fit:
    """A member, the grade reached, and the likeness that reached it."""

    member: Member
    grade: Grade
    likeness: Likeness


_NOBODY_KNOWN = Decision(Outcome.NONE, reason="id-unknown")
_NO_ID = Decision(Outcome.NONE, reason="no-id")
_CONFLICT = Decision(Outcome.NONE, reason="id-conflict")
_TOO_MANY = Decision(Outcome.REFUSED, reason="too-many-ids")


@dataclass(frozen=True)
class Strict:
    """Answers only for the one member whose id and demographics agree.

    A given name with at least `real_name_bearers` members, or a common one, is a real name: it is
    never taken for a slip of another.
    """

    real_name_bearers: int = 3

    @property
    def name(self) -> str:
        return "strict"

    @property
    def version(self) -> str:
        return "1"

    def decide(self, req: MatchRequest, registry: Registry) -> Decision:
        """Return the decision; several acceptable members or a twin in doubt are MULTIPLE."""
        ids = ids_of(req)
        if len(ids) > MOST_IDS:
            return _TOO_MANY
        if not ids and not req.card.subscriber_id:
            return _NO_ID
        found = open_candidates(req, registry, ids)
        if found.conflict:
            return _CONFLICT
        if not found.members:
            return _NOBODY_KNOWN
        return _Judgement(self, req, registry, found).decision()

    def compare_given(self, one: Name, other: Name, registry: Registry) -> Given:
        """Return how two given names agree; strategies that allow more override this."""
        return compare_given(one.given, other.given, self._real(registry))

    def _real(self, registry: Registry) -> Callable[[str], bool]:
        def real(given: str) -> bool:
            known = given in common_given_names()
            return known or registry.bearers(given) >= self.real_name_bearers

        return real


class _Judgement:
    """One request on its way from candidates to the decision."""

    def __init__(
        self, strategy: Strict, request: MatchRequest, registry: Registry, found: Candidates
    ) -> None:
        self._strategy = strategy
        self._person = request.person
        self._card = request.card
        self._registry = registry
        self._found = found

    def decision(self) -> Decision:
        covered = [m for m in self._found.members if self._card_fits(m, _same_cover)]
        if not covered:
            insured = any(self._card_fits(m, same_payor) for m in self._found.members)
            return Decision(Outcome.NONE, reason="coverage-differs" if insured else "other-payor")
        exact = [fit for fit in map(self._exact_fit, covered) if fit]
        if len(exact) == 1 and self._is_alone(exact[0].member, covered):
            return self._match(exact[0])
        return self._weigh(covered)

    def _is_alone(self, member: Member, covered: Sequence[Member]) -> bool:
        """Return whether nobody else could be accepted: another birthday needs the member's id."""
        born = member.person.birth_date
        others = [other for other in covered if other is not member]
        return not others or (
            not self._found.own and all(other.person.birth_date != born for other in others)
        )

    def _weigh(self, covered: Sequence[Member]) -> Decision:
        if not any(self._near_birth(member) for member in covered):
            return Decision(Outcome.NONE, reason="demographics-differ")
        household = self._household()
        fits = [self._fit(member, household) for member in covered]
        accepted = [fit for fit in fits if fit.grade is not Grade.REFUSED]
        if not accepted:
            return Decision(Outcome.NONE, None, "demographics-differ", self._seen(fits))
        if len(accepted) > 1:
            return Decision(Outcome.MULTIPLE, reason="ambiguous")
        winner = accepted[0]
        if winner.grade is not Grade.EXACT and self._is_doubted(winner.member, household):
            return Decision(Outcome.MULTIPLE, None, "twin-guard", self._seen(accepted))
        return self._match(winner)

    def _match(self, fit: Fit) -> Decision:
        evidence = fit.likeness.evidence(self._found.own)
        return Decision(Outcome.MATCH, fit.member.key, "", evidence)

    def _seen(self, fits: Sequence[Fit]) -> tuple[str, ...]:
        compared = [fit for fit in fits if fit.likeness is not _UNLIKE]
        return compared[0].likeness.evidence(self._found.own) if len(compared) == 1 else ()

    def _household(self) -> list[Member]:
        """Everybody insured with any candidate, the candidates included, each once."""
        members = {member.key: member for member in self._found.members}
        if self._found.own:
            ids = {value for member in self._found.members for value in member.subscriber_ids}
            for value in sorted(ids):
                members |= {m.key: m for m in self._registry.by_subscriber_id(None, value)}
        # Else a subscriber id has opened the whole household already.
        return list(members.values())

    def _card_fits(self, member: Member, fits: Callable[[Card, Card], bool]) -> bool:
        wanted = self._card.subscriber_id
        same_number = [c for c in member.coverages if wanted and c.subscriber_id == wanted]
        cards = same_number or member.coverages
        return not cards or any(fits(self._card, card) for card in cards)

    def _exact_fit(self, member: Member) -> Fit | None:
        """Return the fit when all is equal: the common case, decided without another look-up."""
        if self._person.birth_date != member.person.birth_date:
            return None
        for one in self._person.names[:1]:
            for other in member.person.names[:1]:
                named = one.given and one.family
                if named and (one.given, one.family) == (other.given, other.family):
                    likeness = _likeness(self._person, member.person, one, other, Given.SAME)
                    return Fit(member, Grade.EXACT, likeness) if likeness.exact else None
        return None

    def _fit(self, member: Member, household: Sequence[Member]) -> Fit:
        if not self._near_birth(member):
            return Fit(member, Grade.REFUSED, _UNLIKE)
        sure = not self._born_together(member, household)
        fits = [
            Fit(member, _grade(likeness, self._found.own, sure), likeness)
            for likeness in self._likenesses(member)
        ]
        return max(fits, key=_rank, default=Fit(member, Grade.REFUSED, _UNLIKE))

    def _near_birth(self, member: Member) -> bool:
        birth = compare_birth(self._person.birth_date, member.person.birth_date)
        return birth is not Birth.DIFFERENT

    def _likenesses(self, member: Member) -> list[Likeness]:
        return [
            _likeness(self._person, member.person, one, other, self._given(one, other))
            for one in _borne(self._person)
            for other in _borne(member.person)
        ]

    def _given(self, one: Name, other: Name) -> Given:
        return self._strategy.compare_given(one, other, self._registry)

    def _born_together(self, member: Member, household: Sequence[Member]) -> bool:
        """Multiple births are often not recorded; two birthdays on one card tell as well."""
        if self._person.multiple_birth or member.person.multiple_birth:
            return True
        born = member.person.birth_date
        return any(m.key != member.key and m.person.birth_date == born for m in household)

    def _is_doubted(self, winner: Member, household: Sequence[Member]) -> bool:
        return any(m.key != winner.key and self._could_be_meant(m) for m in household)

    def _could_be_meant(self, member: Member) -> bool:
        """Same birth date and any agreement of given names, established names included."""
        if compare_birth(self._person.birth_date, member.person.birth_date) is not Birth.SAME:
            return False
        return any(
            compare_given(one.given, other.given, _nobodys_name) is not Given.DIFFERENT
            for one in _borne(self._person)
            for other in _borne(member.person)
        )


def _nobodys_name(_given: str) -> bool:
    return False


def _same_cover(card: Card, held: Card) -> bool:
    return same_payor(card, held) and same_plan(card, held)


def _rank(fit: Fit) -> tuple[int, ...]:
    return fit.grade, fit.likeness.given, fit.likeness.family


def _borne(person: Person) -> tuple[Name, ...]:
    """Return the names, a maiden name without a given name taking it from the name borne now."""
    if all(name.given for name in person.names):
        return person.names
    given = next((name.given for name in person.names if name.given), ())
    return tuple(
        name if name.given else Name(given, name.family, name.generation, name.previous)
        for name in person.names
    )


def _likeness(one: Person, other: Person, name: Name, held: Name, given: Given) -> Likeness:
    family = compare_family(name.family, held.family)
    if family is Family.SAME and (name.previous or held.previous):
        family = Family.SHARED
    return Likeness(
        compare_birth(one.birth_date, other.birth_date),
        given,
        family,
        compare_sex(one.gender, other.gender),
        crosswise(name, held),
        bool(name.generation and held.generation and name.generation != held.generation),
    )


def _grade(likeness: Likeness, own: bool, single_birth: bool) -> Grade:
    """Return EXACT, ACCEPTED when at most one element is tolerated, REFUSED otherwise."""
    if likeness.exact:
        return Grade.EXACT
    return Grade.ACCEPTED if _is_accepted(likeness, own, single_birth) else Grade.REFUSED


def _is_accepted(likeness: Likeness, own: bool, single_birth: bool) -> bool:
    same_name = likeness.given is Given.SAME and likeness.family is Family.SAME
    if likeness.birth is not Birth.SAME:
        slip = likeness.birth is Birth.SLIP and not likeness.generations_differ
        return slip and own and same_name and likeness.sex is Sex.SAME
    if likeness.weakened:
        return same_name
    if likeness.swapped:
        return True
    if likeness.family is Family.DIFFERENT:
        return own and likeness.given is Given.SAME and likeness.sex is Sex.SAME
    return _given_is_accepted(likeness, single_birth)


def _given_is_accepted(likeness: Likeness, single_birth: bool) -> bool:
    """The family name agrees or is near; a tolerance on both names would be a guess."""
    given = likeness.given
    if given in (Given.SAME, Given.LEADING):
        return True
    if not single_birth or given is Given.DIFFERENT:
        return False
    if given is Given.INITIAL:
        return likeness.family is Family.SAME and likeness.sex is Sex.SAME
    return given is Given.TOKEN or likeness.family is not Family.SLIP
