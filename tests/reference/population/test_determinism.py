"""The bytes of a member depend on seed, date and index alone."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from hashlib import sha256

from payer_exchange.reference.population import Population, adversarial_requests


def digest(population, index):
    whole = sha256()
    for _, _, body in population.record(index).resources:
        whole.update(body)
    return whole.hexdigest()


def test_any_order_gives_the_same_bytes():
    forwards, backwards = Population(seed=5), Population(seed=5)
    ahead = [digest(forwards, index) for index in range(40)]
    behind = [digest(backwards, index) for index in reversed(range(40))]
    assert ahead == behind[::-1]


def test_a_far_member_is_made_alone_and_belongs_to_its_household():
    population = Population(seed=3, members=100)
    far = population.person(7_654_321)
    assert far.index == 7_654_321
    assert far.index in far.household
    relatives = [population.person(index) for index in far.household]
    assert {relative.subscriber_id for relative in relatives} == {far.subscriber_id}


def test_a_second_process_gives_the_same_bytes():
    # PYTHONHASHSEED differs between processes, so an order taken from a set would show here.
    script = (
        "from payer_exchange.reference.population import Population\n"
        "from hashlib import sha256\n"
        "p = Population(seed=2)\n"
        "print(sha256(b''.join(b for i in range(60) for _, _, b in p.record(i).resources))"
        ".hexdigest())"
    )
    own = Population(seed=2)
    here = sha256(b"".join(b for i in range(60) for _, _, b in own.record(i).resources))
    there = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert there.stdout.strip() == here.hexdigest()


def test_people_come_as_person_gives_them():
    population = Population(seed=4, members=300)
    assert list(population.people()) == [population.person(index) for index in range(300)]


def test_the_size_does_not_change_a_member():
    assert digest(Population(members=50), 45) == digest(Population(members=5000), 45)


def test_seed_and_date_change_a_member():
    plain = digest(Population(seed=1), 50)
    assert digest(Population(seed=2), 50) != plain
    assert digest(Population(seed=1, as_of=date(2026, 3, 1)), 50) != plain


def test_adversarial_requests_repeat():
    population = Population(members=500)
    first = list(adversarial_requests(population, 50, seed=9))
    assert first == list(adversarial_requests(population, 50, seed=9))
    assert first != list(adversarial_requests(population, 50, seed=10))
