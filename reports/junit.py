"""JUnit XML: what every CI server reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from .findings import by_feature
from .results import Results, ScenarioResult, WaiverResult

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(results: Results) -> str:
    """The results as JUnit XML: one test suite a feature, one test case a scenario.

    A warning is a passed test with its message as output: no CI server knows the word.
    """
    root = ET.Element("testsuites", name="payer-exchange", time=f"{results.duration_s:.3f}")
    _count(root, results.scenarios)
    for feature, scenarios in by_feature(results):
        root.append(_suite(feature, scenarios, results))
    if results.waivers:
        root.append(_waivers(results.waivers))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(feature: str, scenarios: list[ScenarioResult], results: Results) -> ET.Element:
    suite = ET.Element("testsuite", name=_text(feature), hostname=_text(results.target))
    if results.started:
        suite.set("timestamp", results.started)
    suite.set("time", f"{sum(s.duration_s for s in scenarios):.3f}")
    _count(suite, scenarios)
    for scenario in scenarios:
        suite.append(_case(scenario))
    return suite


def _waivers(waivers: tuple[WaiverResult, ...]) -> ET.Element:
    """A suite of its own: a waiver that has to go fails like a test."""
    gone = [waiver for waiver in waivers if waiver.has_to_go]
    suite = ET.Element("testsuite", name="Waivers", tests=str(len(waivers)),
                       failures=str(len(gone)), errors="0", skipped="0")  # fmt: skip
    for waiver in waivers:
        case = ET.SubElement(suite, "testcase", classname="Waivers", name=_text(waiver.requirement))
        if waiver.has_to_go:
            ET.SubElement(case, "failure", message=f"The waiver is {waiver.state}. Take it away.",
                          type="waiver")  # fmt: skip
    return suite


def _count(element: ET.Element, scenarios: Iterable[ScenarioResult]) -> None:
    # What is waived is skipped: no CI server knows the word.
    verdicts = ["skip" if s.waived else s.verdict for s in scenarios]
    element.set("tests", str(len(verdicts)))
    element.set("failures", str(verdicts.count("fail")))
    element.set("errors", str(verdicts.count("error")))
    element.set("skipped", str(verdicts.count("skip") + verdicts.count("omit")))


def _case(scenario: ScenarioResult) -> ET.Element:
    case = ET.Element("testcase", classname=_text(scenario.feature), name=_text(scenario.name))
    case.set("time", f"{scenario.duration_s:.3f}")
    properties = ET.SubElement(case, "properties")
    for ident in scenario.requirements:
        ET.SubElement(properties, "property", name="requirement", value=_text(ident))
    ET.SubElement(properties, "property", name="verdict", value=scenario.verdict)
    _outcome(case, scenario)
    return case


def _outcome(case: ET.Element, scenario: ScenarioResult) -> None:
    message = _text(scenario.message)
    if scenario.waived:
        ET.SubElement(case, "skipped", message=_text(f"waived: {scenario.waived}"))
    elif scenario.verdict in ("fail", "error"):
        name = "failure" if scenario.verdict == "fail" else "error"
        found = ET.SubElement(case, name, message=message, type=scenario.verdict)
        found.text = _details(scenario)
    elif scenario.verdict in ("skip", "omit"):
        ET.SubElement(case, "skipped", message=message)
    elif scenario.verdict == "warn":
        ET.SubElement(case, "system-out").text = f"warning: {_details(scenario)}"


def _details(scenario: ScenarioResult) -> str:
    lines = [scenario.message]
    for label in ("expected", "actual", "where"):
        if value := getattr(scenario, label):
            lines.append(f"{label}: {value}")
    if scenario.evidence:
        lines.append(f"exchanges: {', '.join(scenario.evidence)} in exchange.har")
    return _text("\n".join(lines))


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)
