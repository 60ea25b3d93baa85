"""What a validation found, in the forms that machines read: JSON, OperationOutcome, CSV."""

from __future__ import annotations

import csv
from io import StringIO
from typing import Any

from ..fhir.outcome import issue, outcome_of
from .coverage import NEVER, SEEN, UNDECIDED
from .delivery import Judged
from .findings import Group, as_json

_COLUMNS = ("id", "severity", "rule", "path", "expected", "actual", "profile", "count")
# Which issue type of FHIR a rule is; any other is a rule of a type or a profile.
_CODES = {
    **dict.fromkeys(("min", "slice-min"), "required"),
    **dict.fromkeys(("fixed", "pattern", "length", "minValue", "maxValue", "primitive"), "value"),
    **dict.fromkeys(("single", "list", "object", "unknown", "choice", "shadow", "type", "json",
                     "max", "slice-max", "closed", "order", "profile"), "structure"),
    **dict.fromkeys(("code-not-checked", "slice-undecided", "not-evaluated", "profile-unknown"),
                    "incomplete"),
    **dict.fromkeys(("target", "contained", "points-at-nothing"), "not-found"),
    **dict.fromkeys(("extension", "modifier-extension"), "extension"),
    "binding": "code-invalid",
}  # fmt: skip


def as_report(judged: Judged) -> dict[str, Any]:
    """All that was found, as payer-exchange/validation/1."""
    return {
        "schema": "payer-exchange/validation/1",
        "resources": judged.resources,
        "resources_with_errors": judged.failed,
        "packages": judged.packages,
        "findings": [as_json(group) for group in judged.tally.sorted()],
        "must_support": {
            profile: {
                "resources": support.resources,
                **{state: support.named(state) for state in (SEEN, NEVER, UNDECIDED)},
            }
            for profile, support in sorted(judged.coverage.items())
        },
    }


def as_outcome(judged: Judged) -> dict[str, Any]:
    """An OperationOutcome with an issue for each finding, or one that says there is none."""
    found = [_issue(group) for group in judged.tally.sorted()]
    none = issue("Nothing was found.", code="informational", severity="information")
    return outcome_of(found or [none])


def _issue(group: Group) -> dict[str, Any]:
    found = group.finding
    made = issue(
        found.sentence,
        code=code_of(found.rule),
        severity=found.severity,
        expression=found.path,
    )
    first = f"{group.count} times, first at {group.places[0]}" if group.places else ""
    return {**made, "diagnostics": f"{found.rule}, finding {found.id}. {first}".strip()}


def code_of(rule: str) -> str:
    """The issue type of FHIR that a rule is."""
    return _CODES.get(rule, "invariant")


def as_csv(judged: Judged) -> str:
    """A line a finding, the worst first, with its first place."""
    out = StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*_COLUMNS, "first_place", "sentence"])
    for group in judged.tally.sorted():
        told = as_json(group)
        first = next(iter(group.places), "")
        writer.writerow([*map(_cell, (told[c] for c in _COLUMNS)), _cell(first),
                         _cell(told["sentence"])])  # fmt: skip
    return out.getvalue()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is told as text: file names are free."""
    return f"'{value}" if str(value).startswith(("=", "+", "-", "@", "\t", "\r")) else value
