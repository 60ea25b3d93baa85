"""The bulk request's own shape: MemberBundles, told apart from what is wrong inside one of them.

What breaks the shape refuses the request; what is wrong with one member's resources is that
member's affair and fails nobody else (pdex-154a). A request that is taken is kept member by
member, so that the work on it holds one at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import BadRequest
from ..fhir import json
from ..fhir.ndjson import file_lines
from ..fhir.outcome import issue
from ..fhir.parameters import Parameter, parameters_of
from ..fhir.references import is_id
from ..member_match import PARAMETER_NAMES, MemberMatchRequest, check_member, request_of

MEMBER_BUNDLE = "MemberBundle"
# What is wrong with the parts of a member that stand at a place, as issues.
FindIssues = Callable[[list[Mapping[str, Any]], str], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class MemberBundle:
    """One member as submitted; `faults` say why nobody can be matched with it."""

    request: MemberMatchRequest
    faults: tuple[dict[str, Any], ...] = ()

    @property
    def patient_id(self) -> str:
        """The submitted Patient's id: what the answer is correlated by."""
        return str(self.request.patient["id"])


@dataclass(frozen=True, slots=True)
class BulkMatchRequest:
    """A request whose shape is right: its members as lines, and what was left out of account."""

    lines: tuple[bytes, ...]
    repeated: frozenset[str]
    """The ids of Patients that were submitted with several coverages (pdex-153)."""
    ignored: tuple[dict[str, Any], ...] = ()

    def kept(self) -> bytes:
        """The request as it is kept for the work: a head, then one member a line."""
        head = {"repeated": sorted(self.repeated), "ignored": list(self.ignored),
                "members": len(self.lines)}  # fmt: skip
        return b"\n".join((json.write(head), *self.lines))


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """What `BulkMatchRequest.kept` wrote, read again member by member."""

    path: Path
    members: int
    repeated: frozenset[str]
    ignored: tuple[dict[str, Any], ...]

    @classmethod
    def read(cls, path: Path) -> KeptRequest:
        """The head of a kept request."""
        head = json.read(next(iter(file_lines(path))))
        return cls(path, head["members"], frozenset(head["repeated"]), tuple(head["ignored"]))

    def bundles(self, find: FindIssues | None = None) -> Iterator[MemberBundle]:
        """Each member in the order submitted, checked; `find` tells what its profile finds."""
        lines = file_lines(self.path)
        next(lines)
        for index, line in enumerate(lines):
            where = f"Parameters.parameter[{index}]"
            submitted = json.read_many(line)
            parts = {part["name"]: part["resource"] for part in submitted}
            request = MemberMatchRequest(
                parts["MemberPatient"],
                parts["CoverageToMatch"],
                parts.get("CoverageToLink"),
                parts["Consent"],
            )
            found = find(submitted, where) if find else []
            yield MemberBundle(request, tuple(_faults(request, where, found)))


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
    ignored = [p.expression for p in found if p.name != MEMBER_BUNDLE]
    bundles = [_bundle(parameter, ignored) for parameter in members]
    repeated = _repeated(bundles)
    lines = tuple(json.write(parts) for _, parts in bundles)
    return BulkMatchRequest(lines, repeated, tuple(map(_left_out, ignored)))


_Bundle = tuple[MemberMatchRequest, list[Mapping[str, Any]]]


def _bundle(parameter: Parameter, ignored: list[str]) -> _Bundle:
    """A member's request and its parts; what the operation does not know is noted."""
    try:
        parts = parameter.parts()
        ignored += [p.expression for p in parts if p.name not in PARAMETER_NAMES]
        known = [p for p in parts if p.name in PARAMETER_NAMES]
        request = request_of(known, parameter.expression)
    except BadRequest as error:
        error.status = 422
        raise
    if not is_id(request.patient.get("id")):
        raise BadRequest("MemberPatient needs an id: the answer is correlated by it.", status=422,
                         code="required", expression=f"{parameter.expression}.part")  # fmt: skip
    return request, [p.content for p in known]


def _repeated(bundles: Iterable[_Bundle]) -> frozenset[str]:
    """The ids that stand several times, each for one and the same Patient.

    The contained id is the correlation key: raises BadRequest for one that stands for two people.
    """
    counts = Counter(str(request.patient["id"]) for request, _ in bundles)
    repeated = frozenset(ident for ident, count in counts.items() if count > 1)
    patients: dict[str, bytes] = {}
    for index, (request, _) in enumerate(bundles if repeated else ()):
        ident = str(request.patient["id"])
        if ident not in repeated:
            continue
        patient = json.write(request.patient)
        if patients.setdefault(ident, patient) != patient:
            raise BadRequest(
                "Two MemberBundles hold different Patients with the same id. "
                "Give each submitted Patient an id of its own.",
                status=422,
                code="duplicate",
                expression=f"Parameters.parameter[{index}]",
            )
    return repeated


def _faults(
    request: MemberMatchRequest, where: str, found: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Why nobody can be matched with a member's resources, and then what their profile finds."""
    text = "The member's resources are not as HRex has them." if found else ""
    code = "invalid"
    # A bad Consent is no reason not to be matched: it is judged after the match (pdex-154b).
    try:
        check_member(request)
    except BadRequest as error:
        text, code = str(error), error.code
    if text:
        text = f"{text} The member is reported as not matched."
        yield issue(text, code=code, expression=where, severity="error")
        yield from found


def _left_out(expression: str) -> dict[str, Any]:
    return issue("A parameter that the operation does not know was left out of account.",
                 code="informational", severity="information", expression=expression)  # fmt: skip
