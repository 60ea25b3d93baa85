"""What is searched for, and where it stands in a text.

A term is chosen so that no other word can be it. A given name alone is none: Will and Grace are
words, and March is a month; so a name is a family name with a given name of the same person near
it, in either order, as FHIR, a sentence or a table would have it. Numbers, ids and dates count only
as whole words: 4711 is not found in 1247110. Short numbers, as a dependent's 01, and what all
members share, as a city or a gender, tell of nobody.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from payer_exchange.reference.population import Population

_WORD = re.compile(r"[\w-]+(?:\.[\w-]+)*")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_NEAR = 6  # words between the two names: "family": "Alderwick", "given": ["Ada has one
_LEAST = 6  # characters of a number that is somebody's
# The members that a judge of requesting payers plays are random, and known by their shape.
_PLAYED = re.compile(r"\bProbe[0-9a-f]{6}\b|\b1970-02-03\b|\b[PS][0-9]{9}\b")
_PERSONS = frozenset({"Patient", "Coverage", "RelatedPerson"})


@dataclass(slots=True)
class Terms:
    """All that must not stand in an artefact."""

    words: set[str] = field(default_factory=set)
    """Ids, numbers and birth dates."""
    ids: set[str] = field(default_factory=set)
    """The ids of Patients, by which a payer's own records name them."""
    phrases: set[str] = field(default_factory=set)
    """Lines of addresses, telephone numbers and e-mail addresses."""
    names: set[tuple[str, str]] = field(default_factory=set)
    """Family and given names of a person."""
    secrets: set[str] = field(default_factory=set)
    """Tokens, assertions, and private parts of keys."""

    def of(self, population: Population) -> Terms:
        """These terms with all of a population's."""
        for kind, ident, body in population.resources():
            if kind in _PERSONS:
                self._take(json.loads(body))
            if kind == "Patient":
                self.ids.add(ident)
        self.words -= self.ids
        return self

    def _take(self, resource: Any) -> None:
        for name, value in _members(resource):
            if name in ("line", "telecom"):
                self.phrases |= {text for text in _texts(value) if any(map(str.isdigit, text))}
            elif name in ("identifier", "subscriberId"):
                self.words |= {text for text in _values(value) if _tells(text)}
            elif name == "birthDate":
                self.words |= {value, value.replace("-", "")}
            elif name == "name":
                for one in value if isinstance(value, list) else [value]:
                    self._take_name(one)

    def _take_name(self, name: Any) -> None:
        if isinstance(name, dict) and name.get("family"):
            self.names |= {(name["family"], given) for given in name.get("given", [])
                           if len(given) > 1}  # fmt: skip

    def found(self, text: str, *, ids: bool = True) -> list[str]:
        """The terms that stand in a text, however it is escaped; ids only when asked for."""
        hits: set[str] = set()
        for plain in _readings(text):
            words = _WORD.findall(plain)
            hits |= self.words & set(words)
            # A record's id begins with its member's: m0000001-cov-1.
            hits |= {w for w in words if w.split("-")[0] in self.ids} if ids else set()
            hits |= {p for p in self.phrases | self.secrets if p in plain}
            hits |= set(self._named(words))
            hits |= set(_PLAYED.findall(plain))
        return sorted(hits)

    def _named(self, words: list[str]) -> Iterator[str]:
        families = {family for family, _ in self.names}
        for place, word in enumerate(words):
            if word in families:
                near = words[max(0, place - _NEAR) : place + _NEAR + 1]
                yield from (f"{g} {word}" for g in near if (word, g) in self.names)


def _readings(text: str) -> set[str]:
    """The text as it stands, and as a URL, a page or JSON would mean it."""
    unescaped = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return {text, unquote_plus(text), html.unescape(text), unescaped}


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object, outermost first."""
    if isinstance(value, dict):
        yield from value.items()
    inner: Iterable[Any] = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for one in inner:
            yield from _members(one)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for name, inner in value.items() if isinstance(value, dict) else ():
        if name == "value":
            yield inner
    if isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _values(value: Any) -> Iterator[str]:
    """The values of identifiers that are no payer's."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for one in value:
            yield from _values(one)
    elif "payer-id" not in value.get("system", ""):
        yield value.get("value", "")


def _tells(text: str) -> bool:
    return len(text) >= _LEAST and any(map(str.isdigit, text))
