"""One defect, or none, in a small resource: the verdict and the place, kind by kind of rule."""

from __future__ import annotations

import base64
import json

import pytest
from payer_exchange.reference.validation.packages import Package
from payer_exchange.reference.validation.tables import standard, write
from payer_exchange.reference.validation.validator import Validator

CORE = "http://hl7.org/fhir/StructureDefinition/"
OWN = "https://own.test/StructureDefinition/"
UCUM = "http://unitsofmeasure.org"
CODE = {"coding": [{"system": "https://own.test/codes", "code": "a"}]}
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": CODE}


def errors(found):
    return {(one.rule, one.path) for one in found if one.severity == "error"}


def bundle(kind="collection", *entries, **more):
    return {"resourceType": "Bundle", "type": kind, **more, "entry": list(entries)}


def entry(full=None, search=None, **resource):
    made = {"resource": {"resourceType": "Basic", "code": CODE, **resource}}
    return made | ({"fullUrl": full} if full else {}) | ({"search": search} if search else {})


def link(*relations):
    return [{"relation": r, "url": "https://own.test/x"} for r in relations]


def media(size):
    data = base64.b64encode(b"12345678").decode()
    content = {"contentType": "image/png", "data": data, "size": size}
    return {"resourceType": "Media", "status": "completed", "content": content}


def document(reference, *patients, full="https://own.test/{}", kind="document"):
    """A document of a Patient, beside (id, version) of the Patients that are in it."""
    composition = {
        "resourceType": "Composition", "id": "c", "status": "final", "type": CODE,
        "subject": {"reference": reference}, "date": "2025-01-01", "title": "x",
        "author": [{"display": "x"}],
    }  # fmt: skip
    inside = [{"resourceType": "Patient", "id": ident, "meta": {"versionId": version}}
              for ident, version in patients]  # fmt: skip
    entries = [
        {"resource": one, **({"fullUrl": full.format(f"{one['resourceType']}/{one['id']}")} if full
                             else {})}
        for one in (composition, *inside)
    ]  # fmt: skip
    return {"resourceType": "Bundle", "type": kind, "timestamp": "2025-01-01T00:00:00Z",
            "identifier": {"system": "urn:ietf:rfc:3986", "value": "urn:x:1"},
            "entry": entries}  # fmt: skip


ABOUT = ("bundle-reference", "Bundle.entry[0].resource")


WHEN = {"question": "1", "operator": "exists", "answerBoolean": True}


def identified(system):
    return {"resourceType": "Patient", "identifier": [{"system": system, "value": "x"}]}


def form(conditions):
    items = [{"linkId": "1", "type": "string"},
             {"linkId": "2", "type": "string", "enableWhen": conditions}]  # fmt: skip
    return {"resourceType": "Questionnaire", "status": "draft", "item": items}


def narrated(attribute):
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p {attribute}="x">text</p></div>'
    return {"resourceType": "Patient", "text": {"status": "generated", "div": div}}


