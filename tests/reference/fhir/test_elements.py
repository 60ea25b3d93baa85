"""Paths of elements: what a resource has, and no value of it."""

from __future__ import annotations

from payer_exchange.reference.fhir.elements import leaf_paths, parent_of, with_parents

RACE = "http://example.org/fhir/race.v1"


def test_leaves_are_told_without_places_in_lists():
    patient = {"name": [{"given": ["A", "B"]}, {"family": "C"}], "active": False}
    assert leaf_paths(patient) == {"name.given", "name.family", "active"}


def test_extensions_are_told_by_url_on_primitives_too():
    extension = {"url": RACE, "valueCode": "x"}
    found = leaf_paths({"extension": [extension], "_birthDate": {"extension": [extension]}})
    assert f"extension({RACE}).valueCode" in found
    assert f"birthDate.extension({RACE}).valueCode" in found


def test_identifiers_are_told_by_their_systems_and_as_identifiers():
    found = leaf_paths({"identifier": [{"system": "https://own.test", "value": "1"}, {"value": "2"},
                                       {"system": "odd)", "value": "3"}]})  # fmt: skip
    own = "identifier(https://own.test)"
    assert found == {f"{own}.system", f"{own}.value", "identifier.value", "identifier.system"}
    assert with_parents([f"{own}.value"]) == {own, f"{own}.value", "identifier", "identifier.value"}


def test_what_has_no_value_is_no_leaf():
    assert leaf_paths({"name": [], "contact": {}, "given": [None]}) == set()


def test_parents_are_all_that_an_element_stands_in():
    path = f"item.extension({RACE}).valueCode"
    assert with_parents([path]) == {"item", f"item.extension({RACE})", path}
    assert parent_of(path) == f"item.extension({RACE})"
    assert parent_of("item") == ""
