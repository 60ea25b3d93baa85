"""A clock of each test's own."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from payer_exchange.reference.clock import MovableClock


@pytest.fixture
def clock():
    """Stands at a known moment until the test moves it."""
    return MovableClock(datetime(2027, 1, 15, 12, tzinfo=UTC))
