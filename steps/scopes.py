"""Steps of scopes: tokens that open a part, and what they are used for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urljoin

from pytest_bdd import parsers, then, when

from ..reference.errors import TokenRefused
from ..reference.target import AccessToken
from .access import never_matched_id
from .bulk_run import BULK_MATCH, for_payers
from .checks import answers
from .delivered import entries_in, export_parameters
from .seen import Seen, page_resources
from .verdicts import CannotTell, CheckFailed, NotApplicable


@when(parsers.parse('the "{kind}" of "{name}" is searched with a token for "{query}"'))
def narrowed_search(seen: Seen, kind: str, name: str, query: str) -> None:
    run = seen.run
    member = run.member_id(name)
    scope = f"system/{kind}.rs?{query}"
    token = _token(seen, scope, member)
    if token is None or scope not in token.scope.split():
        raise NotApplicable(f"The target grants no scope such as {scope}.")
    seen.pages = [seen.look_at(run.target.get(f"{kind}?patient={member}&_count=100", token))]
    answers.has_status(seen.exchange, [200])


@then(parsers.parse('every resource found has the "{element}" "{code}"'))
def all_have(seen: Seen, element: str, code: str) -> None:
    found = page_resources(seen)
    if not found:
        raise CannotTell(f"The record holds nothing with the {element} {code}.")
    other = sum(1 for r in found if code not in set(_codes(r.get(element))))
    if other:
        raise CheckFailed("A scope with a query opens what does not match it.",
                          f"{element} {code} in each", f"{other} of {len(found)} without",
                          element)  # fmt: skip


@when("a token for the bulk match is asked for")
def bulk_token(seen: Seen) -> None:
    seen.run.bulk.require()
    try:
        seen.moment = seen.run.bulk.token().scope
    except TokenRefused:
        seen.moment = ""
    seen.look_at(seen.run.recorder.exchanges[-1][1])


@then("that scope is granted")
def bulk_scope_granted(seen: Seen) -> None:
    settings = seen.run.settings.target
    wanted = settings.auth.bulk_scope(settings.pdex_version)
    if wanted not in seen.moment.split():
        raise CheckFailed("The scope of the bulk match is not granted.", wanted,
                          seen.moment or "no token", "scope")  # fmt: skip


@when(parsers.parse('a bulk match is asked for with a token for "{scope}"'))
def bulk_match_with(seen: Seen, scope: str) -> None:
    run = seen.run
    run.bulk.require()
    token = _required(seen, scope)
    body = {"resourceType": "Parameters", "parameter": []}
    headers = {"Prefer": "respond-async"}
    seen.look_at(run.target.post(f"Group/${BULK_MATCH}", body, token, headers=headers))


@when(parsers.parse('the matched Group is exported with a token for "{scope}"'))
def group_export_with(seen: Seen, scope: str) -> None:
    run = seen.run
    group = run.bulk.match("known answers").matched().get("id")
    url = f"Group/{group}/$davinci-data-export"
    token = _required(seen, scope)
    answer = run.target.kick_off(url, token, for_payers(export_parameters({})))
    seen.look_at(answer)
    if answer.status == 202 and answer.header("Content-Location"):
        run.target.delete(urljoin(answer.url, answer.header("Content-Location")), token)


@when(parsers.parse('a token is asked for with the identifier of the match of "{name}"'))
def token_by_identifier(seen: Seen, name: str) -> None:
    run = seen.run
    auth = run.settings.target.auth
    if auth.member_binding == "none":
        raise CannotTell("Tokens are not bound to a member: set [target.auth] member_binding.")
    parameters = entries_in(run.json_of(run.match(name), "Parameters"), "parameter")
    told = next((p for p in parameters if p.get("name") == "MemberIdentifier"), {})
    value = (told.get("valueIdentifier") or {}).get("value")
    if not value:
        raise CannotTell("The match answered with no MemberIdentifier.")
    _token(seen, auth.data_scope, str(value))
    seen.look_at(run.recorder.exchanges[-1][1])


@when("a batch asks for the member's Patient and for one who was never matched")
def batch(seen: Seen) -> None:
    run = seen.run
    member = run.member_id("unique")
    wanted = [f"Patient/{member}", f"Patient/{never_matched_id(seen)}"]
    entries = [{"request": {"method": "GET", "url": url}} for url in wanted]
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    seen.look_at(run.target.post(run.target.fhir_base, bundle, run.token("data", member)))


@then("the entry of the one who was never matched is refused")
def entry_refused(seen: Seen) -> None:
    if seen.exchange.status >= 400:
        return  # no batch at all: none of its entries was answered
    entries = entries_in(seen.json("Bundle"), "entry")
    status = str((entries[-1].get("response") or {}).get("status", "")) if entries else "none"
    if not status.startswith(("401", "403", "404")) or (entries and entries[-1].get("resource")):
        raise CheckFailed("An entry of a batch opens what the token does not.",
                          "401, 403 or 404 for the entry", status,
                          "Bundle.entry.response.status")  # fmt: skip


def _token(seen: Seen, scope: str, member: str = "") -> AccessToken | None:
    """A token for a scope, asked for anew; None when it is refused."""
    binding = seen.run.settings.target.auth.member_binding if member else "none"
    seen.run.target.forget_tokens()
    try:
        return seen.run.target.token(scope, member=member, binding=binding)
    except TokenRefused:
        return None


def _required(seen: Seen, scope: str) -> AccessToken:
    token = _token(seen, scope)
    if token is None:
        raise CannotTell(f"The target gives no token for {scope}.")
    return token


def _codes(element: Any) -> Iterator[str]:
    """The codes in a code, a CodeableConcept or a list of them."""
    if isinstance(element, str):
        yield element
    elif isinstance(element, list):
        for part in element:
            yield from _codes(part)
    elif isinstance(element, Mapping):
        yield from _codes(element.get("code"))
        yield from _codes(element.get("coding"))
