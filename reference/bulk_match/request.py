"""The bulk request's own shape: MemberBundles, told apart from what is wrong inside one of them.

What breaks the shape refuses the request; what is wrong with one member's resources is that
member's affair and fails nobody else (pdex-154a).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest
from ..fhir import json
from ..fhir.outcome import issue
from ..fhir.parameters import Parameter, parameters_of
from ..fhir.references import is_id
from ..member_match import PARAMETER_NAMES, MemberMatchRequest, check_member, request_of

MEMBER_BUNDLE = "MemberBundle"


@dataclass(frozen=True, slots=True)
class MemberBundle:
    """One member as submitted; `fault` says why nobody can be matched with it."""

    request: MemberMatchRequest
    fault: dict[str, Any] | None = None

    @property
    def patient_id(self) -> str:
        """The submitted Patient's id: what the answer is correlated by."""
        return str(self.request.patient["id"])


@dataclass(frozen=True, slots=True)
class BulkMatchRequest:
    """The members of one request in their order, and what was left out of account."""

    bundles: tuple[MemberBundle, ...]
    ignored: tuple[dict[str, Any], ...] = ()

    @property
    def repeated(self) -> frozenset[str]:
        """The ids of Patients that were submitted with several coverages (pdex-153)."""
        seen: set[str] = set()
        return frozenset(b.patient_id for b in self.bundles if _seen(b.patient_id, seen))


def read_bulk_request(body: Mapping[str, Any], most: int) -> BulkMatchRequest:
    """The request in a Parameters body.

    Raises BadRequest naming the element: 400 for a body that is no Parameters, 413 for more than
    `most` members, 422 for a bundle that lacks a part or cannot be told from another one
    (pdex-parameters-multi-member-match-bundle-in). Slicing is open: other names are told of.
    """
    found = parameters_of(body)
    members = [p for p in found if p.name == MEMBER_BUNDLE]
    if not members:
        raise BadRequest(f"The request needs at least one {MEMBER_BUNDLE}.", status=422,
                         code="required", expression="Parameters.parameter")  # fmt: skip
    if len(members) > most:
        raise BadRequest(f"The request has more than {most} members. Send them in several.",
                         status=413, code="too-costly")  # fmt: skip
    bundles = tuple(_bundle(parameter) for parameter in members)
    _check_distinct(bundles)
    others = [p for p in found if p.name != MEMBER_BUNDLE]
    return BulkMatchRequest(bundles, tuple(_left_out(others, members)))


def _bundle(parameter: Parameter) -> MemberBundle:
    try:
        parts = [p for p in parameter.parts() if p.name in PARAMETER_NAMES]
        request = request_of(parts, parameter.expression)
    except BadRequest as error:
        error.status = 422
        raise
    if not is_id(request.patient.get("id")):
        raise BadRequest("MemberPatient needs an id: the answer is correlated by it.", status=422,
                         code="required", expression=f"{parameter.expression}.part")  # fmt: skip
    return MemberBundle(request, _fault(request, parameter.expression))


def _fault(request: MemberMatchRequest, expression: str) -> dict[str, Any] | None:
    # A bad Consent is no reason not to be matched: it is judged after the match (pdex-154b).
    try:
        check_member(request)
    except BadRequest as error:
        text = f"{error} The member is reported as not matched."
        return issue(text, code=error.code, expression=expression, severity="error")
    return None


def _check_distinct(bundles: tuple[MemberBundle, ...]) -> None:
    """The contained id is the correlation key: one id, one Patient."""
    patients: dict[str, bytes] = {}
    for index, bundle in enumerate(bundles):
        patient = json.write(bundle.request.patient)
        if patients.setdefault(bundle.patient_id, patient) != patient:
            raise BadRequest(
                "Two MemberBundles hold different Patients with the same id. "
                "Give each submitted Patient an id of its own.",
                status=422,
                code="duplicate",
                expression=f"Parameters.parameter[{index}]",
            )


def _left_out(others: list[Parameter], members: list[Parameter]) -> Iterator[dict[str, Any]]:
    parts = (part for member in members for part in member.parts())
    for parameter in (*others, *(p for p in parts if p.name not in PARAMETER_NAMES)):
        yield issue("A parameter that the operation does not know was left out of account.",
                    code="informational", severity="information",
                    expression=parameter.expression)  # fmt: skip


def _seen(ident: str, seen: set[str]) -> bool:
    if ident in seen:
        return True
    seen.add(ident)
    return False
