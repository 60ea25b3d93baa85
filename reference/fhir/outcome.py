"""OperationOutcome: how a payer says in FHIR that something did not go as asked."""

from __future__ import annotations

from typing import Any


def issue(text: str, *, code: str, severity: str = "error", expression: str = "") -> dict[str, Any]:
    """One issue; `text` is a sentence that says what to do, and never repeats what was sent."""
    found: dict[str, Any] = {"severity": severity, "code": code, "details": {"text": text}}
    if expression:
        found["expression"] = [expression]
    return found


def operation_outcome(
    text: str, *, code: str = "invalid", severity: str = "error", expression: str = ""
) -> dict[str, Any]:
    """An OperationOutcome with one issue."""
    return outcome_of([issue(text, code=code, severity=severity, expression=expression)])


def outcome_of(issues: list[dict[str, Any]]) -> dict[str, Any]:
    """An OperationOutcome with the issues given."""
    return {"resourceType": "OperationOutcome", "issue": issues}
