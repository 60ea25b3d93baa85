"""The adversarial requests come in the stated mix, and each deserves its answer."""

from __future__ import annotations

from collections import Counter

import pytest
from payer_exchange.reference.population import Population, adversarial_requests

MEMBERS = 3000
COUNT = 6000


@pytest.fixture(scope="module")
def enrolled():
    population = Population(seed=21, members=MEMBERS)
    return {person.key: person for person in population.people()}


@pytest.fixture(scope="module")
def requests():
    return list(adversarial_requests(Population(seed=21, members=MEMBERS), COUNT, seed=1))


def test_four_in_ten_are_to_be_refused(requests):
    refused = [r for r in requests if r.expected_key is None]
    assert 0.37 < len(refused) / COUNT < 0.43
    shares = {kind: n / len(refused) for kind, n in Counter(r.kind for r in refused).items()}
    stated = {
        "stranger": 0.30, "twin-not-enrolled": 0.20, "sibling-card": 0.15, "namesake": 0.15,
        "stolen-card": 0.10, "left-out": 0.10,
    }  # fmt: skip
    assert shares == pytest.approx(stated, abs=0.03)


@pytest.mark.parametrize(
    ("noise", "share"),
    [
        ("subscriber-id", 0.25), ("id-punctuation", 0.08), ("id-typo", 0.04), ("no-id", 0.03),
        ("given-typo", 0.03), ("initial", 0.02), ("names-swapped", 0.01),
    ],
)  # fmt: skip
def test_noise_has_its_share_of_the_true_ones(requests, noise, share):
    true = [r for r in requests if r.kind == "true"]
    found = sum(noise in r.noise for r in true) / len(true)
    assert found == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(
    "noise", ["nickname", "family-typo", "family-hyphen", "family-changed", "birth-digit",
              "birth-swapped"]
)  # fmt: skip
def test_rare_noise_occurs(requests, noise):
    assert any(noise in r.noise for r in requests)


def test_true_ones_without_noise_are_exact(requests, enrolled):
    for request in requests:
        if request.kind == "true" and not request.noise:
            person = enrolled[request.expected_key]
            assert request.patient["birthDate"] == person.birth_date.isoformat()
            assert tuple(request.patient["name"][0]["given"]) == person.name.given
            assert request.coverage["identifier"][0]["value"] == person.member_id


def who(person):
    return person.name.family, person.name.given, person.birth_date.isoformat()


def test_people_never_enrolled_are_not_enrolled(requests, enrolled):
    known = {who(person) for person in enrolled.values()}
    for request in requests:
        if request.kind in {"stranger", "twin-not-enrolled", "sibling-card", "left-out"}:
            name = request.patient["name"][0]
            claimed = (name["family"], tuple(name["given"]), request.patient["birthDate"])
            assert claimed not in known


def test_lone_twins_share_birth_and_card_with_a_member(requests, enrolled):
    by_number = {p.member_id: p for p in enrolled.values()}
    seen = 0
    for request in requests:
        if request.kind == "twin-not-enrolled" and "identifier" in request.coverage:
            member = by_number[request.coverage["identifier"][0]["value"]]
            assert request.patient["birthDate"] == member.birth_date.isoformat()
            assert request.patient["name"][0]["given"][0] not in member.name.given
            seen += 1
    assert seen > 100


def test_stolen_cards_belong_to_other_households(requests, enrolled):
    by_number = {p.member_id: p for p in enrolled.values()}
    by_who = {who(p): p for p in enrolled.values()}
    for request in requests:
        if request.kind == "stolen-card":
            name = request.patient["name"][0]
            thief = by_who[name["family"], tuple(name["given"]), request.patient["birthDate"]]
            owner = by_number[request.coverage["identifier"][0]["value"]]
            assert owner.household_id != thief.household_id


def test_submitted_resources_are_local_and_unique_in_shape(requests):
    for request in requests:
        assert request.coverage["beneficiary"]["reference"] == f"Patient/{request.patient['id']}"
        assert ("identifier" in request.coverage) != ("subscriberId" in request.coverage)
