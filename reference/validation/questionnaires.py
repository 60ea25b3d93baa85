"""Answers against their Questionnaire: links, types, options, limits, what is required (R4, 16.4).

A Questionnaire comes from a package, from the response itself, or from the Bundle it is in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .answers import Answer, compared, equal, is_met
from .coding import any_member, codes_of
from .questions import form_row
from .run import Run

Row = dict[str, Any]
# What is required is there once the response is said to be whole.
_WHOLE = frozenset({"completed", "amended"})
_PROFILE = "http://hl7.org/fhir/StructureDefinition/QuestionnaireResponse|4.0.1"
_CODED = ("valueCoding", "valueString")
_VALUES = {
    "boolean": ("valueBoolean",), "decimal": ("valueDecimal",), "integer": ("valueInteger",),
    "date": ("valueDate",), "dateTime": ("valueDateTime",), "time": ("valueTime",),
    "string": ("valueString",), "text": ("valueString",), "url": ("valueUri",),
    "attachment": ("valueAttachment",), "reference": ("valueReference",),
    "quantity": ("valueQuantity",), "open-choice": _CODED, "choice": ("valueCoding",),
}  # fmt: skip
_LIMITS = (("minValue", -1), ("maxValue", 1), ("minQuantity", -1), ("maxQuantity", 1))
# A pattern may take long on a long text.
_LONGEST_MATCHED = 1000


class Questionnaires:
    """Checks QuestionnaireResponses against Questionnaires that are here."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine

    def check(self, value: Any, at: str, run: Run) -> None:
        """Note what a response answers otherwise than its Questionnaire asks."""
        canonical = value.get("questionnaire") if isinstance(value, dict) else None
        form = self._form(canonical, value, run) if isinstance(canonical, str) else None
        if form is not None:
            _Response(self._engine, form, value, run).check(at)

    def _form(self, canonical: str, response: Row, run: Run) -> Row | None:
        bare = canonical.partition("|")[0]
        for near in _near(response, run.around.root):
            named = (near.get("url") == bare, canonical == f"#{near.get('id')}")
            if any(named) and near.get("resourceType") == "Questionnaire":
                return {**form_row(near), "trusted": False}
        key = self._engine.tables.find("questionnaire", canonical)
        return {**self._engine.tables.row("questionnaire", key), "trusted": True} if key else None


def _near(response: Row, root: Row) -> Iterator[Row]:
    """The resources that a response has with it."""
    yield from _list(response.get("contained"))
    for entry in _list(root.get("entry")):
        if isinstance(entry.get("resource"), dict):
            yield entry["resource"]


def _list(value: Any) -> list[Row]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


