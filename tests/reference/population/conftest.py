"""One small population, made once, that the tests of this room read."""

from __future__ import annotations

import orjson
import pytest
from payer_exchange.reference.population import Population


@pytest.fixture(scope="session")
def population():
    return Population(seed=1, members=240)


@pytest.fixture(scope="session")
def records(population):
    return [population.record(index) for index in range(population.members)]


@pytest.fixture(scope="session")
def parsed(records):
    """Each member's record as (entry, resource) pairs."""
    return [[(entry, orjson.loads(entry.body)) for entry in record.entries] for record in records]


@pytest.fixture(scope="session")
def truth(population):
    payer = {"identifier": {"system": "https://payers.example", "value": "OLD"}, "name": "Old"}
    other = {"identifier": {"system": "https://payers.example", "value": "NEW"}, "name": "New"}
    return population.truth(payer, other, detail=40)


@pytest.fixture(scope="session")
def named(truth):
    return {member["key"]: member for member in truth["members"]}
