"""Defects of the token endpoint and of token checks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from flask import request
from jwt.utils import base64url_decode, base64url_encode

from ...reference.errors import BadRequest
from ...reference.trust import authorization
from ...reference.trust.signing import ASSERTION_TYPE
from ...reference.trust.tokens import Grant
from ..responding import RespondingSimulator
from .registry import BOUND, change_json, defect, set_header

_NO_CHECKS: Any = {"verify_signature": False, "verify_exp": False, "verify_aud": False}


def _lax(simulator: RespondingSimulator, forgive: Callable[[str], bool]) -> None:
    """Make the authorization server accept assertions that are refused for some reasons."""
    server = simulator.payer.authorization
    strict = server.by_assertion

    def by_assertion(assertion: str, client_id: str) -> Any:
        try:
            return strict(assertion, client_id)
        except authorization.OAuthError as refused:
            if not forgive(refused.reason):
                raise
            registered = simulator.payer.clients.all()[0]
            return registered, registered.client_id

    server.by_assertion = by_assertion


def _accepts(
    ident: str,
    words: str,
    *reasons: str,
    requirements: tuple[str, ...],
    also: tuple[str, ...] = (),
) -> None:
    @defect(ident, words, *requirements, also=also)
    def install(simulator: RespondingSimulator) -> None:
        _lax(simulator, lambda reason: reason in reasons)


_ASSERTION = ("smart-jwt-13", "smart-jwt-17")
_accepts("R05", "A bad signature is accepted", "signature", "malformed",
         requirements=_ASSERTION, also=("jwk-02", "smart-rsp-09"))  # fmt: skip
_accepts("R05-alg", "Any algorithm is accepted, and none", "alg", requirements=_ASSERTION,
         also=("jwk-02",))  # fmt: skip
_accepts("R06", "An assertion is accepted twice", "jti-replayed", requirements=("smart-jwt-11",))
_accepts("R06-missing", "An assertion without jti is accepted", "jti", requirements=_ASSERTION)
_accepts("R07", "An expired assertion is accepted", "exp-past", requirements=_ASSERTION)
_accepts("R07-long", "An assertion good for a day is accepted", "exp-too-far",
         requirements=_ASSERTION)  # fmt: skip
_accepts("R07-missing", "An assertion without expiry is accepted", "exp-missing",
         requirements=_ASSERTION)  # fmt: skip
_accepts("R07-future", "An assertion that is not yet valid is accepted", "nbf-in-future",
         requirements=_ASSERTION)  # fmt: skip
_accepts("R08", "An assertion for another server is accepted", "aud", requirements=_ASSERTION)
_accepts("R09", "An assertion of an unknown client is accepted", "client-unknown",
         requirements=_ASSERTION)  # fmt: skip


@defect("R09-sub", "An assertion with a foreign subject is accepted", *_ASSERTION,
        also=("pdex-token-consent-recheck", "hrex-sec-20", "pdex-223"))  # fmt: skip
def any_subject(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.bound_member

    def bound_member(client: Any, subject: str, patient: str) -> str | None:
        try:
            return strict(client, subject, patient)
        except authorization.OAuthError:
            return None

    server.bound_member = bound_member  # type: ignore[method-assign]


_accepts("R09-client", "Another client id beside the assertion is accepted",
         "client-id-differs", requirements=("smart-jwt-12",))  # fmt: skip
_accepts("R05-kid", "The key id is not looked at", "kid", "kid-missing",
         requirements=("smart-jwt-06",), also=(*_ASSERTION, "smart-reg-09"))  # fmt: skip
_accepts("R05-jku", "A foreign key URL is accepted", "jku", requirements=("smart-jwt-04",))
_accepts("R05-crit", "An unknown critical header is accepted", "crit",
         requirements=("smart-jwt-18",), also=_ASSERTION)  # fmt: skip


@defect("R05-der", "A signature in DER is accepted", "jwk-02")
def der_signature(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.by_assertion
    server.by_assertion = lambda assertion, client_id: strict(_raw(assertion), client_id)


def _raw(assertion: str) -> str:
    """The assertion with the two numbers of a DER signature as JWS has them."""
    body, _, signature = assertion.rpartition(".")
    try:
        numbers = decode_dss_signature(base64url_decode(signature))
    except ValueError:
        return assertion
    raw = b"".join(number.to_bytes(48, "big") for number in numbers)
    return f"{body}.{base64url_encode(raw).decode()}"


@defect("R05-curve", "A key of a smaller curve is accepted", "jwk-02")
def smaller_curve(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.by_assertion

    def by_assertion(assertion: str, client_id: str) -> Any:
        try:
            return strict(assertion, client_id)
        except authorization.OAuthError:
            if _algorithm(assertion) != "ES256":
                raise
            registered = simulator.payer.clients.all()[0]
            return registered, registered.client_id

    server.by_assertion = by_assertion


def _algorithm(assertion: str) -> str:
    try:
        return str(jwt.get_unverified_header(assertion).get("alg"))
    except jwt.PyJWTError:
        return ""


@defect("R08-list", "An audience in a list is refused", "smart-jwt-19")
def no_audience_list(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.by_assertion

    def by_assertion(assertion: str, client_id: str) -> Any:
        try:
            claims = jwt.decode(assertion, options=_NO_CHECKS)
        except jwt.PyJWTError:
            return strict(assertion, client_id)
        if isinstance(claims.get("aud"), list):
            raise authorization.invalid_client("aud")
        return strict(assertion, client_id)

    server.by_assertion = by_assertion


@defect("R03", "An unknown assertion type is accepted", "smart-rsp-09")
def any_assertion_type(simulator: RespondingSimulator) -> None:
    _rewrite_form(simulator, "client_assertion_type", ASSERTION_TYPE)


@defect("R04", "An unknown grant type is accepted", "smart-rsp-09")
def any_grant_type(simulator: RespondingSimulator) -> None:
    _rewrite_form(simulator, "grant_type", "client_credentials")


@defect("R04-twice", "A field sent twice is accepted", "smart-rsp-10", also=("smart-rsp-09",))
def repeated_field(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.token

    def token(form: Mapping[str, list[str]], *others: Any) -> Any:
        return strict({n: v[:1] for n, v in form.items()}, *others)

    server.token = token


def _rewrite_form(simulator: RespondingSimulator, name: str, value: str) -> None:
    server = simulator.payer.authorization
    strict = server.token

    def token(form: Mapping[str, list[str]], *others: Any) -> Any:
        # A field that is sent twice is still seen: only its words are not looked at.
        return strict({**form, name: [value] * len(form.get(name, [""]))}, *others)

    server.token = token


@defect("R11", "Whatever scope is asked for is granted", "scope-06")
def any_scope(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.token

    def token(form: Mapping[str, list[str]], *others: Any) -> Any:
        answer, client = strict(form, *others)
        return {**answer, "scope": form["scope"][0]}, client

    server.token = token


@defect("R13", "Operations are open without a token", "http-02", "pdex-cap-401", "smart-use-02",
        "bulk-status-16", "pdex-184", "bulk-kickoff-18", "pdex-188",
        also=("bulk-p2p-03", "pdex-143", "pdex-187", *BOUND))  # fmt: skip
def open_without_token(simulator: RespondingSimulator) -> None:
    strict = simulator.grant

    def grant() -> Grant:
        try:
            return strict()
        except BadRequest:
            client = simulator.payer.clients.all()[0]
            return Grant(client.client_id, frozenset(client.scopes), None, 0.0)

    simulator.grant = grant  # type: ignore[method-assign]


@defect("R13-challenge", "A refusal does not say how to authenticate", "http-02",
        also=("pdex-cap-401", *BOUND))  # fmt: skip
def no_challenge(simulator: RespondingSimulator) -> None:
    simulator.after.append(("*", _without_challenge))


def _without_challenge(_request: Any, response: Any) -> Any:
    response.headers.pop("WWW-Authenticate", None)
    return response


@defect("R16", "A token in the address is taken", "smart-use-02")
def token_in_address(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.authorize

    def authorize(header: str | None, *others: Any) -> Grant | None:
        return strict(header or f"Bearer {request.args.get('access_token', '')}", *others)

    server.authorize = authorize  # type: ignore[method-assign]


@defect("R11-data", "A token for the match reads data", "scope-08",
        "pdex-token-membermatch-only",
        also=("bulk-kickoff-18", "bulk-p2p-03", "pdex-187", "pdex-188"))  # fmt: skip
def match_token_reads(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.access

    def access(grant: Grant) -> Any:
        found = strict(grant)
        if any(scope.startswith("system/") for scope in found.scopes):
            return found
        return replace(found, scopes=found.scopes | {"system/*.rs"})

    payer.access = access  # type: ignore[method-assign]


# What cannot be told either where a granted scope is not told, or none is granted.
_BULK_SCOPE = ("pdex-scope-bulk", "pdex-scope-bulk-210", "scope-19")


def _token_defect(
    ident: str, words: str, *requirements: str, also: tuple[str, ...] = (), **values: Any
) -> None:
    @defect(ident, words, *requirements, also=also)
    def install(simulator: RespondingSimulator) -> None:
        change_json(simulator, "token", lambda c: {**c, **values})


_token_defect("BSA-type", "The token is of another type", "smart-rsp-02", token_type="mac")  # noqa: S106
_token_defect("BSA-life", "The token's life is told as text", "smart-rsp-03", "smart-rsp-04",
              expires_in="300 seconds")  # fmt: skip
_token_defect("BSA-long", "The token lives for an hour", "smart-rsp-04", also=("intro-02",),
              expires_in=3600)  # fmt: skip
_token_defect("BSA-scope", "The granted scope is not told", "smart-rsp-05", "scope-04",
              also=_BULK_SCOPE, scope="")  # fmt: skip
_token_defect("BSA-refresh", "A refresh token comes along", "smart-rsp-07", refresh_token="r")  # noqa: S106


@defect("BSA-cache", "The token answer may be cached", "smart-rsp-08")
def cacheable_token(simulator: RespondingSimulator) -> None:
    set_header(simulator, "token", "Cache-Control", "max-age=600")


@defect("BSA-none", "A good assertion is refused", "smart-rsp-01", "pdex-189",
        "smart-jwt-15",
        "cms0057-authenticate", "smart-jwt-19", "smart-jwt-05", "pdex-scope-single",
        also=("scope-04", "scope-07", *_BULK_SCOPE))  # fmt: skip
def refuses_all(simulator: RespondingSimulator) -> None:
    def by_assertion(_assertion: str, _client_id: str) -> Any:
        raise authorization.invalid_client("defect")

    simulator.payer.authorization.by_assertion = by_assertion


@defect("R11-all", "Every registered scope is granted", "scope-07",
        also=("scope-02", "scope-04", "scope-08", "scope-13", "scope-16", "pdex-217",
              "pdex-token-membermatch-only", "bulk-kickoff-18", "bulk-p2p-03", "pdex-187",
              "pdex-188", "pdex-scope-bulk", "pdex-scope-bulk-210", "pdex-scope-group",
              "scope-18"))  # fmt: skip
def grants_all(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.token

    def token(form: Mapping[str, list[str]], *others: Any) -> Any:
        # What is refused for another reason stays refused.
        every = " ".join(simulator.payer.clients.all()[0].scopes)
        return strict({**form, "scope": [every]} if form.get("scope") else form, *others)

    server.token = token


@defect("R11-syntax", "A scope in the first syntax is granted in the second", "scope-04")
def second_syntax(simulator: RespondingSimulator) -> None:
    change_json(simulator, "token",
                lambda c: {**c, "scope": c["scope"].replace(".read", ".rs")})  # fmt: skip


def _reads_scopes(ident: str, words: str, *requirements: str, change: Callable[[str], str]) -> None:
    """A payer that takes a scope of a token for another one."""

    @defect(ident, words, *requirements)
    def install(simulator: RespondingSimulator) -> None:
        payer = simulator.payer
        strict = payer.access

        def access(grant: Grant) -> Any:
            found = strict(grant)
            return replace(found, scopes=frozenset(map(change, found.scopes)))

        payer.access = access  # type: ignore[method-assign]


_reads_scopes("R11-read", "Read in the first syntax does not cover searching", "scope-03",
              change=lambda scope: re.sub(r"\.read$", ".r", scope))  # fmt: skip
_reads_scopes("R11-rs", "Reading and searching are one permission", "scope-09",
              change=lambda scope: re.sub(r"\.[rs]$", ".rs", scope))  # fmt: skip


@defect("R11-form", "A scope is offered whose letters are out of order", "scope-01")
def odd_scope_offered(simulator: RespondingSimulator) -> None:
    change_json(simulator, "smart", lambda c: c["scopes_supported"].append("system/*.sr"))
