"""The people have the traits that make matching hard, in about the right numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from payer_exchange.reference.population import SPECIAL, Population

AS_OF = Population().as_of


@pytest.fixture(scope="module")
def people():
    return list(Population(seed=11, members=20_000).people())


@pytest.fixture(scope="module")
def children(people):
    return [p for p in people[SPECIAL:] if p.relationship == "child"]


def siblings(people, person):
    known = (people[i] for i in person.household if i < len(people))
    return [p for p in known if p.relationship == "child" and p.index != person.index]


def test_twins_are_three_in_a_hundred_births(people, children):
    twins = [c for c in children if c.birth_date in {s.birth_date for s in siblings(people, c)}]
    assert 0.025 < len(twins) / len(children) < 0.038
    pairs = [
        (twin, sibling)
        for twin in twins
        for sibling in siblings(people, twin)
        if sibling.birth_date == twin.birth_date
    ]
    same = sum(twin.gender == sibling.gender for twin, sibling in pairs)
    assert 0.55 < same / len(pairs) < 0.78
    assert all(twin.name.given[0] != sibling.name.given[0] for twin, sibling in pairs)
    flagged = sum(twin.multiple_birth is not None for twin in twins) / len(twins)
    assert 0.5 < flagged < 0.9


def test_juniors_bear_their_fathers_names(people):
    juniors = [p for p in people if p.name.suffix == "Jr" and p.relationship == "child"]
    assert len(juniors) > 50
    for junior in juniors:
        fathers = [
            people[i]
            for i in junior.household
            if i < len(people) and people[i].relationship != "child" and people[i].gender == "male"
        ]
        assert any(f.name.given == junior.name.given for f in fathers)


@pytest.mark.parametrize(
    ("trait", "least", "most"),
    [
        (lambda p: "-" in p.name.family, 0.01, 0.10),
        (lambda p: " " in p.name.given[0], 0.02, 0.08),
        (lambda p: " " in p.name.family, 0.002, 0.05),
        (lambda p: not (p.name.family + p.name.given[0]).isascii(), 0.02, 0.25),
        (lambda p: any(n.use == "maiden" for n in p.names), 0.05, 0.25),
        (lambda p: any(n.use == "old" for n in p.names), 0.003, 0.05),
        (lambda p: len(p.addresses) > 1, 0.08, 0.25),
        (lambda p: len(p.coverages) > 1, 0.15, 0.6),
        (lambda p: p.deceased is not None, 0.003, 0.03),
        (lambda p: (AS_OF - p.birth_date).days < 60, 0.002, 0.03),
        (lambda p: p.coverages[0].end is not None, 0.08, 0.25),
    ],
    ids=[
        "hyphenated", "two-token given", "multi-token family", "beyond ASCII", "maiden name",
        "former name", "moved", "several coverages", "deceased", "newborn", "left",
    ],
)  # fmt: skip
def test_trait_occurs_in_its_share(people, trait, least, most):
    share = sum(map(trait, people)) / len(people)
    assert least < share < most


def test_a_gap_between_coverages_occurs(people):
    def gaps(person):
        spans = sorted((c for c in person.coverages if c.kind == "medical"), key=lambda c: c.start)
        return [(after.start - before.end).days for before, after in pairwise(spans) if before.end]

    days = [gap for person in people for gap in gaps(person)]
    assert any(gap > 62 for gap in days)
    assert any(gap == 1 for gap in days)
    assert all(gap >= 1 for gap in days)


def test_numbers_are_the_households_and_nobody_elses(people):
    owner = {}
    for person in people:
        assert person.member_id == person.subscriber_id + person.dependent
        assert owner.setdefault(person.subscriber_id, person.household_id) == person.household_id
    assert len({person.member_id for person in people}) == len(people)
    assert len({person.patient_id for person in people}) == len(people)


def test_dates_of_a_life_are_in_order(people):
    for person in people:
        assert person.birth_date <= AS_OF
        assert person.deceased is None or person.birth_date < person.deceased <= AS_OF
        assert person.coverages
        for cover in person.coverages:
            assert person.birth_date <= cover.start <= (cover.end or AS_OF)
            if person.deceased:
                assert cover.end
                assert cover.end <= person.deceased


def test_parents_are_grown_up(people, children):
    for child in children:
        family = [people[i] for i in child.household if i < len(people)]
        parents = [p for p in family if p.relationship != "child"]
        assert all((child.birth_date - p.birth_date).days > 17 * 365 for p in parents)


def test_sizes_of_households_vary(people):
    sizes = {len(person.household) for person in people}
    assert sizes >= {1, 2, 3, 4, 5, 6}


def test_named_members_stand_first_even_in_the_smallest_population():
    small = Population(members=1)
    assert small.members == SPECIAL
    keys = [person.key for person in small.people()]
    assert keys[:13] == ["A", "B", "D1", "D2", "E", "F", "G", "H", "I", "J", "K", "L", "M"]
    assert "C" not in keys
