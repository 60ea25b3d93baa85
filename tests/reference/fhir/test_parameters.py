"""Parameters, read with errors that name the element."""

from __future__ import annotations

import pytest
from payer_exchange.reference.errors import BadRequest
from payer_exchange.reference.export.request import parameter_pairs
from payer_exchange.reference.fhir.parameters import by_name, parameters_of, required


def body(*entries):
    return {"resourceType": "Parameters", "parameter": list(entries)}


@pytest.mark.parametrize(
    ("content", "expression"),
    [
        ({}, "resourceType"),
        ({"resourceType": "Patient"}, "resourceType"),
        ({"resourceType": "Parameters"}, "Parameters.parameter"),
        (body(), "Parameters.parameter"),
        ({"resourceType": "Parameters", "parameter": {}}, "Parameters.parameter"),
        ({"resourceType": "Parameters", "parameter": "x"}, "Parameters.parameter"),
        (body(None), "Parameters.parameter[0]"),
        (body({"name": "a"}, {"valueString": "x"}), "Parameters.parameter[1]"),
        (body({"name": 5}), "Parameters.parameter[0]"),
    ],
)
def test_what_is_no_parameters_is_refused(content, expression):
    with pytest.raises(BadRequest) as refused:
        parameters_of(content)
    assert refused.value.expression == expression


def test_names_are_closed_and_stand_once():
    found = parameters_of(body({"name": "a"}, {"name": "b"}, {"name": "a"}))
    with pytest.raises(BadRequest) as refused:
        by_name(found, ["a", "b"])
    assert refused.value.expression == "Parameters.parameter[2]"
    assert by_name(found, ["a", "b"], repeatable=["a"]).keys() == {"a", "b"}
    with pytest.raises(BadRequest) as refused:
        by_name(found, ["a"])
    assert refused.value.expression == "Parameters.parameter[1].name"
    with pytest.raises(BadRequest) as refused:
        required(by_name(found, ["a", "b"], repeatable=["a"]), "c")
    assert "c" in str(refused.value)


def test_parts_resources_and_values_are_of_the_type_asked_for():
    [found] = parameters_of(body({"name": "a", "resource": {"resourceType": "Goal"}}))
    assert found.resource("Goal") == {"resourceType": "Goal"}
    for wrong in (lambda: found.resource("Patient"), lambda: found.value("String"), found.parts):
        with pytest.raises(BadRequest) as refused:
            wrong()
        assert refused.value.expression.startswith("Parameters.parameter[0]")
    [valued] = parameters_of(body({"name": "a", "valueUrl": "u", "part": [{"name": "p"}]}))
    assert valued.value("Uri", "Url") == "u"
    assert [p.name for p in valued.parts()] == ["p"]


@pytest.mark.parametrize(
    ("entry", "pair"),
    [
        ({"name": "_since", "valueInstant": "2020"}, ("_since", "2020")),
        ({"name": "_count", "valueInteger": 5}, ("_count", "5")),
        ({"name": "patient", "valueReference": {"reference": "Patient/1"}},
         ("patient", "Patient/1")),
    ],
)  # fmt: skip
def test_a_parameter_as_a_pair(entry, pair):
    assert parameter_pairs(body(entry)) == [pair]


@pytest.mark.parametrize(
    "entry",
    [{"name": "a"}, {"name": "a", "valueString": None}, {"name": "a", "valueDecimal": 1.5},
     {"name": "a", "valueReference": {}}, {"name": "a", "valueReference": {"reference": 5}},
     {"name": "a", "valueString": ["x"]}, {"name": "a", "resource": {"resourceType": "Goal"}},
     {"valueString": "x"}, "x", None, []],
)  # fmt: skip
def test_a_parameter_without_a_usable_value_is_named(entry):
    with pytest.raises(BadRequest) as refused:
        parameter_pairs(body({"name": "_type", "valueString": "Goal"}, entry))
    assert refused.value.expression == "Parameters.parameter[1]"
