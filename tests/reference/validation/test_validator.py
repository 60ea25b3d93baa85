"""A record that is right has no errors; one defect has one at its place; nothing makes it raise."""

from __future__ import annotations

import copy
import json
import random

import pytest
from payer_exchange.reference.validation.tables import shipped, standard

US = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
SYSTEM = "http://terminology.hl7.org/CodeSystem/"
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"profile": [US + "patient|7.0.0"]},
    "text": {
        "status": "generated",
        "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>One</p></div>',
    },
    "extension": [
        {
            "url": US + "race",
            "extension": [
                {
                    "url": "ombCategory",
                    "valueCoding": {"system": "urn:oid:2.16.840.1.113883.6.238", "code": "2106-3"},
                },
                {"url": "text", "valueString": "White"},
            ],
        }
    ],
    "identifier": [{"system": "http://plan.example/members", "value": "m-1"}],
    "active": True,
    "name": [{"family": "Doe", "given": ["Jo", None], "_given": [None, {"id": "g"}]}],
    "gender": "female",
    "birthDate": "1980-02-29",
    "contact": [{"name": {"family": "Roe"}}],
    "managingOrganization": {"reference": "Organization/o1"},
}
# The list of races is here whole for this version; later ones bind to one kept elsewhere.
OLDER = PATIENT | {"meta": {"profile": [US + "patient|3.1.1"]}}
PRESSURE = {
    "resourceType": "Observation",
    "meta": {"profile": [US + "blood-pressure|7.0.0"]},
    "status": "final",
    "category": [{"coding": [{"system": SYSTEM + "observation-category", "code": "vital-signs"}]}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "85354-9"}]},
    "subject": {"reference": "Patient/p1"},
    "effectiveDateTime": "2026-01-02",
    "component": [
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {
                "value": 100,
                "unit": "mmHg",
                "system": "http://unitsofmeasure.org",
                "code": "mm[Hg]",
            },
        }
        for code in ("8480-6", "8462-4")
    ],
}
ABSENT = object()
# Each: what is broken, in what, where it is put, what is put there, where it must be found.
MUTANTS = [
    ("no name", PATIENT, "name", ABSENT, "/name"),
    ("no gender", PATIENT, "gender", ABSENT, "/gender"),
    ("no identifier", PATIENT, "identifier", ABSENT, "/identifier"),
    ("identifier without system", PATIENT, "identifier/0/system", ABSENT, "/identifier/0/system"),
    ("a gender of no list", PATIENT, "gender", "M", "/gender"),
    ("a text for a boolean", PATIENT, "active", "true", "/active"),
    ("month 13", PATIENT, "birthDate", "1980-13-01", "/birthDate"),
    ("30 February", PATIENT, "birthDate", "1980-02-30", "/birthDate"),
    ("29 February of no leap year", PATIENT, "birthDate", "1981-02-29", "/birthDate"),
    ("an unknown element", PATIENT, "colour", "red", "/colour"),
    ("an empty list", PATIENT, "contact", [], "/contact"),
    ("null", PATIENT, "gender", None, "/gender"),
    ("an object for a list", PATIENT, "contact", {"name": {"text": "x"}}, "/contact"),
    ("an id too long", PATIENT, "id", "x" * 65, "/id"),
    ("two choices", PATIENT, "deceasedBoolean+deceasedDateTime", None, "/deceased"),
    ("a script in the text", PATIENT, "text/div",
     '<div xmlns="http://www.w3.org/1999/xhtml"><script>x()</script></div>', "/text"),
    ("a contact without anything (pat-1)", PATIENT, "contact/0", {"gender": "male"}, "/contact/0"),
    ("a target of another type", PATIENT, "managingOrganization/reference", "Patient/1",
     "/managingOrganization"),
    ("nothing contained of that id", PATIENT, "managingOrganization/reference", "#no",
     "/managingOrganization"),
    ("race without text", PATIENT, "extension/0/extension/1", ABSENT, "/extension/0"),
    ("a race outside the list", OLDER, "extension/0/extension/0/valueCoding/code", "0000-0",
     "/extension/0"),
    ("a null that nothing explains", PATIENT, "name/0/_given", ABSENT, "/name/0/given/1"),
    ("no systolic value", PRESSURE, "component/0", ABSENT, "/component"),
    ("another unit", PRESSURE, "component/0/valueQuantity/code", "kPa", "/component/0"),
    ("another panel", PRESSURE, "code/coding/0/code", "1-8", "/code"),
    ("no vital signs", PRESSURE, "category/0/coding/0/code", "laboratory", "/category"),
    ("no subject", PRESSURE, "subject", ABSENT, "/subject"),
    ("a time without zone", PRESSURE, "effectiveDateTime", "2026-01-02T03:04:05", "/effective"),
    ("a component without value or reason", PRESSURE, "component/0/valueQuantity", ABSENT, ""),
]  # fmt: skip


