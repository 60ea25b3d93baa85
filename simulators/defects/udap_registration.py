"""Defects of UDAP's registration."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from flask import Request, Response

from ...reference.fhir import json
from ...reference.trust.udap import tokens
from ...reference.trust.udap.registering import RegistrationAnswer
from ...reference.trust.udap.statements import (
    METADATA,
    UNAPPROVED,
    RegistrationRefused,
    Statement,
)
from ..responding import RespondingSimulator
from .registry import change_answer, set_header
from .udap import registration, udap_defect

_REFUSALS = ("udap-reg-14", "udap-reg-17", "dcr-02")
Strict = Callable[[Mapping[str, Any]], RegistrationAnswer]
Change = Callable[[Strict, Mapping[str, Any]], RegistrationAnswer]

# Registration: what is accepted that must not be


def _accepts(ident: str, words: str, *reasons: str, violates: tuple[str, ...] = _REFUSALS,
             also: tuple[str, ...] = ()) -> None:  # fmt: skip
    """A payer that takes software statements which are refused for these reasons."""

    @udap_defect(ident, words, *violates, also=also)
    def install(simulator: RespondingSimulator) -> None:
        statements, settings = registration(simulator).statements, registration(simulator).settings
        strict = statements.read

        def read(text: str, now: Any) -> Statement:
            try:
                return strict(text, now)
            except RegistrationRefused as refused:
                if refused.reason not in reasons:
                    raise
                claims = {**_USUAL, **tokens.part_of(text, 1)}
                return Statement(str(claims["iss"]), settings.communities[0], claims,
                                 settings.scopes)  # fmt: skip

        statements.read = read  # type: ignore[method-assign]


_USUAL: Mapping[str, Any] = {"client_name": "Somebody", "contacts": ["mailto:a@example.org"],
                             "token_endpoint_auth_method": "private_key_jwt"}  # fmt: skip
_accepts("R20", "A statement in another's name is accepted", "iss-in-certificate", "sub-is-iss")
_accepts("R20-audience", "A statement for another server is accepted", "aud")
_accepts("R20-expired", "A statement that has expired is accepted", "exp-past")
_accepts("R20-long", "A statement good for an hour is accepted", "exp-too-far")
_accepts("R20-undated", "A statement without its times is accepted", "iat-missing", "exp-missing",
         "iat-in-future")  # fmt: skip
_accepts("R20-jti", "A statement without jti is accepted", "jti")
_accepts("R20-replay", "A statement is accepted twice", "jti-replayed")
_accepts("R20-signature", "A statement is accepted that its certificate did not sign", "signature")
_accepts("R20-algorithm", "A statement by any algorithm is accepted, and by none", "alg")
_accepts("R20-x5c", "A statement without its certificate is accepted", "x5c-missing", "x5c")
_accepts("R20-client", "Any grant, method or contact is accepted", "grant_types", "contacts",
         "client_name", "token_endpoint_auth_method")  # fmt: skip
_accepts("R20-scope", "A client is accepted that may ask for nothing", "scope")
_accepts("R20-chain", "A certificate of an unknown authority is accepted", "chain-untrusted",
         violates=("udap-jwt-08",))  # fmt: skip
_accepts("R20-dates", "A certificate is accepted out of its time", "certificate-expired",
         "certificate-not-yet-valid", violates=("udap-jwt-08",))  # fmt: skip
_accepts("R20-revoked", "A certificate is accepted that was revoked", "certificate-revoked",
         violates=("udap-jwt-08",))  # fmt: skip
_accepts("R20-key", "A certificate is accepted that may not sign, or not safely", "weak-key",
         "certificate-may-not-sign", violates=("udap-jwt-08",))  # fmt: skip


# Registration: how it is answered


def _answers(
    ident: str, words: str, *refs: str, also: tuple[str, ...] = ()
) -> Callable[[Change], None]:
    """A payer that answers registrations in another way: the change is given the strict one."""

    def made(change: Change) -> None:
        @udap_defect(ident, words, *refs, also=also)
        def install(simulator: RespondingSimulator) -> None:
            udap = registration(simulator)
            strict = udap.register
            udap.register = lambda body: change(strict, body)  # type: ignore[method-assign]

    return made


def _changed(answer: RegistrationAnswer, **values: Any) -> RegistrationAnswer:
    content = {k: v for k, v in {**answer.content, **values}.items() if v is not ...}
    return replace(answer, content=content)


@_answers("UR13", "Registrations are taken that do not say they are UDAP's", "udap-reg-17",
          "dcr-02")  # fmt: skip
def any_version(strict: Strict, body: Mapping[str, Any]) -> RegistrationAnswer:
    return strict({**body, "udap": "1"})


@_answers("UR15", "The statement is not told back", "udap-reg-15", "dcr-01")
def no_echo(strict: Strict, body: Mapping[str, Any]) -> RegistrationAnswer:
    return _changed(strict(body), software_statement=...)


@_answers("UR15-status", "A new registration is answered like an old one", "udap-reg-15",
          "dcr-01")  # fmt: skip
def always_200(strict: Strict, body: Mapping[str, Any]) -> RegistrationAnswer:
    return replace(strict(body), status=200)


@_answers("UR16", "The answer repeats the claims of the JWT", "udap-reg-16")
def claims_told(strict: Strict, body: Mapping[str, Any]) -> RegistrationAnswer:
    return _changed(strict(body), iss="https://requesting-payer.example.org", logo_uri=None)


@_answers("UR03", "What stands beside the statement wins", "dcr-03")
def unsigned_wins(strict: Strict, body: Mapping[str, Any]) -> RegistrationAnswer:
    answer = strict(body)
    return _changed(
        answer, client_name=body.get("client_name", answer.content.get("client_name", ...))
    )


@_answers("UR04", "What is not known of a client is an error", "dcr-04")
def no_strangers(strict: Strict, body: Mapping[str, Any]) -> RegistrationAnswer:
    if any(name.startswith("x_") for name in body):
        raise RegistrationRefused(METADATA, "There is something unknown.", "unknown")
    return strict(body)


@_answers("UR18", "A certification that is unknown is an error", "udap-reg-18")
def no_strange_certification(strict: Strict, body: Mapping[str, Any]) -> RegistrationAnswer:
    if body.get("certifications"):
        raise RegistrationRefused(UNAPPROVED, "The certification is unknown.", "certification")
    return strict(body)


@_answers("UR19", "A certification is required, and the metadata does not say so", "udap-reg-19",
          also=("dcr-03", "dcr-04"))  # fmt: skip
def secret_requirement(strict: Strict, body: Mapping[str, Any]) -> RegistrationAnswer:
    answer = strict(body)
    if not body.get("certifications") and answer.content["grant_types"]:
        raise RegistrationRefused(UNAPPROVED, "A certification is missing.", "certification")
    return answer


@udap_defect("UR01", "The answer to a registration may be cached", "dcr-01", also=("udap-reg-15",))
def cacheable(simulator: RespondingSimulator) -> None:
    set_header(simulator, "udap_register", "Cache-Control", "max-age=3600")


@udap_defect("UR17", "A refusal of a registration has codes of its own", *_REFUSALS,
             also=("udap-jwt-08",))  # fmt: skip
def own_codes(simulator: RespondingSimulator) -> None:
    def after(_request: Request, response: Response) -> Response:
        if response.status_code == 400:
            response.set_data(json.write({"error": "something_is_wrong"}))
        return response

    change_answer(simulator, "udap_register", after)


@udap_defect("UR20", "A changed registration changes nothing", "udap-reg-20")
def keeps_the_first(simulator: RespondingSimulator) -> None:
    clients = registration(simulator).clients
    strict = clients.register
    clients.register = lambda c: clients.find(c.client_id) or strict(c)  # type: ignore[method-assign]
    simulator.payer.authorization.tokens.revoke_all = lambda _client_id: None  # type: ignore[method-assign]


@udap_defect("UR22", "A changed registration gets another id, and the old one counts on",
             "udap-reg-21", "udap-reg-22", also=("udap-reg-24",))  # fmt: skip
def id_after_id(simulator: RespondingSimulator) -> None:
    registration(simulator).id_of = (  # type: ignore[method-assign]
        lambda _statement: f"udap-{secrets.token_hex(8)}"
    )


@udap_defect("UR23", "One community overwrites what another registered", "udap-reg-23")
def one_id_for_all(simulator: RespondingSimulator) -> None:
    udap = registration(simulator)
    strict, first = udap.id_of, udap.settings.communities[0]
    udap.id_of = (  # type: ignore[method-assign]
        lambda statement: strict(replace(statement, community=first))
    )


@udap_defect("UR24", "A registration that is cancelled counts on", "udap-reg-24",
             also=("dcr-01", "udap-reg-15"))  # fmt: skip
def never_gone(simulator: RespondingSimulator) -> None:
    registration(simulator).clients.remove = lambda _client_id: None  # type: ignore[method-assign]
