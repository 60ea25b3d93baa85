"""Profiles of a user's own package: what rules say that no published profile has, or few."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from payer_exchange.reference.validation.tables import standard
from payer_exchange.reference.validation.validator import Validator

CORE = "http://hl7.org/fhir/StructureDefinition/"
OWN = "http://plan.example/StructureDefinition/"
STATED = {"resourceType": "Basic", "code": {"text": "x"}}


def element(path, name=None, **facts):
    return {"id": name or path, "path": path, **facts}


def profile(name, kind, *elements):
    return {
        "resourceType": "StructureDefinition", "url": OWN + name, "version": "1", "type": kind,
        "kind": "resource", "derivation": "constraint", "baseDefinition": CORE + kind,
        "snapshot": {"element": [element(kind), *elements]},
    }  # fmt: skip


ANY = {"min": 0, "max": "1"}
CODE = element("Basic.code", min=1, max="1", type=[{"code": "CodeableConcept"}])
META = element("Basic.meta", **ANY, type=[{"code": "Meta"}])
MANY = element(
    "Basic.identifier", min=0, max="*", type=[{"code": "Identifier"}],
    slicing={"discriminator": [{"type": "value", "path": "system"}], "rules": "open"},
)  # fmt: skip
PROFILES = [
    profile("rule", "Basic", CODE | {"constraint": [
        {"key": "own-1", "severity": "error", "human": "x", "expression": "text.lowBoundary()"}]}),
    profile("listed", "Basic", CODE, MANY, element(
        "Basic.identifier", "Basic.identifier:plan", min=1, max="1",
        type=[{"code": "Identifier"}]), element(
        "Basic.identifier.system", "Basic.identifier:plan.system", min=1, max="1",
        type=[{"code": "uri"}], fixedUri="http://plan.example")),
    profile("undecided", "Basic", CODE, MANY, element(
        "Basic.identifier", "Basic.identifier:any", min=1, max="1",
        type=[{"code": "Identifier"}])),
    profile("bounded", "Basic", CODE, element(
        "Basic.created", **ANY, type=[{"code": "date"}], minValueDate="2020-01-01",
        maxValueDate="2020-12-31")),
    profile("recent", "Basic", CODE, element(
        "Basic.created", **ANY, type=[{"code": "date"}],
        minValueQuantity={"value": 1, "code": "a", "system": "http://unitsofmeasure.org"},
        maxValueQuantity={"value": 2, "code": "wk", "system": "http://unitsofmeasure.org"})),
    profile("choice", "Patient", element(
        "Patient.deceased[x]", **ANY, type=[{"code": "boolean"}, {"code": "dateTime"}],
        slicing={"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}), element(
        "Patient.deceased[x]", "Patient.deceased[x]:deceasedBoolean", **ANY,
        type=[{"code": "boolean"}])),
    profile("walked", "Coverage", element("Coverage.period", **ANY, type=[{"code": "Period"}]),
            element("Coverage.period.start", min=1, max="1", type=[{"code": "dateTime"}]),
            element("Coverage.period.end", **ANY, type=[{"code": "dateTime"}])),
]  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("package")
    about = {"name": "example.plan", "version": "1", "dependencies": {"hl7.fhir.r4.core": "4.0.1"}}
    (folder / "package.json").write_text(json.dumps(about))
    for number, one in enumerate(PROFILES):
        (folder / f"{number}.json").write_text(json.dumps(one))
    return Validator(standard((folder,)))


def found(validator, resource, name):
    return [(f.severity, f.rule, f.pointer)
            for f in validator.validate(resource, [OWN + name])]  # fmt: skip


def test_a_rule_beyond_what_is_evaluated_is_told_and_fails_nothing(own):
    assert found(own, STATED, "rule") == [("information", "not-evaluated", "/code")]


def test_a_slice_that_must_be_there_is_missed_where_the_whole_list_is(own):
    assert found(own, STATED, "listed") == [("error", "slice-min", "/identifier")]


def test_a_value_that_cannot_be_told_apart_is_undecided_and_fails_nothing(own):
    told = found(own, STATED | {"identifier": [{"value": "1"}]}, "undecided")
    assert ("information", "slice-undecided", "/identifier/0") in told
    assert not [one for one in told if one[0] == "error"]


@pytest.mark.parametrize(("day", "rule"), [
    ("2019-12-31", "minValue"), ("2020-01-01", None), ("2020-12-31", None),
    ("2021-01-01", "maxValue"), ("2020", None),
])  # fmt: skip
def test_a_value_out_of_bounds_is_found(own, day, rule):
    told = found(own, STATED | {"created": day}, "bounded")
    assert told == ([("error", rule, "/created")] if rule else [])


@pytest.mark.parametrize(("days", "rule"), [
    (-1000, "minValue"), (-367, "minValue"), (-364, None), (0, None), (13, None),
    (16, "maxValue"), (1000, "maxValue"),
])  # fmt: skip
def test_a_bound_may_be_a_duration_from_today(own, days, rule):
    day = (datetime.now(UTC) + timedelta(days=days)).date().isoformat()
    told = found(own, STATED | {"created": day}, "recent")
    assert told == ([("error", rule, "/created")] if rule else [])


def test_a_type_that_a_closed_choice_leaves_out_is_found(own):
    patient = {"resourceType": "Patient"}
    assert found(own, patient | {"deceasedBoolean": True}, "choice") == []
    told = found(own, patient | {"deceasedDateTime": "2020"}, "choice")
    assert ("error", "unknown", "/deceasedDateTime") in told


def test_a_profile_that_walks_into_a_type_keeps_the_rules_of_the_type(own):
    turned = {"resourceType": "Coverage", "period": {"start": "2024-02", "end": "2024-01"}}
    assert found(own, turned, "walked") == [("error", "per-1", "/period")]


def test_a_claim_of_another_type_hides_nothing_of_the_type(own):
    told = found(own, {"resourceType": "Patient", "gender": "M"}, "bounded")
    assert ("error", "type", "") in told
    assert ("error", "binding", "/gender") in told


def test_the_worst_is_told_where_base_and_profile_find_the_same(validator):
    coverage = {
        "resourceType": "Coverage", "status": "active", "payor": [{"display": "x"}],
        "beneficiary": {"reference": "Patient/1"},
        "relationship": {"coding": [{"system": "http://plan.example", "code": "x"}]},
    }  # fmt: skip
    claim = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-Coverage|2.0.0"
    told = [(f.severity, f.rule, f.pointer) for f in validator.validate(coverage, [claim])]
    assert ("error", "binding", "/relationship") in told


def test_a_resource_within_another_is_held_to_what_it_claims(validator):
    claims = ["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0"]
    inner = {"resourceType": "Patient", "meta": {"profile": claims}}
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]}
    told = [(f.rule, f.pointer) for f in validator.validate(bundle) if f.severity == "error"]
    assert ("min", "/entry/0/resource/name") in told
