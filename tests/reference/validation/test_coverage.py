"""Must-support coverage: what is seen of a profile, what never, and what cannot be told."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from payer_exchange.cli.main import cli
from payer_exchange.reference.validation.coverage import NEVER, SEEN
from payer_exchange.reference.validation.delivery import validate_files
from payer_exchange.reference.validation.validator import Validator

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
RACE = US_CORE + "race"
NPI = "http://hl7.org/fhir/sid/us-npi"
SHOT = {
    "resourceType": "Immunization", "id": "i", "status": "completed",
    "meta": {"profile": [US_CORE + "immunization|7.0.0"]},
    "vaccineCode": {"text": "x"}, "patient": {"reference": "Patient/1"},
    "occurrenceDateTime": "2024-01-01",
}  # fmt: skip


def states(profile, *resources):
    coverage = Validator().coverage()
    for resource in resources:
        coverage.see(resource, profile)
    return coverage.profiles[profile].elements


def test_an_element_is_seen_when_one_resource_has_it():
    other = {**SHOT, "primarySource": False}
    of = states(US_CORE + "immunization|7.0.0", SHOT, other)
    assert of["Immunization.primarySource"] == SEEN
    assert of["Immunization.occurrence[x]"] == SEEN
    assert of["Immunization.statusReason"] == NEVER
    assert "Immunization.lotNumber" not in of


def test_children_are_seen_below_any_of_their_parents():
    named = [{"resourceType": "Patient", "name": [{"given": ["A"]}, {"family": "B"}]}]
    of = states(US_CORE + "patient|6.1.0", *named)
    assert (of["Patient.name.family"], of["Patient.name.given"]) == (SEEN, SEEN)
    assert of["Patient.telecom.value"] == NEVER


@pytest.mark.parametrize(("url", "state"), [(RACE, SEEN), (RACE + "x", NEVER)])
def test_an_extension_is_seen_by_its_url(url, state):
    of = states(US_CORE + "patient|3.1.1", {"resourceType": "Patient", "extension": [{"url": url}]})
    assert of.get("Patient.extension:race", of) == state


@pytest.mark.parametrize(("system", "state"), [(NPI, SEEN), ("urn:other", NEVER)])
def test_a_slice_is_seen_when_a_value_is_of_it(system, state):
    one = {"resourceType": "Practitioner", "identifier": [{"system": system, "value": "1"}]}
    of = states(US_CORE + "practitioner|6.1.0", one)
    assert of["Practitioner.identifier"] == SEEN
    assert of["Practitioner.identifier:NPI"] == state


@pytest.mark.parametrize(("key", "state"), [("valueQuantity", SEEN), ("valueString", NEVER)])
def test_a_choice_is_seen_by_its_type(key, state):
    of = states(US_CORE + "smokingstatus|7.0.0", {"resourceType": "Observation", key: {}})
    assert of["Observation.value[x]:valueQuantity"] == state


def test_an_extension_of_a_primitive_is_seen_beside_it():
    url = US_CORE + "extension-questionnaire-uri"
    beside = {"resourceType": "QuestionnaireResponse", "questionnaire": "http://example.org/q"}
    of = states(US_CORE + "questionnaireresponse|7.0.0", beside)
    name = "QuestionnaireResponse.questionnaire.extension:url"
    assert of[name] == NEVER
    beside["_questionnaire"] = {"extension": [{"url": url, "valueUri": "http://example.org"}]}
    of = states(US_CORE + "questionnaireresponse|7.0.0", beside)
    assert of[name] == SEEN


@pytest.mark.parametrize("odd", [None, 3, [], [None], "x", {"extension": 3}, [[{}]]])
def test_whatever_stands_there_is_looked_at_without_harm(odd):
    broken = {"resourceType": "Patient", "name": odd, "extension": odd, "identifier": odd}
    assert "Patient.name.family" in states(US_CORE + "patient|6.1.0", broken)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_delivery_is_covered_over_all_of_its_files(tmp_path, workers):
    for number, more in enumerate([{"primarySource": True}, {"statusReason": {"text": "x"}}]):
        (tmp_path / f"{number}.ndjson").write_text(json.dumps({**SHOT, **more}) + "\n")
    (told,) = validate_files([tmp_path], [], workers=workers).coverage.items()
    profile, support = told
    assert (profile, support.resources) == (US_CORE + "immunization|7.0.0", 2)
    assert {"Immunization.primarySource", "Immunization.statusReason"} <= set(support.named(SEEN))


def test_a_claim_without_a_version_is_covered_by_the_version_that_is_met(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps({**SHOT, "meta": {"profile": [US_CORE + "immunization"]}}))
    assert list(validate_files([file], []).coverage) == [US_CORE + "immunization|7.0.0"]


def test_what_a_bundle_holds_is_covered_too(tmp_path):
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": SHOT}]}
    (tmp_path / "a.json").write_text(json.dumps(bundle))
    assert list(validate_files([tmp_path], []).coverage) == [US_CORE + "immunization|7.0.0"]


def test_it_is_told_as_text_and_as_json(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(SHOT))
    text = CliRunner().invoke(cli, ["validate", str(file)]).output
    assert "never seen: Immunization.statusReason" in text
    told = json.loads(CliRunner().invoke(cli, ["validate", str(file), "--json"]).output)
    row = told["must_support"][US_CORE + "immunization|7.0.0"]
    assert row["resources"] == 1
    assert "Immunization.status" in row["seen"]
    assert "Immunization.primarySource" in row["never"]
