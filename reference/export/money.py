"""Taking money out of claims, and nothing else.

CMS-0057-F leaves remittances and cost sharing out of payer-to-payer exchange; the CARIN Basis
profiles are the claims without them (pdex-135, pdex-158).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..fhir import json

STRIPPED_TYPES = frozenset({"Claim", "ClaimResponse", "Coverage", "ExplanationOfBenefit"})

# Elements that are about money as a whole.
_WHOLE = {
    "ExplanationOfBenefit": frozenset({"total", "payment", "benefitBalance"}),
    "Claim": frozenset({"total"}),
    "ClaimResponse": frozenset({"total", "payment"}),
    "Coverage": frozenset({"costToBeneficiary"}),
}
# One of these stands in whatever holds an amount; an escape may spell any of them.
_WORDS = sorted({"currency", "valueMoney"}.union(*_WHOLE.values()))
_NAMES = (*(f'"{word}"'.encode() for word in _WORDS), b"\\u")
# Members of an adjudication that leave it a statement once its amount is gone.
_STATEMENT = frozenset({"reason", "value", "extension"})


def strip_money(body: bytes) -> bytes:
    """The resource without its amounts; the very same bytes when it held none.

    What stays keeps its order and each decimal its digits.
    """
    if not any(name in body for name in _NAMES):
        return body
    resource = json.read_exact(body)
    kind = str(resource.get("resourceType"))
    removed = [False]
    kept = _without_money(
        {k: v for k, v in resource.items() if k not in _WHOLE.get(kind, ())}, removed
    )
    if len(kept) == len(resource) and not removed[0]:
        return body
    return json.write(kept)


def _without_money(value: Any, removed: list[bool]) -> Any:
    if isinstance(value, dict):
        return _object_without_money(value, removed)
    if isinstance(value, list):
        kept = [_without_money(child, removed) for child in value if not _is_money_only(child)]
        removed[0] |= len(kept) != len(value)
        return kept
    return value


def _object_without_money(value: dict[str, Any], removed: list[bool]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, child in value.items():
        if _is_money(child) or key == "valueMoney":
            removed[0] = True
            continue
        new = _without_money(child, removed)
        if new == [] and child != []:
            continue
        kept[key] = new
    return kept


def _is_money(value: Any) -> bool:
    """Whether a value is a FHIR Money: a value with a currency and nothing coded."""
    return (
        isinstance(value, Mapping)
        and "currency" in value
        and value.keys() <= {"id", "value", "currency", "extension"}
    )


def _is_money_only(value: Any) -> bool:
    """Whether a list entry says nothing but an amount: an adjudication, a money extension."""
    if not isinstance(value, Mapping):
        return False
    if "valueMoney" in value:
        return True
    return "category" in value and _is_money(value.get("amount")) and not _STATEMENT & value.keys()
