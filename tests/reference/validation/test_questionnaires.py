"""Answers against their Questionnaire: one defect, or none, in a small response."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random

import pytest
from payer_exchange.reference.validation.packages import Package
from payer_exchange.reference.validation.tables import standard, write
from payer_exchange.reference.validation.validator import Validator

CORE = "http://hl7.org/fhir/StructureDefinition/"
SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-"
FORM = "https://own.test/Questionnaire/form"
CODES = "https://own.test/codes"
UCUM = "http://unitsofmeasure.org"
# Knows no questionnaires.
VALIDATOR = Validator()


def extended(**facts):
    """Extensions of a question; a list is told once for each value."""
    made = []
    for name, (key, value) in facts.items():
        url = SDC + name if name.endswith("Quantity") else CORE + name.replace("_", "-")
        made += [{"url": url, key: v} for v in (value if isinstance(value, list) else [value])]
    return {"extension": made}


def question(kind, *inner, **facts):
    made = {"linkId": "q", "type": kind, "text": "x", **facts}
    return made | ({"item": list(inner)} if inner else {})


def part(link, kind="string", **facts):
    return {"linkId": link, "type": kind, "text": "x", **facts}


def form(*items, number=0):
    return {"resourceType": "Questionnaire", "url": f"{FORM}-{number}", "version": "1",
            "status": "active", "item": list(items)}  # fmt: skip


def answered(*answers, link="q", **more):
    return {"linkId": link, **more, **({"answer": list(answers)} if answers else {})}


def text(value):
    return {"valueString": value}


def coding(code):
    return {"valueCoding": {"system": CODES, "code": code}}


def quantity(value, code="m", key="valueQuantity"):
    return {key: {"value": value, "system": UCUM, "code": code, "unit": code}}


def response(*items, status="completed", number=0):
    return {"resourceType": "QuestionnaireResponse", "status": status,
            "questionnaire": f"{FORM}-{number}", "item": list(items)}  # fmt: skip


OPTIONS = {"answerOption": [coding("a"), coding("b"), {**coding("c"), **extended(
    questionnaire_optionExclusive=("valueBoolean", True))}]}  # fmt: skip
METRES = [{"system": UCUM, "code": "m"}, {"system": UCUM, "code": "km"}]
WHEN = {"enableWhen": [{"question": "q", "operator": "=", "answerBoolean": True}]}
AND = {"question": "q", "operator": "exists", "answerBoolean": True}
YES, NO = {"valueBoolean": True}, {"valueBoolean": False}
FILE = {"valueAttachment": {"contentType": "image/png", "data": "YWJjZGVm", "size": 6}}
ITEM, ANSWER = "QuestionnaireResponse.item[0]", "QuestionnaireResponse.item[0].answer[0]"
STRING = f"{ANSWER}.value.ofType(string)"
CASES = [
    ([question("string")], [answered(text("x"))], None),
    ([question("string")], [answered(text("x"), link="z")], ("answer-link", ITEM)),
    ([question("string")], [answered(YES)], ("answer-type", f"{ANSWER}.value.ofType(boolean)")),
    ([question("string")], [answered(text("x"), text("y"))], ("answer-count", ITEM)),
    ([question("string", repeats=True)], [answered(text("x"), text("y"))], None),
    ([question("string")], [answered(text("x")), answered(text("y"))],
     ("answer-count", "QuestionnaireResponse.item[1]")),
    ([question("string", required=True)], [answered(text("x"))], None),
    ([question("string", required=True)], [answered()], ("answer-required", ITEM)),
    ([question("string", required=True), part("r")], [answered(text("x"), link="r")],
     ("answer-required", "QuestionnaireResponse")),
    ([question("display")], [answered(text("x"))], ("answer-type", ITEM)),
    ([question("group", part("r"))], [answered(item=[answered(text("x"), link="r")])], None),
    ([question("group", part("r"))], [answered(text("x"))], ("answer-type", ITEM)),
    ([question("group", part("r"), required=True)], [answered()], ("answer-required", ITEM)),
    ([question("group", part("r"))], [answered(), answered()],
     ("answer-count", "QuestionnaireResponse.item[1]")),
    ([question("group", part("r"), repeats=True)], [answered(), answered()], None),
    ([question("boolean", part("r", required=True))],
     [answered({**YES, "item": [answered(text("x"), link="r")]})], None),
    ([question("boolean", part("r", required=True))], [answered(YES)], ("answer-required", ANSWER)),
    ([question("choice", **OPTIONS)], [answered(coding("a"))], None),
    ([question("choice", **OPTIONS)], [answered(coding("z"))],
     ("answer-option", f"{ANSWER}.value.ofType(Coding)")),
    ([question("choice", **OPTIONS)], [answered(text("a"))], ("answer-type", STRING)),
    ([question("open-choice", **OPTIONS)], [answered(text("something else"))], None),
    ([question("choice", repeats=True, **OPTIONS)], [answered(coding("a"), coding("b"))], None),
    ([question("choice", repeats=True, **OPTIONS)], [answered(coding("c"), coding("b"))],
     ("answer-option", f"{ANSWER}.value.ofType(Coding)")),
    ([question("choice", answerValueSet="http://hl7.org/fhir/ValueSet/administrative-gender")],
     [answered({"valueCoding": {"system": "http://hl7.org/fhir/administrative-gender",
                                "code": "female"}})], None),
    ([question("choice", answerValueSet="http://hl7.org/fhir/ValueSet/administrative-gender")],
     [answered(coding("female"))], ("answer-option", f"{ANSWER}.value.ofType(Coding)")),
    ([question("string", maxLength=2)], [answered(text("xyz"))], ("answer-value", STRING)),
    ([question("string", **extended(minLength=("valueInteger", 4)))], [answered(text("xyz"))],
     ("answer-value", STRING)),
    ([question("string", **extended(regex=("valueString", "^[a-z]+$")))], [answered(text("xyz"))],
     None),
    ([question("string", **extended(regex=("valueString", "^[a-z]+$")))], [answered(text("X1"))],
     ("answer-value", STRING)),
    ([question("integer", **extended(minValue=("valueInteger", 2)))],
     [answered({"valueInteger": 2})], None),
    ([question("integer", **extended(minValue=("valueInteger", 2)))],
     [answered({"valueInteger": 1})], ("answer-value", f"{ANSWER}.value.ofType(integer)")),
    ([question("date", **extended(maxValue=("valueDate", "2022-06")))],
     [answered({"valueDate": "2022-06-30"})], None),
    ([question("date", **extended(maxValue=("valueDate", "2022-06")))],
     [answered({"valueDate": "2022-07"})], ("answer-value", f"{ANSWER}.value.ofType(date)")),
    ([question("decimal", **extended(maxDecimalPlaces=("valueInteger", 1)))],
     [answered({"valueDecimal": 1.25})], ("answer-value", f"{ANSWER}.value.ofType(decimal)")),
    ([question("string", repeats=True, **extended(questionnaire_maxOccurs=("valueInteger", 1)))],
     [answered(text("x"), text("y"))], ("answer-count", ITEM)),
    ([question("string", **extended(questionnaire_minOccurs=("valueInteger", 2)))], [answered()],
     ("answer-count", ITEM)),
    ([question("quantity", **extended(questionnaire_unitOption=("valueCoding", METRES)))],
     [answered(quantity(1, "km"))], None),
    ([question("quantity", **extended(questionnaire_unitOption=("valueCoding", METRES)))],
     [answered(quantity(1, "kg"))], ("answer-unit", f"{ANSWER}.value.ofType(Quantity)")),
    ([question("quantity", **extended(maxQuantity=("valueQuantity",
                                                   quantity(1, "km")["valueQuantity"])))],
     [answered(quantity(999))], None),
    ([question("quantity", **extended(maxQuantity=("valueQuantity",
                                                   quantity(1, "km")["valueQuantity"])))],
     [answered(quantity(1001))], ("answer-value", f"{ANSWER}.value.ofType(Quantity)")),
    ([question("quantity", **extended(maxQuantity=("valueQuantity",
                                                   quantity(1, "km")["valueQuantity"])))],
     [answered(quantity(1, "kg"))], ("answer-unit", f"{ANSWER}.value.ofType(Quantity)")),
    ([question("attachment", **extended(mimeType=("valueCode", ["image/png", "image/gif"])))],
     [answered(FILE)], None),
    ([question("attachment", **extended(mimeType=("valueCode", ["image/gif"])))],
     [answered(FILE)], ("answer-value", f"{ANSWER}.value.ofType(Attachment)")),
    ([question("attachment", **extended(maxSize=("valueDecimal", 5)))],
     [answered(FILE)], ("answer-value", f"{ANSWER}.value.ofType(Attachment)")),
    ([question("reference", **extended(questionnaire_referenceResource=("valueCode", "Patient")))],
     [answered({"valueReference": {"reference": "Patient/1"}})], None),
    ([question("reference", **extended(questionnaire_referenceResource=("valueCode", "Patient")))],
     [answered({"valueReference": {"reference": "Group/1"}})],
     ("answer-value", f"{ANSWER}.value.ofType(Reference)")),
    ([question("reference")], [answered({"valueReference": {"reference": "Patient /1"}})],
     ("reference", f"{ANSWER}.value.ofType(Reference)")),
    ([question("boolean"), part("r", required=True, **WHEN)], [answered(NO)], None),
    ([question("boolean"), part("r", required=True, **WHEN)], [answered(YES)],
     ("answer-required", "QuestionnaireResponse")),
    ([question("boolean"), part("r", **WHEN)], [answered(NO), answered(text("x"), link="r")],
     ("answer-disabled", "QuestionnaireResponse.item[1]")),
    ([question("boolean"), part("r", enableBehavior="any", enableWhen=[*WHEN["enableWhen"], AND])],
     [answered(NO), answered(text("x"), link="r")], None),
    ([question("boolean"), part("r", enableBehavior="all", enableWhen=[*WHEN["enableWhen"], AND])],
     [answered(NO), answered(text("x"), link="r")],
     ("answer-disabled", "QuestionnaireResponse.item[1]")),
    ([question("integer"), part("r", enableWhen=[{"question": "q", "operator": ">",
                                                  "answerInteger": 3}])],
     [answered({"valueInteger": 3}), answered(text("x"), link="r")],
     ("answer-disabled", "QuestionnaireResponse.item[1]")),
]  # fmt: skip


@pytest.fixture(scope="module", params=["as it is read", "compiled"])
def knowing(request):
    """A validator that knows the questionnaires of all cases."""
    forms = [form(*asked, number=number) for number, (asked, _, _) in enumerate(CASES)]
    package, tables = Package("own", "1", "-", {"hl7.fhir.r4.core": "4.0.1"}, forms), standard()
    if request.param == "compiled":
        tables.add_file(write([package]))
    else:
        tables.add_package(package)
    return Validator(tables)


def errors(found):
    return {(one.rule, one.path) for one in found if one.severity == "error"}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_answers_are_as_the_questionnaire_asks(knowing, number):
    _, given, wanted = CASES[number]
    found = knowing.validate(response(*given, number=number))
    assert errors(found) == ({wanted} if wanted else set())


def test_what_is_required_may_be_missing_while_answers_are_being_given(knowing):
    required = CASES.index(([question("string", required=True)], [answered()],
                            ("answer-required", ITEM)))  # fmt: skip
    given = response(answered(), status="in-progress", number=required)
    assert errors(knowing.validate(given)) == set()


CONTAINED = {**form(question("string")), "id": "form"}


def test_a_questionnaire_may_come_with_the_response():
    resource = {**response(answered(YES)), "contained": [CONTAINED], "questionnaire": "#form"}
    assert [rule for rule, _ in errors(VALIDATOR.validate(resource))] == ["answer-type"]


def test_a_questionnaire_may_come_in_the_same_bundle():
    inside = [response(answered(YES)), CONTAINED]
    bundle = {"resourceType": "Bundle", "type": "collection",
              "entry": [{"fullUrl": f"https://own.test/{r['resourceType']}/form", "resource": r}
                        for r in inside]}  # fmt: skip
    assert errors(VALIDATOR.validate(bundle)) == {
        ("answer-type", "Bundle.entry[0].resource.item[0].answer[0].value.ofType(boolean)")
    }


def test_the_pattern_of_a_questionnaire_that_came_with_the_data_is_not_run():
    slow = question("string", **extended(regex=("valueString", "^(a+)+$")))
    resource = {**response(answered(text("a" * 60 + "b"))), "contained": [form(slow)]}
    assert ("answer-value", STRING) not in errors(VALIDATOR.validate(resource))


ODD = (None, 1, -1, 1.5, True, "", [], {}, [[]], [{}], {"a": 1}, "x" * 50, "2022", "urn:uuid:1")


def places(value, path=()):
    """Where something stands in a resource."""
    if path:
        yield path
    for key, child in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(child, dict | list):
            yield from places(child, (*path, key))
        else:
            yield (*path, key)


def spoiled(resource, chance):
    """The resource with something odd in one to three places."""
    for _ in range(chance.randint(1, 3)):
        *way, last = chance.choice(list(places(resource)))
        holder = resource
        for key in way:
            holder = holder[key]
        holder[last] = deepcopy(chance.choice(ODD))
    return resource


def test_whatever_the_data_brings_is_judged_and_nothing_raises():
    chance = Random(5)
    for _ in range(1500):
        asked, given, _ = chance.choice(CASES)
        whole = deepcopy({**response(*given), "contained": [form(*asked)]})
        found = VALIDATOR.validate_bytes(json.dumps(spoiled(whole, chance)).encode())
        assert all(one.rule for one in found)


@pytest.mark.parametrize(
    "odd", [{"maxLength": "2"}, {"answerOption": 1}, {"enableWhen": [1]}, {"item": [[]]},
            extended(regex=("valueString", "(")), extended(minValue=("valueString", {})),
            extended(questionnaire_unitOption=("valueString", "m")),
            extended(mimeType=("valueInteger", 1)), extended(maxSize=("valueString", "x"))],
)  # fmt: skip
def test_a_questionnaire_that_is_none_breaks_nothing(odd):
    for kind in ("string", "quantity", "attachment"):
        asked = form(question(kind, **odd))
        for answer in (text("x"), quantity(1), FILE, {"valueString": 1}, {}):
            found = VALIDATOR.validate({**response(answered(answer)), "contained": [asked]})
            assert all(one.rule for one in found)