BASE = [
    (document("Patient/1", ("1", "1")), None),
    (document("Patient/1", ("1", "1"), full=""), None),
    (document("https://elsewhere.test/Patient/1"), None),
    (document("Patient/1", ("2", "1")), ABOUT),
    (document("Patient/1", ("1", "1"), ("1", "2")), ABOUT),
    (document("Patient/1/_history/2", ("1", "1"), ("1", "2")), None),
    (document("Patient/1/_history/3", ("1", "1"), ("1", "2")), ABOUT),
    (document("Patient/1", kind="collection"), None),
    (narrated("class"), None),
    (narrated("idref"), ("txt-1", "Patient.text.div")),
    (bundle("collection", entry("https://own.test/Basic/1")), None),
    (bundle("collection", entry("urn:uuid:0b4c6b6e-8d1e-4f0e-9d3a-0d1e8a8f7c11")), None),
    (bundle("collection", entry("Basic/1")), ("bundle-full-url", "Bundle.entry[0].fullUrl")),
    (bundle("searchset", entry(id="1"), link=link("self", "next")), None),
    (bundle("searchset", entry(id="1"), link=link("self", "alternate", "alternate")), None),
    (bundle("searchset", entry(id="1"), link=link("self", "next", "self")),
     ("bundle-link-once", "Bundle.link[2]")),
    (bundle("searchset", entry()), ("bundle-search-id", "Bundle.entry[0].resource.id")),
    (bundle("searchset", entry(id="1", search={"mode": "outcome"})),
     ("bundle-outcome", "Bundle.entry[0].resource")),
    (media(8), None),
    (media(9), ("attachment-size", "Media.content.size")),
    ({"resourceType": "Patient", "name": [{"id": "a name:1", "text": "x"}]}, None),
    (identified("urn:uuid:0b4c6b6e-8d1e-4f0e-9d3a-0d1e8a8f7c11"), None),
    (identified("urn:uuid:0B4C6B6E-8D1E-4F0E-9D3A-0D1E8A8F7C11"),
     ("primitive", "Patient.identifier[0].system")),
    (identified("urn:uuid:1"), ("primitive", "Patient.identifier[0].system")),
    (form([WHEN]), None),
    (form([WHEN, WHEN]), ("que-12", "Questionnaire.item[1]")),
    ({"resourceType": "Patient", "id": "a name:1"}, ("primitive", "Patient.id")),
    ({"resourceType": "Patient", "name": [{"text": "x" * (1 << 20)}]}, None),
    ({"resourceType": "Patient", "name": [{"text": "x" * ((1 << 20) + 1)}]},
     ("primitive", "Patient.name[0].text")),
]  # fmt: skip


@pytest.mark.parametrize(("resource", "wanted"), BASE)
def test_a_rule_of_the_text_is_held(resource, wanted):
    found = Validator().validate_bytes(json.dumps(resource).encode())
    # Both rules of narrative ask the same of it here.
    told = {one for one in errors(found) if one[0] != "txt-2"}
    assert told == ({wanted} if wanted else set())


def profile(name, *elements, kind="Observation", base=None):
    """A profile as a user writes it: a differential alone."""
    return {
        "resourceType": "StructureDefinition", "url": OWN + name, "version": "1", "name": name,
        "kind": "resource", "abstract": False, "type": kind, "derivation": "constraint",
        "baseDefinition": base or CORE + kind, "differential": {"element": list(elements)},
    }  # fmt: skip


def at(place, **facts):
    """An element of a differential; its id says which slice of what it is."""
    path = ".".join(part.partition(":")[0] for part in place.split("."))
    return {"id": place, "path": path, **facts}


def quantity(value, code="kg"):
    return {"value": value, "system": UCUM, "code": code}


