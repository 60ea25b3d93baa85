"""FHIR R4's primitive types: what a value of each looks like in JSON."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Any, Self

_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_YEAR = r"(?!0000)\d{4}"
_DAY = r"-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
_PARTIAL = rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01])(?:T{_TIME}{_ZONE})?)?)?"
# Possessive where repeated, so that no text makes a check slow.
_TEXTS = {
    "date": rf"{_YEAR}(?:-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?)?",
    "dateTime": _PARTIAL,
    "instant": rf"{_YEAR}{_DAY}T{_TIME}{_ZONE}",
    "time": _TIME,
    "code": r"[^\s]++(?:\s[^\s]++)*+",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "oid": r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+",
    "uuid": r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "uri": r"\S++",
    "url": r"\S++",
    "canonical": r"\S++",
    "string": r"[\s\S]++",
    "markdown": r"[\s\S]++",
    "xhtml": r"[\s\S]++",
}
_TEXTS["base64Binary"] = (
    r"(?:\s*+[0-9A-Za-z+/]\s*+[0-9A-Za-z+/]\s*+[0-9A-Za-z+/]\s*+[0-9A-Za-z+/])*+"
    r"(?:\s*+[0-9A-Za-z+/]\s*+[0-9A-Za-z+/]\s*+(?:=\s*+=|[0-9A-Za-z+/]\s*+=))?\s*+"
)
_UNSPACED = ("url", "canonical", "code")
_DATED = ("date", "dateTime", "instant")
_LEAST = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}
_MOST_INTEGER = 2**31 - 1
# Characters below the space that are not layout.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f]")
_DECIMAL = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
NAMES = frozenset([*_TEXTS, *_LEAST, "boolean", "decimal"])

# A string is no longer (R4, datatypes 2.24.0.1); text of Markdown may be.
_LONGEST = 1024 * 1024

# Whether a JSON value is one of the type.
Check = Callable[[Any], bool]


@cache
def primitive(name: str) -> Check:
    """The test of a type; every answer is plain, and no value makes it raise or be slow."""
    if name == "boolean":
        return lambda value: value is True or value is False
    if name == "decimal":
        return _is_decimal
    if name in _LEAST:
        least = _LEAST[name]
        return lambda value: type(value) is int and least <= value <= _MOST_INTEGER
    return _text(name)


def _is_decimal(value: Any) -> bool:
    if type(value) is int or type(value) is float:
        return True
    return isinstance(value, Written) and _DECIMAL.fullmatch(str(value)) is not None


class Written(float):
    """A decimal that keeps how it was written: 72.50 is not 72.5."""

    text: str

    def __new__(cls, text: str) -> Self:
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __str__(self) -> str:
        return self.text


def _text(name: str) -> Check:
    fits = re.compile(_TEXTS[name]).fullmatch
    if name in _DATED:
        return lambda value: type(value) is str and fits(value) is not None and _exists(value)
    if name in ("string", "markdown"):
        unfit, most = _CONTROL.search, _LONGEST if name == "string" else sys.maxsize
        return lambda value: (
            type(value) is str
            and 0 < len(value) <= most
            and not value.isspace()
            and (value.isprintable() or unfit(value) is None)
        )
    if name == "uri":
        any_url, uuid = _text("url"), _text("uuid")
        return lambda value: any_url(value) and (not value.startswith("urn:uuid:") or uuid(value))
    if name in _UNSPACED:
        # What is printable and has no space is what the pattern says, and is seen sooner.
        return lambda value: (
            type(value) is str
            and value != ""
            and ((value.isprintable() and " " not in value) or fits(value) is not None)
        )
    return lambda value: type(value) is str and fits(value) is not None


def _exists(text: str) -> bool:
    """Whether a day that fits the pattern is one of the calendar, such as no 30 February."""
    if len(text) < 10 or text[8:10] < "29":
        return True
    try:
        date(int(text[:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return False
    return True
