"""What an answer of another payer says besides its content: its issues, and when to ask again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from .fhir import json
from .http import Exchange


def issue_codes(exchange: Exchange) -> list[str]:
    """The issue codes of an OperationOutcome answer; empty when it is none."""
    try:
        outcome = json.read(exchange.body)
    except ValueError:
        return []
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return []
    issues = outcome.get("issue")
    return [
        str(i["code"])
        for i in (issues if isinstance(issues, list) else [])
        if isinstance(i, dict) and "code" in i
    ]


def retry_after(exchange: Exchange, now: datetime) -> float | None:
    """The seconds of a Retry-After header, in either of its forms; None without a usable one."""
    text = exchange.header("Retry-After").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())
