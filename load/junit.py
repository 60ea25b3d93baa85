"""The verdicts of a load run as JUnit XML: a test case for each threshold and each check."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from .figures import LoadResults, ThresholdVerdict


def junit(results: LoadResults) -> str:
    """The results as one test suite; a missed threshold says by how much."""
    cases = list(_cases(results))
    suite = ET.Element("testsuite", name=f"load {results.scenario}", hostname=results.target)
    suite.set("timestamp", results.started)
    suite.set("time", f"{results.duration_s:.3f}")
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(sum(kind == "failure" for _, kind, _ in cases)))
    suite.set("errors", str(sum(kind == "error" for _, kind, _ in cases)))
    for name, kind, message in cases:
        case = ET.SubElement(suite, "testcase", classname=f"load.{results.scenario}", name=name)
        if kind:
            ET.SubElement(case, kind, message=message)
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


def _cases(results: LoadResults) -> Iterator[tuple[str, str, str]]:
    """Each case's name, failure or error or nothing, and what is to be said."""
    for found in results.thresholds:
        yield found.name, "" if found.met else "failure", shortfall(found)
    for check in results.figures.checks:
        message = f"{check.failures} of {check.count} answers were wrong."
        yield check.name, "failure" if check.failures else "", message
    for drop in results.drops:
        yield f"{drop.name} against earlier runs", "failure", str(drop)
    if results.exit_status == 3:
        yield "generator", "error", results.reason


def shortfall(found: ThresholdVerdict) -> str:
    """By how much a threshold was missed, as one sentence; empty when it was met."""
    if found.met:
        return ""
    if found.actual is None:
        return f"{found.name}: nothing was measured, the limit is {found.limit:g}."
    by = "" if found.margin is None else f", missed by {-found.margin:.0%}"
    return f"{found.name}: {found.actual:.4g} was measured, the limit is {found.limit:g}{by}."
