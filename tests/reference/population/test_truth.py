"""The truth table says what the records are, and asks what the exchange must answer."""

from __future__ import annotations

from collections import Counter
from hashlib import sha256

import orjson
import pytest
from payer_exchange.reference.population import Population, write_population


def test_head(truth, population):
    assert truth["schema"] == "payer-exchange/members/1"
    assert truth["seed"] == population.seed
    assert truth["as_of"] == "2027-01-15"
    assert truth["responding_payer"]["name"] == "Old"
    assert truth["requesting_payer"]["name"] == "New"
    assert len(truth["members"]) == population.members


def test_every_told_resource_is_held_as_told(truth, records):
    for member, record in zip(truth["members"], records, strict=True):
        told = member["record"]
        assert told["counts"] == dict(Counter(entry.kind for entry in record.entries))
        if member["index"] < 40:
            assert {
                f"{kind}/{identity}": sha256(body).hexdigest()
                for kind, identity, body in record.resources
            } == {name: one["sha256"] for name, one in told["resources"].items()}
        else:
            assert "resources" not in told


def test_the_digest_of_a_member_is_of_the_lines_in_order(truth, records):
    lines = b"".join(body + b"\n" for _, _, body in records[200].resources)
    assert truth["members"][200]["record"]["sha256"] == sha256(lines).hexdigest()


def test_enrolled_patient_and_coverages_are_the_held_ones(truth, parsed):
    for member, resources in zip(truth["members"], parsed, strict=True):
        assert member["patient"] == resources[0][1]
        assert member["coverages"] == [r for e, r in resources if e.kind == "Coverage"]


def expected_by_rule(resource):
    """Return what the default data scope does, told anew from the rules alone."""
    labels = {label["code"] for label in resource["meta"]["security"]}
    if "R" in labels:
        return "withheld"
    if resource["resourceType"] == "Coverage":
        return "stripped" if "costToBeneficiary" in resource else "sent"
    if resource["resourceType"] != "ExplanationOfBenefit":
        return "sent"
    if resource["use"] == "claim":
        return "stripped"
    denied = resource["disposition"] == "Denied"
    drug = resource["type"]["coding"][0]["code"] == "pharmacy"
    old = resource["status"] != "active" and resource["meta"]["lastUpdated"] < "2026-01-15"
    return "withheld" if denied or drug or old else "sent"


def test_expectations_follow_the_rules(parsed):
    seen = Counter()
    for resources in parsed:
        for entry, resource in resources:
            assert entry.expect == expected_by_rule(resource), entry.id
            seen[entry.expect, entry.reason] += 1
    assert set(seen) == {
        ("sent", ""),
        ("stripped", "money"),
        ("stripped", "cost-sharing"),
        ("withheld", "sensitive"),
        ("withheld", "denied-prior-authorization"),
        ("withheld", "drug-prior-authorization"),
        ("withheld", "prior-authorization-closed"),
    }


def test_five_years_are_a_floor(truth, named):
    resources = named["G"]["record"]["resources"]
    old = resources["Observation/m0000006-obs-10y"]
    assert old["service_date"] < "2018"
    assert old["expect"] == "sent"


@pytest.fixture(scope="module")
def requests(truth):
    return {request["name"]: request for request in truth["requests"]}


def test_every_case_is_asked_for(requests):
    expectations = {name: request["expect"] for name, request in requests.items()}
    assert expectations["unique"] == "match"
    assert expectations["unknown"] == "no-match"
    assert expectations["twins"] == "many"
    for name in ("wrong-card", "stranger-on-known-card", "co-twins-card", "unknown-coverage"):
        assert expectations[name] == "no-match"
    faults = ("expired", "future", "wrong-recipient", "wrong-discloser", "inactive",
              "other-patient")  # fmt: skip
    for fault in faults:
        for member in "ab":
            assert expectations[f"consent-{fault}-{member}"] == "consent"
    assert requests["no-segmentation"]["needs"] == "no-segmentation"
    assert {r["case"] for r in requests.values()} >= set("ABCDEFGHIKLM")
    assert requests["drifted-demographics"]["expect"] == "match"


def test_consents_of_refused_requests_differ_from_the_good_one(requests):
    good = requests["unique"]["consent"]
    assert good == {
        "policy": "regular", "period": "current", "recipient": "requesting",
        "discloser": "responding", "status": "active", "patient": "member",
    }  # fmt: skip
    for name, request in requests.items():
        if name.startswith("consent-"):
            assert request["consent"] != good


def test_requests_refer_to_themselves(requests):
    for request in requests.values():
        patient = request["patient"]["id"]
        assert request["coverage_to_match"]["beneficiary"]["reference"] == f"Patient/{patient}"
        name = request["patient"]["name"][0]
        assert name["family"]
        assert name["given"]
        assert request["patient"]["birthDate"]
        payor = request["coverage_to_match"]["payor"][0]
        assert payor["identifier"]["value"] == "OLD"


def test_matching_requests_show_what_is_enrolled(requests, named):
    for request in requests.values():
        if request["expect"] != "match":
            assert request["member"] is None
            continue
        enrolled = named[request["member"]]["patient"]
        assert request["patient"]["birthDate"] == enrolled["birthDate"]
        families = {name["family"] for name in enrolled["name"]}
        assert request["patient"]["name"][0]["family"] in families
        numbers = {
            identifier["value"]
            for coverage in named[request["member"]]["coverages"]
            for identifier in coverage["identifier"]
        }
        assert request["coverage_to_match"]["identifier"][0]["value"] in numbers


def test_files_hold_the_population(tmp_path):
    population = Population(seed=6, members=30)
    told = []
    write_population(tmp_path, population, progress=told.append)
    assert told == list(range(1, 31))
    lines = Counter(
        (path.stem, line)
        for path in tmp_path.glob("*.ndjson")
        for line in path.read_bytes().splitlines()
    )
    assert lines == Counter((kind, body) for kind, _, body in population.resources())
    table = orjson.loads((tmp_path / "members.json").read_bytes())
    head = (table["responding_payer"], table["requesting_payer"])
    assert table == orjson.loads(orjson.dumps(population.truth(*head)))


def test_the_elements_of_what_may_leave_are_told_and_no_value(truth, records):
    record = truth["members"][0]["record"]
    for entry in records[0].entries:
        index = record["resources"][f"{entry.kind}/{entry.id}"]["elements"]
        if entry.expect == "withheld":
            assert index is None
        else:
            told = {path.split(".")[0].split("(")[0] for path in record["elements"][index]}
            assert told <= {name.removeprefix("_") for name in orjson.loads(entry.body)}
            assert "id" in told


def test_money_is_no_element_of_what_it_is_taken_out_of(truth):
    for member in truth["members"][:40]:
        record = member["record"]
        for facts in record["resources"].values():
            if facts["expect"] == "stripped":
                told = record["elements"][facts["elements"]]
                assert not any("currency" in path or path.startswith("total") for path in told)
