"""A clock of each test's own, and an authorization server's databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.store.database import open_data_dir


@pytest.fixture
def clock():
    """Stands at a known moment until the test moves it."""
    return MovableClock(datetime(2027, 1, 15, 12, tzinfo=UTC))


@pytest.fixture
def engine(tmp_path):
    """A database of the test's own."""
    made = open_data_dir(tmp_path, "payer")
    yield made
    made.dispose()


@pytest.fixture
def engines(tmp_path):
    """Two engines on one file: as two processes on one database, they share no lock."""
    made = [open_data_dir(tmp_path, "payer") for _ in range(2)]
    yield made
    for each in made:
        each.dispose()