# Of the second the slice says nothing.
TOLD_BY = [{"type": "pattern", "path": "code"}, {"type": "value", "path": "interpretation"}]
SLICED = at("Observation.component", slicing={"discriminator": TOLD_BY, "rules": "open"})
PROFILES = [
    profile("fewer", at("Observation.subject", min=1), at("Observation.note", max="0")),
    profile("fewest", at("Observation.category", min=1), base=OWN + "fewer"),
    profile("typed", at("Observation.value[x]", type=[{"code": "Quantity"}], min=1),
            at("Observation.value[x].code", min=1)),
    profile("short", at("Observation.valueQuantity", min=1),
            at("Observation.valueQuantity.unit", patternString="kg")),
    profile("deep", at("Observation.code.coding", min=2), at("Observation.code.text", min=1)),
    profile("bounded", at("Observation.value[x]", type=[{"code": "Quantity"}],
                          minValueQuantity=quantity(1), maxValueQuantity=quantity(100))),
    profile("sliced", SLICED, at("Observation.component:one", sliceName="one", min=1, max="1"),
            at("Observation.component:one.code", patternCodeableConcept=CODE),
            at("Observation.component:one.value[x]", min=1)),
]  # fmt: skip
WEIGHT = {**OBSERVATION, "valueQuantity": {**quantity(5), "unit": "kg"}}
SUBJECT = {"subject": {"reference": "Patient/1"}}
TWO = {"coding": [{"code": "a"}, {"code": "b"}], "text": "x"}
COMPONENT = {"code": CODE, "valueString": "x"}
OTHER = {"code": {"text": "other"}, "valueString": "x"}
VALUE = "Observation.value.ofType(Quantity)"
BY_PROFILE = [
    ("fewer", {**OBSERVATION, **SUBJECT}, None),
    ("fewer", OBSERVATION, ("min", "Observation.subject")),
    ("fewer", {**OBSERVATION, **SUBJECT, "note": [{"text": "x"}]}, ("max", "Observation.note")),
    ("fewest", {**OBSERVATION, **SUBJECT, "category": [CODE]}, None),
    ("fewest", {**OBSERVATION, **SUBJECT}, ("min", "Observation.category")),
    ("fewest", {**OBSERVATION, "category": [CODE]}, ("min", "Observation.subject")),
    ("typed", WEIGHT, None),
    ("typed", OBSERVATION, ("min", "Observation.value")),
    ("typed", {**OBSERVATION, "valueQuantity": {"value": 5}}, ("min", f"{VALUE}.code")),
    ("short", WEIGHT, None),
    ("short", {**OBSERVATION, "valueQuantity": quantity(5)}, None),
    ("short", {**OBSERVATION, "valueQuantity": {**quantity(5), "unit": "g"}},
     ("pattern", f"{VALUE}.unit")),
    ("deep", {**OBSERVATION, "code": TWO}, None),
    ("deep", {**OBSERVATION, "code": {**TWO, "coding": [{"code": "a"}]}},
     ("min", "Observation.code.coding")),
    ("deep", {**OBSERVATION, "code": {**TWO, "surprise": 1}},
     ("unknown", "Observation.code.surprise")),
    ("bounded", WEIGHT, None),
    ("bounded", {**OBSERVATION, "valueQuantity": quantity(0.5)}, ("minValue", VALUE)),
    ("bounded", {**OBSERVATION, "valueQuantity": quantity(5000, "g")}, None),
    ("bounded", {**OBSERVATION, "valueQuantity": quantity(999, "g")}, ("minValue", VALUE)),
    ("bounded", {**OBSERVATION, "valueQuantity": quantity(100001, "g")}, ("maxValue", VALUE)),
    ("bounded", {**OBSERVATION, "valueQuantity": quantity(1, "m")}, None),
    ("sliced", {**OBSERVATION, "component": [COMPONENT, OTHER]}, None),
    ("sliced", {**OBSERVATION, "component": [OTHER]}, ("slice-min", "Observation.component")),
    ("sliced", OBSERVATION, ("slice-min", "Observation.component")),
    ("sliced", {**OBSERVATION, "component": [COMPONENT, COMPONENT]},
     ("slice-max", "Observation.component")),
    ("sliced", {**OBSERVATION, "component": [{"code": CODE}]},
     ("min", "Observation.component[0].value")),
]  # fmt: skip


def package(*definitions):
    return Package("own", "1", "-", {"hl7.fhir.r4.core": "4.0.1"}, list(definitions))


@pytest.fixture(scope="module", params=["as it is read", "compiled"])
def by_profile(request):
    """A validator that knows the profiles, read from their package or from a compiled file."""
    tables = standard()
    if request.param == "compiled":
        tables.add_file(write([package(*PROFILES)]))
    else:
        tables.add_package(package(*PROFILES))
    return Validator(tables)


@pytest.mark.parametrize(("name", "resource", "wanted"), BY_PROFILE)
def test_a_differential_is_laid_over_its_base(by_profile, name, resource, wanted):
    found = by_profile.validate_bytes(json.dumps(resource).encode(), [OWN + name])
    assert not [one for one in found if one.rule == "profile-unknown"]
    assert errors(found) == ({wanted} if wanted else set())


def test_a_profile_that_is_based_on_itself_is_left_out():
    tables = standard()
    tables.add_package(package(profile("self", base=OWN + "self"), profile("a", base=OWN + "b"),
                               profile("b", base=OWN + "a")))  # fmt: skip
    found = Validator(tables).validate(OBSERVATION, [OWN + "self", OWN + "a"])
    assert [one.rule for one in found if one.severity != "warning"] == ["profile-unknown"]
