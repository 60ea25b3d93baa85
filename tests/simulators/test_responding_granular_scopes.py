"""A scope with a query opens what matches it, by whatever way a client asks."""

from __future__ import annotations

import json

import pytest

LABS = "system/Patient.rs system/Observation.rs?category=laboratory"


@pytest.fixture(scope="module")
def asked(node):
    """A client that has matched a member, its token for laboratory results, and one for all."""
    caller = node.caller()
    caller.member = caller.match("unique")
    return caller, caller.token(LABS), caller.token()


def categories(resources):
    return {
        coding["code"]
        for r in resources
        if r["resourceType"] == "Observation"
        for category in r.get("category", [])
        for coding in category["coding"]
    }


def entries(answer):
    assert answer.status_code == 200, answer.text[:300]
    return [e["resource"] for e in answer.get_json().get("entry", [])]


def test_the_scope_is_granted_in_its_own_words(asked):
    assert asked[0].ask_token(LABS).get_json()["scope"] == LABS


@pytest.mark.parametrize("scope", ["system/Observation.rs?no-such=x", "system/*.rs?category=a"])
def test_a_query_that_cannot_be_applied_is_not_granted(asked, scope):
    answer = asked[0].ask_token(scope)
    assert answer.status_code == 400
    assert answer.get_json()["error"] == "invalid_scope"


@pytest.mark.parametrize(
    "query", ["Observation?_count=500", "Observation?patient={member}&_count=500",
              "Patient/{member}/$everything?_type=Observation&_count=500",
              "Patient/{member}/$everything?_count=1000",
              "Patient?_id={member}&_revinclude=Provenance:target"],
)  # fmt: skip
def test_no_way_leads_past_the_query(node, asked, query):
    caller, narrow, wide = asked
    path = query.format(member=caller.member)
    found = categories(entries(node.call("GET", path, token=narrow)))
    assert found <= {"laboratory"}
    if "Observation" in query:
        assert found
        assert len(categories(entries(node.call("GET", path, token=wide)))) > 1


def test_another_resource_is_not_there(node, asked):
    _, narrow, wide = asked
    every = entries(node.call("GET", "Observation?_count=500", token=wide))
    for resource in every:
        answer = node.call("GET", f"Observation/{resource['id']}", token=narrow)
        inside = "laboratory" in categories([resource])
        assert answer.status_code == (200 if inside else 404)


@pytest.mark.parametrize("query", ["", "?_typeFilter=Observation%3Fstatus%3Dfinal"])
def test_an_export_holds_what_matches(node, asked, query):
    caller, narrow, _ = asked
    begun = node.call("GET", f"Patient/{caller.member}/$export{query}", token=narrow,
                      headers={"Prefer": "respond-async"})  # fmt: skip
    node.finish_exports()
    status = node.call("GET", caller.path(begun.headers["Content-Location"]), token=narrow)
    lines = [
        json.loads(line)
        for file in status.get_json()["output"]
        for line in node.call("GET", caller.path(file["url"]), token=narrow).data.splitlines()
    ]
    assert categories(lines) == {"laboratory"}
    assert {r["resourceType"] for r in lines} == {"Observation", "Patient"}
