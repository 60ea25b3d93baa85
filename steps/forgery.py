"""Steps of forgery: assertions, access tokens and token requests that open nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlencode

from pytest_bdd import parsers, then, when

from ..reference.fhir import media
from ..reference.http import Exchange
from ..reference.target import Target
from .authorization import smart_form, token_form
from .forging import ASSERTIONS, TOKENS
from .seen import Seen
from .verdicts import CheckFailed

Form = dict[str, str]


@when(parsers.parse('a token is asked for with an assertion that "{forgery}"'))
def forged_assertion(seen: Seen, forgery: str) -> None:
    form = {**smart_form(seen), "client_assertion": ASSERTIONS[forgery](seen.run.target)}
    seen.look_at(seen.run.target.request_token(form))


@when(parsers.parse('data is asked for with a token that "{forgery}"'))
def forged_token(seen: Seen, forgery: str) -> None:
    target = seen.run.target
    smart_form(seen)  # a client that signs: some forgeries are signed by it
    member = seen.run.member_id("unique")
    value = TOKENS[forgery](target, seen.run.token("data", member).value.reveal())
    answer = target.get(f"Condition?patient={member}", headers={"Authorization": value})
    seen.look_at(answer)


@when(parsers.parse('a token is asked for by a request that "{flaw}"'))
def flawed_request(seen: Seen, flaw: str) -> None:
    seen.look_at(_REQUESTS[flaw](seen.run.target, token_form(seen)))


@then("no access token is in the answer")
def no_token_inside(seen: Seen) -> None:
    if b"access_token" in seen.exchange.body:
        raise CheckFailed("A token was given.", "a refusal", "access_token in the answer", "body")


def _send(
    target: Target, method: str, *, query: Form | None = None, body: bytes = b"",
    kind: str = media.FORM,
) -> Exchange:  # fmt: skip
    url = target.token_url() + (f"?{urlencode(query)}" if query else "")
    headers = {"Accept": media.JSON, **({"Content-Type": kind} if body else {})}
    return target.http.request(method, url, headers=headers, body=body)


def _without(name: str) -> Callable[[Target, Form], Exchange]:
    def ask(target: Target, form: Form) -> Exchange:
        return target.request_token({k: v for k, v in form.items() if k != name})

    return ask


def _by(**fields: str) -> Callable[[Target, Form], Exchange]:
    return lambda target, form: target.request_token({**form, **fields})


def _with_secret(target: Target, form: Form) -> Exchange:
    fields = {"grant_type": form["grant_type"], "scope": form["scope"],
              "client_id": target.credentials.client_id, "client_secret": "guessed"}  # fmt: skip
    return target.request_token(fields)


_REQUESTS: dict[str, Callable[[Target, Form], Exchange]] = {
    "is a GET": lambda target, form: _send(target, "GET", query=form),
    "is JSON": lambda target, form: _send(
        target, "POST", body=json.dumps(form).encode(), kind=media.JSON),
    "has everything in its address": lambda target, form: _send(target, "POST", query=form),
    "has no assertion": _without("client_assertion"),
    "has no assertion type": _without("client_assertion_type"),
    "has no grant type": _without("grant_type"),
    "has a secret instead": _with_secret,
    "has the assertion twice": lambda target, form: target.request_token(
        [*form.items(), ("client_assertion", form["client_assertion"])]),
    "asks by an authorization code": _by(grant_type="authorization_code", code="guessed"),
    "asks by a refresh token": _by(grant_type="refresh_token", refresh_token="guessed"),  # noqa: S106 - a guess
}  # fmt: skip
