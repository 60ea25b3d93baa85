"""Must-support elements: what the data has and the delivery lacks is found, and nothing else."""

from __future__ import annotations

import pytest
from payer_exchange.reference.fhir.elements import leaf_paths
from payer_exchange.steps.checks import must_support
from payer_exchange.steps.checks.profiles import Judged
from payer_exchange.steps.verdicts import CannotTell, CheckFailed

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
PROFILE = US_CORE + "us-core-immunization"
NPI, OWN = "http://hl7.org/fhir/sid/us-npi", "https://own.test/staff"
JUDGED = Judged()


def shot(ident, **more):
    return {
        "resourceType": "Immunization", "id": ident, "status": "completed",
        "meta": {"profile": [PROFILE]}, "vaccineCode": {"text": "x"},
        "patient": {"reference": "Patient/1"}, "occurrenceDateTime": "2024-01-01", **more,
    }  # fmt: skip


def doctor(*systems):
    return {
        "resourceType": "Practitioner", "id": "d", "name": [{"family": "x"}],
        "meta": {"profile": [f"{US_CORE}us-core-practitioner|6.1.0"]},
        "identifier": [{"system": system, "value": "1"} for system in systems],
    }  # fmt: skip


def paired(loaded, came):
    """Pairs of resources as a truth table tells them."""
    told = {f"{r['resourceType']}/{r['id']}": {"expect": "sent", "elements": n}
            for n, r in enumerate(loaded)}  # fmt: skip
    record = {"resources": told, "elements": [sorted(leaf_paths(r)) for r in loaded]}
    delivered = {(r["resourceType"], r["id"]): r for r in came}
    return must_support.pairs(JUDGED, delivered, {"record": record})


WITH, WITHOUT = shot("a", primarySource=True), shot("a")
OTHER = shot("b", primarySource=True)


def test_what_comes_as_it_was_loaded_is_right():
    found = paired([WITH, OTHER], [WITH, OTHER])
    must_support.can_be_populated(JUDGED, found)
    must_support.are_populated(JUDGED, found)
    must_support.children_are_filled(JUDGED, found)


def test_what_one_resource_has_can_be_populated_but_is_not_everywhere():
    found = paired([WITH, OTHER], [WITHOUT, OTHER])
    must_support.can_be_populated(JUDGED, found)
    with pytest.raises(CheckFailed, match="left out"):
        must_support.are_populated(JUDGED, found)


def test_what_never_comes_is_found_by_its_name():
    with pytest.raises(CheckFailed) as failure:
        must_support.can_be_populated(JUDGED, paired([WITH], [WITHOUT]))
    assert "Immunization.primarySource" in str(failure.value.actual)


def test_an_identifier_of_a_slice_that_never_comes_is_found_by_its_name():
    with pytest.raises(CheckFailed) as failure:
        must_support.can_be_populated(JUDGED, paired([doctor(NPI, OWN)], [doctor(OWN)]))
    assert "Practitioner.identifier:NPI" in str(failure.value.actual)


@pytest.mark.parametrize("loaded", [(NPI, OWN), (OWN,), (NPI,)])
def test_identifiers_of_no_slice_may_lack_or_be_others(loaded):
    must_support.can_be_populated(JUDGED, paired([doctor(*loaded)], [doctor(NPI, "urn:other")]))


def test_what_is_not_must_support_may_lack():
    loaded = shot("a", lotNumber="x")
    found = paired([loaded], [WITHOUT])
    must_support.are_populated(JUDGED, found)


def test_only_profiles_that_are_named_are_looked_at():
    found = paired([WITH], [WITHOUT])
    with pytest.raises(CannotTell, match="profiles that the target names"):
        must_support.can_be_populated(JUDGED, found, {"http://example.org/other"})


def test_a_truth_table_that_tells_no_elements_is_no_verdict():
    with pytest.raises(CannotTell, match=r"record\.elements"):
        must_support.pairs(JUDGED, {}, {"record": {"resources": {}}})


def test_extensions_of_pas_are_told_only_where_they_were_loaded():
    with pytest.raises(CannotTell, match="PAS"):
        must_support.pas_extensions_come(paired([WITH], [WITH]))
