"""What every test can use."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from payer_exchange.reference.clock import MovableClock


@pytest.fixture
def clock() -> MovableClock:
    """A clock that stands at a known moment until a test moves it."""
    return MovableClock(datetime(2027, 1, 15, 12, 0, tzinfo=UTC))
