"""Steps of introspection and revocation: what the target says of a token, and that it ends one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode

from pytest_bdd import parsers, then, when

from ..reference.fhir import media
from ..reference.http import Exchange
from .authorization import token_form
from .checks import answers
from .seen import Seen
from .verdicts import CannotTell, CheckFailed, NotApplicable

_INTROSPECTION, _REVOCATION = "introspection_endpoint", "revocation_endpoint"
# How far the expiry may be from the moment of issue and the life that was told (intro-02).
_TOLERANCE_S = 5
_NEVER_ISSUED = "never-issued-" + "0" * 32


@then(parsers.parse('the advertised "{name}" is an absolute URL where POST is answered'))
def advertised_endpoint(seen: Seen, name: str) -> None:
    url = _endpoint(seen, name)
    if not answers.is_absolute_url(url):
        raise CheckFailed("The endpoint is told in another form.", "an absolute URL", "another",
                          name)  # fmt: skip
    exchange = seen.look_at(_post(seen, url, {"token": _NEVER_ISSUED}))
    if exchange.status in (404, 405) or exchange.status >= 500:
        raise CheckFailed("There is nothing at the advertised endpoint.",
                          "an answer or a refusal", str(exchange.status), "status")  # fmt: skip


@when("a token that was just issued is introspected")
def introspect_fresh(seen: Seen) -> None:
    _introspect(seen, _fresh(seen)["access_token"])


@when("a token that was never issued is introspected")
def introspect_unknown(seen: Seen) -> None:
    _introspect(seen, _NEVER_ISSUED)


@when("a token is revoked and introspected")
def introspect_revoked(seen: Seen) -> None:
    url = _endpoint(seen, _REVOCATION)
    _endpoint(seen, _INTROSPECTION)
    token = _fresh(seen)["access_token"]
    proof = token_form(seen)
    form = {n: proof[n] for n in ("client_assertion_type", "client_assertion")}
    if seen.look_at(_post(seen, url, {**form, "token": token})).status != 200:
        raise CannotTell("The revocation of the token was refused.")
    _introspect(seen, token)


@when("a token is introspected with an access token, where that is not open to all")
def introspect_by_bearer(seen: Seen) -> None:
    url = _endpoint(seen, _INTROSPECTION)
    token = str(_fresh(seen)["access_token"])
    if seen.look_at(_post(seen, url, {"token": token})).status == 200:
        raise NotApplicable("The target's introspection is open: it asks for no proof.")
    if seen.look_at(_post(seen, url, {"token": token}, bearer=token)).status == 403:
        raise CannotTell("The scope of the token does not allow introspection at this target.")


@then("the token is told as active")
def told_active(seen: Seen) -> None:
    answers.holds(seen.json(), "active", "true", lambda v: v is True)


@then("its scope, client and expiry are those it was issued with")
def told_as_issued(seen: Seen) -> None:
    told, issued = seen.json(), _issued(seen)
    scopes = set(str(issued.answer.get("scope", "")).split())
    answers.holds(told, "scope", "the scopes that were granted",
                  lambda v: _is_text(v) and (not scopes or set(v.split()) == scopes))  # fmt: skip
    udap = seen.run.target.udap
    own = udap.client_id() if udap else seen.run.settings.target.auth.client_id
    answers.holds(told, "client_id", "the client's id", lambda v: v == own)
    life = issued.answer.get("expires_in")
    if isinstance(life, int | float):
        end = issued.moment + life
        answers.holds(told, "exp", "the moment of issue and expires_in, to five seconds",
                      lambda v: _is_number(v) and abs(v - end) <= _TOLERANCE_S)  # fmt: skip


@then("the token is told as inactive, and nothing else of it")
def told_inactive(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200])
    found = seen.json()
    answers.holds(found, "active", "false", lambda v: v is False)
    more = sorted(set(found) - {"active"})
    if more:
        raise CheckFailed("More is told of a token that is none.", "active alone",
                          ", ".join(more), "body")  # fmt: skip


def _introspect(seen: Seen, token: str) -> None:
    """Ask with an access token (intro-04), or with a client assertion where that is refused."""
    url = _endpoint(seen, _INTROSPECTION)
    bearer = seen.run.token("match").value.reveal()
    exchange = _post(seen, url, {"token": token}, bearer=bearer)
    if exchange.status in (401, 403):
        proof = token_form(seen)
        form = {n: proof[n] for n in ("client_assertion_type", "client_assertion")}
        exchange = _post(seen, url, {**form, "token": token})
    seen.look_at(exchange)


def _endpoint(seen: Seen, name: str) -> str:
    found = seen.run.json_of(seen.run.smart_configuration()).get(name)
    if not found:
        raise NotApplicable(f"The target's SMART configuration advertises no {name}.")
    return str(found)


def _post(seen: Seen, url: str, form: Mapping[str, str], *, bearer: str = "") -> Exchange:
    """The answer to a form; raises CannotTell for an endpoint that cannot be asked."""
    if not answers.is_absolute_url(url):
        raise CannotTell("The endpoint is not told as an absolute URL.")
    headers = {"Content-Type": media.FORM, "Accept": media.JSON}
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    return seen.run.http.request("POST", url, headers=headers, body=urlencode(form).encode())


@dataclass(frozen=True, slots=True)
class _Issued:
    """A token's answer and the moment of its issue, by the target's own clock."""

    answer: Mapping[str, Any]
    moment: float


def _fresh(seen: Seen) -> dict[str, Any]:
    """The answer with a token that nobody else holds; raises CannotTell when it is refused."""
    seen.look_at(seen.run.target.request_token(token_form(seen)))
    answer = seen.json()
    if not isinstance(answer.get("access_token"), str):
        raise CannotTell("The token request was answered without a token.")
    return answer


def _issued(seen: Seen) -> _Issued:
    """The issue of this scenario's own token: the first exchange that was looked at."""
    exchange = seen.exchanges[0]
    try:
        moment = parsedate_to_datetime(exchange.header("Date")).timestamp()
    except (ValueError, TypeError):
        moment = time.time()
    return _Issued(seen.run.json_of(exchange), moment)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
