"""The results as a FHIR TestReport (R4): for whoever gathers test results as resources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from .findings import by_feature
from .results import Results, ScenarioResult

# TestReport.test.action.assert.result, required binding report-action-result-codes.
_RESULTS = {"pass": "pass", "fail": "fail", "warn": "warning", "skip": "skip", "omit": "skip",
            "error": "error"}  # fmt: skip
_VERDICTS = {"pass": "pass", "warn": "pass", "fail": "fail", "error": "fail"}


def render(results: Results) -> str:
    """A TestReport: one test a scenario, its requirements in the description."""
    return json.dumps(resource(results), indent=1, ensure_ascii=False) + "\n"


def resource(results: Results) -> dict[str, Any]:
    """The TestReport as JSON; text is that of the results, masked already."""
    report: dict[str, Any] = {
        "resourceType": "TestReport",
        "name": "payer-exchange",
        "status": "completed",
        # R4 requires a TestScript; the features are Gherkin, so that a name stands for them.
        "testScript": {"display": f"payer-exchange, {results.role}, PDex {results.pdex_version}"},
        "result": _VERDICTS[results.verdict],
        "score": _score(results),
        "tester": "payer-exchange",
        "participant": [_participant("server" if results.role.startswith("responding") else
                                     "client", results.target)],
        "test": list(_tests(results)),
    }  # fmt: skip
    if results.started:
        report["issued"] = results.started
    if not report["test"]:
        del report["test"]
    return report


def _participant(kind: str, uri: str) -> dict[str, str]:
    return {"type": kind, "uri": uri or "urn:payer-exchange:unknown"}


def _score(results: Results) -> float:
    counts = results.counts
    judged = counts["pass"] + counts["warn"] + counts["fail"]
    return round(100 * counts["pass"] / judged, 2) if judged else 0.0


def _tests(results: Results) -> Iterator[dict[str, Any]]:
    for feature, scenarios in by_feature(results):
        for scenario in scenarios:
            yield {
                "name": f"{feature}: {scenario.name}",
                "description": ", ".join(scenario.requirements) or scenario.id,
                "action": [{"assert": _assertion(scenario)}],
            }


def _assertion(scenario: ScenarioResult) -> dict[str, str]:
    told = [scenario.message]
    for label in ("expected", "actual", "where", "waived"):
        if value := getattr(scenario, label):
            told.append(f"{label}: {value}")
    found = {"result": _RESULTS[scenario.verdict]}
    message = "\n\n".join(part for part in told if part)
    return {**found, "message": message} if message else found
