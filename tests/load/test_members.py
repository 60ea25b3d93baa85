import json
from datetime import date

import pytest
from payer_exchange.load.members import ExpectedMember, read_truth, truth_of
from payer_exchange.load.target import is_loopback, refuse_elsewhere
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.settings import MembersSettings, Settings

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


def test_a_delivery_is_compared_with_the_truth():
    member = ExpectedMember("m1", {}, {}, frozenset({"A/1", "A/2"}), frozenset({"B/1"}))
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


def test_a_target_elsewhere_is_refused_by_name():
    with pytest.raises(SettingsError, match=r"https://payer\.example is not on this machine"):
        refuse_elsewhere("https://payer.example/fhir")
