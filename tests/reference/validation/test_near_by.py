"""What a reference asks of a resource near by, and what a code asks of an Observation."""

from __future__ import annotations

import pytest
from payer_exchange.reference.validation.packages import Package
from payer_exchange.reference.validation.tables import standard
from payer_exchange.reference.validation.validator import Validator

CORE = "http://hl7.org/fhir/StructureDefinition/"
OWN = "https://own.test/StructureDefinition/"
LOINC = "http://loinc.org"


def profile(kind, name, *elements):
    return {
        "resourceType": "StructureDefinition", "url": OWN + name, "version": "1", "name": name,
        "kind": "resource", "abstract": False, "type": kind, "derivation": "constraint",
        "baseDefinition": CORE + kind, "differential": {"element": list(elements)},
    }  # fmt: skip


def element(path, **facts):
    return {"id": path, "path": path, **facts}


def pointing(*targets):
    return {"type": [{"code": "Reference", "targetProfile": list(targets)}]}


PROFILES = [
    profile("Patient", "born", element("Patient.birthDate", min=1),
            element("Patient.link.other", **pointing(OWN + "born"))),
    profile("Observation", "of-born", element("Observation.subject", **pointing(OWN + "born"))),
    profile("Observation", "of-any",
            element("Observation.subject", **pointing(OWN + "born", CORE + "Patient"))),
    profile("Observation", "of-unknown",
            element("Observation.subject", **pointing(OWN + "born", OWN + "not-here"))),
]  # fmt: skip


@pytest.fixture(scope="module")
def validator():
    tables = standard()
    tables.add_package(Package("own", "1", "-", {"hl7.fhir.r4.core": "4.0.1"}, PROFILES))
    return Validator(tables)


def bundle(claims, subject="Patient/1", **patient):
    observation = {"resourceType": "Observation", "status": "final", "code": {"text": "x"},
                   "meta": {"profile": [OWN + claims]},
                   "subject": {"reference": subject}}  # fmt: skip
    held = {"resourceType": "Patient", "id": "1", **patient}
    return {"resourceType": "Bundle", "type": "collection",
            "entry": [{"fullUrl": f"https://own.test/{r['resourceType']}/1", "resource": r}
                      for r in (observation, held)]}  # fmt: skip


LINKED = {"birthDate": "1990-01-01",
          "link": [{"other": {"reference": "Patient/1"}, "type": "seealso"}]}  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "meets"),
    [
        (bundle("of-born", birthDate="1990-01-01"), True),
        (bundle("of-born"), False),
        (bundle("of-born", "https://own.test/Patient/1"), False),
        # What is not here may be as it should be; so may what nothing here defines.
        (bundle("of-born", "Patient/2"), True),
        (bundle("of-any"), True),
        (bundle("of-unknown"), True),
        (bundle("of-born", **LINKED), True),
        # Whose own fault it is, that is told there.
        (bundle("of-born", active="maybe"), True),
    ],
)
def test_a_resource_near_by_is_as_the_reference_asks(validator, resource, meets):
    told = [one.path for one in validator.validate(resource) if one.rule == "target-profile"]
    assert told == ([] if meets else ["Bundle.entry[0].resource.subject"])


def test_a_resource_of_the_same_delivery_is_judged_by_its_own_claims(validator):
    observation, held = (entry["resource"] for entry in bundle("of-born")["entry"])
    found = validator.validate(observation, resolve={"Patient/1": held}.get)
    assert [one.rule for one in found if one.severity == "error"] == []


def test_what_a_resource_near_by_points_at_is_told_where_it_stands(validator):
    resource = bundle("of-born", birthDate="1990-01-01",
                      managingOrganization={"reference": "Organization/9"})  # fmt: skip
    points = validator.examine(resource).points
    assert points["Organization/9"] == "/entry/1/resource/managingOrganization"


def vital(code, system=LOINC, **more):
    coded = {"coding": [{"system": system, "code": code}]}
    return {"resourceType": "Observation", "status": "final", "code": coded, **more}


WHOLE = {
    "category": [{"coding": [{
        "system": "http://terminology.hl7.org/CodeSystem/observation-category",
        "code": "vital-signs"}]}],
    "subject": {"reference": "Patient/1"},
    "effectiveDateTime": "2026-01-01",
    "valueQuantity": {"value": 60, "unit": "/min", "system": "http://unitsofmeasure.org",
                      "code": "/min"},
}  # fmt: skip
OF_OXYGEN = {"code": {"coding": [{"system": LOINC, "code": "3151-8"}]},
             "valueQuantity": {"value": 6, "unit": "l/min", "code": "L/min",
                               "system": "http://unitsofmeasure.org"}}  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "rules"),
    [
        (vital("8867-4", **WHOLE), set()),
        (vital("8867-4"), {"min", "vs-2"}),
        (vital("8867-4", **{**WHOLE, "valueQuantity": {**WHOLE["valueQuantity"], "code": "kg"}}),
         {"fixed"}),
        # Codes of other systems and other codes ask for nothing.
        (vital("8867-4", "https://own.test/codes"), set()),
        (vital("718-7"), set()),
        # Its component is no vital sign and has units of its own.
        (vital("2708-6", **{**WHOLE, "valueQuantity": {**WHOLE["valueQuantity"], "code": "%"},
                            "component": [OF_OXYGEN]}), set()),
        (vital("2708-6", **{**WHOLE, "valueQuantity": {**WHOLE["valueQuantity"], "code": "%"},
                            "component": [{"code": OF_OXYGEN["code"]}]}), {"vs-3"}),
    ],
)  # fmt: skip
def test_a_vital_sign_is_one_whether_it_says_so_or_not(validator, resource, rules):
    found = validator.validate(resource)
    assert {one.rule for one in found if one.severity == "error"} == rules
