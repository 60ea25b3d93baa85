"""Defects of UDAP's token requests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from flask import Request, Response, request

from ...reference.fhir import json
from ...reference.registration.clients import Client
from ...reference.trust.authorization import OAuthError
from ...reference.trust.udap import tokens
from ...reference.trust.udap.chains import ChainRefused
from ...reference.trust.udap.tokens import JwtRefused, SignedClaims
from ..responding import RespondingSimulator
from .registry import change_answer
from .udap import udap_defect

Form = Mapping[str, list[str]]


def _lax(simulator: RespondingSimulator, forgives: Callable[[OAuthError, Form], bool]) -> None:
    """Take UDAP's token requests that are refused for some reasons."""
    server = simulator.payer.authorization
    strict = server.by_udap

    def by_udap(form: Form) -> Any:
        try:
            return strict(form)
        except OAuthError as refused:
            if not forgives(refused, form):
                raise
            client = next(c for c in simulator.payer.clients.all() if c.udap_uri)
            return client, client.client_id

    server.by_udap = by_udap  # type: ignore[method-assign]


def _takes(ident: str, words: str, *reasons: str, violates: tuple[str, ...] = ("udap-tok-06",),
           also: tuple[str, ...] = ()) -> None:  # fmt: skip
    @udap_defect(ident, words, *violates, also=also)
    def install(simulator: RespondingSimulator) -> None:
        _lax(simulator, lambda refused, _form: refused.reason in reasons)


_takes("UT06-issuer", "An assertion in another's name is accepted by UDAP", "iss", "sub-is-iss",
       "client-unknown", also=("udap-reg-24",))  # fmt: skip
_takes("UT06-client", "Another client id beside UDAP's assertion is accepted", "client-id-differs")
_takes("UT06-audience", "An assertion for another server is accepted by UDAP", "aud",
       also=("udap-jwt-07",))  # fmt: skip
_takes("UT06-expired", "An assertion that has expired is accepted by UDAP", "exp-past")
_takes("UT06-long", "An assertion good for an hour is accepted by UDAP", "exp-too-far")
_takes("UT06-undated", "An assertion without its times is accepted by UDAP", "iat-missing",
       "exp-missing", "iat-in-future")  # fmt: skip
_takes("UT06-jti", "An assertion without jti is accepted by UDAP", "jti")
_takes("UT06-replay", "An assertion is accepted twice by UDAP", "jti-replayed")
_takes("UT06-signature", "An assertion is accepted that its certificate did not sign", "signature")
_takes("UT06-algorithm", "An assertion by any algorithm is accepted by UDAP, and by none", "alg")
_takes("UT06-x5c", "An assertion without its certificate is accepted by UDAP", "x5c-missing", "x5c",
       also=("udap-smart-01",))  # fmt: skip
_takes("UT08-chain", "A token is given for a certificate of an unknown authority",
       "chain-untrusted", violates=("udap-jwt-08",), also=("udap-reg-26",))  # fmt: skip
_takes("UT08-dates", "A token is given for a certificate out of its time", "certificate-expired",
       "certificate-not-yet-valid", violates=("udap-jwt-08",))  # fmt: skip
_takes("UT08-revoked", "A token is given for a certificate that was revoked",
       "certificate-revoked", violates=("udap-jwt-08",))  # fmt: skip
_takes("UT08-key", "A token is given for a certificate that may not sign, or not safely",
       "weak-key", "certificate-may-not-sign", violates=("udap-jwt-08",))  # fmt: skip
_takes("UT26", "The certificate is not bound to the client", "client-in-certificate",
       violates=("udap-reg-26",))  # fmt: skip
_takes("UT-b2b", "The B2B extension is not looked at", "extension", violates=("udap-b2b-06",))


@udap_defect("UT01", "A client of UDAP may ask as SMART has it", "udap-smart-01")
def smart_will_do(simulator: RespondingSimulator) -> None:
    _lax(simulator, lambda refused, form: "udap" not in form and refused.reason == "x5c-missing")


def _also_checks(
    simulator: RespondingSimulator, check: Callable[[SignedClaims, Client], None]
) -> None:
    udap = simulator.payer.authorization.udap
    assert udap is not None, "start the payer with udap"
    udap.checks.append(lambda found, client, _now: check(found, client))


