"""What a responding payer bears of failures before it asks a client to wait."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on guessing; 0 switches one off.

    They are made for strangers who try without end. A conformance run, which has some thirty bad
    assertions, and a batch of ten thousand members that has strangers in it, stay far below.
    """

    failed_authentications: int = 100
    """Failed authentications of one client id within the window, after which it has to wait."""
    authentication_window_s: int = 60
    """How long a failed authentication counts."""
    tries_an_hour: int = 5
    """Cards that fail for one person, or persons that fail for one card, within an hour (mm-7)."""
    tries_a_day: int = 20
    """The same within a day."""
    failed_matches_an_hour: int = 10_000
    """Persons whom a client asks for in vain within an hour."""
