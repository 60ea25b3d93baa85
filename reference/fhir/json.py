"""JSON as FHIR needs it: fast to read, and exact where exactness matters.

Fast readers turn decimals into floats and so change 72.50 into 72.5. `read_exact` keeps each
decimal as it was written, and `write` puts it back as it was.
"""

from __future__ import annotations

import json
from typing import Any

import orjson

from ..errors import BadRequest

# Deeper nesting than any FHIR resource in the guides has; a reader that recurses stops there.
MAX_DEPTH = 64


def read(body: bytes | str) -> Any:
    """Parse JSON fast; decimals become floats. Raises ValueError."""
    return orjson.loads(body)


def read_exact(body: bytes | str) -> Any:
    """Parse JSON keeping each decimal's own text, so that `write` gives it back unchanged."""
    return json.loads(body, parse_float=_verbatim_number)


def write(value: Any) -> bytes:
    """Compact UTF-8 JSON."""
    return orjson.dumps(value)


def _verbatim_number(text: str) -> orjson.Fragment:
    return orjson.Fragment(text.encode())


def read_object(body: bytes) -> dict[str, Any]:
    """Parse a request body that must be one JSON object.

    Raises BadRequest (400) that says what is wrong with it, without repeating any of it.
    """
    if _depth_exceeds(body, MAX_DEPTH):
        raise BadRequest(f"The body is nested deeper than {MAX_DEPTH} levels.", code="too-long")
    try:
        value = json.loads(
            body.decode("utf-8"), object_pairs_hook=_no_duplicates, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise BadRequest("The body is not UTF-8.", code="structure") from error
    except _DuplicateKey as error:
        raise BadRequest(
            "The body holds an object with the same key twice.", code="structure"
        ) from error
    except ValueError as error:
        where = (
            f" at line {error.lineno}, column {error.colno}"
            if isinstance(error, json.JSONDecodeError)
            else ""
        )
        raise BadRequest(f"The body is not JSON{where}.", code="structure") from error
    if not isinstance(value, dict):
        raise BadRequest("The body must be one JSON object.", code="structure")
    return value


class _DuplicateKey(ValueError):
    pass


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _DuplicateKey
    return value


def _no_constant(_text: str) -> Any:
    raise ValueError("NaN and Infinity are not JSON")


def _depth_exceeds(body: bytes, limit: int) -> bool:
    """Whether brackets nest deeper than the limit, told before any parser recurses."""
    if body.count(b"[") + body.count(b"{") <= limit:
        return False
    depth = 0
    in_string = escaped = False
    for byte in body:
        if in_string:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                in_string = False
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            if depth > limit:
                return True
        elif byte in b"]}":
            depth -= 1
    return False
