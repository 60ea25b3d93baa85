import json
from importlib.resources import files

import jsonschema
import pytest
from payer_exchange.reports.catalogue import Requirement
from payer_exchange.reports.results import requirement_results, results_from_json, worst

SCHEMA = json.loads((files("payer_exchange.reports") / "results.schema.json").read_text("utf-8"))


def test_results_survive_json(found):
    again = results_from_json(json.loads(json.dumps(found.as_json())))
    assert again == found
    assert again.as_json() == found.as_json()


def test_another_schema_is_refused(found):
    with pytest.raises(ValueError, match="payer-exchange/results/1"):
        results_from_json(found.as_json() | {"schema": "something-else/1"})


def test_the_schema_is_one_and_the_results_keep_it(found):
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(found.as_json())))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("verdict",), "green"),
        (("unknown",), 1),
        (("scenarios", 0, "verdict"), "not_tested"),
        (("scenarios", 1, "message"), ""),
        (("requirements", 3, "reason"), ""),
        (("counts", "pass"), -1),
    ],
)
def test_the_schema_refuses_what_no_reader_expects(found, path, value):
    content = json.loads(json.dumps(found.as_json()))
    holder = content
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    assert list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(content))


@pytest.mark.parametrize(
    ("verdicts", "verdict", "status"),
    [
        ("pass", "pass", 0),
        ("pass omit skip", "pass", 0),
        ("pass warn", "warn", 0),
        ("warn", "warn", 0),
        ("pass fail", "fail", 1),
        ("fail error", "fail", 1),
        ("pass error", "error", 3),
        ("skip omit", "error", 3),
        ("", "error", 3),
    ],
)
def test_the_verdict_of_a_run_and_its_exit_status(
    make_results, make_scenario, verdicts, verdict, status
):
    scenarios = [make_scenario(f"1-a/{n}", v) for n, v in enumerate(verdicts.split())]
    found = make_results(*scenarios)
    assert (found.verdict, found.exit_status) == (verdict, status)
    assert sum(found.counts.values()) == len(scenarios)


def row(ident, **facts):
    told = {
        "source": "",
        "strength": "SHALL",
        "actor": "responding",
        "phase": "token",
        "testable": "",
        "versions": ("2.2.0",),
        "summary": "",
        "how": "",
    }
    return Requirement(id=ident, **(told | facts))


def test_a_requirement_has_the_worst_verdict_of_its_scenarios(make_scenario):
    scenarios = [
        make_scenario("1-a/x", "pass", requirements=("r-1",)),
        make_scenario("1-a/y", "fail", requirements=("r-1",), message="No."),
    ]
    rows = [row("r-1"), row("r-2", not_tested="Why."), row("r-3", versions=("2.0.0",)), row("r-4")]
    told = {r.id: (r.verdict, r.reason) for r in requirement_results(rows, scenarios, "2.2.0")}
    assert told == {
        "r-1": ("fail", "No."),
        "r-2": ("not_tested", "Why."),
        "r-3": ("omit", "It is no requirement of PDex 2.2.0."),
        "r-4": ("not_tested", "Its scenarios were not selected."),
    }


def test_the_worst_verdict():
    assert worst(["omit", "pass", "skip", "warn", "fail", "error"]) == "error"
    assert worst(["omit", "pass"]) == "pass"
