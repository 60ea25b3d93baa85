"""The facts a payer reads from a resource once, when it stores it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from ..errors import RecordRejected
from ..fhir import json
from ..fhir.dates import moment_range
from ..fhir.references import binary_urls, is_id, patient_of, references_in, split_reference
from .repository import Stored, sortable

# Where the date of service stands, by type, in the order of preference.
_SERVICE_DATE: dict[str, tuple[str, ...]] = {
    "AllergyIntolerance": ("onsetDateTime", "recordedDate"),
    "CarePlan": ("period.start", "created"),
    "CareTeam": ("period.start",),
    "Claim": ("billablePeriod.start", "created"),
    "Condition": ("onsetDateTime", "onsetPeriod.start", "recordedDate"),
    "Coverage": ("period.start",),
    "DiagnosticReport": ("effectiveDateTime", "effectivePeriod.start", "issued"),
    "DocumentReference": ("context.period.start", "date"),
    "Encounter": ("period.start",),
    "ExplanationOfBenefit": ("billablePeriod.start", "preAuthRefPeriod.start", "created"),
    "Goal": ("startDate",),
    "ImagingStudy": ("started",),
    "Immunization": ("occurrenceDateTime",),
    "MedicationAdministration": ("effectiveDateTime", "effectivePeriod.start"),
    "MedicationDispense": ("whenHandedOver", "whenPrepared"),
    "MedicationRequest": ("authoredOn",),
    "MedicationStatement": ("effectiveDateTime", "effectivePeriod.start"),
    "Observation": ("effectiveDateTime", "effectivePeriod.start", "effectiveInstant", "issued"),
    "Procedure": ("performedDateTime", "performedPeriod.start"),
    "QuestionnaireResponse": ("authored",),
    "ServiceRequest": ("occurrenceDateTime", "occurrencePeriod.start", "authoredOn"),
    "Specimen": ("collection.collectedDateTime",),
}
_PDEX = "http://hl7.org/fhir/us/davinci-pdex/"
_PRIOR_AUTHORIZATION = _PDEX + "StructureDefinition/pdex-priorauthorization"
_WHEN_ADJUDICATED = _PDEX + "StructureDefinition/base-ext-when-adjudicated"
_REVIEW_ACTION_CODE = (
    "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-reviewActionCode"
)
# The two review actions whose meaning an exchange depends on: not certified, and pended.
_NOT_CERTIFIED, _PENDED = "A3", "A4"


def stored(resource: Mapping[str, Any], body: bytes, *, now: datetime) -> Stored:
    """The resource with its facts, ready to store; `body` is kept byte for byte.

    Raises RecordRejected when it has no type or no id that can be an address.
    """
    kind, ident = resource.get("resourceType"), resource.get("id")
    if not isinstance(kind, str) or not kind.isalnum():
        raise RecordRejected("A resource has no resourceType.")
    if not isinstance(ident, str) or not is_id(ident):
        raise RecordRejected(f"A {kind} has no id of 1 to 64 letters, digits, hyphens and dots.")
    own = (kind, ident)
    patient = patient_of(resource) or ""
    return Stored(
        type=kind,
        id=ident,
        body=body,
        compartment=patient,
        last_updated=_last_updated(resource, now),
        service_date=service_date(resource),
        marks=words_for_scope(resource),
        references=tuple(sorted(key for key in _outward(resource, patient) if key != own)),
        version=1,
    )


def stored_line(line: bytes, *, now: datetime) -> Stored:
    """One NDJSON line with its facts. Raises RecordRejected when it is no JSON object."""
    if json.too_deep(line):
        raise RecordRejected(f"A line is nested deeper than {json.MAX_DEPTH} levels.")
    try:
        resource = json.read(line)
    except ValueError as error:
        raise RecordRejected("A line is not JSON.") from error
    if not isinstance(resource, dict):
        raise RecordRejected("A line is not a JSON object.")
    if b"\\u0000" in line and not json.is_storable(resource):
        raise RecordRejected("A line holds the character NUL, which no text in FHIR may hold.")
    return stored(resource, line, now=now)


def words_for_scope(resource: Mapping[str, Any]) -> str:
    """The words about a resource that the data scope reads, as they are stored."""
    return " ".join(_marks(resource))


def service_date(resource: Mapping[str, Any]) -> str | None:
    """The date of service as it is written in the resource, or None."""
    for path in _SERVICE_DATE.get(str(resource.get("resourceType")), ()):
        value: Any = resource
        for step in path.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, str) and moment_range(value):
            return value
    return None


def _last_updated(resource: Mapping[str, Any], now: datetime) -> str:
    meta = resource.get("meta")
    bounds = moment_range(meta.get("lastUpdated")) if isinstance(meta, Mapping) else None
    return sortable(bounds[0] if bounds else now)


def _outward(resource: Mapping[str, Any], patient: str) -> Iterator[tuple[str, str]]:
    for reference in (*references_in(resource), *binary_urls(resource)):
        key = split_reference(reference)
        if key and key != ("Patient", patient):
            yield key


def _marks(resource: Mapping[str, Any]) -> Iterator[str]:
    """Words the data scope reads: security labels, and the state of a prior authorization."""
    meta = resource.get("meta")
    for label in _list(meta.get("security")) if isinstance(meta, Mapping) else ():
        code = label.get("code") if isinstance(label, Mapping) else None
        if isinstance(code, str) and code and not code.isspace():
            yield f"label:{''.join(code.split())}"
    if resource.get("resourceType") == "ExplanationOfBenefit" and _is_prior_authorization(resource):
        yield from _authorization_marks(resource)


def _is_prior_authorization(resource: Mapping[str, Any]) -> bool:
    meta = resource.get("meta")
    profiles = _list(meta.get("profile")) if isinstance(meta, Mapping) else []
    return resource.get("use") == "preauthorization" or any(
        isinstance(p, str) and p.split("|")[0] == _PRIOR_AUTHORIZATION for p in profiles
    )


def _authorization_marks(resource: Mapping[str, Any]) -> Iterator[str]:
    yield "pa"
    codes = set(_review_codes(resource))
    if _NOT_CERTIFIED in codes or (_has_denial_reason(resource) and not codes):
        yield "pa-denied"
    if _PENDED in codes or resource.get("outcome") in ("queued", "partial"):
        yield "pa-pended"
    if resource.get("status") == "active":
        yield "pa-status-active"
    if any(c.get("code") == "pharmacy" for c in _codings(resource.get("type"))):
        yield "pa-drug"
    ends = [str(p["end"])[:10] for p in _periods(resource.get("preAuthRefPeriod")) if "end" in p]
    if ends:
        yield f"pa-end:{max(ends)}"
    yield f"pa-changed:{_changed(resource)}"


def _changed(resource: Mapping[str, Any]) -> str:
    """The day the status last changed: adjudication dates before creation before meta."""
    dates = [
        str(extension.get("valueDateTime") or extension.get("valueDate") or "")[:10]
        for extension in _extensions(resource)
        if extension.get("url") == _WHEN_ADJUDICATED
    ]
    if any(dates):
        return max(dates)
    meta = resource.get("meta")
    updated = meta.get("lastUpdated") if isinstance(meta, Mapping) else None
    return str(resource.get("created") or updated or "")[:10]


def _review_codes(resource: Mapping[str, Any]) -> Iterator[str]:
    for extension in _extensions(resource):
        if extension.get("url") in (_REVIEW_ACTION_CODE, "code"):
            for coding in _codings(extension.get("valueCodeableConcept")):
                if isinstance(coding.get("code"), str):
                    yield coding["code"]


def _has_denial_reason(resource: Mapping[str, Any]) -> bool:
    entries = [resource, *(_list(resource.get("item")))]
    return any(
        coding.get("code") == "denialreason"
        for entry in entries
        if isinstance(entry, Mapping)
        for adjudication in _list(entry.get("adjudication"))
        if isinstance(adjudication, Mapping)
        for coding in _codings(adjudication.get("category"))
    )


def _extensions(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every extension anywhere below a value."""
    if isinstance(value, Mapping):
        for key, child in value.items():
            if key == "extension":
                yield from (e for e in _list(child) if isinstance(e, Mapping))
            yield from _extensions(child)
    elif isinstance(value, list):
        for child in value:
            yield from _extensions(child)


def _codings(concept: Any) -> list[Mapping[str, Any]]:
    found = concept.get("coding") if isinstance(concept, Mapping) else None
    return [coding for coding in _list(found) if isinstance(coding, Mapping)]


def _periods(value: Any) -> list[Mapping[str, Any]]:
    return [period for period in _list(value) if isinstance(period, Mapping)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
