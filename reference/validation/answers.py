"""Answers compared: with options, with limits, and with what enables another question."""

from __future__ import annotations

from typing import Any

from ..fhir.dates import moment_range
from .bounds import comparable

Row = dict[str, Any]
# The key of the value, such as valueCoding, and the value.
Answer = tuple[str, Any]
_ORDERS = {"<": (-1,), "<=": (-1, 0), ">": (1,), ">=": (1, 0)}


def equal(answer: Answer, other: Answer) -> bool:
    """Whether two answers are the same; codings by system and code, references by their target."""
    kinds, values = zip(answer, other, strict=True)
    if kinds[0] != kinds[1]:
        return False
    if all(isinstance(value, dict) for value in values):
        wanted = ("reference",) if kinds[0] == "valueReference" else ("system", "code")
        return all(values[0].get(key) == values[1].get(key) for key in wanted)
    return bool(values[0] == values[1])


def compared(value: Any, limit: Any) -> int | None:
    """-1, 0 or 1 as a value lies below, at or above a limit; None where that cannot be told.

    A date is within another that it is a part of, such as a day within its month. Quantities are
    compared by coded units alone.
    """
    if type(value) is dict and type(limit) is not dict:
        return None
    if isinstance(value, str) and isinstance(limit, str):
        spans = (moment_range(value), moment_range(limit))
        if None in spans:
            return (value > limit) - (value < limit)
        (start, end), (first, last) = spans  # type: ignore[misc]
        return -1 if end <= first else 1 if start >= last else 0
    if isinstance(value, dict) and not (value.get("code") and limit.get("code")):
        return None
    pair = comparable(value, limit)
    return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])


def is_met(
    conditions: list[Any] | None, behavior: Any, given: dict[str, list[Answer]]
) -> bool | None:
    """Whether an item is asked at all; None where that cannot be told."""
    told = [_condition(one, given.get(one[0], [])) for one in conditions or []]
    if len(told) > 1 and behavior not in ("any", "all"):
        return None
    if behavior == "any" and told:
        return True if True in told else None if None in told else False
    return False if False in told else None if None in told else True


def _condition(condition: Any, answers: list[Answer]) -> bool | None:
    _, operator, key, wanted = condition
    if operator == "exists":
        return bool(answers) is wanted
    kind = "value" + key.removeprefix("answer")
    if operator == "=":
        return any(equal(one, (kind, wanted)) for one in answers)
    if operator == "!=":
        return not any(equal(one, (kind, wanted)) for one in answers) if answers else None
    orders = [compared(value, wanted) for _, value in answers]
    if any(order in _ORDERS.get(operator, ()) for order in orders):
        return True
    return None if None in orders or operator not in _ORDERS else False
