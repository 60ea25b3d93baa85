"""FHIR search over resources already in hand: which parameters exist, and does a resource match.

A payer searches within one member's compartment, some hundred resources, so no index is needed: a
condition reads the resource. The same conditions serve `_typeFilter` of an export.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest
from .dates import moment_range
from .references import split_reference

TOKEN, DATE, STRING, REFERENCE = "token", "date", "string", "reference"


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of a type: its kind and the elements it looks at."""

    kind: str
    paths: tuple[str, ...]


def _of(kind: str, *paths: str) -> SearchParameter:
    return SearchParameter(kind, paths)


_PATIENT = {"patient": _of(REFERENCE, "patient")}
_SUBJECT = {"patient": _of(REFERENCE, "subject"), "subject": _of(REFERENCE, "subject")}
_STATUS = {"status": _of(TOKEN, "status")}
_CATEGORY = {"category": _of(TOKEN, "category")}
_CODE = {"code": _of(TOKEN, "code")}
_ADDRESS = {
    "address": _of(STRING, "address.line", "address.city", "address.state", "address.postalCode",
                   "address.country", "address.text"),
    "address-city": _of(STRING, "address.city"),
    "address-state": _of(STRING, "address.state"),
    "address-postalcode": _of(STRING, "address.postalCode"),
}  # fmt: skip
_HUMAN_NAME = {
    "name": _of(STRING, "name.family", "name.given", "name.prefix", "name.suffix", "name.text"),
    "family": _of(STRING, "name.family"),
    "given": _of(STRING, "name.given"),
}
_IDENTIFIER = {"identifier": _of(TOKEN, "identifier")}

