"""Defects of the member match."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flask import Request, Response

from ...reference.consent import ConsentDecision
from ...reference.errors import BadRequest
from ...reference.fhir import json
from ...reference.fhir.media import FHIR_JSON
from ...reference.matching import Decision, Outcome
from ..responding import RespondingSimulator
from .registry import CONSENT, DELIVERED, EVERYTHING, change_answer, change_json, defect


def _decides(simulator: RespondingSimulator, change: Callable[[Any, Decision], Decision]) -> None:
    payer = simulator.payer
    strict = payer.match
    payer.match = lambda request, client: change(  # type: ignore[method-assign]
        request, strict(request, client)
    )


def _card_values(coverage: Mapping[str, Any]) -> set[str]:
    values = {i.get("value", "") for i in coverage.get("identifier", [])}
    return {v for v in values | {coverage.get("subscriberId", "")} if v}


@defect("R23", "No match is answered 200 without a member", "hrex-mm-9", "hrex-mm-12",
        also=("hrex-mm-7", "hrex-mm-10", "oo-01", "pdex-single-badbundle-422"))  # fmt: skip
def no_match_is_empty(simulator: RespondingSimulator) -> None:
    _on_code(simulator, "not-found", 200, {"resourceType": "Parameters", "parameter": []})


@defect("R23-404", "No match is answered 404", "hrex-mm-9")
def no_match_is_404(simulator: RespondingSimulator) -> None:
    _on_code(simulator, "not-found", 404, None)


@defect("R24", "The first of several candidates is answered", "hrex-mm-10",
        also=("hrex-mm-12", "pdex-154b"))  # fmt: skip
def first_of_several(simulator: RespondingSimulator) -> None:
    def change(request: Any, decision: Decision) -> Decision:
        if decision.outcome is not Outcome.MULTIPLE:
            return decision
        subscriber = request.coverage_to_match.get("subscriberId", "")
        household = simulator.payer.registry.by_subscriber_id(None, subscriber)
        return Decision(Outcome.MATCH, household[0].key) if household else decision

    _decides(simulator, change)


@defect("R25", "A refusal has no OperationOutcome", "hrex-mm-12", "oo-01",
        "pdex-single-badbundle-422", "pdex-cap-status-codes", "oo-02")  # fmt: skip
def refusal_without_outcome(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        if response.status_code >= 400:
            response.set_data(b"")
        return response

    change_answer(simulator, "member_match", change)


@defect("R26", "Demographics match though the card is wrong", "hrex-mm-9",
        also=("hrex-mm-7", "hrex-mm-12", "pdex-153", "pdex-154b"))  # fmt: skip
def demographics_alone(simulator: RespondingSimulator) -> None:
    def change(request: Any, decision: Decision) -> Decision:
        if decision.outcome is not Outcome.NONE:
            return decision
        born = str(request.patient.get("birthDate"))
        found = simulator.payer.registry.block(birth_date=born)
        return Decision(Outcome.MATCH, found[0].key) if len(found) == 1 else decision

    _decides(simulator, change)


@defect("R27", "The card matches though the person is another one", "hrex-mm-9",
        also=("hrex-mm-12", "pdex-154b"))  # fmt: skip
def card_alone(simulator: RespondingSimulator) -> None:
    def change(request: Any, decision: Decision) -> Decision:
        if decision.outcome is not Outcome.NONE:
            return decision
        for value in _card_values(request.coverage_to_match):
            found = simulator.payer.registry.by_member_id(None, value)
            if len(found) == 1:
                return Decision(Outcome.MATCH, found[0].key)
        return decision

    _decides(simulator, change)


def _consent_defect(ident: str, words: str, *reasons: str) -> None:
    @defect(ident, words, *CONSENT, "pdex-154b",
            "pdex-consent-not-nomatch", also=("hrex-mm-12",))  # fmt: skip
    def install(simulator: RespondingSimulator) -> None:
        payer = simulator.payer
        strict = payer.judge_consent

        def judge(request: Any, requester: Any) -> ConsentDecision:
            decision = strict(request, requester)
            if decision.reason not in reasons:
                return decision
            return ConsentDecision(True, "regular", "2000-01-01", "2999-12-31")

        payer.judge_consent = judge  # type: ignore[method-assign]


_consent_defect("R31", "An expired consent is accepted", "consent-expired")
_consent_defect("R31-future", "A consent that is not yet valid is accepted",
                "consent-not-yet-valid")  # fmt: skip
_consent_defect("R32", "A consent for another recipient is accepted",
                "consent-names-another-recipient")  # fmt: skip
_consent_defect("R32-discloser", "A consent of another discloser is accepted",
                "consent-names-another-discloser")  # fmt: skip
_consent_defect("R34", "A consent that is not active is accepted", "consent-not-active")


@defect(
    "R33",
    "A consent about another person is accepted",
    "hrex-mm-11",
    "pdex-203",
    "pdex-207",
    "pdex-consent-validity",
)
def consent_of_another(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.member_match

    def member_match(grant: Any, body: Mapping[str, Any]) -> dict[str, Any]:
        resources = {p.get("name"): p.get("resource") for p in body.get("parameter", [])
                     if isinstance(p, Mapping)}  # fmt: skip
        consent, patient = resources.get("Consent"), resources.get("MemberPatient")
        if isinstance(consent, dict) and isinstance(patient, dict):
            consent["patient"] = {"reference": f"Patient/{patient.get('id')}"}
        return strict(grant, body)

    payer.member_match = member_match  # type: ignore[method-assign]


@defect("R30", "A member is answered with the refusal of the consent", *CONSENT,
        "hrex-mm-12")  # fmt: skip
def refusal_with_member(simulator: RespondingSimulator) -> None:
    body = {"resourceType": "Parameters", "parameter": [
        {"name": "MemberId", "valueReference": {"reference": "Patient/x"}}]}  # fmt: skip
    _on_code(simulator, "suppressed", 422, body)


def _on_code(
    simulator: RespondingSimulator, code: str, status: int, body: dict[str, Any] | None
) -> None:
    """Answer otherwise where the match is refused with an issue code."""

    def change(_request: Request, response: Response) -> Response:
        if response.status_code == 422 and f'"{code}"'.encode() in response.get_data():
            response.status_code = status
            if body is not None:
                response.set_data(json.write(body))
                response.mimetype = FHIR_JSON
        return response

    change_answer(simulator, "member_match", change)


@defect("R36", "The answer repeats what was submitted", "hrex-prof-mm-out")
def extra_parameters(simulator: RespondingSimulator) -> None:
    extra = {"name": "MemberPatient", "resource": {"resourceType": "Patient"}}
    change_json(simulator, "member_match", lambda c: c["parameter"].append(extra))


@defect("R37", "The member identifier has no value", "hrex-prof-mm-out", also=("pdex-202",))
def identifier_without_value(simulator: RespondingSimulator) -> None:
    change_json(
        simulator, "member_match",
        lambda c: c["parameter"][0]["valueIdentifier"].pop("value") and None,
    )  # fmt: skip


@defect("R38", "The member identifier is typed as HRex 1.0.0 had it", "hrex-prof-mm-out")
def identifier_typed_mb(simulator: RespondingSimulator) -> None:
    coding = {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "MB"}

    def change(content: dict[str, Any]) -> None:
        content["parameter"][0]["valueIdentifier"]["type"] = {"coding": [coding]}

    change_json(simulator, "member_match", change)


@defect(
    "R40",
    "The identifier of the answer leads to nobody",
    "hrex-mm-8",
    "pdex-202",
    also=("pdex-224",),
)
def dangling_identifier(simulator: RespondingSimulator) -> None:
    change_json(
        simulator,
        "member_match",
        lambda c: c["parameter"][0]["valueIdentifier"].update(value="leads-to-nobody"),
    )


@defect(
    "R41",
    "The MemberId leads to another member",
    "hrex-prof-memberid-rest",
    "hrex-mm-8",
    also=(
        "bulk-man-15",
        "bulk-man-16",
        "bulk-man-17",
        "ev-07",
        *DELIVERED,
        "pdex-202",
        "ev-01",
        *EVERYTHING,
        "oo-03",
        "pdex-01",
        "pdex-211",
        "pdex-212",
        "pdex-214",
        "pdex-99",
        "search-01",
    ),
)
def foreign_member_id(simulator: RespondingSimulator) -> None:
    """Everybody is answered with the first member, whom the client then really reaches."""

    def change(_request: Any, decision: Decision) -> Decision:
        if decision.outcome is not Outcome.MATCH:
            return decision
        first, second = simulator.payer.repository.some_ids("Patient", 2)
        return Decision(Outcome.MATCH, second if decision.member_key == first else first)

    _decides(simulator, change)


@defect("R41-absent", "The answer holds no MemberId", "pdex-198",
        "hrex-prof-memberid-rest")  # fmt: skip
def no_member_id(simulator: RespondingSimulator) -> None:
    change_json(simulator, "member_match", lambda c: c["parameter"].pop() and None)


@defect("R43", "A bad request is answered 500", "pdex-single-badbundle-422",
        "pdex-cap-status-codes", "oo-02", also=CONSENT)  # fmt: skip
def crashes_on_bad_input(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        codes = (b'"required"', b'"structure"', b'"too-long"', b'"not-supported"')
        if response.status_code >= 400 and any(c in response.get_data() for c in codes):
            response.status_code = 500
            response.set_data(b"Traceback (most recent call last)")
        return response

    change_answer(simulator, "member_match", change)


@defect("R43-codes", "Issues have codes of the payer's own", "oo-01")
def own_issue_codes(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        if response.status_code == 422:
            content = json.read(response.get_data())
            content["issue"][0]["code"] = "payer-specific"
            response.set_data(json.write(content))
        return response

    change_answer(simulator, "member_match", change)


@defect("R23-none", "Nobody is ever matched", "pdex-197", "pdex-199", also=("hrex-mm-7",))
def matches_nobody(simulator: RespondingSimulator) -> None:
    def member_match(_grant: Any, _body: Any) -> dict[str, Any]:
        raise BadRequest("No member fits.", status=422, code="not-found")

    simulator.payer.member_match = member_match  # type: ignore[method-assign]


@defect("GU-none", "Card after card may be tried for one person", "hrex-mm-7")
def unguarded(simulator: RespondingSimulator) -> None:
    guard = simulator.payer.guarded.guard
    guard.limits = replace(guard.limits, tries_an_hour=0, tries_a_day=0)


@defect("V2-200", "PDex 2.0.0 is answered with a MemberId as well", "hrex-prof-mm-out-100",
        version="2.0.0", also=("hrex-prof-mm-out",))  # fmt: skip
def member_id_too_soon(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        reference = {"reference": "Patient/somebody"}
        content["parameter"].append({"name": "MemberId", "valueReference": reference})

    change_json(simulator, "member_match", change)
