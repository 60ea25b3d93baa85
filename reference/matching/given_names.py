"""Given names that are established whether or not this registry's members bear them.

A small payer's own members do not make a vocabulary: among two thousand, Marie may have nobody,
and would pass for a slip of Maria. Faker carries the census tables already.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from .normalise import tokens

_LOCALES = ("en_US", "es_ES", "es_MX", "fr_FR", "de_DE", "it_IT", "pl_PL", "pt_BR")


@cache
def common_given_names() -> frozenset[str]:
    """Return the folded words of common given names; built at the first call."""
    return frozenset(
        word for locale in _LOCALES for name in _table(locale) for word in _words(name)
    )


def _table(locale: str) -> tuple[str, ...]:
    provider: Any = import_module(f"faker.providers.person.{locale}").Provider
    return tuple(provider.first_names)


def _words(name: str) -> tuple[str, ...]:
    return tuple(word for word in tokens(name) if len(word) > 1)