# Parameters every type has.
COMMON: dict[str, SearchParameter] = {
    "_id": _of(TOKEN, "id"),
    "_lastUpdated": _of(DATE, "meta.lastUpdated"),
    "_tag": _of(TOKEN, "meta.tag"),
    "_profile": _of(TOKEN, "meta.profile"),
    "_security": _of(TOKEN, "meta.security"),
}
# The SHALL parameters of PDex (pdex-hrex facts, section 11) and those US Core asks for.
PARAMETERS: dict[str, dict[str, SearchParameter]] = {
    "AllergyIntolerance": {**_PATIENT, **_CODE,
                           "clinical-status": _of(TOKEN, "clinicalStatus")},
    "Binary": {},
    "CarePlan": {**_SUBJECT, **_CATEGORY, **_STATUS, "date": _of(DATE, "period")},
    "CareTeam": {**_SUBJECT, **_STATUS},
    "Condition": {**_SUBJECT, **_CATEGORY, **_CODE,
                  "clinical-status": _of(TOKEN, "clinicalStatus"),
                  "onset-date": _of(DATE, "onsetDateTime", "onsetPeriod"),
                  "recorded-date": _of(DATE, "recordedDate"),
                  "encounter": _of(REFERENCE, "encounter")},
    "Coverage": {"patient": _of(REFERENCE, "beneficiary"),
                 "beneficiary": _of(REFERENCE, "beneficiary"), **_IDENTIFIER, **_STATUS},
    "Device": {**_PATIENT, "type": _of(TOKEN, "type"), **_STATUS},
    "DiagnosticReport": {**_SUBJECT, **_CATEGORY, **_CODE, **_STATUS,
                         "date": _of(DATE, "effectiveDateTime", "effectivePeriod")},
    "DocumentReference": {**_SUBJECT, **_CATEGORY, **_STATUS, **_IDENTIFIER,
                          "type": _of(TOKEN, "type"), "date": _of(DATE, "date"),
                          "period": _of(DATE, "context.period")},
    "Encounter": {**_SUBJECT, **_STATUS, **_IDENTIFIER, "class": _of(TOKEN, "class"),
                  "type": _of(TOKEN, "type"), "date": _of(DATE, "period")},
    "ExplanationOfBenefit": {**_PATIENT, **_IDENTIFIER, **_STATUS, "type": _of(TOKEN, "type"),
                             "use": _of(TOKEN, "use"), "created": _of(DATE, "created"),
                             "service-date": _of(DATE, "billablePeriod", "item.servicedDate",
                                                 "item.servicedPeriod"),
                             "coverage": _of(REFERENCE, "insurance.coverage"),
                             "provider": _of(REFERENCE, "provider"),
                             "care-team": _of(REFERENCE, "careTeam.provider"),
                             "insurer": _of(REFERENCE, "insurer")},
    "Goal": {**_SUBJECT, "lifecycle-status": _of(TOKEN, "lifecycleStatus"),
             "target-date": _of(DATE, "target.dueDate")},
    # Not a member's: found by its requester alone (pdex-157, pdex-161).
    "Group": {**_IDENTIFIER, **_CODE, "characteristic": _of(TOKEN, "characteristic.code"),
              "characteristic-value-reference": _of(REFERENCE, "characteristic.valueReference"),
              "type": _of(TOKEN, "type"), "actual": _of(TOKEN, "actual"),
              "managing-entity": _of(REFERENCE, "managingEntity")},
    "Immunization": {**_PATIENT, **_STATUS, "date": _of(DATE, "occurrenceDateTime"),
                     "vaccine-code": _of(TOKEN, "vaccineCode")},
    "Location": {"name": _of(STRING, "name", "alias"), **_ADDRESS, **_IDENTIFIER},
    "Medication": {**_CODE, **_STATUS},
    "MedicationDispense": {**_SUBJECT, **_STATUS, "type": _of(TOKEN, "type"),
                           "whenhandedover": _of(DATE, "whenHandedOver")},
    "MedicationRequest": {**_SUBJECT, **_STATUS, "intent": _of(TOKEN, "intent"),
                          "authoredon": _of(DATE, "authoredOn"),
                          "encounter": _of(REFERENCE, "encounter")},
    "Observation": {**_SUBJECT, **_CATEGORY, **_CODE, **_STATUS,
                    "date": _of(DATE, "effectiveDateTime", "effectivePeriod",
                                "effectiveInstant")},
    "Organization": {"name": _of(STRING, "name", "alias"), **_ADDRESS, **_IDENTIFIER},
    "Patient": {**_IDENTIFIER, **_HUMAN_NAME, **_ADDRESS, "birthdate": _of(DATE, "birthDate"),
                "gender": _of(TOKEN, "gender"), "death-date": _of(DATE, "deceasedDateTime")},
    "Practitioner": {**_HUMAN_NAME, **_IDENTIFIER},
    "PractitionerRole": {"specialty": _of(TOKEN, "specialty"),
                         "practitioner": _of(REFERENCE, "practitioner"),
                         "organization": _of(REFERENCE, "organization")},
    "Procedure": {**_SUBJECT, **_CODE, **_STATUS,
                  "date": _of(DATE, "performedDateTime", "performedPeriod")},
    "Provenance": {"target": _of(REFERENCE, "target"), "recorded": _of(DATE, "recorded"),
                   "agent": _of(REFERENCE, "agent.who")},
    "QuestionnaireResponse": {**_SUBJECT, **_STATUS, "authored": _of(DATE, "authored")},
    "RelatedPerson": {**_PATIENT, **_HUMAN_NAME},
    "ServiceRequest": {**_SUBJECT, **_CATEGORY, **_CODE, **_STATUS,
                       "authored": _of(DATE, "authoredOn")},
    "Specimen": {"patient": _of(REFERENCE, "subject"), "type": _of(TOKEN, "type")},
}  # fmt: skip

# Modifiers beside `missing`, by kind: another one would be taken and left out of account.
_MODIFIERS = {TOKEN: (), DATE: (), STRING: ("exact", "contains"), REFERENCE: ("Patient",)}
_PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


@dataclass(frozen=True, slots=True)
class Condition:
    """One search condition: any of its values may hold."""

    name: str
    parameter: SearchParameter
    modifier: str
    values: tuple[str, ...]

    def holds(self, resource: Mapping[str, Any]) -> bool:
        """Whether the resource meets the condition."""
        found = [v for path in self.parameter.paths for v in elements(resource, path.split("."))]
        if self.modifier == "missing":
            return (not found) == (self.values[0] == "true")
        return any(
            _MATCHERS[self.parameter.kind](element, value, self.modifier)
            for value in self.values
            for element in found
        )


# One type's filters: any of the queries may hold, each with all its conditions.
Filters = dict[str, list[list[Condition]]]