class _Response:
    """One response: what is found of it goes to a run."""

    def __init__(self, engine: Any, form: Row, response: Row, run: Run) -> None:
        self._engine, self._form, self._response, self._run = engine, form, response, run
        self._is_whole = str(response.get("status")) in _WHOLE
        self._given: dict[str, list[Answer]] = {}
        self._gather(response)

    def check(self, at: str) -> None:
        """Check all items."""
        self._items(self._form["items"], self._response, at)

    def _gather(self, holder: Row) -> None:
        """All answers by their links: what enables an item may be anywhere."""
        for item in _list(holder.get("item")):
            for answer in _list(item.get("answer")):
                found = _value(answer)
                if found:
                    self._given.setdefault(str(item.get("linkId")), []).append(found)
                self._gather(answer)
            self._gather(item)

    def _items(self, asked: list[Row], holder: Row, at: str) -> None:
        given: dict[str, list[tuple[str, Row]]] = {}
        for index, item in enumerate(_list(holder.get("item"))):
            given.setdefault(str(item.get("linkId")), []).append((f"{at}/item/{index}", item))
        known = {one["id"] for one in asked}
        for link, some in given.items():
            if link not in known:
                self._add("answer-link", some[0][0], "a linkId of the questionnaire there", "none")
        for one in asked:
            self._item(one, given.get(one["id"], []), at)

    def _item(self, asked: Row, given: list[tuple[str, Row]], at: str) -> None:
        enabled = is_met(asked.get("when"), asked.get("any"), self._given)
        required = asked.get("req") and self._is_whole and enabled
        if not given and required and asked["t"] != "display":
            self._add("answer-required", at, "an answer to what is required", "none")
        if enabled is False and any(item.get("answer") for _, item in given):
            self._add("answer-disabled", given[0][0], "no answer to what is not asked", "one")
        if len(given) > 1 and not (asked["t"] == "group" and asked.get("rep")):
            self._add("answer-count", given[1][0], "one item of the link", "several")
        for where, item in given:
            if asked["t"] in ("group", "display", "question"):
                self._bare(asked, item, where, required=bool(required))
            else:
                self._answers(asked, item, where, required=bool(required))

    def _bare(self, asked: Row, item: Row, at: str, *, required: bool) -> None:
        """Groups and texts have no answers of their own."""
        if item.get("answer"):
            self._add("answer-type", at, "no answer to what has none", "one")
        if required and asked["t"] == "group" and not item.get("item"):
            self._add("answer-required", at, "items in a required group", "none")
        self._items(asked.get("i") or [], item, at)

    def _answers(self, asked: Row, item: Row, at: str, *, required: bool) -> None:
        answers = _list(item.get("answer"))
        least = max(asked.get("minOccurs", 0) if self._is_whole else 0, int(required))
        most = asked.get("maxOccurs") or (len(answers) if asked.get("rep") else 1)
        if len(answers) < least:
            rule = "answer-required" if least == 1 else "answer-count"
            self._add(rule, at, f"at least {least} answers", str(len(answers)))
        if len(answers) > most:
            self._add("answer-count", at, f"at most {most} answers", str(len(answers)))
        for index, answer in enumerate(answers):
            where = f"{at}/answer/{index}"
            found = _value(answer)
            if found:
                self._answer(asked, found, where, alone=len(answers) == 1)
            self._items(asked.get("i") or [], answer, where)

    def _answer(self, asked: Row, found: Answer, at: str, *, alone: bool) -> None:
        kind, value = found
        where = f"{at}/{kind}"
        options = asked.get("opts") or []
        if kind not in self._allowed(asked, options):
            self._add("answer-type", where, "of the type of the question", "of another")
            return
        fitting = [one for one in options if equal(found, (one[0], one[1]))]
        free = asked["t"] == "open-choice" and kind == "valueString"
        if options and not fitting and not free:
            self._add("answer-option", where, "one of the options", "another")
        if any(one[2] for one in fitting) and not alone:
            self._add("answer-option", where, "no other beside an option that excludes others",
                      "another beside it")  # fmt: skip
        if "vs" in asked and not free:
            self._member(asked["vs"], value, where, "answer-option")
        self._limits(asked, value, where)

    @staticmethod
    def _allowed(asked: Row, options: list[Any]) -> tuple[str, ...]:
        """The kinds of answers; a choice with no options here may have been of texts."""
        if asked["t"] == "choice" and not options and "vs" not in asked:
            return _CODED
        return (*_VALUES.get(asked["t"], ()), *(one[0] for one in options))

    def _member(self, canonical: str, value: Any, at: str, rule: str) -> None:
        member = self._engine.terms.membership(canonical)
        answer = any_member(member, codes_of(value))
        if answer is None:
            self._run.add("information", "code-not-checked", at, "a code of the questionnaire's",
                          "a code whose list is not here", _PROFILE)  # fmt: skip
        elif not answer:
            self._add(rule, at, "a code of the value set", "another")

    def _limits(self, asked: Row, value: Any, at: str) -> None:
        if isinstance(value, str):
            self._text(asked, value, at)
        for key, beyond in _LIMITS:
            order = compared(value, asked[key]) if key in asked else 0
            if order == beyond:
                self._add("answer-value", at, f"within the {key} of the question", "beyond it")
            elif order is None and isinstance(value, dict):
                self._add("answer-unit", at, f"a unit like that of the {key}", "another")
        written = str(value).partition(".")[2]
        if "places" in asked and isinstance(value, float) and len(written) > asked["places"]:
            self._add("answer-value", at, f"at most {asked['places']} decimal places", "more")
        if isinstance(value, dict):
            self._object(asked, value, at)

    def _text(self, asked: Row, value: str, at: str) -> None:
        if not asked.get("minLength", 0) <= len(value) <= asked.get("len", len(value)):
            self._add("answer-value", at, "as long as the question asks", "of another length")
        pattern = asked.get("regex")
        if pattern and self._form["trusted"] and len(value) <= _LONGEST_MATCHED:
            try:
                fits = re.search(pattern, value)
            except re.error:
                return
            if not fits:
                self._add("answer-value", at, "as the pattern of the question", "otherwise")

    def _object(self, asked: Row, value: Row, at: str) -> None:
        if "units" in asked and not any([s, c] in asked["units"] for s, c in codes_of(value)):
            self._add("answer-unit", at, "one of the units of the question", "another")
        if "unitSet" in asked:
            self._member(asked["unitSet"], value, at, "answer-unit")
        if "mime" in asked and str(value.get("contentType")) not in asked["mime"]:
            self._add("answer-value", at, "of a type that is asked for", "of another")
        data = value.get("data")
        if "size" in asked and isinstance(data, str) and len(data) * 3 // 4 > asked["size"]:
            self._add("answer-value", at, f"at most {asked['size']} bytes", "more")
        told = str(value.get("reference") or "").split("/")
        if "targets" in asked and len(told) > 1 and told[-2] not in asked["targets"]:
            self._add("answer-value", at, "to a type that is asked for", "to another")

    def _add(self, rule: str, at: str, expected: str, actual: str) -> None:
        self._run.add("error", rule, at, expected, actual, _PROFILE)


def _value(answer: Row) -> Answer | None:
    return next(((k, v) for k, v in answer.items() if k.startswith("value")), None)
