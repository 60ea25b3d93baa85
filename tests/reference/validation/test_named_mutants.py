"""The defects that earlier comparisons of validators used, each found by its rule at its place."""

from __future__ import annotations

import copy
import json

import pytest

from .mutator import ABSENT, pick, put
from .official import definitions, needed, package

pytestmark = needed
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
# Where the examples are: (package, file).
SOURCES = {
    "patient": ("us.core-3.1.1", "Patient-example"),
    "pressure": ("us.core-7.0.0", "Observation-blood-pressure"),
    "coverage": ("us.carin-bb-2.0.0", "Coverage-Coverage3"),
    "inpatient": ("us.carin-bb-2.0.0", "ExplanationOfBenefit-EOBInpatient1"),
    "consent": ("us.davinci-pdex-2.2.0", "Consent-consent-2"),
    "group": ("us.davinci-pdex-2.2.0", "Group-example-provider-matched-group"),
    "match": ("us.davinci-hrex-1.2.0", "Parameters-member-match-in"),
    "bulk": ("us.davinci-pdex-2.2.0", "Parameters-payer-multi-member-match-in"),
    "prior": ("us.davinci-pdex-2.2.0", "ExplanationOfBenefit-PDexPriorAuth1"),
    "provenance": ("us.davinci-pdex-2.2.0", "Provenance-1000001"),
    "trust": ("us.davinci-pdex-2.2.0", "Bundle-example-mtls-endpoint-bundle"),
    "condition": ("us.core-3.1.1", "Condition-hc1"),
    "weight": ("us.core-7.0.0", "Observation-weight"),
}
REF = {"reference": "Organization/1"}
RACE = {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "0000-0"}

