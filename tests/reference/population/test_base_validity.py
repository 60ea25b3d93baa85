"""A second opinion: another library's R4B models accept every kind of resource.

R4B differs from R4 in a handful of types that the population does not use, or uses in the part
both share.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from importlib import import_module

import orjson
import pytest

KINDS = [
    "AllergyIntolerance", "Binary", "CarePlan", "CareTeam", "Condition", "Coverage", "Device",
    "DiagnosticReport", "DocumentReference", "Encounter", "ExplanationOfBenefit", "Goal",
    "Immunization", "Location", "Medication", "MedicationDispense", "MedicationRequest",
    "Observation", "Organization", "Patient", "Practitioner", "PractitionerRole", "Procedure",
    "Provenance", "QuestionnaireResponse", "RelatedPerson", "ServiceRequest", "Specimen",
]  # fmt: skip
# One of each shape is enough: the shape is the set of keys with the profile claimed.
MOST = 40


@pytest.fixture(scope="module")
def by_kind(population, parsed):
    shapes = defaultdict(dict)
    for resources in parsed:
        for entry, resource in resources:
            shape = (*resource, *resource["meta"].get("profile", ()))
            shapes[entry.kind].setdefault(shape, resource)
    for kind, identity, body in population.shared():
        shapes[kind][identity] = orjson.loads(body)
    return shapes


def test_the_list_of_kinds_is_complete(by_kind):
    assert sorted(by_kind) == KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_models_accept_it(by_kind, kind):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the models' own deprecations are not ours to judge
        model = getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)
        for resource in list(by_kind[kind].values())[:MOST]:
            model.model_validate(resource)
