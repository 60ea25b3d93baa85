"""The answer of a bulk match against what was submitted: nothing is guessed."""

from __future__ import annotations

import pytest
from payer_exchange.reference.requesting.reconcile import reconcile

CODES = "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/PdexMultiMemberMatchResultCS"
PATIENT = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/base-ext-match-parameters"
COVERAGE = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/base-ext-match-coverage"


def entry(submitted, reference, *more):
    extensions = [{"url": PATIENT, "valueReference": {"reference": f"#{submitted}"}}, *more]
    return {"entity": {"reference": reference, "extension": extensions}}


def group(code, *entries, contained=None, ident="g1", system=CODES):
    found = contained or [
        {"resourceType": "Patient", "id": e["entity"]["extension"][0]["valueReference"]
         ["reference"][1:]}
        for e in entries
    ]  # fmt: skip
    return {
        "resourceType": "Group",
        "id": ident,
        "code": {
            "coding": [{"system": "urn:other", "code": "x"}, {"system": system, "code": code}]
        },
        "contained": found,
        "member": list(entries),
    }


def test_each_member_in_one_group_has_its_outcome():
    found = reconcile(
        {"a", "b", "c"},
        [
            group("match", entry("a", "https://old.test/fhir/Patient/77")),
            group("nomatch", entry("b", "#b"), ident="g2"),
            group("consentconstraint", entry("c", "#c"), ident="g3"),
        ],
    )
    assert [(g.id, g.patients) for g in found.matched] == [("g1", {"a": "77"})]
    assert found.no_match == {"b"}
    assert found.constrained == {"c"}
    assert found.faults == {}
    assert found.unknown == 0


@pytest.mark.parametrize(
    ("groups", "sentence"),
    [
        ([], "does not hold this member"),
        ([group("match", entry("a", "Patient/1")), group("nomatch", entry("a", "#a"))],
         "more than once"),
        ([group("match", entry("a", "Patient/1"), entry("a", "Patient/1"))], "more than once"),
        ([group("match", entry("a", "Practitioner/1"))], "does not say which Patient"),
        ([group("match", entry("a", "#a"))], "does not say which Patient"),
        ([group("match", entry("a", "Patient/1"), ident="")], "no Group to export"),
        ([group("Match", entry("a", "Patient/1"))], "does not hold this member"),
        ([group("match", entry("a", "Patient/1"), system="urn:other")],
         "does not hold this member"),
    ],
    ids=["missing", "two-groups", "twice", "no-patient", "own-copy", "no-group", "case", "system"],
)  # fmt: skip
def test_who_is_not_in_exactly_one_group_has_no_outcome(groups, sentence):
    found = reconcile({"a"}, groups)
    assert sentence in found.faults["a"]
    assert found.matched == []
    assert found.no_match | found.constrained == set()


def test_two_members_with_one_patient_are_told_apart_by_nobody():
    answer = group("match", entry("a", "Patient/1"), entry("b", "Patient/1"),
                   entry("c", "Patient/2"))  # fmt: skip
    found = reconcile({"a", "b", "c"}, [answer])
    assert set(found.faults) == {"a", "b"}
    assert [g.patients for g in found.matched] == [{"c": "2"}]


def test_entries_that_lead_to_nobody_are_counted_and_decide_nothing():
    copy = [{"resourceType": "Patient", "id": "z"}]
    found = reconcile(
        {"a"},
        [
            group("match", entry("a", "Patient/1")),
            group("nomatch", entry("z", "#z"), contained=copy),
            group("nomatch", entry("a", "#a"), contained=copy),
        ],
    )
    assert found.unknown == 2
    assert [g.patients for g in found.matched] == [{"a": "1"}]


@pytest.mark.parametrize(
    ("beneficiary", "known"), [("Patient/a", True), ("#a", True), ("Patient/b", False)]
)
def test_a_coverage_that_is_named_must_be_the_submitted_ones(beneficiary, known):
    named = {"url": COVERAGE, "valueReference": {"reference": "#cov"}}
    contained = [
        {"resourceType": "Patient", "id": "a"},
        {"resourceType": "Coverage", "id": "cov", "beneficiary": {"reference": beneficiary}},
    ]
    answer = group("match", entry("a", "Patient/1", named), contained=contained)
    found = reconcile({"a"}, [answer])
    assert bool(found.matched) is known
    assert found.unknown == (0 if known else 1)
