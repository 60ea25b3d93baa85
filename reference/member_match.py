"""The `$member-match` operation's own shapes: reading a request, checking it, making an answer.

HRex 1.1.0 and 1.2.0; the parameter names are closed and case-sensitive. PDex asks for the Consent
that HRex leaves optional (pdex-196).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import BadRequest
from .fhir import json
from .fhir.dates import moment_range
from .fhir.hrex import HREX_TEMP, V2_0203
from .fhir.parameters import Parameter, by_name, make_parameters, parameters_of, required
from .fhir.pdex import NEWEST
from .fhir.search import elements
from .matching import Outcome

PARAMETER_NAMES = ("MemberPatient", "CoverageToMatch", "CoverageToLink", "Consent")
_BIRTH_SEX = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex"
# Longer than any name or identifier that is one; a longer string is a probe, not a person.
_MAX_TEXT = 1024


@dataclass(frozen=True, slots=True)
class MemberMatchRequest:
    """One member as submitted, each resource as it came."""

    patient: dict[str, Any]
    coverage_to_match: dict[str, Any]
    coverage_to_link: dict[str, Any] | None
    consent: dict[str, Any]


def read_request(body: Mapping[str, Any]) -> MemberMatchRequest:
    """The request, checked against the HRex input profile.

    Raises BadRequest naming the element: 400 for a body that is no such request, 422 for one whose
    resources lack what the profile requires (PDex diagram; hrex-parameters-member-match-in).
    """
    request = request_of(parameters_of(body))
    try:
        check_request(request)
    except BadRequest as error:
        error.expression = _in_parameters(error.expression)
        raise
    return request


def _in_parameters(expression: str) -> str:
    """The FHIRPath of an element of a submitted resource, from the request."""
    name, dot, rest = expression.partition(".")
    return f"Parameters.parameter.where(name='{name}').resource{dot}{rest}"


def request_of(parameters: list[Parameter], where: str = "") -> MemberMatchRequest:
    """The request in the parameters of one member, its resources as they came.

    Raises BadRequest for an unknown, doubled or missing parameter, or for a resource of another
    type; `where` is the parameter that holds them as parts.
    """
    found = by_name(parameters, PARAMETER_NAMES)
    for name in ("MemberPatient", "CoverageToMatch", "Consent"):
        _require(found, name, where)
    link = found.get("CoverageToLink")
    return MemberMatchRequest(
        patient=found["MemberPatient"].resource("Patient"),
        coverage_to_match=found["CoverageToMatch"].resource("Coverage"),
        coverage_to_link=link.resource("Coverage") if link else None,
        consent=found["Consent"].resource("Consent"),
    )


def _require(found: Mapping[str, Parameter], name: str, where: str) -> None:
    try:
        required(found, name)
    except BadRequest as error:
        error.status = 422
        error.expression = f"{where}.part" if where else error.expression
        raise


def check_request(request: MemberMatchRequest) -> None:
    """Raise BadRequest (422) naming the first element that the HRex profiles do not allow."""
    check_member(request)
    _check_consent(request.consent, str(request.patient.get("id", "")))
    _check_lengths(request.consent, "Consent")


def check_member(request: MemberMatchRequest) -> None:
    """The same for the person and the coverages, whatever the Consent is like."""
    _check_patient(request.patient)
    member = str(request.patient.get("id", ""))
    _check_coverage(request.coverage_to_match, "CoverageToMatch", member)
    if request.coverage_to_link is not None:
        _check_link(request.coverage_to_link, member)
    for name, resource in (("MemberPatient", request.patient),
                           ("CoverageToMatch", request.coverage_to_match),
                           ("CoverageToLink", request.coverage_to_link)):  # fmt: skip
        _check_lengths(resource, name)


def answer(
    identifier: Mapping[str, Any], patient_url: str | None, version: str = NEWEST
) -> dict[str, Any]:
    """The out-parameters: MemberIdentifier typed UMB and, when given, MemberId.

    HRex 1.0.0, on which PDex 2.0.0 rests, types it MB and knows no MemberId.
    """
    old = version == "2.0.0"
    kind = (V2_0203, "MB") if old else (HREX_TEMP, "UMB")
    entries: list[dict[str, Any]] = [
        {
            "name": "MemberIdentifier",
            "valueIdentifier": {
                "type": {"coding": [dict(zip(("system", "code"), kind, strict=True))]},
                "system": identifier["system"],
                "value": identifier["value"],
            },
        }
    ]
    if patient_url and not old:
        entries.append({"name": "MemberId", "valueReference": {"reference": patient_url}})
    return make_parameters(entries)


def member_identifier(patient: Mapping[str, Any], fhir_base: str) -> tuple[str, str]:
    """The business identifier a payer knows its member by: UMB, else MB, else one from the id."""
    found: dict[str, tuple[str, str]] = {}
    for identifier in elements(patient, ["identifier"]):
        system, value = (next(elements(identifier, [name]), None) for name in ("system", "value"))
        if not (isinstance(system, str) and isinstance(value, str) and system and value):
            continue
        for code in elements(identifier, ["type", "coding", "code"]):
            if code in ("UMB", "MB"):
                found.setdefault(code, (system, value))
    return found.get("UMB") or found.get("MB") or (f"{fhir_base}/member", str(patient["id"]))


def no_match(outcome: Outcome) -> BadRequest:
    """The refusal when nobody or more than one is found; it tells no more (mm-9, mm-10, mm-12)."""
    if outcome is Outcome.MULTIPLE:
        return BadRequest("More than one member fits what was submitted.", status=422,
                          code="multiple-matches")  # fmt: skip
    return BadRequest("No member fits what was submitted.", status=422, code="not-found")


def _refuse(message: str, expression: str) -> BadRequest:
    return BadRequest(message, status=422, code="required", expression=expression)


def _check_patient(patient: Mapping[str, Any]) -> None:
    where = "MemberPatient"
    if not _text(patient.get("id")):
        raise _refuse(
            "MemberPatient needs an id that Coverage and Consent refer to.", f"{where}.id"
        )
    names = patient.get("name")
    complete = [
        name
        for name in (names if isinstance(names, list) else [])
        if isinstance(name, Mapping) and _text(name.get("family")) and _texts(name.get("given"))
    ]
    if not complete:
        raise _refuse("MemberPatient needs a name with family and given.", f"{where}.name")
    if not moment_range(patient.get("birthDate")):
        raise _refuse("MemberPatient needs a birthDate that exists.", f"{where}.birthDate")
    if not _text(patient.get("gender")) and not _has_birth_sex(patient):
        raise _refuse(
            "MemberPatient needs gender or the birth sex extension (hrex-pat-1).", f"{where}.gender"
        )


def _has_birth_sex(patient: Mapping[str, Any]) -> bool:
    extensions = patient.get("extension")
    return any(
        isinstance(e, Mapping) and e.get("url") == _BIRTH_SEX and e.get("valueCode")
        for e in (extensions if isinstance(extensions, list) else [])
    )


def _check_coverage(coverage: Mapping[str, Any], name: str, member: str) -> None:
    _check_local(coverage.get("beneficiary"), member, f"{name}.beneficiary")
    payors = coverage.get("payor")
    if not isinstance(payors, list) or len(payors) != 1 or not isinstance(payors[0], Mapping):
        raise _refuse(f"{name} needs exactly one payor.", f"{name}.payor")
    if not _text(coverage.get("subscriberId")) and not _has_member_identifier(coverage):
        raise _refuse(
            f"{name} needs subscriberId or an identifier of type MB (us-core-15).",
            f"{name}.identifier",
        )


def _check_link(coverage: Mapping[str, Any], member: str) -> None:
    """CoverageToLink stays minimal (mm-5): only its reference is checked."""
    _check_local(coverage.get("beneficiary"), member, "CoverageToLink.beneficiary")


def _has_member_identifier(coverage: Mapping[str, Any]) -> bool:
    identifiers = coverage.get("identifier")
    return any(
        isinstance(i, Mapping) and _text(i.get("value"))
        for i in (identifiers if isinstance(identifiers, list) else [])
    )


def _check_consent(consent: Mapping[str, Any], member: str) -> None:
    """Shape only: whether the consent can be honoured is decided after the match (pdex-154)."""
    for element in ("status", "policy", "provision", "patient"):
        if not consent.get(element):
            raise _refuse(f"Consent needs {element}.", f"Consent.{element}")
    if not isinstance(consent["provision"], Mapping):
        raise _refuse("Consent.provision must be an object.", "Consent.provision")
    period = consent["provision"].get("period")
    bounds = period if isinstance(period, Mapping) else {}
    if not all(moment_range(bounds.get(end)) for end in ("start", "end")):
        raise _refuse(
            "Consent needs a provision period with start and end.", "Consent.provision.period"
        )
    _check_local(consent["patient"], member, "Consent.patient")


def _check_local(reference: Any, member: str, where: str) -> None:
    """References resolve inside the request, to MemberPatient (mm-6)."""
    literal = reference.get("reference") if isinstance(reference, Mapping) else None
    if literal != f"Patient/{member}":
        raise _refuse(
            f"{where} must refer to the submitted MemberPatient as Patient/[its id].", where
        )


def _check_lengths(value: Any, where: str) -> None:
    if _holds_too_long(value, json.MAX_DEPTH):
        raise BadRequest(
            f"A text in {where} is longer than {_MAX_TEXT} characters, or it is nested deeper "
            f"than {json.MAX_DEPTH} levels.",
            status=422,
            code="too-long",
            expression=where,
        )


def _holds_too_long(value: Any, levels: int) -> bool:
    """Whether a text is too long, or anything is nested deeper than so many levels."""
    # By exact type: an abstract one would cost more than all the rest of the check.
    kind = type(value)
    if kind is str:
        return len(value) > _MAX_TEXT
    if kind is dict:
        # Narrative may be long and plays no part in a match.
        children = [child for name, child in value.items() if name != "div"]
    elif kind is list:
        children = value
    else:
        return False
    if not levels:
        return True
    for child in children:
        if type(child) is str:
            if len(child) > _MAX_TEXT:
                return True
        elif _holds_too_long(child, levels - 1):
            return True
    return False


def _text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(value: Any) -> bool:
    return isinstance(value, list) and any(map(_text, value))
