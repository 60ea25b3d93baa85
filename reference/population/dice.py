"""Keyed randomness: each key opens its own stream, so nothing depends on what was made before."""

from __future__ import annotations

from hashlib import blake2b
from random import Random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Dice:
    """A stream of draws that is fixed by its key alone.

    Every draw comes from `random()`, the one method whose numbers Python promises to keep
    between versions; `choice`, `randrange` and `gauss` carry no such promise.
    """

    __slots__ = ("random",)

    def __init__(self, *key: object) -> None:
        text = "/".join(map(str, key)).encode()
        # The bound method alone: inheriting from Random would seed twice, the dearest step here.
        self.random = Random(int.from_bytes(blake2b(text, digest_size=8).digest(), "big")).random

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options, all equally likely."""
        return options[int(self.random() * len(options))]

    def chance(self, probability: float) -> bool:
        """Return whether an event of this probability happens."""
        return self.random() < probability

    def between(self, low: int, high: int) -> int:
        """Return a whole number from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def bell(self, middle: float, spread: float) -> float:
        """Return a number around the middle: the sum of three draws is bell-like enough."""
        return middle + spread * 2.0 * (self.random() + self.random() + self.random() - 1.5)

    def digits(self, count: int) -> str:
        """Return that many decimal digits."""
        return f"{int(self.random() * 10**count):0{count}d}"
