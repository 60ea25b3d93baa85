"""Search conditions on a resource in hand (R4 search; SHALL parameters of PDex)."""

from __future__ import annotations

import pytest
from payer_exchange.reference.errors import BadRequest
from payer_exchange.reference.fhir.search import condition

OBSERVATION = {
    "resourceType": "Observation",
    "id": "o-1",
    "meta": {"lastUpdated": "2024-05-06T07:08:09.123Z", "profile": ["http://p.test/a"],
             "tag": [{"system": "s", "code": "t"}]},
    "status": "final",
    "category": [{"coding": [{"system": "http://c.test", "code": "laboratory"},
                             {"code": "bare"}]}, {"text": "words"}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
    "subject": {"reference": "Patient/p-1"},
    "effectiveDateTime": "2024-05-06",
}  # fmt: skip
PATIENT = {
    "resourceType": "Patient",
    "id": "p-1",
    "identifier": [{"system": "http://m.test", "value": "A|1"}, {"value": "B,2"}],
    "name": [{"family": "Müller-Lüdenscheidt", "given": ["Åsa", "Mary Ann"]},
             {"family": "Old"}],
    "birthDate": "1980-02",
    "gender": "female",
    "address": [{"line": ["1 Rue É"], "city": "Zürich", "postalCode": "8001"}],
}  # fmt: skip
ENCOUNTER = {
    "resourceType": "Encounter",
    "id": "e-1",
    "period": {"start": "2024-03-01T10:00:00Z", "end": "2024-03-05T10:00:00Z"},
    "subject": {"reference": "https://old.test/fhir/Patient/p-1"},
}
ONGOING = {"resourceType": "CarePlan", "id": "c-1", "period": {"start": "2024-03-01"}}


def holds(resource, name, value):
    found = condition(resource["resourceType"], name, value)
    assert found is not None
    return found.holds(resource)


@pytest.mark.parametrize(
    ("resource", "name", "value", "expected"),
    [
        # Tokens
        (OBSERVATION, "code", "718-7", True),
        (OBSERVATION, "code", "http://loinc.org|718-7", True),
        (OBSERVATION, "code", "http://loinc.org|", True),
        (OBSERVATION, "code", "|718-7", False),
        (OBSERVATION, "code", "http://snomed.info/sct|718-7", False),
        (OBSERVATION, "code", "718", False),
        (OBSERVATION, "code", "1,718-7", True),
        (OBSERVATION, "category", "|bare", True),
        (OBSERVATION, "category", "words", False),
        (OBSERVATION, "status", "final", True),
        (OBSERVATION, "status", "Final", False),
        (OBSERVATION, "_id", "o-1", True),
        (OBSERVATION, "_id", "o-2,o-1", True),
        (OBSERVATION, "_tag", "s|t", True),
        (OBSERVATION, "_profile", "http://p.test/a", True),
        (PATIENT, "gender", "female", True),
        (PATIENT, "identifier", "http://m.test|A\\|1", False),
        (PATIENT, "identifier", "B\\,2", True),
        (PATIENT, "identifier", "B,2", False),
        # Strings: start, without case and accents
        (PATIENT, "family", "muller", True),
        (PATIENT, "family", "MÜLLER-L", True),
        (PATIENT, "family", "ludenscheidt", False),
        (PATIENT, "family:contains", "ludenscheidt", True),
        (PATIENT, "family:exact", "Müller-Lüdenscheidt", True),
        (PATIENT, "family:exact", "müller-lüdenscheidt", False),
        (PATIENT, "given", "asa", True),
        (PATIENT, "given", "Ann", False),
        (PATIENT, "name", "old", True),
        (PATIENT, "address", "zurich", True),
        (PATIENT, "address", "1 rue e", True),
        (PATIENT, "address-postalcode", "80", True),
        # References
        (OBSERVATION, "patient", "p-1", True),
        (OBSERVATION, "patient", "Patient/p-1", True),
        (OBSERVATION, "patient:Patient", "p-1", True),
        (OBSERVATION, "patient", "https://old.test/fhir/Patient/p-1", True),
        (OBSERVATION, "patient", "p-2", False),
        (OBSERVATION, "subject", "Group/p-1", False),
        (ENCOUNTER, "patient", "Patient/p-1", True),
        # missing
        (OBSERVATION, "date:missing", "true", False),
        (OBSERVATION, "date:missing", "false", True),
        (PATIENT, "death-date:missing", "true", True),
        # Dates: the range of what is searched and of what is found
        (OBSERVATION, "date", "2024-05-06", True),
        (OBSERVATION, "date", "2024-05", True),
        (OBSERVATION, "date", "2024", True),
        (OBSERVATION, "date", "2024-05-06T10:00:00Z", False),
        (OBSERVATION, "date", "ap2024-05-06T10:00:00Z", True),
        (OBSERVATION, "date", "ne2024-05-06", False),
        (OBSERVATION, "date", "ne2024-05-07", True),
        (OBSERVATION, "date", "gt2024-05-06", False),
        (OBSERVATION, "date", "gt2024-05-05", True),
        (OBSERVATION, "date", "ge2024-05-06", True),
        (OBSERVATION, "date", "ge2024-05-07", False),
        (OBSERVATION, "date", "lt2024-05-06", False),
        (OBSERVATION, "date", "lt2024-05-07", True),
        (OBSERVATION, "date", "le2024-05-06", True),
        (OBSERVATION, "date", "le2024-05-05", False),
        (OBSERVATION, "date", "sa2024-05-05", True),
        (OBSERVATION, "date", "sa2024-05-06", False),
        (OBSERVATION, "date", "eb2024-05-07", True),
        (OBSERVATION, "date", "eb2024-05-06", False),
        (OBSERVATION, "_lastUpdated", "gt2024-05-06T07:08:09Z", False),
        (OBSERVATION, "_lastUpdated", "ge2024-05-06T07:08:09Z", True),
        (PATIENT, "birthdate", "1980-02", True),
        (PATIENT, "birthdate", "1980-02-03", False),
        (PATIENT, "birthdate", "1980", True),
        (ENCOUNTER, "date", "2024-03", True),
        (ENCOUNTER, "date", "2024-03-02", False),
        (ENCOUNTER, "date", "gt2024-03-02", True),
        (ENCOUNTER, "date", "lt2024-03-02", True),
        (ENCOUNTER, "date", "sa2024-02-28", True),
        (ONGOING, "date", "ge2030", True),
        (ONGOING, "date", "eb2030", False),
    ],
)
def test_a_condition_holds_or_not(resource, name, value, expected):
    assert holds(resource, name, value) is expected


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("Observation", "date", "yesterday"), ("Observation", "date", "xx2024"),
        ("Observation", "date", "2024-13"), ("Observation", "date", ""),
        ("Observation", "code", ""), ("Observation", "code", ",,"),
        ("Observation", "code:text", "x"), ("Observation", "code:exact", "x"),
        ("Observation", "date:contains", "2024"), ("Observation", "date:missing", "perhaps"),
        ("Observation", "patient:Group", "x"), ("Observation", "patient:exact", "x"),
        ("Observation", "status:not", "final"), ("Patient", "family:Patient", "x"),
        ("Observation", "_lastUpdated", "2024-01-01T00:00:00 01:00"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_kept_is_refused_not_left_out(kind, name, value):
    with pytest.raises(BadRequest) as refused:
        condition(kind, name, value)
    assert refused.value.expression == name.split(":")[0]


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Observation", "colour"), ("Observation", ""), ("Observation", "family"),
     ("NoSuchType", "patient"), ("Observation", "_ID"), ("Observation", "_has:x")],
)  # fmt: skip
def test_an_unknown_parameter_is_no_condition(kind, name):
    assert condition(kind, name, "x") is None


@pytest.mark.parametrize(
    "shape",
    [None, 5, "text", True, [], {}, [None], [{}], {"coding": 5}, {"coding": [5]}, {"reference": 5},
     {"reference": "urn:uuid:x"}, {"start": 5}, {"start": "x", "end": []}, [[["deep"]]]],
)  # fmt: skip
@pytest.mark.parametrize(
    ("name", "element", "value"),
    [("code", "code", "1"), ("date", "effectiveDateTime", "2024"), ("patient", "subject", "1"),
     ("_lastUpdated", "meta", "2024"), ("category", "category", "1")],
)  # fmt: skip
def test_a_resource_of_any_shape_can_be_asked(name, element, value, shape):
    found = condition("Observation", name, value)
    assert found.holds({"resourceType": "Observation", element: shape}) is False
