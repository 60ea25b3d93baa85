"""Match requests to measure a matcher with: true ones with noise, and ones to be refused.

Six in ten are about an enrolled member, with the errors that cards and typists make. Four in ten
must be refused. Of those, a *sibling* and a *left-out* household member are people who share the
household's family name and card and were never enrolled, so a matcher may not answer with the
relative it does know.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from .dice import Dice
from .named import SPECIAL
from .people import MEMBER_ID_SYSTEM, Name
from .submitted import submitted_coverage, submitted_patient
from .vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .people import Person
    from .population import Population

TRUE_SHARE = 0.6
OTHER_PAYER_SYSTEM = "https://other-payer.example.net/member-id"


@dataclass(frozen=True, slots=True)
class AdversarialRequest:
    """One request, what it tries, and the member that alone may be the answer."""

    kind: str
    patient: dict[str, Any]
    coverage: dict[str, Any]
    expected_key: str | None
    noise: tuple[str, ...] = ()


@dataclass(slots=True)
class _Claim:
    """Who somebody says they are, and the number they show."""

    given: tuple[str, ...]
    family: str
    suffix: str
    gender: str
    born: date
    relationship: str
    member_id: str = ""
    subscriber_id: str = ""
    system: str = MEMBER_ID_SYSTEM
    birth: str = ""

    def request(
        self, kind: str, expected: str | None = None, noise: tuple[str, ...] = ()
    ) -> AdversarialRequest:
        name = Name(self.family, self.given, "official", self.suffix)
        return AdversarialRequest(
            kind,
            submitted_patient(name, self.gender, self.birth or self.born.isoformat()),
            submitted_coverage(
                member_id=self.member_id,
                subscriber_id=self.subscriber_id,
                relationship=self.relationship,
                system=self.system,
            ),
            expected,
            noise,
        )


def adversarial_requests(
    population: Population, count: int, seed: int
) -> Iterator[AdversarialRequest]:
    """Yield that many requests; the n-th depends on the population, the seed and n alone.

    Members are drawn from the ordinary ones: the named members are cases of their own.
    """
    first = SPECIAL if population.members > SPECIAL else 0
    for number in range(count):
        dice = Dice(seed, "request", number)
        person = population.person(dice.between(first, population.members - 1))
        if dice.chance(TRUE_SHARE):
            yield _true_request(dice, person)
        else:
            yield _negative_request(dice, person, population)


def _claim(person: Person) -> _Claim:
    name = person.name
    return _Claim(
        name.given,
        name.family,
        name.suffix,
        person.gender,
        person.birth_date,
        person.relationship,
        person.member_id,
    )


# --- true requests ------------------------------------------------------------------------------


def _true_request(dice: Dice, person: Person) -> AdversarialRequest:
    claim = _claim(person)
    noise: tuple[str, ...] = (
        _card_noise(dice, claim, person),
        _given_noise(dice, claim),
        _family_noise(dice, claim, person),
        _birth_noise(dice, claim),
    )
    if dice.chance(0.01):
        claim.given, claim.family = (claim.family,), claim.given[0]
        noise = (*noise, "names-swapped")
    return claim.request("true", person.key, tuple(name for name in noise if name))


def _card_noise(dice: Dice, claim: _Claim, person: Person) -> str:
    draw = dice.random()
    if draw < 0.25:
        claim.member_id, claim.subscriber_id = "", person.subscriber_id
        return "subscriber-id"
    if draw < 0.33:
        number = claim.member_id
        claim.member_id = f"{number[:3]}-{number[3:-2]}-{number[-2:]}"
        return "id-punctuation"
    if draw < 0.37:
        claim.member_id = _wrong_digit(dice, claim.member_id)
        return "id-typo"
    if draw < 0.40:
        claim.system, claim.member_id = OTHER_PAYER_SYSTEM, f"QX{dice.digits(8)}"
        return "no-id"
    return ""


def _given_noise(dice: Dice, claim: _Claim) -> str:
    draw = dice.random()
    first, *rest = claim.given
    if draw < 0.06:
        short = NICKNAMES.get(first)
        claim.given = (short, *rest) if short else claim.given
        return "nickname" if short else ""
    if draw < 0.09:
        claim.given = (_typo(dice, first), *rest)
        return "given-typo"
    if draw < 0.11:
        claim.given = (first[0],)
        return "initial"
    return ""


def _family_noise(dice: Dice, claim: _Claim, person: Person) -> str:
    draw = dice.random()
    if draw < 0.02:
        claim.family = _typo(dice, claim.family)
        return "family-typo"
    if draw < 0.035:
        claim.family = _rehyphenated(dice, claim.family)
        return "family-hyphen"
    if draw < 0.045:
        former = person.names[1].family if len(person.names) > 1 else ""
        claim.family = former or dice.pick(vocabulary().cultures[0].family)
        return "family-changed"
    return ""


def _rehyphenated(dice: Dice, family: str) -> str:
    if "-" in family:
        return dice.pick(family.split("-"))
    return f"{family}-{dice.pick(vocabulary().cultures[0].family)}"


def _birth_noise(dice: Dice, claim: _Claim) -> str:
    if not dice.chance(0.02):
        return ""
    born = claim.born
    if born.day <= 12 and born.day != born.month and dice.chance(0.5):
        claim.birth = born.replace(month=born.day, day=born.month).isoformat()
        return "birth-swapped"
    claim.birth = (born + timedelta(days=1 if born.day % 10 < 9 else -1)).isoformat()
    return "birth-digit"


def _wrong_digit(dice: Dice, number: str) -> str:
    place = dice.between(3, len(number) - 3)
    digit = (int(number[place]) + dice.between(1, 9)) % 10
    return f"{number[:place]}{digit}{number[place + 1 :]}"


def _typo(dice: Dice, word: str) -> str:
    """Return the word with one letter dropped, doubled, changed or swapped with the next."""
    if len(word) < 3:
        return word + word[-1]
    place = dice.between(1, len(word) - 2)
    before, letter, after = word[:place], word[place], word[place + 1 :]
    swapped = after[0] + letter + after[1:] if after[0] != letter else letter
    changed = dice.pick("aeinorst".replace(letter, ""))
    return before + dice.pick((after, letter + letter + after, changed + after, swapped))


# --- requests to be refused -----------------------------------------------------------------------


def _negative_request(dice: Dice, person: Person, population: Population) -> AdversarialRequest:
    draw = dice.random()
    for kind, upto, make in _NEGATIVES:
        if draw < upto:
            return make(dice, person, population).request(kind)
    raise AssertionError(draw)  # the shares add up to one


def _stranger(dice: Dice, person: Person, _population: Population) -> _Claim:
    culture = dice.pick(vocabulary().cultures)
    gender = dice.pick(("female", "male"))
    pool = culture.female if gender == "female" else culture.male
    born = person.birth_date - timedelta(days=dice.between(1, 9000))
    given = (_unlike(dice, pool, _tokens(person.name.given)),)
    claim = _Claim(given, dice.pick(culture.family), "", gender, born, "self")
    claim.member_id = person.member_id if dice.chance(0.3) else unissued_number(dice)
    return claim


def _lone_twin(dice: Dice, person: Person, population: Population) -> _Claim:
    claim = _relative(dice, person, population)
    claim.born = person.birth_date
    if dice.chance(0.4):
        claim.member_id, claim.subscriber_id = "", person.subscriber_id
    return claim


def _sibling(dice: Dice, person: Person, population: Population) -> _Claim:
    claim = _relative(dice, person, population)
    claim.born = person.birth_date - timedelta(days=dice.between(300, 2200))
    return claim


def _left_out(dice: Dice, person: Person, population: Population) -> _Claim:
    claim = _relative(dice, person, population)
    claim.born = person.birth_date - timedelta(days=dice.between(-3000, 3000) or 1)
    claim.member_id = ""
    if dice.chance(0.5):
        claim.subscriber_id = person.subscriber_id
    else:
        claim.member_id = f"{person.subscriber_id}{len(person.household) + 1:02d}"
    return claim


def _namesake(dice: Dice, person: Person, _population: Population) -> _Claim:
    return replace(_claim(person), member_id=unissued_number(dice))


def _stolen_card(dice: Dice, person: Person, population: Population) -> _Claim:
    claim = _claim(person)
    for _ in range(50):
        owner = population.person(dice.between(0, population.members - 1))
        if owner.household_id != person.household_id:
            claim.member_id = owner.member_id
            return claim
    claim.member_id = unissued_number(dice)
    return claim


def _relative(dice: Dice, person: Person, population: Population) -> _Claim:
    """Return a claim of somebody at home whom the payer never enrolled, on this card."""
    claim = _claim(person)
    if dice.chance(1 / 3):
        claim.gender = "male" if person.gender == "female" else "female"
    culture = vocabulary().cultures[0]
    taken = [t for n in person.household for t in _tokens(population.person(n).name.given)]
    pool = culture.female if claim.gender == "female" else culture.male
    claim.given, claim.suffix = (_unlike(dice, pool, taken),), ""
    return claim


def _unlike(dice: Dice, pool: tuple[str, ...], taken: list[str]) -> str:
    """Return a given name that none of the taken ones is, so that refusing is the right answer."""
    name = dice.pick(pool)
    while _folded(name) in taken:
        name = dice.pick(pool)
    return name


def _tokens(given: tuple[str, ...]) -> list[str]:
    return _folded(" ".join(given)).replace("-", " ").split()


def _folded(name: str) -> str:
    """Return the name as a matcher compares it: an accent alone does not make another person."""
    decomposed = unicodedata.normalize("NFKD", name)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).lower()


def unissued_number(dice: Dice) -> str:
    """Return a well-formed member number that no population ever issues."""
    return f"WPZ{dice.digits(9)}01"


_NEGATIVES: tuple[tuple[str, float, Callable[[Dice, Person, Population], _Claim]], ...] = (
    ("stranger", 0.30, _stranger),
    ("twin-not-enrolled", 0.50, _lone_twin),
    ("sibling-card", 0.65, _sibling),
    ("namesake", 0.80, _namesake),
    ("stolen-card", 0.90, _stolen_card),
    ("left-out", 1.00, _left_out),
)

# Short forms in everyday American use; deliberately few, as a matcher's own table may be larger.
NICKNAMES = {
    "Robert": "Bob", "William": "Bill", "James": "Jim", "John": "Jack", "Richard": "Rick",
    "Michael": "Mike", "David": "Dave", "Thomas": "Tom", "Charles": "Chuck", "Joseph": "Joe",
    "Daniel": "Dan", "Matthew": "Matt", "Anthony": "Tony", "Steven": "Steve", "Andrew": "Andy",
    "Kenneth": "Ken", "Timothy": "Tim", "Edward": "Ed", "Ronald": "Ron", "Gregory": "Greg",
    "Benjamin": "Ben", "Samuel": "Sam", "Patrick": "Pat", "Alexander": "Alex", "Nicholas": "Nick",
    "Christopher": "Chris", "Jonathan": "Jon", "Joshua": "Josh", "Jeffrey": "Jeff",
    "Elizabeth": "Liz", "Jennifer": "Jen", "Patricia": "Patty", "Barbara": "Barb",
    "Susan": "Sue", "Margaret": "Peggy", "Katherine": "Kathy", "Kimberly": "Kim",
    "Deborah": "Debbie", "Rebecca": "Becky", "Cynthia": "Cindy", "Christine": "Chris",
    "Samantha": "Sam", "Victoria": "Vicky", "Jessica": "Jess", "Stephanie": "Steph",
    "Melissa": "Mel", "Pamela": "Pam", "Amanda": "Mandy", "Sandra": "Sandy", "Teresa": "Terri",
}  # fmt: skip
