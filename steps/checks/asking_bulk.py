"""Checks on what a requesting payer sends in bulk: MemberBundles, and parameters of exports."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from ..verdicts import CheckFailed

Parts = Mapping[str, Mapping[str, Any]]
# PDex, multi-member match request: the parts of a MemberBundle, each at most once.
_NEEDED = ("MemberPatient", "CoverageToMatch", "Consent")
_PARTS = (*_NEEDED, "CoverageToLink")
PAYER_TO_PAYER = "hl7.fhir.us.davinci-pdex#payertopayer"
# ATR, $davinci-data-export: the type of each parameter.
_TYPES = {"patient": "valueReference", "exportType": "valueCanonical", "_since": "valueInstant",
          "_until": "valueInstant", "_type": "valueString",
          "_typeFilter": "valueString"}  # fmt: skip
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
# Bulk Data, _typeFilter: what shapes a result may not stand in it.
_SHAPING = ("_sort", "_count", "_include", "_revinclude", "_summary", "_elements", "_contained",
            "_total")  # fmt: skip
# PDex, US Core and CARIN BB: the types that members' records are made of.
_PAYLOAD = frozenset({
    "AllergyIntolerance", "CarePlan", "CareTeam", "Condition", "Coverage", "Device",
    "DiagnosticReport", "DocumentReference", "Encounter", "ExplanationOfBenefit",
    "FamilyMemberHistory", "Goal", "Immunization", "Location", "Media", "Medication",
    "MedicationDispense", "MedicationRequest", "Observation", "Organization", "Patient",
    "Practitioner", "PractitionerRole", "Procedure", "Provenance", "QuestionnaireResponse",
    "RelatedPerson", "ServiceRequest", "Specimen",
})  # fmt: skip
# US Core: what an Observation is searched by.
_OBSERVATION = ("_id", "_lastUpdated", "_profile", "category", "code", "combo-code", "date",
                "encounter", "patient", "status", "subject")  # fmt: skip


def bundle_parameters(body: Any) -> list[list[tuple[str, Any]]]:
    """The parts of each MemberBundle, by name; raises CheckFailed for another body."""
    entries = body.get("parameter") if isinstance(body, dict) else None
    if not isinstance(entries, list) or body.get("resourceType") != "Parameters" or not entries:
        raise CheckFailed("The bulk match request is no Parameters resource with members.",
                          "Parameters", "another body", "body")  # fmt: skip
    odd = sorted({str(e.get("name")) for e in entries} - {"MemberBundle"})
    if odd:
        raise CheckFailed("The bulk match request has other parameters than PDex knows.",
                          "MemberBundle", ", ".join(odd), "Parameters.parameter.name")  # fmt: skip
    return [[(str(p.get("name")), p.get("resource")) for p in e.get("part") or []]
            for e in entries]  # fmt: skip


def is_member_bundle(parts: list[tuple[str, Any]]) -> None:
    """One MemberPatient, CoverageToMatch and Consent, at most one CoverageToLink, nothing else."""
    names = [name for name, _ in parts]
    missing = [name for name in _NEEDED if name not in names]
    odd = [name for name in names if name not in _PARTS or names.count(name) > 1]
    if missing or odd:
        raise CheckFailed("A MemberBundle has not the parts that PDex asks for.",
                          ", ".join(_PARTS), ", ".join(names) or "none",
                          "Parameters.parameter.part.name")  # fmt: skip
    types = {"MemberPatient": "Patient", "Consent": "Consent"}
    for name, resource in parts:
        wanted = types.get(name, "Coverage")
        found = resource.get("resourceType") if isinstance(resource, dict) else "nothing"
        if found != wanted:
            raise CheckFailed("A part of a MemberBundle is of another type.", wanted, str(found),
                              f"{name}.resource")  # fmt: skip


def ids_are_unlike(bundles: Sequence[Parts]) -> None:
    """Each submitted Patient has an id of its own, by which the answer leads back to it."""
    ids = [str(parts["MemberPatient"].get("id")) for parts in bundles if "MemberPatient" in parts]
    if len(ids) != len(set(ids)) or "None" in ids:
        raise CheckFailed("Submitted Patients share an id, or have none.", "an id each",
                          f"{len(ids)} Patients with {len(set(ids))} ids",
                          "MemberPatient.id")  # fmt: skip


def parameters_are_typed(body: Any) -> None:
    """Only the parameters of $davinci-data-export, each of its type, and once but for patient."""
    entries = (body or {}).get("parameter") or []
    names = [str(entry.get("name")) for entry in entries]
    for entry, name in zip(entries, names, strict=True):
        values = [key for key in entry if key.startswith("value")]
        if values != [_TYPES.get(name)]:
            raise CheckFailed("A parameter of the export has another type than ATR gives it.",
                              _TYPES.get(name, "a parameter of ATR"), ", ".join(values) or "none",
                              f"parameter {name}")  # fmt: skip
        if names.count(name) > 1 and name != "patient":
            raise CheckFailed("A parameter of the export stands twice.", "once", "twice",
                              f"parameter {name}")  # fmt: skip
        if values == ["valueInstant"] and not _INSTANT.fullmatch(str(entry["valueInstant"])):
            raise CheckFailed("A moment is no FHIR instant.", "an instant with its zone",
                              "another form", f"parameter {name}")  # fmt: skip


def filters_of(parameters: Mapping[str, list[Any]]) -> list[tuple[str, list[tuple[str, str]]]]:
    """The type and the search of each query in _typeFilter (Bulk Data: parted by commas)."""
    texts = [t for value in parameters.get("_typeFilter", []) for t in str(value).split(",")]
    return [(kind, parse_qsl(query, keep_blank_values=True))
            for kind, _, query in (text.strip().partition("?") for text in texts)]  # fmt: skip


def types_are_known(parameters: Mapping[str, list[Any]]) -> None:
    """_type lists types of FHIR, of those that the payload of an exchange is made of."""
    types = [t.strip() for value in parameters.get("_type", []) for t in str(value).split(",")]
    if odd := [t for t in types if t not in _PAYLOAD]:
        raise CheckFailed("_type lists what is no type of the exchange.", "types of FHIR",
                          f"{len(odd)} others", "parameter _type")  # fmt: skip


def filters_are_searches(parameters: Mapping[str, list[Any]]) -> None:
    """Each query is a search of a type that _type lists."""
    types = {t.strip() for value in parameters.get("_type", []) for t in str(value).split(",")}
    for kind, pairs in filters_of(parameters):
        whole = bool(pairs) and all(name and value for name, value in pairs)
        if not whole or not kind.isalpha() or (types and kind not in types):
            raise CheckFailed("_typeFilter holds what is no search of a type that is asked for.",
                              "a type of _type, ? and a search", "another text",
                              "parameter _typeFilter")  # fmt: skip


def filters_are_known(parameters: Mapping[str, list[Any]]) -> None:
    """The searches of Observations use parameters that US Core has for them."""
    for kind, pairs in filters_of(parameters):
        names = {name.partition(":")[0].partition(".")[0] for name, _ in pairs}
        odd = sorted(names - set(_OBSERVATION) - set(_SHAPING)) if kind == "Observation" else []
        if odd:
            raise CheckFailed("_typeFilter searches by what the profiles have no parameter for.",
                              "a search parameter of US Core", ", ".join(odd),
                              "parameter _typeFilter")  # fmt: skip


def filters_shape_nothing(parameters: Mapping[str, list[Any]]) -> None:
    """No parameter that shapes a result stands in a filter."""
    names = {name.partition(":")[0] for _, pairs in filters_of(parameters) for name, _ in pairs}
    if odd := sorted(names & set(_SHAPING)):
        raise CheckFailed("_typeFilter shapes the result.", "what chooses resources alone",
                          ", ".join(odd), "parameter _typeFilter")  # fmt: skip


def filters_bound_service(parameters: Mapping[str, list[Any]]) -> None:
    """A bound on the day of service stands in a filter, and not in _since."""
    searched = {name for _, pairs in filters_of(parameters) for name, _ in pairs}
    if "_since" in parameters or not searched & {"date", "period", "service-date", "authored"}:
        raise CheckFailed("The days of service that are wanted are not bounded by _typeFilter.",
                          "a date in _typeFilter, no _since",
                          "_since" if "_since" in parameters else "neither",
                          "parameter _typeFilter")  # fmt: skip
