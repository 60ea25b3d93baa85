"""Names and places to draw from: Faker's tables as pools, so that a draw costs one index.

Each pool repeats a name as often as the table's weight says. Draws are then plain indexing, and
a common name stays common, which is what makes namesakes in a registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

POOL_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Culture:
    """The given and family names that go together."""

    female: tuple[str, ...]
    male: tuple[str, ...]
    family: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A town with its state and the range of its postal codes."""

    city: str
    state: str
    first_zip: int
    last_zip: int


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Every pool the people are made from; the same in each process."""

    cultures: tuple[Culture, ...]
    streets: tuple[str, ...]
    places: tuple[Place, ...]


# Shares out of 24. Spanish, French, Polish and German names bring the letters outside ASCII.
_SHARES = (("en_US", 18), ("es_ES", 3), ("fr_FR", 1), ("pl_PL", 1), ("de_DE", 1))
# The census tables hold no prefixed family names, and matchers stumble over exactly those.
_TOKENS = ("De La Cruz", "Van Dyke", "St. James", "Del Rio", "Mc Allister", "O'Hara", "Le Roy")


@cache
def vocabulary() -> Vocabulary:
    """Return the pools, built at the first call."""
    cultures = tuple(c for name, share in _SHARES for c in (_culture(name),) * share)
    return Vocabulary(cultures, _streets(cultures[0].family), _places())


def _culture(locale: str) -> Culture:
    names = import_module(f"faker.providers.person.{locale}").Provider
    family = _pool(names.last_names)
    if locale == "en_US":
        family = (*family[: -8 * len(_TOKENS)], *_TOKENS * 8)
    return Culture(_pool(names.first_names_female), _pool(names.first_names_male), family)


def _pool(table: Any) -> tuple[str, ...]:
    """Return POOL_SIZE names, each at the quantiles its weight covers."""
    weights: dict[str, float] = dict(table) if hasattr(table, "items") else dict.fromkeys(table, 1)
    step = sum(weights.values()) / POOL_SIZE
    pool: list[str] = []
    reached = 0.0
    for name, weight in weights.items():
        reached += weight
        while len(pool) < POOL_SIZE and (len(pool) + 0.5) * step <= reached:
            pool.append(name)
    return tuple(pool) + (next(iter(weights)),) * (POOL_SIZE - len(pool))


def _streets(families: tuple[str, ...]) -> tuple[str, ...]:
    kinds = ("Street", "Avenue", "Road", "Lane", "Drive", "Court", "Way", "Place")
    return tuple(f"{name} {kinds[n % 8]}" for n, name in enumerate(families[:: POOL_SIZE // 512]))


def _places() -> tuple[Place, ...]:
    address = import_module("faker.providers.address.en_US").Provider
    states = sorted((s, z) for s, z in address.states_postcode.items() if len(z) == 2)
    firsts, lasts = ("North", "East", "West", "South", "New", "Lake", "Port"), address.city_suffixes
    return tuple(
        Place(f"{firsts[n % 7]} {_stem(n)}{lasts[n % len(lasts)]}", state, *zips)
        for n in range(400)
        for state, zips in (states[n % len(states)],)
    )


def _stem(number: int) -> str:
    """Return an invented place name; real towns are left out on purpose."""
    heads = ("Al", "Bren", "Cor", "Dal", "El", "Fen", "Glen", "Har", "Ir", "Jas", "Kel")
    tails = ("mo", "den", "wick", "la", "ro", "ster", "by")
    return heads[number % 11] + tails[number // 11 % 7]
