"""The truth table under a version of PDex: what each has a payer deliver or keep back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any


def capped(member: Mapping[str, Any]) -> dict[str, Any]:
    """A member of the truth table with what PDex 2.1.0 keeps back marked as capped."""
    today = datetime.now(UTC).date()
    floor = today.replace(year=today.year - 5, day=min(today.day, 28)).isoformat()
    resources = {
        reference: {**facts, "expect": "capped"} if _is_capped(reference, facts, floor) else facts
        for reference, facts in member["record"].get("resources", {}).items()
    }
    return {**member, "record": {**member["record"], "resources": resources}}


def _is_capped(reference: str, facts: Mapping[str, Any], floor: str) -> bool:
    """A cover or a person is no service, whenever it began."""
    served = str(facts.get("service_date") or floor)
    kind = reference.partition("/")[0]
    return facts["expect"] in ("sent", "stripped") and served < floor and kind not in (
        "Coverage", "Patient"
    )  # fmt: skip
