"""What a Patient and a Coverage say of a person, read once and normalised.

Reading never raises: a part of the wrong type counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .normalise import date, day, identifier, tokens_of

if TYPE_CHECKING:
    from collections.abc import Iterator

# More names than a person has would be a list of guesses.
MOST_NAMES = 6
# A member's own number at this payer: the card's (MB) or the one given after a match (UMB).
_MEMBER_ID_TYPES = frozenset({"MB", "UMB"})
_BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
_SEXES = {"male": "male", "female": "female", "other": "other", "m": "male", "f": "female"}
_GENERATIONS = {"sr": "1", "i": "1", "jr": "2", "junior": "2", "ii": "2", "iii": "3", "iv": "4"}

Identifier = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Name:
    """One HumanName: folded words, the generation of its suffix, and whether it was given up."""

    given: tuple[str, ...] = ()
    family: tuple[str, ...] = ()
    generation: str = ""
    previous: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """The demographics that are compared; an empty text means absent or unreadable."""

    names: tuple[Name, ...] = ()
    birth_date: str = ""
    gender: str = ""
    multiple_birth: bool = False
    member_ids: tuple[Identifier, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """What one Coverage says: its numbers, payor, plan, group and period."""

    member_ids: tuple[Identifier, ...] = ()
    subscriber_id: str = ""
    dependent: str = ""
    payors: tuple[Identifier, ...] = ()
    plans: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    start: str = ""
    end: str = ""


@dataclass(frozen=True, slots=True)
class Member:
    """One enrolled member, as the registry tells of them."""

    key: str
    person: Person = field(repr=False)
    coverages: tuple[Card, ...] = field(default=(), repr=False)

    @property
    def member_ids(self) -> tuple[Identifier, ...]:
        return self.person.member_ids

    @property
    def subscriber_ids(self) -> tuple[str, ...]:
        """The subscriber ids of all coverages, each once, in order."""
        ids = (card.subscriber_id for card in self.coverages)
        return tuple(dict.fromkeys(value for value in ids if value))


def read_person(patient: Any) -> Person:
    """Return what a Patient says of the person."""
    names = tuple(_names(patient))
    return Person(
        names=names,
        birth_date=date(_part(patient, "birthDate")),
        gender=_gender(patient),
        multiple_birth=_multiple_birth(patient),
        member_ids=_member_ids(patient),
    )


def read_card(coverage: Any) -> Card:
    """Return what a Coverage says; its id is not read, for it is the sender's own."""
    period = _part(coverage, "period")
    return Card(
        member_ids=_member_ids(coverage),
        subscriber_id=identifier(_part(coverage, "subscriberId")),
        dependent=identifier(_part(coverage, "dependent")),
        payors=tuple(dict.fromkeys(_payors(coverage))),
        plans=_classes(coverage, "plan"),
        groups=_classes(coverage, "group"),
        start=day(_part(period, "start")),
        end=day(_part(period, "end")),
    )


def read_member(key: str, patient: Any, coverages: Any) -> Member:
    """Return the member whose own numbers are those of the Patient and of every Coverage."""
    person = read_person(patient)
    cards = tuple(read_card(coverage) for coverage in coverages)
    ids = [*person.member_ids, *(own for card in cards for own in card.member_ids)]
    person = Person(
        person.names,
        person.birth_date,
        person.gender,
        person.multiple_birth,
        tuple(dict.fromkeys(ids)),
    )
    return Member(key, person, cards)


def _part(source: Any, name: str) -> Any:
    # The plain dict first: this is called some thirty times a request.
    if source.__class__ is dict:
        return source.get(name)
    return source.get(name) if source is not None and isinstance(source, Mapping) else None


def _parts(source: Any, name: str) -> list[Any]:
    value = _part(source, name)
    return value if isinstance(value, list) else []


def _texts(source: Any, name: str) -> list[Any]:
    value = _part(source, name)
    return [value] if isinstance(value, str) else _parts(source, name)


def _names(patient: Any) -> Iterator[Name]:
    for human_name in _parts(patient, "name")[:MOST_NAMES]:
        use = _part(human_name, "use")
        given = tokens_of(_texts(human_name, "given")[:MOST_NAMES])
        family = tokens_of([_part(human_name, "family")])
        if (given or family) and use != "anonymous":
            yield _name(human_name, use, given, family)


def _name(human_name: Any, use: Any, given: tuple[str, ...], family: tuple[str, ...]) -> Name:
    suffixes = [*tokens_of(_texts(human_name, "suffix")[:MOST_NAMES])]
    # Some systems keep "Smith Jr" in the family name; nobody is called Jr alone.
    while len(family) > 1 and family[-1] in _GENERATIONS:
        suffixes.append(family[-1])
        family = family[:-1]
    generation = next((_GENERATIONS[word] for word in suffixes if word in _GENERATIONS), "")
    ended = bool(day(_part(_part(human_name, "period"), "end")))
    return Name(given, family, generation, previous=ended or use in ("old", "maiden"))


def _gender(patient: Any) -> str:
    value = _part(patient, "gender")
    if isinstance(value, str) and value.lower() in _SEXES:
        return _SEXES[value.lower()]
    for extension in _parts(patient, "extension"):
        if _part(extension, "url") == _BIRTH_SEX:
            return _SEXES.get(str(_part(extension, "valueCode")).lower(), "")
    return ""


def _multiple_birth(patient: Any) -> bool:
    order = _part(patient, "multipleBirthInteger")
    counted = isinstance(order, int) and not isinstance(order, bool) and order > 0
    return counted or _part(patient, "multipleBirthBoolean") is True


def _member_ids(resource: Any) -> tuple[Identifier, ...]:
    entries = _parts(resource, "identifier")
    found = [_identifier(entry) for entry in entries if _is_member_id(entry)]
    return tuple(dict.fromkeys([own for own in found if own[1]]))


def _is_member_id(candidate: Any) -> bool:
    for coding in _parts(_part(candidate, "type"), "coding"):
        code = _part(coding, "code")
        if isinstance(code, str) and code in _MEMBER_ID_TYPES:
            return True
    return False


def _identifier(candidate: Any) -> Identifier:
    system = _part(candidate, "system")
    name = system.strip() if isinstance(system, str) else ""
    return name, identifier(_part(candidate, "value"))


def _payors(coverage: Any) -> Iterator[Identifier]:
    for payor in _parts(coverage, "payor"):
        organization = _contained(coverage, _part(payor, "reference"))
        for named in (_part(payor, "identifier"), *_parts(organization, "identifier")):
            own = _identifier(named)
            if own[1]:
                yield own


def _contained(coverage: Any, reference: Any) -> Any:
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    resources = _parts(coverage, "contained")
    return next((found for found in resources if _part(found, "id") == reference[1:]), None)


def _classes(coverage: Any, kind: str) -> tuple[str, ...]:
    entries = _parts(coverage, "class")
    values = [identifier(_part(entry, "value")) for entry in entries if _is_class(entry, kind)]
    return tuple(dict.fromkeys([value for value in values if value]))


def _is_class(entry: Any, kind: str) -> bool:
    codings = _parts(_part(entry, "type"), "coding")
    return any(_part(coding, "code") == kind for coding in codings)
