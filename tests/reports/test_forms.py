"""The smaller forms of a report: badge, TestReport, sequence diagram, comparison."""

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest
from payer_exchange.reference.validation.validator import Validator
from payer_exchange.reports import badge, comparing, diagram, test_report
from payer_exchange.reports.exchanges import ShownExchange

SVG = "{http://www.w3.org/2000/svg}"


def shown(number, method, url, status=200, milliseconds=10.0):
    return ShownExchange(f"e{number:04d}", method, url, status, milliseconds, "", "", "")


BASE = "https://payer.example/fhir"
EXCHANGES = [
    shown(1, "GET", f"{BASE}/metadata"),
    shown(2, "GET", f"{BASE}/Patient/$MEMBER-0000001234/$everything"),
    shown(3, "GET", f"{BASE}/export-status/1f2e3d4c5b6a79881f2e3d4c5b6a7988", 202, 30.0),
    shown(4, "GET", f"{BASE}/export-status/9f2e3d4c5b6a79881f2e3d4c5b6a7988", 202, 10.0),
    shown(5, "GET", "https://files.example/a1b2c3d4e5f60718.ndjson"),
    shown(6, "POST", f"{BASE}/Patient/$member-match", 0),
]


def test_a_badge_says_verdict_and_numbers_and_is_svg(found) -> None:
    root = ET.fromstring(badge.render(found))
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text == "PDex 2.2.0: fail 1/3"
    width = float(root.get("width"))
    assert sum(float(r.get("width")) for r in root.findall(f"{SVG}rect")) == width


def test_a_test_report_is_valid_r4_and_holds_each_scenario(found) -> None:
    report = json.loads(test_report.render(found))
    wrong = [f for f in Validator().validate(report) if f.severity == "error"]
    assert wrong == []
    assert report["result"] == "fail"
    results = {t["name"]: t["action"][0]["assert"]["result"] for t in report["test"]}
    assert sorted(results.values()) == ["error", "fail", "pass", "skip", "skip", "warning"]
    replayed = next(t for t in report["test"] if "replay" in t["name"])
    assert replayed["description"] == "smart-jwt-11"
    assert "expected: 400 or 401" in replayed["action"][0]["assert"]["message"]


def test_calls_of_a_kind_are_one_call_with_their_number_and_time() -> None:
    found = diagram.calls(EXCHANGES)
    polls = next(c for c in found if "export-status" in c.words)
    assert (polls.words, polls.count, polls.milliseconds) == (
        "GET /fhir/export-status/{id}", 2, 40.0,
    )  # fmt: skip
    assert [c.host for c in found] == ["payer.example", "payer.example", "payer.example",
                                       "files.example", "payer.example"]  # fmt: skip
    assert "GET /{file}.ndjson" in [c.words for c in found]


def test_a_diagram_draws_each_host_and_each_kind_of_call() -> None:
    root = ET.fromstring(diagram.render(EXCHANGES, "the judge", "responding payer"))
    texts = ["".join(t.itertext()) for t in root.findall(".//{*}text")]
    assert {"the judge", "responding payer", "another host", "payer.example",
            "files.example"} <= set(texts)  # fmt: skip
    groups = [g.get("class") for g in root.findall(".//{*}g") if g.get("class")]
    assert groups.count("call") == 4
    assert groups.count("bad") == 1


def test_without_exchanges_there_is_no_diagram() -> None:
    assert diagram.render([], "the judge", "responding payer") == ""


def test_two_runs_are_compared_by_scenario(found, make_results, make_scenario) -> None:
    passed, skipped, failed, warned, *_ = found.scenarios
    older = make_results(passed, skipped, failed, warned)
    newer = make_results(
        replace(passed, verdict="fail", message="It is broken."),
        replace(failed, verdict="pass"),
        replace(warned, verdict="fail"),
        make_scenario("5-retrieval/new", "pass"),
    )
    changes = comparing.compare(older, newer)
    kinds = {c.scenario.id: c.kind for c in changes.changes}
    assert kinds == {"4-export/kick-off": "broken", "2-token/replay": "fixed",
                     "2-token/life": "changed", "5-retrieval/new": "new",
                     "1-discovery/json": "gone"}  # fmt: skip
    assert changes.is_worse
    told = comparing.render(changes)
    assert "- pass to fail: Export, kick-off (bulk-kickoff-11): It is broken." in told
    assert told.index("## Broken") < told.index("## Fixed")


def test_what_stayed_is_not_told_and_is_no_worse(found) -> None:
    changes = comparing.compare(found, found)
    assert changes.changes == ()
    assert not changes.is_worse
    assert "Nothing has changed" in comparing.render(changes)


def test_runs_of_different_roles_are_not_compared(found) -> None:
    with pytest.raises(ValueError, match="requesting-payer"):
        comparing.compare(found, replace(found, role="requesting-payer"))
