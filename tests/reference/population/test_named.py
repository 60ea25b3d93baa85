"""Each named member's record holds the thing the member is for."""

from __future__ import annotations

from base64 import b64decode
from datetime import date

import orjson
import pytest
from payer_exchange.reference.population import Population
from payer_exchange.reference.population.particulars import months_before

BASIS = "C4BB-ExplanationOfBenefit-"


@pytest.fixture(scope="module")
def held(population, parsed):
    keys = [population.person(index).key for index in range(17)]
    return {key: parsed[index] for index, key in enumerate(keys)}


def fate(resources, ending):
    found = [(e.expect, e.reason) for e, _ in resources if e.id.endswith(ending)]
    assert len(found) == 1, ending
    return found[0]


def test_g_has_data_on_both_sides_of_each_limit(population, held):
    today = population.as_of.toordinal()
    days = {e.id.removeprefix("m0000006-"): e for e, _ in held["G"]}
    five_years = months_before(today, 60)
    assert five_years < days["obs-4y11m"].served < five_years + 40
    assert five_years - 40 < days["obs-5y1m"].served < five_years
    assert days["eob-10y"].served == months_before(today, 120)
    updated = days["obs-updated-today"]
    assert updated.updated.startswith(population.as_of.isoformat())
    assert updated.served < today - 700


@pytest.mark.parametrize(
    ("ending", "expected"),
    [
        ("pa-active", ("sent", "")),
        ("pa-pended", ("sent", "")),
        ("pa-changed-6-months-ago", ("sent", "")),
        ("pa-closed-13-months-ago", ("withheld", "prior-authorization-closed")),
        ("pa-denied", ("withheld", "denied-prior-authorization")),
        ("pa-drug", ("withheld", "drug-prior-authorization")),
    ],
)
def test_h_has_an_authorization_of_each_fate(held, ending, expected):
    assert fate(held["H"], ending) == expected


def test_hs_authorizations_changed_when_they_say(population, held):
    ago = {
        entry.id.removeprefix("m0000007-"): population.as_of
        - date.fromisoformat(entry.updated[:10])
        for entry, _ in held["H"]
    }
    assert 150 < ago["pa-changed-6-months-ago"].days < 215
    assert 366 < ago["pa-closed-13-months-ago"].days < 430


def test_hs_active_authorization_has_structured_and_unstructured_documents(held):
    by_reference = {f"{e.kind}/{e.id}": r for e, r in held["H"]}
    active = by_reference["ExplanationOfBenefit/m0000007-pa-active"]
    kinds = {s["valueReference"]["reference"].split("/")[0] for s in active["supportingInfo"]}
    assert kinds == {"QuestionnaireResponse", "DocumentReference"}
    assert active["preAuthRefPeriod"][0]["end"] > "2027-01-15"


def test_j_has_version_tag_and_contained_resource(held):
    patient = held["J"][0][1]
    assert patient["meta"]["versionId"] == "7"
    assert patient["meta"]["tag"]
    inner = patient["contained"][0]["id"]
    assert patient["generalPractitioner"] == [{"reference": f"#{inner}"}]


def test_k_has_every_kind_of_claim(held):
    claims = [
        (r["meta"]["profile"][0].split(BASIS)[-1], r["type"]["coding"][0]["code"])
        for e, r in held["K"]
        if e.kind == "ExplanationOfBenefit"
    ]
    assert set(claims) == {
        ("Inpatient-Institutional-Basis", "institutional"),
        ("Outpatient-Institutional-Basis", "institutional"),
        ("Professional-NonClinician-Basis", "professional"),
        ("Professional-NonClinician-Basis", "vision"),
        ("Oral-Basis", "oral"),
        ("Pharmacy-Basis", "pharmacy"),
    }


def test_ks_claims_hold_money_to_strip(held):
    for entry, resource in held["K"]:
        if entry.kind == "ExplanationOfBenefit":
            assert (entry.expect, entry.reason) == ("stripped", "money")
            assert resource["total"]
            assert resource["payment"]["amount"]["value"] > 0


def test_l_has_one_page_inside_and_one_behind_a_url(held):
    by_reference = {f"{e.kind}/{e.id}": r for e, r in held["L"]}
    inline = by_reference["DocumentReference/m0000011-doc-inline"]["content"][0]["attachment"]
    assert b64decode(inline["data"]).startswith(b"%PDF-")
    linked = by_reference["DocumentReference/m0000011-doc-linked"]["content"][0]["attachment"]
    binary = by_reference[linked["url"]]
    assert b64decode(binary["data"]).rstrip().endswith(b"%%EOF")


def test_m_has_provenance_of_a_foreign_author(held):
    foreign = next(r for e, r in held["M"] if e.id.endswith("prov-foreign"))
    author = foreign["agent"][0]
    assert author["type"]["coding"][0]["code"] == "author"
    assert author["who"]["reference"] == "Organization/other-payer"
    assert len(foreign["target"]) == 3


def test_e_holds_three_kinds_of_sensitive_data_and_others_besides(held):
    labels = {
        label["code"]
        for e, r in held["E"]
        if e.reason == "sensitive"
        for label in r["meta"]["security"]
    }
    assert labels == {"HTEST", "R", "PSY", "SUD", "HIV"}
    assert any(e.expect == "sent" for e, _ in held["E"])


def test_d_are_twins_with_one_name_between_them(population):
    first, second = population.person(2), population.person(3)
    assert (first.birth_date, first.gender, first.name.family) == (
        second.birth_date, second.gender, second.name.family,
    )  # fmt: skip
    assert first.name.given[0] == second.name.given[0]
    assert first.name.given != second.name.given
    assert first.subscriber_id == second.subscriber_id
    assert population.person(16).member_id == first.subscriber_id + "01"


def test_f_has_two_coverages_and_n_a_past(population):
    assert len(population.person(5).coverages) == 2
    nell = population.person(13)
    assert nell.names[1].use == "maiden"
    assert nell.addresses[1].until


def test_hot_spots_come_on_request_alone():
    plain, hot = Population(members=17), Population(members=17, hot_spots=True)
    assert sum(1 for _ in plain.entries(14)) < 500
    extra = [entry for entry in hot.entries(15) if entry.id.endswith("doc-large")]
    assert len(extra) == 1
    assert len(extra[0].body) >= 5 * 1024 * 1024
    assert len(orjson.loads(extra[0].body)["content"]) == 1


def test_a_hot_spot_streams_its_hundred_thousand_resources():
    hot = Population(members=17, hot_spots=True)
    ids = {entry.id for entry in hot.entries(14)}
    assert len(ids) >= 100_000
