import pytest
from payer_exchange.reports.results import RequirementResult, Results, ScenarioResult


def scenario(ident, verdict, **facts):
    number, _, feature = ident.partition("/")[0].partition("-")
    told = {"feature": feature.title() or number, "name": ident.partition("/")[2], "tags": ()}
    told |= {"requirements": (), **facts}
    return ScenarioResult(id=ident, verdict=verdict, **told)


def results(*scenarios, requirements=()):
    return Results(
        role="responding-payer",
        target="https://payer.example/fhir",
        pdex_version="2.2.0",
        duration_s=1.25,
        scenarios=tuple(scenarios),
        requirements=tuple(requirements),
        started="2026-05-01T10:00:00+00:00",
    )


SCENARIOS = (
    scenario("4-export/kick-off", "pass", requirements=("bulk-kickoff-11",), duration_s=0.5),
    scenario("1-discovery/json", "skip", message="The answer came too late."),
    scenario(
        "2-token/replay",
        "fail",
        requirements=("smart-jwt-11",),
        message="The token request was not refused.",
        expected="400 or 401",
        actual="200",
        where="status",
        evidence=("e0001", "e0002"),
    ),
    scenario(
        "2-token/life",
        "warn",
        requirements=("smart-rsp-04",),
        message="The token lives too long.",
        expected="at most 300",
        actual="3600",
    ),
    scenario("4-export/other", "omit", message="It is no requirement of PDex 2.2.0."),
    scenario("4-export/broken", "error", message="The harness failed: KeyError."),
)
REQUIREMENTS = (
    RequirementResult(
        "bulk-kickoff-11", "SHALL", "responding", "kickoff", "pass", ("4-export/kick-off",)
    ),
    RequirementResult("smart-jwt-11", "SHALL", "responding", "token", "fail", ("2-token/replay",)),
    RequirementResult(
        "smart-rsp-04", "SHOULD NOT", "responding", "token", "warn", ("2-token/life",)
    ),
    RequirementResult("pdex-186", "SHALL", "requesting", "scopes", "not_tested", (), "Later."),
)


@pytest.fixture
def make_scenario():
    """Makes a scenario of an id such as 2-token/replay, and a verdict."""
    return scenario


@pytest.fixture
def make_results():
    """Makes results of scenarios."""
    return results


@pytest.fixture
def found():
    """One run with every verdict in it."""
    return results(*SCENARIOS, requirements=REQUIREMENTS)


@pytest.fixture
def entry():
    """One masked entry of an HTTP archive."""
    return {
        "comment": "e0002",
        "time": 12.5,
        "request": {
            "method": "POST",
            "url": "https://payer.example/fhir/Patient/{member}/$export",
            "headers": [
                {"name": "Authorization", "value": "********"},
                {"name": "Content-Type", "value": "application/fhir+json"},
            ],
            "postData": {"mimeType": "application/fhir+json", "text": '{"id": "********"}'},
        },
        "response": {
            "status": 200,
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "content": {"text": '{"a": "<b>"}'},
            "comment": "",
        },
    }
