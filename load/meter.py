"""What a journey tells of itself while it goes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from ..reference.http import Exchange


class Meter(Protocol):
    """Where a journey tells what it measures."""

    def step(self, name: str, *accepted: int) -> AbstractContextManager[None]:
        """Name the requests made inside, and the statuses that are no error."""

    def measure(self, name: str, value: float, *, octets: int = 0, resources: int = 0) -> None:
        """Keep one value: milliseconds, or a count."""

    def broken(self, name: str, reason: str) -> None:
        """Keep that a measure came to no value."""

    def check(self, name: str, problem: str) -> None:
        """Keep the verdict of a check; an empty problem is a pass."""

    def __call__(self, exchange: Exchange) -> None:
        """Keep one exchange of the HTTP client, under the step that asked for it."""
