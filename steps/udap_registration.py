"""Steps of UDAP registration: new, changed, refused, cancelled."""

from __future__ import annotations

from typing import Any

from pytest_bdd import parsers, then, when

from ..reference.fhir import media
from ..reference.http import Exchange
from ..reference.target import Target
from ..reference.trust import pki
from .checks import answers, udap
from .seen import Seen
from .udap_forged import flawed
from .verdicts import CannotTell, CheckFailed, NotApplicable

_CLIENT_FLAWS: dict[str, dict[str, Any]] = {
    "it asks for two grant types": {"grant_types": ["client_credentials", "authorization_code"]},
    "its grant type is unknown": {"grant_types": ["urn:example:unknown"]},
    "it asks for refresh tokens": {"grant_types": ["client_credentials", "refresh_token"]},
    "it would authenticate by a secret": {"token_endpoint_auth_method": "client_secret_basic"},
    "its contacts have no mail address": {"contacts": ["https://payer.example.org"]},
    "its contact is a bare mail address": {"contacts": ["somebody@example.org"]},
    "it has no name": {"client_name": None},
    "it asks for no scope": {"scope": None},
    "no scope it asks for is known": {"scope": "launch/nothing"},
}
_BODY_FLAWS: dict[str, dict[str, Any]] = {
    "udap is missing": {"udap": None},
    'udap is "2"': {"udap": "2"},
    "the statement is missing": {"software_statement": None},
}
# Which error is owed to which kind of flaw; the facts leave some to the server.
_FOR_CLIENT = ("invalid_client_metadata", "invalid_software_statement")
_FOR_STATEMENT = ("invalid_software_statement", "unapproved_software_statement")


@when("a client registers by UDAP")
def registers(seen: Seen) -> None:
    """As new: a registration that is there is cancelled before."""
    run = seen.run.udap
    cancelled = run.registered().cancel()
    run.disturb()
    exchange = seen.look_at(run.register())
    if exchange.status == 200 and cancelled.status != 200:
        raise CannotTell("The target knows the client already, and did not cancel it.")


@when("the registered client is described")
def described(seen: Seen) -> None:
    seen.run.udap.registered()
    seen.look_at(seen.run.udap.register())


@when("a client registers with another name beside the statement")
def other_name(seen: Seen) -> None:
    _submit(seen, client_name="A name that nobody signed")


@when("a client registers with something unknown beside the statement, and in it")
def something_unknown(seen: Seen) -> None:
    _submit(seen, claims={"x_unknown": "of no meaning"}, x_unknown=True)


@when("a client registers with a certification that nobody knows")
def unknown_certification(seen: Seen) -> None:
    run = seen.run.udap
    maker = pki.self_signed(run.clock, uris=["https://certifier.example"])
    _submit(seen, certifications=[run.client.statement(identity=run.by(maker))])


@when("a client registers without any certification")
def no_certification(seen: Seen) -> None:
    run = seen.run.udap
    required = run.document().get("udap_certifications_required")
    seen.look_at(run.client.submit(run.client.statement()))
    run.disturb()
    if required and seen.exchange.status == 400:
        raise NotApplicable("The target requires certifications, and says so.")


@when("a registered client registers again for one scope of those it has")
def again_with_less(seen: Seen) -> None:
    run = seen.run
    run.udap.registered()
    _submit(seen, claims={"scope": run.settings.target.auth.match_scope})


@when("a token is asked for with the scope that was dropped")
def token_for_dropped(seen: Seen) -> None:
    run = seen.run
    if run.settings.target.auth.match_scope == run.settings.target.auth.data_scope:
        raise CannotTell("The settings know one scope only, so none can be dropped.")
    run.udap.client.keep(seen.exchange)
    _token(seen, run.settings.target.auth.data_scope)


@when("a token is asked for with the client id from before")
def token_with_old_id(seen: Seen) -> None:
    run = seen.run
    before = run.udap.registered().client_id()
    _submit(seen)
    given = _content(seen).get("client_id")
    if given == before:
        raise NotApplicable("The target keeps the client id when a registration is changed.")
    _token(seen, run.settings.target.auth.match_scope)


@when("the client registers with a certificate of another community")
def other_community(seen: Seen) -> None:
    run = seen.run.udap
    run.registered()
    issued = run.other_authority.issue(uris=[run.identity.uri], key=run.identity.issued.key)
    other = run.client_as(run.by(issued))
    seen.look_at(other.submit(other.statement(claims={"scope": _scopes(seen)[0]})))
    if seen.exchange.status not in (200, 201):
        raise CannotTell("The registration in the other community was refused.")


@when("a token is asked for with a scope of the first registration")
def token_of_first(seen: Seen) -> None:
    _token(seen, seen.run.settings.target.auth.data_scope)


@when("a registered client cancels its registration")
def cancels(seen: Seen) -> None:
    run = seen.run.udap
    run.registered()
    seen.look_at(run.client.cancel())
    run.disturb()


@when("a token is asked for by the client that is cancelled")
def token_when_cancelled(seen: Seen) -> None:
    _token(seen, seen.run.settings.target.auth.match_scope)