def _refuses_algorithm(ident: str, words: str, algorithm: str, *refs: str,
                       also: tuple[str, ...] = ()) -> None:  # fmt: skip
    @udap_defect(ident, words, *refs, also=also)
    def install(simulator: RespondingSimulator) -> None:
        def check(_found: SignedClaims, _client: Client) -> None:
            if tokens.part_of(request.form["client_assertion"], 0)["alg"] == algorithm:
                raise JwtRefused("alg")

        _also_checks(simulator, check)


_refuses_algorithm("UT02", "RS256 is not taken", "RS256", "udap-jwt-02",
                   also=("udap-b2b-06", "udap-reg-23", "udap-scope-02"))  # fmt: skip
_refuses_algorithm("UT03", "RS384 is named and not taken", "RS384", "udap-jwt-03")


@udap_defect("UT26-renewed", "A renewed certificate is another client", "udap-reg-26")
def no_renewal(simulator: RespondingSimulator) -> None:
    registered: set[int] = set()
    statements = simulator.payer.udap.statements if simulator.payer.udap else None
    assert statements is not None, "start the payer with udap"
    statements.checks.append(lambda found, _now: registered.add(found.chain[0].serial_number))

    def check(found: SignedClaims, _client: Client) -> None:
        if found.chain[0].serial_number not in registered:
            raise ChainRefused("certificate-renewed")

    _also_checks(simulator, check)


@udap_defect("UT07", "An audience is taken that is nearly the right one", "udap-jwt-07")
def nearly_right(simulator: RespondingSimulator) -> None:
    def forgives(refused: OAuthError, form: Form) -> bool:
        audience = tokens.part_of(form["client_assertion"][0], 1).get("aud")
        own = simulator.payer.settings.token_url
        return refused.reason == "aud" and str(audience).rstrip("/") == own.rstrip("/")

    _lax(simulator, forgives)


def _grants(ident: str, words: str, *refs: str,
            change: Callable[[dict[str, Any]], Any]) -> None:  # fmt: skip
    """A payer that answers UDAP's token requests in another way."""

    @udap_defect(ident, words, *refs)
    def install(simulator: RespondingSimulator) -> None:
        def after(asked: Request, response: Response) -> Response:
            if response.status_code == 200 and "udap" in asked.form:
                content = json.read(response.get_data())
                change(content)
                response.set_data(json.write(content))
            return response

        change_answer(simulator, "token", after)


_grants("UT07-life", "A token by UDAP lives two hours", "udap-tok-07",
        change=lambda c: c.update(expires_in=7200))  # fmt: skip
_grants("UT09", "A refresh token comes with UDAP's client credentials", "udap-tok-09",
        change=lambda c: c.update(refresh_token="refresh"))  # fmt: skip  # noqa: S106
_grants("US01", "The granted scope is not told to clients of UDAP", "udap-scope-01",
        change=lambda c: c.pop("scope"))  # fmt: skip


def _scoped(ident: str, words: str, *refs: str,
            change: Callable[[list[str]], Response | None]) -> None:  # fmt: skip
    """A payer that treats the scopes of UDAP's requests in another way."""

    @udap_defect(ident, words, *refs)
    def install(simulator: RespondingSimulator) -> None:
        def after(asked: Request, response: Response) -> Response:
            if "udap" not in asked.form:
                return response
            return change(asked.form.get("scope", "").split()) or response

        change_answer(simulator, "token", after)


def _json(status: int, **content: Any) -> Response:
    return Response(json.write(content), status=status, mimetype="application/json")


_scoped(
    "US03",
    "One unknown scope makes a request of UDAP fail",
    "udap-scope-03",
    change=lambda scopes: _json(400, error="invalid_scope") if len(scopes) > 1 else None,
)


_GRANTED = {"access_token": "a-token", "token_type": "bearer", "scope": "user/*.cruds"}
_scoped(
    "US02",
    "A wildcard is granted that is not advertised",
    "udap-scope-02",
    change=lambda scopes: _json(200, **_GRANTED) if scopes == ["user/*.cruds"] else None,
)
