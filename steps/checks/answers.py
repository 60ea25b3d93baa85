"""Checks on a single answer: status, headers, JSON values, OperationOutcome."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ...reference.answered import retry_after
from ...reference.fhir.media import media_type
from ...reference.fhir.search import elements
from ...reference.http import Exchange
from ..verdicts import CheckFailed

_SEVERITIES = frozenset({"fatal", "error", "warning", "information"})
# R4 issue-type, required binding.
_ISSUE_TYPES = frozenset(
    {"invalid", "structure", "required", "value", "invariant", "security", "login", "unknown",
     "expired", "forbidden", "suppressed", "processing", "not-supported", "duplicate",
     "multiple-matches", "not-found", "deleted", "too-long", "code-invalid", "extension",
     "too-costly", "business-rule", "conflict", "transient", "lock-error", "no-store",
     "exception", "timeout", "incomplete", "throttled", "informational"}
)  # fmt: skip


def has_status(exchange: Exchange, allowed: Iterable[int]) -> None:
    """The answer has one of the statuses."""
    wanted = sorted(allowed)
    if exchange.status not in wanted:
        raise CheckFailed(
            "The answer has another status.",
            " or ".join(map(str, wanted)),
            str(exchange.status),
            "status",
        )


def is_refusal_with_outcome(exchange: Exchange) -> None:
    """The answer is 4xx with an OperationOutcome."""
    if not 400 <= exchange.status < 500:
        raise CheckFailed("The request was not refused.", "a status from 400 to 499",
                          str(exchange.status), "status")  # fmt: skip
    is_outcome(exchange)


def has_media_type(exchange: Exchange, wanted: str) -> None:
    """The Content-Type is the media type given."""
    found = media_type(exchange.header("Content-Type"))
    if found != wanted:
        raise CheckFailed("The answer has another media type.", wanted, found or "none",
                          "Content-Type")  # fmt: skip


def has_header(exchange: Exchange, name: str, containing: str = "") -> None:
    """The header is there and contains the text, whatever the case."""
    found = exchange.header(name)
    if not found:
        raise CheckFailed("The answer lacks a header.", name, "absent", name)
    if containing.lower() not in found.lower():
        raise CheckFailed("The header says something else.", containing, found, name)


def values_at(content: Any, path: str) -> list[Any]:
    """The values at a dotted path, lists followed."""
    return list(elements(content, path.split(".")))


def contains(content: Any, path: str, wanted: Iterable[str]) -> None:
    """One of the wanted values is among those at the path."""
    names = list(wanted)
    found = values_at(content, path)
    if not set(names) & {str(v) for v in found}:
        raise CheckFailed("A value is missing.", " or ".join(names), _shown(found), path)


def contains_not(content: Any, path: str, unwanted: str) -> None:
    """The value is not among those at the path."""
    found = values_at(content, path)
    if unwanted in found:
        raise CheckFailed("A value is there that must not be.", f"no {unwanted}", _shown(found),
                          path)  # fmt: skip


def holds(content: Any, path: str, rule: str, test: Callable[[Any], bool]) -> None:
    """There is exactly one value at the path and it passes the test that the rule describes."""
    found = values_at(content, path)
    if isinstance(content.get(path), list):
        found = [content[path]]
    if len(found) != 1 or not test(found[0]):
        raise CheckFailed("A value is not as it has to be.", rule, _shown(found, show=False), path)


def is_absolute_url(value: Any) -> bool:
    """Whether a value is a URL with scheme and host."""
    parts = urlsplit(value) if isinstance(value, str) else None
    return bool(parts and parts.scheme in ("http", "https") and parts.netloc)


def is_resource(exchange: Exchange, kind: str) -> dict[str, Any]:
    """The answer is a resource of that type; returns it."""
    content = _object(exchange)
    if content.get("resourceType") != kind:
        raise CheckFailed("The answer is another resource.", kind,
                          str(content.get("resourceType")), "resourceType")  # fmt: skip
    return content


def is_outcome(exchange: Exchange) -> dict[str, Any]:
    """The answer is an OperationOutcome with at least one issue; returns it."""
    content = is_resource(exchange, "OperationOutcome")
    if not content.get("issue"):
        raise CheckFailed("The OperationOutcome has no issue.", "one or more", "none",
                          "OperationOutcome.issue")  # fmt: skip
    return content


def has_coded_issues(exchange: Exchange) -> None:
    """Each issue has a severity and a code from the required value sets (R4 OperationOutcome)."""
    for index, issue in enumerate(is_outcome(exchange)["issue"]):
        where = f"OperationOutcome.issue[{index}]"
        if issue.get("severity") not in _SEVERITIES:
            raise CheckFailed(
                "An issue has no severity of R4.",
                "fatal, error, warning or information",
                str(issue.get("severity")),
                f"{where}.severity",
            )
        if issue.get("code") not in _ISSUE_TYPES:
            raise CheckFailed("An issue has no code of R4.", "a code of issue-type",
                              str(issue.get("code")), f"{where}.code")  # fmt: skip


def is_oauth_error(exchange: Exchange, codes: Iterable[str]) -> None:
    """The token endpoint refused with one of the codes (RFC 6749, 5.2)."""
    if exchange.status not in (400, 401):
        raise CheckFailed("The token request was not refused.", "400 or 401",
                          str(exchange.status), "status")  # fmt: skip
    found = _object(exchange).get("error")
    allowed = list(codes)
    if found not in allowed:
        raise CheckFailed("The refusal has another code.", " or ".join(allowed), str(found),
                          "error")  # fmt: skip


def holds_no_member(exchange: Exchange) -> None:
    """The answer holds no resource with member data: an error, or an empty Bundle."""
    try:
        content = json.loads(exchange.body) if exchange.body else {}
    except ValueError:
        return
    kinds = [content.get("resourceType")] if isinstance(content, dict) else []
    entries = content.get("entry", []) if isinstance(content, dict) else []
    kinds += [e.get("resource", {}).get("resourceType") for e in entries]
    leaked = [k for k in kinds if k not in (None, "OperationOutcome", "Bundle", "Provenance")]
    if leaked:
        raise CheckFailed("The answer holds what it must not hold.", "no resource of a member",
                          ", ".join(sorted(set(map(str, leaked)))), "Bundle.entry")  # fmt: skip


def _object(exchange: Exchange) -> dict[str, Any]:
    try:
        content = json.loads(exchange.body)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise CheckFailed(
            "The answer is not a JSON object.",
            "a JSON object",
            f"{len(exchange.body)} bytes with status {exchange.status}",
            "body",
        )
    return content


def _shown(values: list[Any], *, show: bool = True) -> str:
    """Values for a report; what could be a secret or a member's is told by its type alone."""
    if not values:
        return "absent"
    if not show:
        return ", ".join(str(v) if isinstance(v, int | float) else type(v).__name__
                         for v in values[:5])  # fmt: skip
    return ", ".join(str(v)[:80] for v in values[:12])


# A request of Thursday evening before a holiday on Friday is due by the end of Monday.
_LONGEST_BUSINESS_DAY_S = 5 * 86400


def comes_within_a_business_day(exchange: Exchange) -> None:
    """No Retry-After goes beyond the longest time that one business day can take.

    A run lasts minutes and cannot wait for a deadline: this is what the wire shows of it.
    """
    told = retry_after(exchange, datetime.now(UTC))
    if told is not None and told > _LONGEST_BUSINESS_DAY_S:
        raise CheckFailed("The payer asks to wait for longer than a business day.",
                          "the data within one business day",
                          f"come again in {told / 86400:.0f} days", "Retry-After")  # fmt: skip
