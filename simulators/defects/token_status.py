"""Defects of introspection and revocation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Request, Response, request

from ...reference.fhir import json
from ...reference.trust.authorization import OAuthError
from ..responding import RespondingSimulator
from .registry import change_answer, change_json, defect


@defect("TI-nowhere", "The advertised introspection is not there", "smart-disc-13",
        also=("intro-01", "intro-02", "intro-03", "intro-04"))  # fmt: skip
def advertised_elsewhere(simulator: RespondingSimulator) -> None:
    _advertise(simulator, lambda url: f"{url}-that-was-planned")


@defect("TI-relative", "The introspection is advertised as a path", "smart-disc-13")
def advertised_as_path(simulator: RespondingSimulator) -> None:
    _advertise(simulator, lambda url: "/" + url.split("/", 3)[-1])


def _advertise(simulator: RespondingSimulator, change: Callable[[str], str]) -> None:
    name = "introspection_endpoint"
    change_json(simulator, "smart", lambda c: c.update({name: change(c[name])}))


def _active_defect(
    ident: str, words: str, *requirements: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    """A payer that tells something else of an active token."""

    @defect(ident, words, *requirements)
    def install(simulator: RespondingSimulator) -> None:
        change_json(simulator, "introspect", lambda c: change(c) if c["active"] else None)


_active_defect("TI-text", "An active token is told as active in words", "intro-01",
               change=lambda c: {**c, "active": "true"})  # fmt: skip
_active_defect("TI-scope", "The scope of an active token is not told", "intro-02",
               change=lambda c: c.pop("scope") and None)  # fmt: skip
_active_defect("TI-client", "Another client is told of an active token", "intro-02",
               change=lambda c: {**c, "client_id": "somebody-else"})  # fmt: skip
_active_defect("TI-exp", "The expiry of an active token is told in milliseconds", "intro-02",
               change=lambda c: {**c, "exp": c["exp"] * 1000})  # fmt: skip


@defect("TI-reason", "It is told why a token is inactive", "intro-03")
def tells_why(simulator: RespondingSimulator) -> None:
    change_json(simulator, "introspect",
                lambda c: None if c["active"] else {**c, "error": "unknown"})  # fmt: skip


@defect("TI-unknown", "An unknown token is answered with an error", "intro-03")
def refuses_unknown(simulator: RespondingSimulator) -> None:
    def after(_request: Request, response: Response) -> Response:
        if response.status_code == 200 and not json.read(response.get_data())["active"]:
            response.status_code = 400
        return response

    change_answer(simulator, "introspect", after)


@defect("TI-revoked", "A revoked token goes on", "intro-03")
def keeps_revoked(simulator: RespondingSimulator) -> None:
    tokens = simulator.payer.authorization.tokens
    tokens.revoke = lambda _token, _client_id: None  # type: ignore[method-assign]


@defect(
    "TI-bearer",
    "Introspection takes no access token",
    "intro-04",
    also=(
        "intro-01",
        "intro-03",
        "smart-disc-13",
    ),
)
def refuses_bearer(simulator: RespondingSimulator) -> None:
    status = simulator.trust.status
    strict = status.introspect

    def introspect(form: Any, header: str | None) -> Any:
        if "bearer" in (request.headers.get("Authorization") or "").lower():
            raise OAuthError(401, "invalid_client", "Authenticate as a client.")
        return strict(form, header)

    status.introspect = introspect  # type: ignore[method-assign]
