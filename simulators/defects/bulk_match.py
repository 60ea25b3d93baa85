"""Defects of the bulk match, and of the Groups that it answers with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from flask import Request, Response

from ...reference.errors import BadRequest
from ...reference.fhir import json
from ...reference.fhir.media import FHIR_JSON
from ...reference.fhir.pdex import CONSENT_CONSTRAINT, ENVELOPE, MATCH, NO_MATCH
from ..responding import RespondingSimulator
from .registry import CONSENT, change_answer, change_json, change_lines, defect

Group = dict[str, Any]
# What a bulk match that is not there cannot meet.
_NO_MATCH_THERE = ("bulk-p2p-01", "bulk-p2p-03", "pdex-136", "pdex-143", "pdex-397", "pdex-op-url")
# What asks for the matched Group again, or for what it says of its members.
FOUND_AGAIN = ("pdex-159", "pdex-163", "pdex-group-read", "pdex-162")


def _groups(
    ident: str,
    words: str,
    *requirements: str,
    also: tuple[str, ...] = (),
    version: str = "2.2.0",
) -> Callable[[Callable[[list[Group]], list[Group] | None]], None]:
    """A defect that changes the Groups of an answer; what is stored stays as it is."""

    def register(change: Callable[[list[Group]], list[Group] | None]) -> None:
        @defect(ident, words, *requirements, also=also, version=version)
        def install(simulator: RespondingSimulator) -> None:
            change_lines(simulator, lambda lines: _changed(lines, change))

    return register


def _changed(
    lines: list[bytes], change: Callable[[list[Group]], list[Group] | None]
) -> list[bytes]:
    resources = [json.read_exact(line) for line in lines]
    if not resources or resources[0].get("resourceType") != "Group":
        return lines
    changed = change(resources)
    return [json.write(r) for r in (resources if changed is None else changed)]


def _code(group: Group) -> str:
    return str(group["code"]["coding"][0]["code"])


def _members(groups: list[Group]) -> Iterator[dict[str, Any]]:
    for group in groups:
        yield from group.get("member", [])


# The operation


@defect("R02-bulk", "Bulk exchange is not declared", "pdex-192", also=("pdex-cap-ops",))
def bulk_undeclared(simulator: RespondingSimulator) -> None:
    change_json(simulator, "metadata", lambda c: _operations(c, lambda _: []))


@defect("R02-canonical", "A bulk operation is declared with another definition", "pdex-cap-ops")
def bulk_misdeclared(simulator: RespondingSimulator) -> None:
    def change(operations: list[dict[str, str]]) -> list[dict[str, str]]:
        return [{**o, "definition": "http://example.org/OperationDefinition/mine"}
                for o in operations]  # fmt: skip

    change_json(simulator, "metadata", lambda c: _operations(c, change))


@defect("V1-200", "A payer of PDex 2.0.0 declares bulk exchange", "pdex-v200-single-only",
        also=_NO_MATCH_THERE, version="2.0.0")  # fmt: skip
def bulk_too_early(simulator: RespondingSimulator) -> None:
    def change(statement: dict[str, Any]) -> None:
        operation = {"name": "bulk-member-match", "definition": "http://example.org/x"}
        statement["rest"][0]["resource"].append({"type": "Group", "operation": [operation]})

    change_json(simulator, "metadata", change)


def _operations(
    statement: dict[str, Any], change: Callable[[list[dict[str, str]]], list[dict[str, str]]]
) -> None:
    for resource in statement["rest"][0]["resource"]:
        if resource["type"] == "Group":
            resource["operation"] = change(resource["operation"])


@defect("R45", "The bulk match is answered at once", "pdex-136", "pdex-397", "pdex-op-url",
        "bulk-p2p-01", also=("pdex-164", "atr-export-instance"))  # fmt: skip
def answered_at_once(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        return Response(b"{}", status=200, mimetype=FHIR_JSON) if response.status_code == 202 else (
            response
        )  # fmt: skip

    change_answer(simulator, "bulk_match", change)


@defect("V2-210", "A bulk match on Group is not known in 2.1.0", "pdex-op-url-210",
        also=(*_NO_MATCH_THERE, "pdex-scope-bulk-210"), version="2.1.0")  # fmt: skip
def not_on_group(simulator: RespondingSimulator) -> None:
    simulator.app.view_functions["fhir.bulk_match"] = simulator.absent


@defect("R45-text", "The manifest of a bulk match is served as text", "pdex-129", "pdex-148",
        "pdex-149", also=("bulk-status-14",))  # fmt: skip
def manifest_as_text(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        if response.status_code == 200:
            response.headers["Content-Type"] = "text/plain"
        return response

    change_answer(simulator, "status", change)


@defect("R49", "One bad consent fails the whole bulk match", "pdex-154a")
def one_fails_all(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.judge_consent

    def judge(request: Any, requester: Any) -> Any:
        decision = strict(request, requester)
        if not decision.granted and len(payer.jobs.of("requesting-payer")) > 0:
            raise BadRequest("One consent is not in order.", status=422)
        return decision

    payer.judge_consent = judge  # type: ignore[method-assign]


@defect("R46-flaw", "A bundle that lacks a part is accepted", "pdex-bulk-badbundle-422")
def lacking_accepted(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        if response.status_code in (400, 422):
            return Response(status=202, headers={"Content-Location": "http://127.0.0.1/none"})
        return response

    change_answer(simulator, "bulk_match", change)


@defect(
    "R16-bulk",
    "The bulk match is open to everybody",
    "pdex-143",
    "bulk-p2p-03",
    also=("pdex-scope-bulk",),
)
def bulk_match_open(simulator: RespondingSimulator) -> None:
    _open(simulator, "bulk_match", 202)


@defect("R16-group", "Groups can be read and exported without a token", "pdex-187", "bulk-p2p-03",
        "bulk-kickoff-18", "pdex-188", also=("pdex-scope-group", "scope-18"))  # fmt: skip
def groups_open(simulator: RespondingSimulator) -> None:
    _open(simulator, "read_group", 200)
    _open(simulator, "data_export", 202)


def _open(simulator: RespondingSimulator, endpoint: str, status: int) -> None:
    def change(_request: Request, response: Response) -> Response:
        if response.status_code in (401, 403):
            return Response(b"{}", status=status, mimetype=FHIR_JSON)
        return response

    change_answer(simulator, endpoint, change)


# Who lies where


@_groups("R48", "Matched members are not told when there are none", "pdex-matched-always",
         also=("pdex-154b",))  # fmt: skip
def empty_match_left_out(groups: list[Group]) -> list[Group]:
    return [g for g in groups if _code(g) != MATCH or g.get("member")]


@defect("R48-empty", "Empty Groups are told of unmatched members", "pdex-nomatch-conditional")
def empty_groups_told(simulator: RespondingSimulator) -> None:
    def change(groups: list[Group]) -> list[Group]:
        if any(_code(g) == NO_MATCH for g in groups):
            return groups
        empty = json.read_exact(json.write(groups[0]))
        for name in ("member", "contained", "characteristic"):
            empty.pop(name, None)
        empty["code"]["coding"][0]["code"] = NO_MATCH
        return [*groups, {**empty, "id": "empty", "quantity": 0}]

    change_lines(simulator, lambda lines: _changed(lines, change))


@_groups("R50", "A member without a good consent is told as not matched", "pdex-154b",
         "pdex-consent-not-nomatch", also=("pdex-prof-group-memberref",))  # fmt: skip
def constrained_as_unmatched(groups: list[Group]) -> None:
    for group in groups:
        if _code(group) == CONSENT_CONSTRAINT:
            group["code"]["coding"][0]["code"] = NO_MATCH


@defect("R50-matched", "A member without a good consent is told as matched", "pdex-154b",
        "pdex-consent-not-nomatch",
        also=(*CONSENT, "hrex-mm-12"))  # fmt: skip
def constrained_as_matched(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.judge_consent

    def judge(request: Any, requester: Any) -> Any:
        decision = strict(request, requester)
        if decision.granted:
            return decision
        return type(decision)(True, "regular", "2000-01-01", "2999-12-31")

    payer.judge_consent = judge  # type: ignore[method-assign]


@_groups("R50-good", "Good consents are told as constrained too", "pdex-154a", "pdex-154b",
         "pdex-193", "pdex-154", "pdex-155",
         also=("pdex-nomatch-conditional", "pdex-prof-group-memberref", "pdex-matched-always",
               "pdex-399", "pdex-prof-out", "pdex-153"))  # fmt: skip
def good_as_constrained(groups: list[Group]) -> None:
    for group in groups:
        if _code(group) == MATCH and group.get("member"):
            group["code"]["coding"][0]["code"] = CONSENT_CONSTRAINT


@_groups("R56", "A member of a bulk match is lost", "pdex-bucket-exclusive",
         also=("pdex-154b", "pdex-154a", "pdex-consent-not-nomatch", *FOUND_AGAIN))  # fmt: skip
def member_lost(groups: list[Group]) -> None:
    for group in groups:
        if len(group.get("member", [])) > 2:
            group["member"].pop()


@_groups("R56-twice", "A member of a bulk match is told twice", "pdex-bucket-exclusive",
         also=FOUND_AGAIN)  # fmt: skip
def member_doubled(groups: list[Group]) -> None:
    for group in groups:
        if len(group.get("member", [])) > 2:
            group["member"].append(group["member"][0])


@_groups("R52", "The contained Patient has another birth date", "pdex-150", "pdex-151", "pdex-152",
         also=("pdex-151a",))  # fmt: skip
def patient_changed(groups: list[Group]) -> None:
    for group in groups:
        for patient in group.get("contained", []):
            if "birthDate" in patient:
                patient["birthDate"] = "1900-01-01"


@_groups("R52-number", "The contained Patient is numbered anew", "pdex-150", "pdex-152",
         also=("pdex-151", "pdex-151a", "pdex-154b", "pdex-154a", "pdex-154", "pdex-155",
               "pdex-193", "pdex-bucket-exclusive", "pdex-consent-not-nomatch",
               "pdex-matched-always", "pdex-153", *FOUND_AGAIN))  # fmt: skip
def patient_renumbered(groups: list[Group]) -> None:
    for group in groups:
        for number, patient in enumerate(group.get("contained", [])):
            old, patient["id"] = patient["id"], f"p{number}"
            for member in group["member"]:
                for extension in member["entity"]["extension"]:
                    if extension["valueReference"]["reference"] == f"#{old}":
                        extension["valueReference"]["reference"] = f"#p{number}"
                if member["entity"]["reference"] == f"#{old}":
                    member["entity"]["reference"] = f"#p{number}"


@defect("R52-meta", "What may not be contained stays in the Patient", "pdex-151a")
def meta_kept(simulator: RespondingSimulator) -> None:
    def change(groups: list[Group]) -> None:
        for group in groups:
            for patient in group.get("contained", []):
                patient.setdefault("meta", {})["versionId"] = "7"

    change_lines(simulator, lambda lines: _changed(lines, change))


@_groups("R55", "A person with two cards is not told apart", "pdex-153")
def coverage_not_told(groups: list[Group]) -> None:
    for member in _members(groups):
        del member["entity"]["extension"][1:]


@_groups("R57", "Why a consent cannot be honoured is told", "pdex-154c")
def reason_told(groups: list[Group]) -> None:
    for group in groups:
        if _code(group) == CONSENT_CONSTRAINT:
            group["text"] = {"status": "generated", "div": "<div>The consent has expired.</div>"}


# What a Group is


@_groups("R53-code", "Groups have no result code", "pdex-prof-group-code",
         also=("pdex-154b", "pdex-154a", "pdex-154", "pdex-155", "pdex-193", "pdex-399",
               "pdex-prof-out", "pdex-matched-always", "pdex-nomatch-conditional",
               "pdex-consent-not-nomatch", "pdex-prof-group-memberref", "pdex-153"))  # fmt: skip
def code_unknown(groups: list[Group]) -> None:
    for group in groups:
        group["code"]["coding"][0]["system"] = "http://example.org/codes"


@_groups("R53-type", "Groups are definitions, not actual persons", "pdex-prof-group-type")
def not_actual(groups: list[Group]) -> None:
    for group in groups:
        group["actual"] = False


@_groups("R53-manager", "Groups are managed by a Practitioner", "pdex-prof-group-manager")
def managed_by_practitioner(groups: list[Group]) -> None:
    for group in groups:
        group["managingEntity"] = {"reference": "Practitioner/somebody"}


@_groups("R54", "Entries lead to no submitted Patient", "pdex-prof-group-ext",
         also=("pdex-154b", "pdex-154a", "pdex-154", "pdex-155", "pdex-193", "pdex-153",
               "pdex-bucket-exclusive", "pdex-matched-always", "pdex-consent-not-nomatch",
               *FOUND_AGAIN))  # fmt: skip
def entries_dangle(groups: list[Group]) -> None:
    for member in _members(groups):
        member["entity"]["extension"] = []


@_groups("R53-reference", "Unmatched members name a Patient of the payer",
         "pdex-prof-group-memberref")  # fmt: skip
def unmatched_named(groups: list[Group]) -> None:
    for member in _members([g for g in groups if _code(g) != MATCH]):
        member["entity"]["reference"] = "Patient/somebody"


@_groups("R58", "The matched Group does not say for whom it is", "pdex-prof-group-characteristic")
def no_characteristic(groups: list[Group]) -> None:
    for group in groups:
        group.get("characteristic", [{}])[0].pop("period", None)


@defect("R47", "The result of a bulk match is told by an envelope alone", "pdex-out-group-ndjson")
def envelope_alone(simulator: RespondingSimulator) -> None:
    change_lines(simulator, lambda lines: _enveloped(lines, _keeping))
    change_json(simulator, "status", _as_parameters)


@defect("R47-wrong", "The envelope has names of its own", "pdex-399", "pdex-prof-out",
        "pdex-138a", also=("pdex-out-group-ndjson",))  # fmt: skip
def envelope_misnamed(simulator: RespondingSimulator) -> None:
    def name(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**e, "name": e["name"].lower()} for e in entries]

    change_lines(simulator, lambda lines: _enveloped(lines, name))
    change_json(simulator, "status", _as_parameters)


@defect("V1-210", "A payer of PDex 2.1.0 answers with Groups", "pdex-v210-params-response",
        version="2.1.0")  # fmt: skip
def groups_too_early(simulator: RespondingSimulator) -> None:
    def change(lines: list[bytes]) -> list[bytes]:
        found = [json.read_exact(line) for line in lines]
        if not found or found[0].get("resourceType") != "Parameters":
            return lines
        return [json.write(p["resource"]) for p in found[0]["parameter"]]

    def listed(manifest: dict[str, Any]) -> None:
        for entry in manifest.get("output", []):
            entry["type"] = "Group" if entry["type"] == "Parameters" else entry["type"]

    change_lines(simulator, change)
    change_json(simulator, "status", listed)


def _keeping(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return entries


def _enveloped(
    lines: list[bytes], name: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
) -> list[bytes]:
    groups = [json.read_exact(line) for line in lines]
    if not groups or groups[0].get("resourceType") != "Group":
        return lines
    entries = name([{"name": ENVELOPE[_code(g)], "resource": g} for g in groups])
    return [json.write({"resourceType": "Parameters", "parameter": entries})]


def _as_parameters(manifest: dict[str, Any]) -> None:
    for entry in manifest.get("output", []):
        entry["type"] = "Parameters" if entry["type"] == "Group" else entry["type"]
