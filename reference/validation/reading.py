"""JSON read strictly: duplicate keys, decimals as written, and where bytes are no text."""

from __future__ import annotations

import json
import re
from typing import Any

from ..fhir.json import MAX_DEPTH, is_storable, too_deep
from .primitives import Written

# Escapes that may stand for NUL or for half a character; others are characters of their own.
_ESCAPED = re.compile(rb"\\u(?:[dD][89a-fA-F]|0000)")
# An integer longer than this fits no type of FHIR; Python would take long to read it.
_LONGEST_INTEGER = 40


class NotReadable(ValueError):
    """The bytes are no JSON object. The sentence says why and where, and repeats nothing."""


def read_strict(body: bytes) -> dict[str, Any]:
    """One JSON object. Raises NotReadable for whatever else the bytes are."""
    text = _text(body)
    if too_deep(body):
        raise NotReadable(f"It is nested deeper than {MAX_DEPTH} levels.")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=Written,
            parse_int=_integer,
            parse_constant=_no_constant,
        )
    except json.JSONDecodeError as error:
        raise NotReadable(
            f"It is not JSON at line {error.lineno}, column {error.colno}."
        ) from error
    if not isinstance(value, dict):
        raise NotReadable("It is JSON, but not one object.")
    if _ESCAPED.search(body) and not is_storable(value):
        raise NotReadable("A text in it holds a character that is none.")
    return value


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        before = body[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise NotReadable(f"It is not UTF-8 at line {line}, column {column}.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise NotReadable("An object in it has the same key twice.")
    return value


def _integer(text: str) -> int | Written:
    return int(text) if len(text) <= _LONGEST_INTEGER else Written(text)


def _no_constant(_text: str) -> Any:
    raise NotReadable("NaN and Infinity are not JSON.")
