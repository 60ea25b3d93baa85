"""JSON as FHIR needs it: fast to read, and exact where exactness matters.

Fast readers turn decimals into floats and so change 72.50 into 72.5. `read_exact` keeps each
decimal as it was written, and `write` puts it back as it was.
"""

from __future__ import annotations

import gc
import json
import math
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson

from ..errors import BadRequest

# Deeper nesting than any FHIR resource in the guides has; a reader that recurses stops there.
MAX_DEPTH = 64
# Integers of so many characters fit into 64 bits.
_SHORT_INTEGER = 18
# A string, to its end or to the end of the text; possessive, so that no text makes it slow.
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
_ROUND_UP = bytes.maketrans(b"{}", b"[]")
# A number that is no short integer; inside a string it is mistaken for one, which only costs time.
_MAY_HOLD_DECIMALS = re.compile(rb"[:\[,]\s*+-?\d(?:\d*+[.eE]|\d{17})")
_collector, _parsing = threading.Lock(), 0
# Characters that no FHIR string may hold and no database takes: NUL, and halves of a pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def read(body: bytes | str) -> Any:
    """Parse JSON fast; decimals become floats. Raises ValueError."""
    return orjson.loads(body)


def read_exact(body: bytes | str) -> Any:
    """Parse JSON keeping each decimal's own text, so that `write` gives it back unchanged."""
    return json.loads(body, parse_float=_verbatim_number, parse_int=_integer)


def read_many(body: bytes) -> Any:
    """As `read_exact`, and fast for a body without decimals. Raises ValueError."""
    return read_exact(body) if _MAY_HOLD_DECIMALS.search(body) else orjson.loads(body)


def write(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return orjson.dumps(value)


def verbatim(body: bytes) -> Any:
    """A part of a value that `write` puts in as it is: JSON already."""
    return orjson.Fragment(body)


def _verbatim_number(text: str) -> orjson.Fragment:
    return orjson.Fragment(text.encode())


def _integer(text: str) -> int | orjson.Fragment:
    """A number, or its text where it is too long to be written back by `write`."""
    return int(text) if len(text) <= _SHORT_INTEGER else _verbatim_number(text)


def _number(text: str) -> int | float:
    """A number, as `read` has it: one that is too long for `write` loses its last digits.

    Raises ValueError for one that no float is near to.
    """
    number = int(text) if len(text) <= _SHORT_INTEGER else float(text)
    if math.isinf(number):
        raise ValueError("a number without an end")
    return number


def read_large_object(body: bytes) -> dict[str, Any]:
    """As `read_object`, for a body of many members, whose depth is left to check with each.

    Of a key that stands twice the last counts.
    """
    try:
        value = read_many(body)
        if b"\\u" in body:
            _check_text(value)
    except ValueError as error:  # broken JSON or UTF-8, or a character that is none
        raise BadRequest("The body is not JSON in UTF-8.", code="structure") from error
    return _object(value)


@contextmanager
def without_collection() -> Iterator[None]:
    """Garbage is not looked for meanwhile, where all that is made stays in use to the end."""
    global _parsing  # noqa: PLW0603 - the collector is the process's own, too
    with _collector:
        _parsing += 1
        gc.disable()
    try:
        yield
    finally:
        with _collector:
            _parsing -= 1
            if not _parsing:
                gc.enable()


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a request body that must be one JSON object.

    Raises BadRequest (400) that says what is wrong with it, without repeating any of it.
    """
    _check_depth(body)
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_constant=_no_constant,
            parse_int=_number,
        )
        if b"\\u" in body:
            _check_text(value)
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not UTF-8.", code="structure") from error
    except _DuplicateKey as error:
        raise BadRequest(
            "The body holds an object with the same key twice.", code="structure"
        ) from error
    except _BadText as error:
        raise BadRequest(
            "A text in the body holds a character that is none.", code="structure"
        ) from error
    except ValueError as error:
        where = (
            f" at line {error.lineno}, column {error.colno}"
            if isinstance(error, json.JSONDecodeError)
            else ""
        )
        raise BadRequest(f"The body is not JSON{where}.", code="structure") from error
    return _object(value)


def _check_depth(body: bytes) -> None:
    if too_deep(body):
        raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.", code="too-long")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest("The body must be one JSON object.", code="structure")
    return value


def too_deep(body: bytes) -> bool:
    """Whether brackets nest deeper than MAX_DEPTH, told before any parser recurses."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return False
    left = _outside_strings(body)
    for _ in range(MAX_DEPTH):
        # Each pass takes the innermost level away.
        left = left.replace(b"[]", b"")
        if not left:
            return False
    return True


def _outside_strings(body: bytes) -> bytes:
    """The brackets that no string holds, all of one kind: what is between every other quote.

    Bytes that are no JSON may be cut elsewhere, but not before the parser stops at them.
    """
    quoted = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(_ROUND_UP, _NO_BRACKETS)
    return b"".join(quoted.split(b'"')[::2])


def is_storable(value: Any) -> bool:
    """Whether no text in a value holds a character that is none, such as NUL."""
    try:
        _check_text(value)
    except _BadText:
        return False
    return True


class _DuplicateKey(ValueError):
    pass


class _BadText(ValueError):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKey
    return value


def _check_text(value: Any) -> None:
    if isinstance(value, str):
        if _UNSTORABLE.search(value):
            raise _BadText
    elif isinstance(value, dict):
        for key, child in value.items():
            _check_text(key)
            _check_text(child)
    elif isinstance(value, list):
        for child in value:
            _check_text(child)


def _no_constant(_text: str) -> Any:
    raise ValueError("NaN and Infinity are not JSON")
