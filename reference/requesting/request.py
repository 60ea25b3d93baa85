"""What `$sdh.s2s.invoke-export` is asked for: one member, one source payer, read strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..consent import evaluate
from ..errors import BadRequest
from ..fhir.dates import read_instant
from ..fhir.media import NDJSON_NAMES
from ..fhir.parameters import Parameter, by_name, parameters_of, required
from ..fhir.references import split_reference
from ..member_match import PARAMETER_NAMES, MemberMatchRequest, check_request
from ..parties import PayerIdentity
from ..registration.servers import Server

_NAMES = ("localPatient", "sourceIssuerUrl", "memberMatch", "export")
_MEMBER_NAMES = _NAMES[:-1]
_EXPORT = ("_type", "_since", "_until", "_typeFilter", "_outputFormat")
_REPEATABLE = ("_type", "_typeFilter")
_SINGLE = "This operation is for a single member: one localPatient, one memberMatch."


@dataclass(frozen=True, slots=True)
class InvokeRequest:
    """One exchange as it was asked for."""

    local_patient: str
    issuer: str
    match: MemberMatchRequest
    export: tuple[tuple[str, str], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The same as plain objects, to be kept with the Task."""
        return {
            "patient": self.match.patient,
            "coverage_to_match": self.match.coverage_to_match,
            "coverage_to_link": self.match.coverage_to_link,
            "consent": self.match.consent,
            "export": [list(pair) for pair in self.export],
        }

    @classmethod
    def from_json(
        cls, local_patient: str, issuer: str, content: Mapping[str, Any]
    ) -> InvokeRequest:
        """What `as_json` gave."""
        parts = {name: child for name, child in content.items() if name != "export"}
        export = tuple((name, value) for name, value in content["export"])
        return cls(local_patient, issuer, MemberMatchRequest(**parts), export)


def read_invoke(body: Mapping[str, Any]) -> InvokeRequest:
    """The request in a Parameters body.

    Raises BadRequest naming the parameter: 400 for a body that is no such request, 422 for one
    that lacks something, has a resource HRex does not allow, or is about two members.
    """
    return _request(parameters_of(body))


def read_member(parameter: Parameter) -> InvokeRequest:
    """One member of a batch, whose parts are what an exchange of that member is asked with."""
    return _request(parameter.parts(), _MEMBER_NAMES)


def _request(parameters: list[Parameter], names: tuple[str, ...] = _NAMES) -> InvokeRequest:
    _check_single(parameters, ("localPatient", "memberMatch"))
    found = by_name(parameters, names)
    request = InvokeRequest(
        local_patient=_local_patient(_required(found, "localPatient")),
        issuer=_text(_required(found, "sourceIssuerUrl"), "String", "Url", "Uri"),
        match=_member_match(_required(found, "memberMatch")),
        export=export_of(found["export"]) if "export" in found else (),
    )
    _check_shapes(request.match)
    return request


def check_consent(
    request: InvokeRequest, server: Server, own: PayerIdentity, now: datetime
) -> None:
    """Raise BadRequest 422 unless the Consent permits this exchange now (SD-13)."""
    decision = evaluate(
        request.match.consent,
        member=str(request.match.patient["id"]),
        requester=own,
        responder=server.organization,
        now=now,
        segmented=True,
    )
    if not decision.granted:
        raise BadRequest(
            f"The Consent does not permit this exchange ({decision.reason}). "
            "It must be active, let the source payer disclose to this payer, and be in force.",
            status=422,
            code="suppressed",
            expression="Parameters.parameter.where(name='memberMatch').part.where(name='Consent')",
        )


def payor_fault(request: InvokeRequest, server: Server, own: PayerIdentity) -> str:
    """Why the coverages do not lead to the two payers, or an empty text (SD-51)."""
    if not _is_payor(request.match.coverage_to_match, server.organization):
        return (
            "CoverageToMatch.payor is missing or names another payer than the source payer that "
            "sourceIssuerUrl stands for. Correct the Coverage or the server definition."
        )
    link = request.match.coverage_to_link
    if link is not None and not _is_payor(link, own):
        return (
            "CoverageToLink.payor is missing or does not name this payer. "
            "Correct the Coverage or this payer's identity."
        )
    return ""


def _is_payor(coverage: Mapping[str, Any], payer: PayerIdentity) -> bool:
    payors = coverage.get("payor")
    return isinstance(payors, list) and len(payors) == 1 and payer.is_meant_by(payors[0])


def _required(found: Mapping[str, Parameter], name: str) -> Parameter:
    try:
        return required(found, name)
    except BadRequest as error:
        error.status = 422
        raise


def _check_single(parameters: list[Parameter], names: tuple[str, ...]) -> None:
    for name in names:
        given = [p for p in parameters if p.name == name]
        if len(given) > 1:
            raise BadRequest(_SINGLE, status=422, code="too-costly", expression=given[1].expression)


def _local_patient(parameter: Parameter) -> str:
    reference = parameter.value("Reference")
    literal = reference.get("reference") if isinstance(reference, Mapping) else None
    key = split_reference(literal)
    if key is None or key[0] == "Group":
        raise BadRequest(
            "localPatient must refer to a Patient of this payer, as Patient/[id]." if key is None
            else _SINGLE,
            status=422,
            code="value",
            expression=parameter.expression,
        )  # fmt: skip
    if key[0] != "Patient":
        raise BadRequest("localPatient must refer to a Patient.", status=422, code="value",
                         expression=parameter.expression)  # fmt: skip
    return key[1]


def _text(parameter: Parameter, *kinds: str) -> str:
    value = parameter.value(*kinds)
    if not isinstance(value, str) or not value.strip():
        raise BadRequest(
            f"{parameter.name} must be a text that is not empty.",
            code="value",
            expression=parameter.expression,
        )
    return value


def _member_match(parameter: Parameter) -> MemberMatchRequest:
    parts = parameter.parts()
    _check_single(parts, PARAMETER_NAMES)
    found = by_name(parts, PARAMETER_NAMES)
    for name in ("MemberPatient", "CoverageToMatch", "Consent"):
        _required(found, name)
    link = found.get("CoverageToLink")
    return MemberMatchRequest(
        patient=found["MemberPatient"].resource("Patient"),
        coverage_to_match=found["CoverageToMatch"].resource("Coverage"),
        coverage_to_link=link.resource("Coverage") if link else None,
        consent=found["Consent"].resource("Consent"),
    )


def _check_shapes(match: MemberMatchRequest) -> None:
    """The HRex shapes; a missing payor is told by `payor_fault`, in words of its own (SD-51)."""
    payor = match.coverage_to_match.get("payor") or [{}]
    check_request(
        MemberMatchRequest(
            match.patient,
            {**match.coverage_to_match, "payor": payor},
            match.coverage_to_link,
            match.consent,
        )
    )


def export_of(parameter: Parameter) -> tuple[tuple[str, str], ...]:
    """The parameters that an export is to be kicked off with."""
    parts = parameter.parts()
    by_name(parts, _EXPORT, repeatable=_REPEATABLE)
    pairs = tuple((p.name, _text(p, "String", "Code", "Instant", "DateTime", "Uri")) for p in parts)
    for name, value in pairs:
        if name in ("_since", "_until"):
            read_instant(value, name)
        if name == "_outputFormat" and value not in NDJSON_NAMES:
            raise BadRequest("_outputFormat must be application/fhir+ndjson.",
                             code="not-supported", expression=name)  # fmt: skip
    return pairs
