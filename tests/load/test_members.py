import json
from datetime import date

import pytest
from payer_exchange.load.members import ExpectedMember, read_truth, truth_of
from payer_exchange.load.permission import Caps, Permission, is_loopback
from payer_exchange.load.scenario import scenario_of
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.population.named import SPECIAL
from payer_exchange.reference.population.population import Population
from payer_exchange.reference.settings import (
    LoadSettings,
    MembersSettings,
    Settings,
    TargetSettings,
)

PARTY = {"identifier": {"system": "https://example.org/payers", "value": "P"}, "name": "Payer"}
RESOURCES = {
    "Patient/m1": {"expect": "sent"},
    "Coverage/c1": {"expect": "stripped"},
    "Condition/x": {"expect": "withheld"},
}


def request(name, **changes):
    return {"name": name, "member": "A", "expect": "match", "patient": {"id": "submitted"},
            "coverage_to_match": {}, "consent": {"policy": "regular"}, **changes}  # fmt: skip


def table(*requests):
    row = {"key": "A", "patient_id": "m1", "record": {"resources": RESOURCES}}
    return {"responding_payer": PARTY, "requesting_payer": PARTY, "members": [row],
            "requests": list(requests)}  # fmt: skip


def test_only_plain_matches_are_asked_for():
    truth = truth_of(
        table(
            request("plain"),
            request("nobody", expect="no-match", member=None),
            request("sensitive", consent={"policy": "sensitive"}),
            request("special", needs="no-segmentation"),
        ),
        Settings(),
    )
    assert [m.patient_id for m in truth.members] == ["m1"]
    assert truth.members[0].delivered == {"Patient/m1", "Coverage/c1"}


def test_members_whom_no_request_is_about_are_asked_for_by_their_cards():
    responder = {"identifier": {"system": "s", "value": "R"}, "name": "Responding"}
    told = Population(members=SPECIAL + 3).truth(responder, {**PARTY})
    named = truth_of({**told, "members": told["members"][:SPECIAL]}, Settings())
    truth = truth_of(told, Settings())
    rows = told["members"][SPECIAL:]
    crowd = truth.members[len(named.members) :]
    assert [m.patient_id for m in crowd] == [row["patient_id"] for row in rows]
    for member, row in zip(crowd, rows, strict=True):
        assert member.patient["name"] == row["patient"]["name"][:1]
        assert member.patient["birthDate"] == row["patient"]["birthDate"]
        assert member.coverage_to_match["identifier"] == row["coverages"][0]["identifier"]
        assert member.coverage_to_match["payor"][0]["identifier"] == responder["identifier"]
        assert f"Patient/{row['patient_id']}" in member.delivered


def test_a_delivery_is_compared_with_the_truth():
    member = ExpectedMember("m1", "m1", {}, {}, frozenset({"A/1", "A/2"}), frozenset({"B/1"}))
    assert member.problem_with(["A/1", "A/2", "Provenance/added"]) == ""
    assert "1 of 2 expected resources are missing" in member.problem_with(["A/1"])
    assert "must be withheld" in member.problem_with(["A/1", "A/2", "B/1"])


def test_the_match_body_has_a_consent_valid_today():
    truth = truth_of(table(request("plain")), Settings())
    body = truth.match_body(truth.members[0], date(2026, 5, 1))
    names = [p["name"] for p in body["parameter"]]
    assert names == ["MemberPatient", "Consent", "CoverageToMatch", "CoverageToLink"]
    period = body["parameter"][1]["resource"]["provision"]["period"]
    assert period["start"] < "2026-05-01" < period["end"]


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "cannot be read"), ("{}", "not as documented"), (json.dumps(table()), "no match req")],
)
def test_a_truth_table_of_no_use_is_told(tmp_path, content, message):
    (tmp_path / "members.json").write_text(content, encoding="utf-8")
    settings = Settings(members=MembersSettings("members.json"), folder=tmp_path)
    with pytest.raises(SettingsError, match=message):
        read_truth(settings)


def test_a_missing_truth_table_is_told():
    with pytest.raises(SettingsError, match="No truth table"):
        read_truth(Settings())


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8080/fhir", True),
        ("http://localhost/fhir", True),
        ("http://[::1]:1/fhir", True),
        ("https://payer.example/fhir", False),
        ("http://10.0.0.1/fhir", False),
        ("http://127.0.0.1.example.org/fhir", False),
        ("http://localhost@payer.example/fhir", False),
        ("", False),
    ],
)
def test_load_stays_on_this_machine(url, here):
    assert is_loopback(url) is here


def permission(**load):
    return Permission(TargetSettings("https://payer.example/fhir", load=LoadSettings(**load)))


def test_a_target_elsewhere_is_refused_by_name():
    with pytest.raises(SettingsError, match=r"https://payer\.example is not on this machine"):
        permission().check("https://payer.example/fhir")


def test_load_goes_only_where_a_named_operator_agreed():
    agreed = permission(agreed_by="A. Operator", file_origins="https://files.example")
    agreed.check("https://payer.example/fhir/Patient/$export")
    agreed.check("https://files.example/1.ndjson")
    for other in ("https://other.example/", "http://payer.example/", "https://payer.example:8443/"):
        with pytest.raises(SettingsError, match="agreed_by"):
            agreed.check(other)
    with pytest.raises(SettingsError, match="agreed_by"):
        permission(agreed_by=" ").check("https://payer.example/fhir")


@pytest.mark.parametrize(
    ("arrivals", "said"),
    [
        ({"model": "open", "rate_per_s": 6, "in_flight": 5}, "most_rate_per_s"),
        ({"model": "open", "rate_per_s": 1, "peak_per_s": 6, "in_flight": 5}, "most_rate_per_s"),
        ({"model": "open", "in_flight": 11}, "most_at_once"),
        ({"users": 11}, "most_at_once"),
        ({"duration_s": 61}, "most_seconds"),
    ],
)
def test_a_run_elsewhere_keeps_to_what_was_agreed(arrivals, said):
    scenario = scenario_of({"journeys": {"match": 1}, "arrivals": arrivals}, "own")
    with pytest.raises(SettingsError, match=said):
        permission(agreed_by="A").caps().check(scenario, scenario.arrivals.duration_s)
    Caps().check(scenario, scenario.arrivals.duration_s)


def test_no_setting_goes_beyond_the_caps_of_this_machine():
    whole = permission(most_rate_per_s=1e9, most_at_once=1e9, most_seconds=1e9, most_megabytes=1e9)
    assert whole.caps() == Caps()
    assert Permission(TargetSettings("http://127.0.0.1:1/fhir")).caps() == Caps()
