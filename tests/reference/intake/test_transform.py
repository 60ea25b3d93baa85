"""A resource made local and back: what changes, and what must not."""

from __future__ import annotations

import pytest
from payer_exchange.reference.fhir import json
from payer_exchange.reference.intake.transform import (
    Origin,
    local_id,
    normal,
    restore,
    transform,
)

ORIGIN = Origin(
    "https://old.test",
    "https://old.test/fhir",
    "https://old.test/ids",
    "http://smilecdr.com/fhir/tags",
    "7",
    "local",
)
KNOWN = {("Patient", "7"), ("Condition", "c"), ("Binary", "b"), ("Practitioner", "p")}


def made(body):
    return transform(json.read_exact(body), ORIGIN, KNOWN.__contains__)


def local(kind, ident):
    return f"{kind}/{local_id(ORIGIN.issuer, kind, ident)}"


def sources(key):
    return {(k, local_id(ORIGIN.issuer, k, i)): i for k, i in KNOWN}.get(key)


def test_decimals_keep_their_digits():
    body = b'{"resourceType":"Condition","id":"c","x":{"value":72.50,"low":1E-2,"high":10}}'
    assert b'"value":72.50,"low":1E-2,"high":10' in json.write(made(body))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"reference": "Patient/7"}, {"reference": local("Patient", "7")}),
        ({"reference": "https://old.test/fhir/Patient/7"}, {"reference": local("Patient", "7")}),
        ({"reference": "Patient/7/_history/3"}, {"reference": local("Patient", "7")}),
        ({"reference": "#inside"}, {"reference": "#inside"}),
        ({"reference": "urn:uuid:0"}, {"reference": "urn:uuid:0"}),
        (
            {"reference": "https://elsewhere.test/fhir/Patient/7"},
            {"reference": "https://elsewhere.test/fhir/Patient/7"},
        ),
        ({"reference": "Patient?identifier=1"}, {"reference": "Patient?identifier=1"}),
        ({"identifier": {"value": "npi"}}, {"identifier": {"value": "npi"}}),
        (
            {"reference": "Organization/o", "display": "kept"},
            {
                "display": "kept",
                "identifier": {
                    "system": "urn:ietf:rfc:3986",
                    "value": "https://old.test/fhir/Organization/o",
                },
            },
        ),
    ],
)
def test_references_lead_to_local_copies(given, wanted):
    body = json.write({"resourceType": "Condition", "id": "c", "subject": given})
    assert made(body)["subject"] == wanted


def test_a_reference_keeps_its_own_identifier():
    body = json.write(
        {
            "resourceType": "Condition",
            "id": "c",
            "asserter": {
                "reference": "Practitioner/gone",
                "identifier": {"system": "npi", "value": "1"},
            },
        }
    )
    asserter = made(body)["asserter"]
    assert asserter["identifier"] == {"system": "npi", "value": "1"}
    assert asserter["extension"][0]["valueUri"] == "https://old.test/fhir/Practitioner/gone"
    assert "reference" not in asserter


def test_an_attachment_leads_to_the_local_binary():
    body = json.write(
        {
            "resourceType": "Condition",
            "id": "c",
            "content": [
                {"attachment": {"contentType": "text/plain", "url": "Binary/b"}},
                {"attachment": {"contentType": "text/plain", "url": "Binary/gone"}},
            ],
        }
    )
    urls = [c["attachment"]["url"] for c in made(body)["content"]]
    assert urls == [local("Binary", "b"), "https://old.test/fhir/Binary/gone"]


def test_a_claims_related_identifier_is_no_reference():
    related = {"reference": {"system": "s", "value": "v"}}
    body = json.write({"resourceType": "Condition", "id": "c", "related": [related]})
    assert made(body)["related"] == [related]


@pytest.mark.parametrize("kind", ["Provenance", "Binary"])
def test_types_without_identifier_keep_the_source_id_in_meta(kind):
    found = made(json.write({"resourceType": kind, "id": "x"}))
    assert "identifier" not in found
    assert found["meta"]["extension"][0]["valueIdentifier"] == {
        "system": "https://old.test/ids",
        "value": "x",
    }


def test_a_single_identifier_is_not_overwritten():
    own = {"system": "s", "value": "own"}
    found = made(
        json.write({"resourceType": "QuestionnaireResponse", "id": "x", "identifier": own})
    )
    assert found["identifier"] == own
    assert found["meta"]["extension"][0]["valueIdentifier"]["value"] == "x"
    found = made(json.write({"resourceType": "QuestionnaireResponse", "id": "x"}))
    assert found["identifier"] == {"system": "https://old.test/ids", "value": "x"}


def test_ids_depend_on_the_issuer():
    assert local_id("https://a.test", "Patient", "7") != local_id("https://b.test", "Patient", "7")
    assert len(local_id("https://a.test", "Patient", "x" * 64)) <= 64


@pytest.mark.parametrize(
    "resource",
    [
        {"resourceType": "Condition", "id": "c"},
        {
            "resourceType": "Condition",
            "id": "c",
            "meta": {"versionId": "1", "tag": [{"code": "x"}]},
            "identifier": [{"system": "s", "value": "v"}],
            "subject": {"reference": "Patient/7"},
            "asserter": {"reference": "Practitioner/gone"},
            "recorder": {"reference": "Practitioner/q", "identifier": {"value": "npi"}},
            "encounter": {"reference": "https://old.test/fhir/Encounter/e"},
            "contained": [{"resourceType": "Organization", "id": "o"}],
        },
        {
            "resourceType": "Patient",
            "id": "7",
            "link": [{"other": {"reference": "Patient/8"}, "type": "seealso"}],
        },
        {"resourceType": "Binary", "id": "b", "contentType": "text/plain", "data": "eA=="},
    ],
)
def test_what_is_stored_can_be_told_in_the_sources_terms(resource):
    body = json.write(resource)
    stored = json.read_exact(json.write(made(body)))
    assert restore(stored, ORIGIN, sources) == normal(json.read_exact(body), ORIGIN)
    assert stored != json.read(body)
