"""Which scenarios a run is made of: a folder of features and an expression over tags."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection
from importlib.resources import files
from pathlib import Path

from ..reference.errors import SettingsError

# How the child process is told what the parent decided.
FEATURES = "PAYER_EXCHANGE_FEATURES"
_WORD = re.compile(r"\s*(\(|\)|and\b|or\b|not\b|@?[\w.-]+)\s*")


def features_folder() -> Path:
    """The folder of features for this process: the user's, or those shipped for the role."""
    named = os.environ.get(FEATURES)
    return Path(named) if named else packaged_features("responding-payer")


def packaged_features(role: str) -> Path:
    """The shipped features for a role."""
    return Path(str(files("payer_exchange.features"))) / role


def tag_expression(text: str) -> Callable[[Collection[str]], bool]:
    """A test over tags from words, `and`, `or`, `not` and brackets; `@` before a tag is optional.

    Raises SettingsError when the expression cannot be read.
    """
    words = _words(text)
    if not words:
        return lambda _tags: True
    test, rest = _either(words)
    if rest:
        raise SettingsError(f"The tag expression ends too early, before {rest[0]}.")
    return test


_Test = Callable[[Collection[str]], bool]


def _words(text: str) -> list[str]:
    words, position = [], 0
    while position < len(text):
        found = _WORD.match(text, position)
        if not found:
            raise SettingsError(f"The tag expression cannot be read at {text[position:]!r}.")
        words.append(found[1])
        position = found.end()
    return words


def _either(words: list[str]) -> tuple[_Test, list[str]]:
    left, rest = _both(words)
    while rest[:1] == ["or"]:
        right, rest = _both(rest[1:])
        left = _or(left, right)
    return left, rest


def _both(words: list[str]) -> tuple[_Test, list[str]]:
    left, rest = _one(words)
    while rest[:1] == ["and"]:
        right, rest = _one(rest[1:])
        left = _and(left, right)
    return left, rest


def _one(words: list[str]) -> tuple[_Test, list[str]]:
    if not words or words[0] in (")", "and", "or"):
        raise SettingsError("The tag expression lacks a tag.")
    if words[0] == "not":
        test, rest = _one(words[1:])
        return (lambda tags: not test(tags)), rest
    if words[0] == "(":
        test, rest = _either(words[1:])
        if rest[:1] != [")"]:
            raise SettingsError("The tag expression lacks a closing bracket.")
        return test, rest[1:]
    tag = words[0].lstrip("@")
    return (lambda tags: tag in tags), words[1:]


def _or(left: _Test, right: _Test) -> _Test:
    return lambda tags: left(tags) or right(tags)


def _and(left: _Test, right: _Test) -> _Test:
    return lambda tags: left(tags) and right(tags)