def condition(kind: str, name: str, value: str) -> Condition | None:
    """The condition a search parameter stands for, or None when the type has no such parameter.

    Raises BadRequest for a value or modifier that the parameter cannot have.
    """
    bare, _, modifier = name.partition(":")
    parameter = COMMON.get(bare) or PARAMETERS.get(kind, {}).get(bare)
    if parameter is None:
        return None
    values = tuple(part for part in _split(value) if part)
    if not values:
        raise BadRequest(
            f"The search parameter {bare} has no value.", code="value", expression=bare
        )
    if modifier and modifier not in ("missing", *_MODIFIERS[parameter.kind]):
        raise BadRequest(
            f"The search parameter {bare} has no such modifier.",
            code="not-supported",
            expression=bare,
        )
    if modifier == "missing":
        if values not in (("true",), ("false",)):
            raise BadRequest(f"{bare}:missing is true or false.", code="value", expression=bare)
    elif parameter.kind == DATE:
        for part in values:
            if moment_range(_prefix(part)[1]) is None:
                raise BadRequest(
                    f"The search parameter {bare} needs a date.", code="value", expression=bare
                )
    return Condition(bare, parameter, modifier, values)


def elements(value: Any, steps: Sequence[str]) -> Iterator[Any]:
    """The values at a path, lists followed member by member."""
    if isinstance(value, list):
        for child in value:
            yield from elements(child, steps)
    elif not steps:
        if value is not None:
            yield value
    elif isinstance(value, Mapping):
        yield from elements(value.get(steps[0]), steps[1:])


def _split(value: str) -> Iterator[str]:
    """The values between commas; a comma after a backslash belongs to the value."""
    part = ""
    escaped = False
    for character in value:
        if escaped:
            part, escaped = part + character, False
        elif character == "\\":
            escaped = True
        elif character == ",":
            yield part
            part = ""
        else:
            part += character
    yield part


def _prefix(value: str) -> tuple[str, str]:
    return (value[:2], value[2:]) if value[:2] in _PREFIXES else ("eq", value)


def _token(element: Any, value: str, _modifier: str) -> bool:
    system, bar, code = value.rpartition("|")
    return any(
        (not code or code == found_code) and (not bar or system == found_system)
        for found_system, found_code in _tokens(element)
    )


def _tokens(element: Any) -> Iterator[tuple[str, str]]:
    if isinstance(element, Mapping):
        if "coding" in element:
            for coding in element["coding"] if isinstance(element["coding"], list) else ():
                yield from _tokens(coding)
        else:
            code = element.get("code", element.get("value"))
            yield str(element.get("system", "")), str(code) if code is not None else ""
    elif isinstance(element, bool):
        yield "", "true" if element else "false"
    else:
        yield "", str(element)


def _date(element: Any, value: str, _modifier: str) -> bool:
    prefix, text = _prefix(value)
    wanted, found = moment_range(text), _element_range(element)
    if wanted is None or found is None:
        return False
    (low, high), (start, end) = wanted, found
    holds: dict[str, bool] = {
        "eq": low <= start and end <= high,
        "ap": start < high and low < end,
        "ne": not (low <= start and end <= high),
        "gt": end > high,
        "ge": end > high or low <= start,
        "lt": start < low,
        "le": start < low or end <= high,
        "sa": start >= high,
        "eb": end <= low,
    }
    return holds[prefix]


def _element_range(element: Any) -> Any:
    if not isinstance(element, Mapping):
        return moment_range(element)
    start = moment_range(element.get("start") or "0001")
    end = moment_range(element.get("end") or "9998")
    return (start[0], end[1]) if start and end else None


def _string(element: Any, value: str, modifier: str) -> bool:
    if modifier == "exact":
        return str(element) == value
    found, wanted = _fold(str(element)), _fold(value)
    return wanted in found if modifier == "contains" else found.startswith(wanted)


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(c for c in decomposed if not unicodedata.combining(c)).casefold()


def _reference(element: Any, value: str, _modifier: str) -> bool:
    reference = element.get("reference") if isinstance(element, Mapping) else element
    found = split_reference(reference)
    if found is None:
        return False
    wanted = split_reference(value)
    return found == wanted if wanted else found[1] == value


_MATCHERS = {TOKEN: _token, DATE: _date, STRING: _string, REFERENCE: _reference}