# Each: what is broken, in what, where it is put, what is put there, the rule, where it is found
# when that is elsewhere. The first table is of 21 defects: speed and findings side by side.
SEEDED = [
    ("unknown element", "patient", "/nonsuch", "x", "unknown"),
    ("wrong type", "patient", "/active", "yes", "primitive"),
    ("empty string", "patient", "/name/0/family", "", "primitive"),
    ("month 13", "patient", "/birthDate", "1987-13-01", "primitive"),
    ("30 February", "patient", "/birthDate", "1987-02-30", "primitive"),
    ("bad instant", "patient", "/meta/lastUpdated", "2020-01-01", "primitive"),
    ("object for array", "patient", "/name", {"family": "Shaw"}, "list"),
    ("required code", "patient", "/gender", "M", "binding"),
    ("required primitive missing", "pressure", "/status", ABSENT, "min"),
    ("required complex missing", "coverage", "/payor", ABSENT, "min"),
    ("two value[x]", "patient", "/deceasedBoolean", False, "choice"),
    ("empty array", "patient", "/name", [], "list"),
    ("null", "patient", "/gender", None, "single"),
    ("invalid id", "patient", "/id", "a b", "primitive"),
    ("invariant pat-1", "patient", "/contact", [{"gender": "male"}], "pat-1", "/contact/0"),
    ("invariant obs-6", "weight", "/dataAbsentReason", {"text": "x"}, "obs-6", ""),
    ("reference target type", "pressure", "/subject/reference", "Practitioner/1", "target",
     "/subject"),
    ("US Core identifier missing", "patient", "/identifier", ABSENT, "min"),
    ("US Core gender missing", "patient", "/gender", ABSENT, "min"),
    ("race slice without text", "patient", "/extension/0/extension/5", ABSENT, "slice-min",
     "/extension/0/extension"),
    ("race code outside binding", "patient", "/extension/0/extension/0/valueCoding", RACE,
     "binding"),
]  # fmt: skip
# The second: 35 defects by which profile validators were compared, among them all that the
# validators tried were seen to miss.
COMPARED = [
    ("a text for a boolean", "patient", "/active", "true", "primitive"),
    ("a text for an integer", "inpatient", "/item/0/sequence", "1", "primitive"),
    ("an empty array", "patient", "/telecom", [], "list"),
    ("an empty object", "patient", "/maritalStatus", {}, "object"),
    ("a null in a list", "patient", "/name/0/given/0", None, "primitive"),
    ("a gender of no list", "patient", "/gender", "M", "binding"),
    ("an id of 65 characters", "patient", "/id", "x" * 65, "primitive"),
    ("a target of another type", "inpatient", "/patient", REF, "target"),
    ("a script in the narrative", "patient", "/text/div",
     f"<div {XHTML}><script>x()</script></div>", "txt-1"),
    ("an empty narrative", "patient", "/text/div", f"<div {XHTML}> </div>", "txt-2"),
    ("a narrative that is no div", "patient", "/text/div", f"<p {XHTML}>x</p>", "txt-1"),
    ("invariant con-5", "condition", "/verificationStatus/coding/0/code", "entered-in-error",
     "con-5", ""),
    ("a status of no list", "pressure", "/status", "done", "binding"),
    ("race without text", "patient", "/extension/0/extension/5", ABSENT, "slice-min",
     "/extension/0/extension"),
    ("a race category outside the list", "patient",
     "/extension/0/extension/2/valueCoding/code", "0000-0", "binding",
     "/extension/0/extension/2/valueCoding"),
    ("a birth sex outside the list", "patient", "/extension/2/valueCode", "male", "binding"),
    ("birth sex twice", "patient", "/extension/1/url",
     "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex", "slice-max",
     "/extension"),
    ("no systolic component", "pressure", "/component/0", ABSENT, "slice-min", "/component"),
    ("another unit than the fixed one", "pressure", "/component/0/valueQuantity/code", "kPa",
     "fixed"),
    ("a stranger in a closed list", "match", "/parameter/0/name", "Stranger", "closed",
     "/parameter/0"),
    ("a time without hours", "pressure", "/effectiveDateTime", "1999-07", "vs-1"),
    ("no value and no reason", "pressure", "/component/0/valueQuantity", ABSENT, "vs-3",
     "/component/0"),
    ("two amounts at an adjudication", "prior", "/item/0/adjudication/0/amount",
     [{"value": 1}, {"value": 2}], "single"),
    ("an actor without reference", "consent", "/provision/actor/0/reference", ABSENT, "min"),
    ("a characteristic without value", "group", "/characteristic/0/valueReference", ABSENT, "min",
     "/characteristic/0/value"),
    ("a diagnosis without diagnosis", "inpatient", "/diagnosis/0/diagnosisCodeableConcept",
     ABSENT, "min", "/diagnosis/0/diagnosis"),
    ("another scope of consent", "consent", "/scope/coding/0/code", "research", "pattern",
     "/scope"),
    ("nothing contained of that id", "group", "/member/0/entity/reference", "#nobody",
     "contained", "/member/0/entity"),
    ("contained and pointed at by none", "patient", "/contained",
     [{"resourceType": "Organization", "id": "alone", "name": "x"}], "dom-3", ""),
    ("an unknown modifier", "patient", "/modifierExtension",
     [{"url": "http://example.org/not", "valueBoolean": True}], "modifier-extension",
     "/modifierExtension/0"),
    ("no patient to match", "match", "/parameter/0", ABSENT, "slice-min", "/parameter"),
    ("a part of another type", "bulk", "/parameter/0/part/0/resource",
     {"resourceType": "Basic", "code": {"text": "x"}}, "type"),
    ("a claim as prior authorization", "prior", "/use", "claim", "pattern"),
    ("no agent of provenance", "provenance", "/agent", ABSENT, "min"),
    ("a bundle of trust of another type", "trust", "/type", "nonsense", "binding"),
]  # fmt: skip


def source(name):
    owner, file = SOURCES[name]
    return package(f"hl7.fhir.{owner}.tgz")[f"package/example/{file}.json"]


def errors(validator, name, resource):
    """Against the version of the package, if it is its own: others may ask for less."""
    owner = SOURCES[name][0]
    own, version = definitions(f"hl7.fhir.{owner}.tgz"), owner.rpartition("-")[2]
    bare = [claim.partition("|")[0] for claim in source(name)["meta"]["profile"]]
    claims = [f"{url}|{version}" if url in own else url for url in bare]
    found = validator.validate_bytes(json.dumps(resource).encode(), claims)
    return [(f.rule, f.pointer) for f in found if f.severity == "error"]


@pytest.mark.parametrize("name", SOURCES)
def test_the_examples_have_no_error(validator, name):
    assert errors(validator, name, source(name)) == []


@pytest.mark.parametrize("mutant", [pytest.param(m[1:], id=m[0]) for m in SEEDED + COMPARED])
def test_the_defect_is_found_by_its_rule_at_its_place(validator, mutant):
    name, where, value, rule, *elsewhere = mutant
    made = copy.deepcopy(source(name))
    if rule == "choice":
        made["deceasedDateTime"] = "2020"
    put(made, where, value)
    assert (rule, (elsewhere or [where])[0]) in errors(validator, name, made)


def test_the_lists_are_whole():
    assert (len(SEEDED), len(COMPARED)) == (21, 35)
    assert len({m[0] for m in SEEDED + COMPARED}) == 56
    assert pick(source("patient"), "/extension/0/extension/5/url") == "text"
