"""Steps of UDAP's token requests: assertions with a certificate, and the B2B extension in them."""

from __future__ import annotations

from typing import Any

from pytest_bdd import parsers, then, when

from ..reference.trust.udap.tokens import algorithms_of, short_lived, sign
from .checks import answers
from .seen import Seen
from .udap_forged import flawed, smart_style
from .verdicts import CannotTell, CheckFailed, NotApplicable

_B2B = "hl7-b2b"
# What is changed in the extension; None takes an entry out.
_B2B_FLAWS: dict[str, dict[str, Any]] = {
    "version is a number": {"version": 1},
    "version is another": {"version": "2"},
    "organization is missing": {"organization_id": None},
    "organization is no URI": {"organization_id": "1234567893"},
    "purpose is missing": {"purpose_of_use": None},
    "purpose is a text": {"purpose_of_use": "HPAYMT"},
    "purpose is empty": {"purpose_of_use": []},
    "subject has an id and no name": {"subject_id": "urn:oid:2.16.840.1.113883.4.6#1234567893"},
    "consent reference has no policy": {"consent_reference": ["https://consents.example/1"]},
}
_ALGORITHMS = "token_endpoint_auth_signing_alg_values_supported"


@when("a token is asked for by UDAP")
def good_token(seen: Seen) -> None:
    run = seen.run
    run.udap.registered()
    seen.look_at(run.once(("udap-token",), lambda: _answer(seen)))


@when("a token is asked for by UDAP with RS256")
def token_by_rs256(seen: Seen) -> None:
    _by_algorithm(seen, "RS256")


@when("a token is asked for by UDAP with each other algorithm that is advertised and at hand")
def token_by_each(seen: Seen) -> None:
    run = seen.run.udap
    run.registered()
    advertised = run.document().get(_ALGORITHMS) or []
    own = algorithms_of(run.identity.issued.certificate)
    found = [a for a in own if a in advertised and a != "RS256"]
    if not found:
        raise CannotTell("No algorithm besides RS256 is advertised that the client's key is for.")
    for algorithm in found:
        _by_algorithm(seen, algorithm)
        if seen.exchange.status != 200:
            return


@when(parsers.re(r"a token is asked for by UDAP with an assertion whose (?P<flaw>.+)"))
def flawed_token(seen: Seen, flaw: str) -> None:
    run = seen.run.udap
    client = run.registered()
    if flaw == "issuer is the client's URI":
        uri = run.identity.uri
        assertion = client.assertion(claims={"iss": uri, "sub": uri})
    else:
        assertion = flawed(run, client.assertion, flaw)
    _ask(seen, assertion)


@when("a token is asked for by UDAP twice with the same assertion")
def replayed(seen: Seen) -> None:
    assertion = seen.run.udap.registered().assertion()
    if _ask(seen, assertion) != 200:
        raise CannotTell("The first use of the assertion was refused.")
    _ask(seen, assertion)


@when("a token is asked for by UDAP by a client that never registered")
def never_registered(seen: Seen) -> None:
    client = seen.run.udap.registered()
    unknown = "never-registered-client"
    _ask(seen, client.assertion(claims={"iss": unknown, "sub": unknown}))


@when("a token is asked for by UDAP with another client id beside the assertion")
def other_client_id(seen: Seen) -> None:
    client = seen.run.udap.registered()
    _ask(seen, client.assertion(), client_id="somebody-else")


@when("a token is asked for by UDAP with an audience that differs by a slash")
def slash_behind(seen: Seen) -> None:
    client = seen.run.udap.registered()
    url = client.server().token_url
    _ask(seen, client.assertion(claims={"aud": url[:-1] if url.endswith("/") else f"{url}/"}))


@when(parsers.re(r"a token is asked for by UDAP though the (?P<flaw>.+) in the extension"))
def flawed_extension(seen: Seen, flaw: str) -> None:
    run = seen.run.udap
    client = run.registered()
    changed = {**run.identity.b2b(), **_B2B_FLAWS[flaw]}
    extension = {name: value for name, value in changed.items() if value is not None}
    _ask(seen, client.assertion(claims={"extensions": {_B2B: extension}}))


@when("a token is asked for by UDAP without the extension")
def no_extension(seen: Seen) -> None:
    run = seen.run.udap
    client = run.registered()
    if _B2B not in (run.document().get("udap_authorization_extensions_required") or []):
        raise NotApplicable("The target does not require the B2B extension.")
    _ask(seen, client.assertion(claims={"extensions": None}))


@when("a token is asked for by UDAP with a renewed certificate")
def renewed_certificate(seen: Seen) -> None:
    run = seen.run.udap
    client = run.registered()
    issued = run.authority.issue(uris=[run.identity.uri], key="P-256")
    if "ES256" not in (run.document().get(_ALGORITHMS) or []):
        issued = run.authority.issue(uris=[run.identity.uri], key=run.identity.issued.key)
    _ask(seen, client.assertion(identity=run.by(issued)))


@when("a registered client asks as SMART has it, without a certificate")
def as_smart(seen: Seen) -> None:
    run = seen.run.udap
    client = run.registered()
    form = client.form("", smart_style(client, run))
    form["scope"] = seen.run.settings.target.auth.match_scope
    form.pop("udap")
    seen.look_at(run.post(client.server().token_url, form))


@when("a token is asked for by UDAP with one scope that is known and one that is not")
def mixed_scopes(seen: Seen) -> None:
    client = seen.run.udap.registered()
    good = seen.run.settings.target.auth.match_scope
    form = client.form(f"{good} system/NoSuchType.rs")
    seen.look_at(seen.run.udap.post(client.server().token_url, form))


@when("a token is asked for by UDAP with a wildcard that is not advertised")
def unknown_wildcard(seen: Seen) -> None:
    run = seen.run.udap
    client = run.registered()
    wanted = "user/*.cruds"
    if wanted in (run.document().get("scopes_supported") or []):
        raise NotApplicable("The target advertises even this wildcard.")
    seen.look_at(run.post(client.server().token_url, client.form(wanted)))


@then("the scope that is granted is told")
def scope_is_told(seen: Seen) -> None:
    if seen.exchange.status != 200:
        raise CannotTell("The token request was refused.")
    good = seen.run.settings.target.auth.match_scope
    answers.holds(seen.json(), "scope", f"{good}, which alone was granted",
                  lambda v: isinstance(v, str) and good in v.split())  # fmt: skip


@then("the refusal is not about scope")
def not_about_scope(seen: Seen) -> None:
    if b'"invalid_scope"' in seen.exchange.body:
        raise CheckFailed("A request with a known scope is refused for its scope.",
                          "a grant of what is known", "invalid_scope", "error")  # fmt: skip


def _by_algorithm(seen: Seen, algorithm: str) -> None:
    run = seen.run.udap
    client = run.registered()
    if algorithm not in algorithms_of(run.identity.issued.certificate):
        raise CannotTell(f"The client's certificate has no key for {algorithm}.")
    claims = {**short_lived(client.client_id(), client.server().token_url, run.clock.now()),
              "extensions": run.identity.extensions()}  # fmt: skip
    _ask(seen, sign(claims, run.identity.issued, algorithm=algorithm))


def _ask(seen: Seen, assertion: str, **fields: str) -> int:
    seen.look_at(_answer(seen, assertion, **fields))
    return seen.exchange.status


def _answer(seen: Seen, assertion: str = "", **fields: str) -> Any:
    client = seen.run.udap.client
    form = client.form(seen.run.settings.target.auth.match_scope, assertion)
    return seen.run.udap.post(client.server().token_url, {**form, **fields})
