"""The records are coherent, complete in profiles, closed in references, and nobody's."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import date

import orjson
import pytest
from payer_exchange.reference.population import MEMBER_ID_SYSTEM, Population

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
PDEX = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/"
BASIS = "http://hl7.org/fhir/us/carin-bb/StructureDefinition/C4BB-ExplanationOfBenefit-"
# Written by hand from the data scope of PDex 2.2.0 and the profile list of US Core 6.1.0.
PROFILES = [
    *(
        US_CORE + "us-core-" + name
        for name in (
            "allergyintolerance", "blood-pressure", "bmi", "body-height", "body-temperature",
            "body-weight", "careplan", "careteam", "condition-encounter-diagnosis",
            "condition-problems-health-concerns", "coverage", "diagnosticreport-lab",
            "diagnosticreport-note", "documentreference", "encounter", "goal",
            "head-circumference", "heart-rate", "immunization", "implantable-device", "location",
            "medication", "medicationdispense", "medicationrequest",
            "observation-clinical-result", "observation-lab", "observation-occupation",
            "observation-pregnancyintent", "observation-pregnancystatus",
            "observation-screening-assessment", "observation-sexual-orientation",
            "organization", "patient", "practitioner", "practitionerrole", "procedure",
            "pulse-oximetry", "questionnaireresponse", "relatedperson", "respiratory-rate",
            "servicerequest", "simple-observation", "smokingstatus", "specimen",
        )
    ),
    US_CORE + "head-occipital-frontal-circumference-percentile",
    US_CORE + "pediatric-bmi-for-age",
    US_CORE + "pediatric-weight-for-height",
    "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition/hrex-coverage",
    PDEX + "pdex-device",
    PDEX + "pdex-medicationdispense",
    PDEX + "pdex-priorauthorization",
    PDEX + "pdex-provenance",
    BASIS + "Inpatient-Institutional-Basis",
    BASIS + "Outpatient-Institutional-Basis",
    BASIS + "Professional-NonClinician-Basis",
    BASIS + "Oral-Basis",
    BASIS + "Pharmacy-Basis",
]  # fmt: skip


@pytest.fixture(scope="module")
def everything(population, parsed):
    shared = [orjson.loads(body) for _, _, body in population.shared()]
    return shared + [resource for record in parsed for _, resource in record]


@pytest.fixture(scope="module")
def claimed(everything):
    return {name for resource in everything for name in resource["meta"].get("profile", ())}


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_occurs(claimed, profile):
    assert profile in claimed


def test_no_profile_is_pinned_to_a_version(claimed):
    assert not [name for name in claimed if "|" in name]


def references(value):
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "reference" and isinstance(inner, str):
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_no_reference_dangles(population, records, parsed):
    shared = {f"{kind}/{identity}" for kind, identity, _ in population.shared()}
    for record, resources in zip(records, parsed, strict=True):
        own = {f"{entry.kind}/{entry.id}" for entry in record.entries}
        assert len(own) == len(record.entries)
        assert set(record.shared) <= shared
        for _, resource in resources:
            inside = {"#" + part["id"] for part in resource.get("contained", ())}
            found = set(references(resource))
            assert found <= own | set(record.shared) | inside


def test_what_leaves_never_points_to_what_stays(parsed):
    for resources in parsed:
        stays = {f"{e.kind}/{e.id}" for e, _ in resources if e.expect == "withheld"}
        for entry, resource in resources:
            if entry.expect != "withheld":
                assert not stays & set(references(resource)), entry.id


def test_shared_references_resolve(population):
    shared = population.shared()
    known = {f"{kind}/{identity}" for kind, identity, _ in shared}
    assert "Organization/payer" in known
    for _, _, body in shared:
        assert set(references(orjson.loads(body))) <= known


DATED = (
    "effectiveDateTime", "onsetDateTime", "recordedDate", "occurrenceDateTime", "authoredOn",
    "whenHandedOver", "performedDateTime", "abatementDateTime", "created", "authored", "date",
)  # fmt: skip


def days_of(resource):
    periods = (resource.get("period"), resource.get("billablePeriod"))
    texts = [resource[name] for name in DATED if name in resource]
    texts += [p[end] for p in periods if p for end in ("start", "end") if end in p]
    return [date.fromisoformat(text[:10]) for text in texts]


def test_nothing_happens_before_birth_after_death_or_in_the_future(population, parsed):
    for index, resources in enumerate(parsed):
        person = population.person(index)
        for entry, resource in resources:
            updated = date.fromisoformat(entry.updated[:10])
            assert person.birth_date <= updated <= population.as_of
            if entry.kind in {"Patient", "Coverage", "CarePlan", "Provenance"}:
                continue
            last = person.deceased or population.as_of
            if entry.kind == "ExplanationOfBenefit":
                last = population.as_of  # a claim may arrive after the day it is for
            if entry.kind == "Encounter":
                last = population.as_of if not person.deceased else person.deceased
            for day in days_of(resource):
                assert person.birth_date <= day <= last, (entry.id, day)


def test_claims_lie_inside_the_coverage_they_name(population, parsed):
    checked = 0
    for index, resources in enumerate(parsed):
        covers = {c.coverage_id: c for c in population.person(index).coverages}
        for entry, resource in resources:
            if entry.kind != "ExplanationOfBenefit" or resource["use"] != "claim":
                continue
            reference = resource["insurance"][0]["coverage"]["reference"]
            cover = covers[reference.removeprefix("Coverage/")]
            start = date.fromisoformat(resource["billablePeriod"]["start"])
            end = date.fromisoformat(resource["billablePeriod"]["end"])
            assert cover.start <= start <= end <= (cover.end or population.as_of)
            oral = resource["type"]["coding"][0]["code"] == "oral"
            assert (cover.kind == "dental") == oral
            checked += 1
    assert checked > 500


def codes(resource):
    return {coding.get("code") for coding in resource.get("code", {}).get("coding", ())}


def test_pregnancy_is_told_of_women_of_fitting_age_only(population, parsed):
    seen = 0
    for index, resources in enumerate(parsed):
        person = population.person(index)
        for _, resource in resources:
            if codes(resource) & {"Z34.90", "O80", "82810-3", "10E0XZZ"}:
                seen += 1
                assert person.gender == "female"
                assert all(15 <= person.age_on(day) <= 47 for day in days_of(resource))
    assert seen > 20


def test_every_drug_is_ordered_before_it_is_handed_over(parsed):
    handed = 0
    for resources in parsed:
        orders = {f"MedicationRequest/{r['id']}": r for e, r in resources
                  if e.kind == "MedicationRequest"}  # fmt: skip
        for entry, resource in resources:
            if entry.kind == "MedicationDispense":
                order = orders[resource["authorizingPrescription"][0]["reference"]]
                assert order["authoredOn"] <= resource["whenHandedOver"]
                handed += 1
    assert handed > 100


def test_the_sugar_of_diabetics_falls_over_the_years(parsed):
    trends = []
    for resources in parsed:
        values = [
            (r["effectiveDateTime"], r["valueQuantity"]["value"])
            for e, r in resources
            if e.kind == "Observation" and "4548-4" in codes(r)
        ]
        if len(values) > 6:
            values.sort()
            trends.append(values[-1][1] - values[0][1])
    assert len(trends) > 5
    assert sum(trend < 0 for trend in trends) > 0.7 * len(trends)


def test_ten_conditions_at_least_are_lived(everything):
    icd = {
        coding["code"]
        for resource in everything
        for coding in resource.get("code", {}).get("coding", ())
        if coding["system"].endswith("icd-10-cm")
    }
    claims = {
        entry["diagnosisCodeableConcept"]["coding"][0]["code"]
        for resource in everything
        if resource["resourceType"] == "ExplanationOfBenefit"
        for entry in resource.get("diagnosis", ())
    }
    assert {"E11.9", "I10", "J45.909", "Z34.90", "N18.30", "F33.1", "F10.20"} <= icd
    assert {"Z00.00", "Z00.129", "Z12.11", "Z12.31", "Z23"} <= claims
    assert {"S52.501A", "S93.401A"} & icd


def test_record_sizes_have_a_long_tail():
    population = Population(seed=8)
    sizes = sorted(len(population.record(index).entries) for index in range(100, 600))
    assert 40 < sizes[250] < 150
    assert sizes[-1] > 8 * sizes[250]


def test_everything_is_marked_as_test_data(everything):
    for resource in everything:
        codes_ = {label["code"] for label in resource["meta"]["security"]}
        assert "HTEST" in codes_


def test_no_number_can_be_anybodys(everything):
    text = b"\n".join(orjson.dumps(resource) for resource in everything).decode()
    for phone in re.findall(r'"value":"(\+1-[^"]+)"', text):
        assert re.fullmatch(r"\+1-[2-9]\d\d-555-01\d\d", phone)
    numbers = re.findall(r'us-ssn","value":"([^"]+)"', text)
    assert numbers
    assert all(number.startswith("666-") for number in numbers)
    assert "us-npi" not in text
    hosts = set(re.findall(r"https?://([^/\"\\]+)", text))
    standards = {
        "hl7.org", "terminology.hl7.org", "loinc.org", "unitsofmeasure.org", "www.nlm.nih.gov",
        "www.cms.gov", "www.nubc.org", "x12.org", "codesystem.x12.org", "www.w3.org",
        "ihe.net",
    }  # fmt: skip
    assert {
        h for h in hosts - standards if not re.search(r"(^|\.)example\.(org|com|net)$", h)
    } == set()
    for mail in re.findall(r'"([^"]+@[^"]+)"', text):
        assert mail.endswith("@mail.example.com")


def test_no_restricted_code_list_is_drawn_from(everything):
    text = b"\n".join(orjson.dumps(resource) for resource in everything).decode()
    for system in ("snomed.info", "ama-assn.org", "ada.org"):
        assert system not in text
    for system, allowed in (
        ("https://www.nubc.org/CodeSystem/RevenueCodes", {"Dummy"}),
        ("http://hl7.org/fhir/sid/ndc", {"00000-0000-00"}),
        ("https://x12.org/codes/claim-adjustment-reason-codes", {"50"}),
        ("https://codesystem.x12.org/005010/306", {"A3"}),
    ):
        used = set(re.findall(re.escape(system) + r'","code":"([^"]+)"', text))
        assert used == allowed


def test_documents_carry_readable_text(parsed):
    attachments = [
        r["content"][0]["attachment"]
        for resources in parsed
        for e, r in resources
        if e.kind == "DocumentReference"
    ]
    texts = [b64decode(a["data"]) for a in attachments if a["contentType"].startswith("text")]
    assert len(texts) > 50
    assert all(text.decode().strip() for text in texts)


def test_patient_and_coverage_show_the_card(population, parsed):
    for index, resources in enumerate(parsed):
        person = population.person(index)
        patient = resources[0][1]
        assert patient["identifier"][0]["value"] == person.member_id
        assert patient["identifier"][0]["system"] == MEMBER_ID_SYSTEM
        covers = [r for e, r in resources if e.kind == "Coverage"]
        assert covers[0]["identifier"][0]["value"] == person.member_id
        assert covers[0]["beneficiary"]["reference"] == f"Patient/{patient['id']}"
        assert {c["type"]["coding"][0]["code"] for c in covers[0]["class"]} == {"group", "plan"}