def errors(validator, resource):
    body = json.dumps(resource).encode()
    return [f for f in validator.validate_bytes(body) if f.severity == "error"]


def broken(resource, where, value):
    made = copy.deepcopy(resource)
    if "+" in where:
        return made | {"deceasedBoolean": True, "deceasedDateTime": "2026"}
    *way, last = [int(s) if s.isdigit() else s for s in where.split("/")]
    at = made
    for step in way:
        at = at[step]
    if value is ABSENT:
        del at[last]
    else:
        at[last] = value
    return made


@pytest.mark.parametrize(
    "resource", [PATIENT, OLDER, PRESSURE], ids=["Patient", "older", "pressure"]
)
def test_what_is_right_has_no_errors(validator, resource):
    assert errors(validator, resource) == []


@pytest.mark.parametrize(("resource", "where", "value", "found"), [m[1:] for m in MUTANTS],
                         ids=[m[0] for m in MUTANTS])  # fmt: skip
def test_one_defect_is_found_at_its_place(validator, resource, where, value, found):
    pointers = [f.pointer for f in errors(validator, broken(resource, where, value))]
    assert any(p.startswith(found) for p in pointers), pointers


def test_no_finding_repeats_what_a_record_says(validator):
    named = broken(PATIENT, "name", [{"family": 7, "Zebulon": "x"}])
    said = [f.sentence for f in errors(validator, broken(named, "gender", "secret-word"))]
    assert said
    assert "secret-word" not in " ".join(said)


@pytest.mark.parametrize("body", [
    b"", b"{", b"\xff", b"[]", b"7", b"NaN", b'{"resourceType":7}', b'{"resourceType":"Nope"}',
    b'{"a":1,"a":2}', b"[" * 100_000, b'{"resourceType":"Patient","name":' + b"9" * 100_000 + b"}",
    b'{"resourceType":"Patient","contained":[1,[],{}]}', b'{"resourceType":"Bundle","entry":7}',
    b'{"resourceType":"Patient","id":"\\ud800"}', b'{"resourceType":"Parameters","parameter":{}}',
])  # fmt: skip
def test_bytes_that_are_no_record_are_a_finding(validator, body):
    assert any(f.severity == "error" for f in validator.validate_bytes(body))


def test_where_bytes_are_no_text_is_told(validator):
    (found,) = validator.validate_bytes(b'{\n "id": "\xff"}')
    assert "line 2, column 9" in found.actual


def test_no_change_of_a_record_makes_it_raise(validator):
    chance = random.Random(3)
    values = [None, 7, "x", [], {}, [None], [[]], {"a": 1}, True, 1.5, [{}], "#", {"reference": 7}]
    for _ in range(1500):
        made = copy.deepcopy(chance.choice([PATIENT, PRESSURE]))
        for _ in range(chance.randint(1, 3)):
            at = made
            while isinstance(at, (dict, list)) and at:
                key = chance.choice(list(at) if isinstance(at, dict) else range(len(at)))
                if key != "resourceType" and chance.random() < 0.4:
                    at[key] = chance.choice(values)
                at = at[key]
        validator.validate(made)


def test_bytes_changed_by_chance_never_raise(validator):
    chance, body = random.Random(4), bytearray(json.dumps(PATIENT).encode())
    for _ in range(1500):
        made = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            made[chance.randrange(len(made))] = chance.randrange(256)
        validator.validate_bytes(bytes(made))


def test_tables_are_small_and_no_row_is_read_before_it_is_asked_for():
    assert len(shipped()) < 5_000_000
    tables = standard()
    assert tables._rows == {}
    assert all(len(about["sha256"]) == 64 for about in tables.packages.values())