@when(parsers.re(r"a software statement is sent whose (?P<flaw>.+)"))
def flawed_statement(seen: Seen, flaw: str) -> None:
    run = seen.run.udap
    seen.look_at(run.client.submit(flawed(run, run.client.statement, flaw)))
    _note(seen)


@when("a software statement is sent twice")
def replayed_statement(seen: Seen) -> None:
    run = seen.run.udap
    statement = run.client.statement()
    run.disturb()
    if seen.look_at(run.client.submit(statement)).status not in (200, 201):
        raise CannotTell("The first use of the software statement was refused.")
    seen.look_at(run.client.submit(statement))


@when(parsers.re(r"a client registers though (?P<flaw>.+)"))
def flawed_client(seen: Seen, flaw: str) -> None:
    if flaw == "the body is a form":
        _post_form(seen)
    elif flaw in _BODY_FLAWS:
        _submit(seen, **_BODY_FLAWS[flaw])
    else:
        _submit(seen, claims=_CLIENT_FLAWS[flaw])


@then("the registration is accepted")
def accepted(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200, 201])
    answers.holds(_content(seen), "client_id", "text", lambda v: isinstance(v, str) and bool(v))


@then("the statement and what it asks for are told back")
def told_back(seen: Seen) -> None:
    content = _content(seen)
    answers.holds(
        content,
        "software_statement",
        "the statement that was sent",
        lambda v: isinstance(v, str) and v.encode() in seen.exchange.request_body,
    )
    answers.holds(content, "grant_types", "client_credentials alone",
                  lambda v: v == ["client_credentials"])  # fmt: skip
    answers.holds(content, "token_endpoint_auth_method", "private_key_jwt",
                  lambda v: v == "private_key_jwt")  # fmt: skip


@then("nothing is told that was not assigned, and no claim of the JWT")
def told_bare(seen: Seen) -> None:
    udap.is_bare(_content(seen))


@then("the name is that of the statement")
def name_of_statement(seen: Seen) -> None:
    own = seen.run.udap.identity.client_name
    answers.holds(_content(seen), "client_name", "the signed name", lambda v: v == own)


@then("the client id is the one from before")
def same_client_id(seen: Seen) -> None:
    own = seen.run.udap.client.client_id()
    answers.has_status(seen.exchange, [200])
    answers.holds(_content(seen), "client_id", "the id from before", lambda v: v == own)


@then("no token is given for it")
def no_token_for_it(seen: Seen) -> None:
    if seen.exchange.status != 200:
        return
    scope = seen.run.settings.target.auth.data_scope
    if scope in str(seen.json().get("scope", "")).split():
        raise CheckFailed("What is registered no more is still granted.", "another scope or none",
                          scope, "scope")  # fmt: skip


@then("the answer names no grant type")
def no_grant_type(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200, 201])
    if _content(seen).get("grant_types") != []:
        raise CheckFailed("The registration was not cancelled.", "grant_types []", "another",
                          "grant_types")  # fmt: skip


@then("the registration is refused with an error of registrations")
def refused(seen: Seen) -> None:
    udap.is_registration_error(seen.exchange, udap.REGISTRATION_ERRORS)


@then("the registration is refused for its statement")
def refused_for_statement(seen: Seen) -> None:
    udap.is_registration_error(seen.exchange, _FOR_STATEMENT)


@then("the registration is refused for what it asks")
def refused_for_client(seen: Seen) -> None:
    udap.is_registration_error(seen.exchange, _FOR_CLIENT)


@then("the request is refused before anything is registered")
def refused_before(seen: Seen) -> None:
    answers.has_status(seen.exchange, [400, 415, 422])


def _submit(seen: Seen, *, claims: dict[str, Any] | None = None, **members: Any) -> Exchange:
    client = seen.run.udap.client
    exchange = seen.look_at(client.submit(client.statement(claims=claims), **members))
    _note(seen)
    return exchange


def _note(seen: Seen) -> None:
    """What was accepted, as it should not be or with a change, is undone before the next one."""
    if seen.exchange.status in (200, 201):
        seen.run.udap.disturb()


def _post_form(seen: Seen) -> None:
    client = seen.run.udap.client
    seen.look_at(seen.run.http.request(
        "POST", client.server().registration_url,
        headers={"Content-Type": media.FORM, "Accept": media.JSON},
        body=f"software_statement={client.statement()}&udap=1".encode(),
    ))  # fmt: skip
    _note(seen)


def _token(seen: Seen, scope: str) -> None:
    client = seen.run.udap.client
    url = client.server().token_url
    seen.look_at(seen.run.udap.post(url, client.form(scope)))


def _scopes(seen: Seen) -> tuple[str, ...]:
    target = seen.run.settings.target
    return target.auth.scopes(target.pdex_version)


def _content(seen: Seen) -> dict[str, Any]:
    """The answer of a registration; raises CannotTell when it was refused or is no JSON object."""
    if seen.exchange.status not in (200, 201):
        raise CannotTell(f"The registration was answered {seen.exchange.status}.")
    return Target.read_json(seen.exchange)
