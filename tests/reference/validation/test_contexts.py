"""An extension stands where its definition in R4 or a guide allows it, and nowhere else."""

from __future__ import annotations

import pytest
from payer_exchange.reference.validation.packages import Package
from payer_exchange.reference.validation.tables import standard
from payer_exchange.reference.validation.validator import Validator

CORE = "http://hl7.org/fhir/StructureDefinition/"
RACE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
OWN = "https://own.test/StructureDefinition/own"


def extension(url, **value):
    return {"extension": [{"url": url, **(value or {"valueString": "x"})}]}


MOTHERS = extension(CORE + "humanname-mothers-family")
ABSENT = extension(CORE + "data-absent-reason", valueCode="unknown")
PLACE = extension(CORE + "patient-birthPlace", valueAddress={"city": "x"})
PART = extension(CORE + "iso21090-ADXP-streetName")
ITEM = extension(CORE + "questionnaire-unit", valueCoding={"code": "x"})
PAS = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-"
TRACED = extension(PAS + "itemPreAuthIssueDate", valueDate="2026-01-01")
ADMITTED = extension(PAS + "admissionDates", valueDate="2026-01-01")
RACED = {"extension": [{"url": RACE, "extension": [{"url": "text", "valueString": "x"}]}]}


def questionnaire(inner):
    deep = {"linkId": "2", "type": "quantity", **inner}
    return {"resourceType": "Questionnaire", "status": "draft",
            "item": [{"linkId": "1", "type": "group", "item": [deep]}]}  # fmt: skip


def patient(**more):
    return {"resourceType": "Patient", **more}


def misplaced(found):
    return [one.path for one in found if one.rule == "extension-context"]


@pytest.mark.parametrize(
    ("resource", "places"),
    [
        (patient(name=[{"family": "x", "_family": MOTHERS}]), []),
        (patient(name=[{"family": "x", **MOTHERS}]), ["Patient.name[0].extension[0]"]),
        (patient(**MOTHERS), ["Patient.extension[0]"]),
        (patient(**PLACE), []),
        (patient(contact=[{"name": PLACE}]), ["Patient.contact[0].name.extension[0]"]),
        (patient(**RACED), []),
        ({"resourceType": "Organization", "name": "x", **RACED}, ["Organization.extension[0]"]),
        (patient(_birthDate=ABSENT), []),
        (patient(**ABSENT), []),
        (patient(address=[{"line": ["x"], "_line": [PART]}]), []),
        (patient(address=[{"_city": PART}]), ["Patient.address[0].city.extension[0]"]),
        (questionnaire(ITEM), []),
        # PAS has it on answers to claims; PDex on prior authorizations, which are of another type.
        ({"resourceType": "ExplanationOfBenefit", "item": [TRACED]}, []),
        ({"resourceType": "ExplanationOfBenefit", **TRACED},
         ["ExplanationOfBenefit.extension[0]"]),
        ({"resourceType": "ExplanationOfBenefit", "item": [ADMITTED]}, []),
        (patient(contained=[patient(id="c", **MOTHERS)]),
         ["Patient.contained[0].extension[0]"]),
        ({"resourceType": "Bundle", "type": "collection",
          "entry": [{"fullUrl": "urn:uuid:5dc9b0b4-6a46-4b3c-8d9d-2f4a3f8e6b11",
                     "resource": patient(**RACED, name=[MOTHERS])}]},
         ["Bundle.entry[0].resource.name[0].extension[0]"]),
    ],
)  # fmt: skip
def test_extensions_stand_where_their_definitions_allow(resource, places):
    assert misplaced(Validator().validate(resource)) == places


def defined(*contexts):
    """A validator that knows an extension with these contexts."""
    told = {
        "resourceType": "StructureDefinition", "url": OWN, "version": "1", "type": "Extension",
        "kind": "complex-type", "derivation": "constraint", "abstract": False,
        "baseDefinition": CORE + "Extension",
        "context": [{"type": kind, "expression": text} for kind, text in contexts],
        "differential": {"element": [{"id": "Extension", "path": "Extension"}]},
    }  # fmt: skip
    tables = standard()
    tables.add_package(Package("own", "1", "", {"hl7.fhir.r4.core": "4.0.1"}, [told]))
    return Validator(tables)


HELD = patient(extension=[{"url": CORE + "patient-birthPlace", **extension(OWN)}])


@pytest.mark.parametrize(
    ("contexts", "resource", "allowed"),
    [
        ([("element", "Patient")], patient(**extension(OWN)), True),
        ([("element", "Coverage")], patient(**extension(OWN)), False),
        ([("element", "DomainResource")], patient(**extension(OWN)), True),
        ([("element", "Element")], patient(**extension(OWN)), True),
        ([("element", "Coverage"), ("element", "HumanName")],
         patient(name=[extension(OWN)]), True),
        ([("element", "BackboneElement")], patient(contact=[extension(OWN)]), True),
        ([("element", "BackboneElement")], patient(name=[extension(OWN)]), False),
        ([("element", "Observation.value[x]")],
         {"resourceType": "Observation", "valueQuantity": {"value": 1, **extension(OWN)}}, True),
        ([("element", "Quantity")],
         {"resourceType": "Observation", "valueQuantity": {"value": 1, **extension(OWN)}}, True),
        ([("element", "Range")],
         {"resourceType": "Observation", "valueQuantity": {"value": 1, **extension(OWN)}}, False),
        ([("extension", CORE + "patient-birthPlace")], HELD, True),
        ([("extension", CORE + "patient-birthTime")], HELD, False),
        # What cannot be told here is let pass.
        ([("fhirpath", "descendants()")], patient(**extension(OWN)), True),
        ([("element", "Request")], patient(**extension(OWN)), True),
        ([("element", "Coverage.extension:own")], patient(**extension(OWN)), True),
    ],
)  # fmt: skip
def test_contexts_are_read_as_r4_means_them(contexts, resource, allowed):
    assert (misplaced(defined(*contexts).validate(resource)) == []) is allowed
