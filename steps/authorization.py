"""Steps of authorization: token requests, good and forged, and requests without a token."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from pytest_bdd import parsers, then, when

from ..reference.secret import Secret
from ..reference.target import AccessToken, Target
from ..reference.trust.signing import ASSERTION_TYPE
from . import forged
from .checks import answers
from .seen import Seen
from .verdicts import CannotTell, CheckFailed, NotApplicable

_DAY_S = 86_400
# What each flaw of an assertion changes: claims, headers. None takes an entry out.
_CLAIM_FLAWS: dict[str, dict[str, Any]] = {
    "expiry is missing": {"exp": None},
    "audience is another server": {"aud": "https://another.example/token"},
    "audience is missing": {"aud": None},
    "issuer is unknown": {"iss": "nobody-knows-this-client", "sub": "nobody-knows-this-client"},
    "subject is somebody else": {"sub": "somebody-else"},
    "jti is missing": {"jti": None},
}
_TIME_FLAWS = {
    "expiry is past": ("exp", -600),
    "expiry is a day away": ("exp", _DAY_S),
    "validity begins tomorrow": ("nbf", _DAY_S),
}
_FORGED: dict[str, Callable[[Target], str]] = {
    "signature is cut off": forged.cut_off,
    "algorithm is none": forged.unsigned,
    "signature is by another key": forged.by_another_key,
    "signature is in DER": forged.in_der,
    "signature is by a P-256 key": forged.by_a_smaller_curve,
}
# A scope over resources, in the first or the second syntax (SMART App Launch 2.2).
_RESOURCE_LEVELS = ("patient/", "user/", "system/")
_RESOURCE_SCOPE = re.compile(
    r"(patient|user|system)/([A-Z][A-Za-z]+|\*)"
    r"\.(read|write|\*|(?=[cruds])c?r?u?d?s?(\?.+)?)"
)


@when("a token is asked for with a good assertion")
def good_assertion(seen: Seen) -> None:
    run = seen.run
    seen.look_at(run.once(("good-token",), lambda: run.target.request_token(token_form(seen))))


@when("a token is asked for with an assertion whose audience is a list")
def audience_list(seen: Seen) -> None:
    url = seen.run.target.token_url()
    _ask(seen, claims={"aud": [url, "https://another.example/token"]})


@when(parsers.re(r"a token is asked for with an assertion whose key id is (?P<flaw>.+)"))
def flawed_key_id(seen: Seen, flaw: str) -> None:
    _ask(seen, headers={"kid": {"unknown": "no-such-key", "missing": None}[flaw]})


@when("a token is asked for with an assertion whose jku is foreign")
def foreign_jku(seen: Seen) -> None:
    _ask(seen, headers={"jku": "https://another.example/jwks.json"})


@when("a token is asked for with an assertion whose critical header is unknown")
def unknown_critical(seen: Seen) -> None:
    _ask(seen, headers={"crit": ["urn:example:unknown"], "urn:example:unknown": True})


@when(parsers.re(
    r"a token is asked for with an assertion whose "
    r"(?P<flaw>(?:expiry|audience is (?:another|missing)|issuer|subject|signature|algorithm"
    r"|jti|validity).*)"))  # fmt: skip
def flawed_assertion(seen: Seen, flaw: str) -> None:
    form = smart_form(seen)
    form["client_assertion"] = _flawed(seen, flaw)
    seen.look_at(seen.run.target.request_token(form))


@when("a token is asked for twice with the same assertion")
def replayed_assertion(seen: Seen) -> None:
    form = token_form(seen)
    first = seen.look_at(seen.run.target.request_token(form))
    if first.status != 200:
        raise CannotTell("The first use of the assertion was refused.")
    seen.look_at(seen.run.target.request_token(form))


@when("a token is asked for with another client id beside the assertion")
def other_client_id(seen: Seen) -> None:
    seen.look_at(seen.run.target.request_token({**token_form(seen), "client_id": "somebody-else"}))


@when(parsers.parse('a token is asked for with the field "{field}" set to "{value}"'))
def field_set(seen: Seen, field: str, value: str) -> None:
    seen.look_at(seen.run.target.request_token({**token_form(seen), field: value}))


@when(parsers.parse('a token is asked for with the field "{field}" sent twice'))
def field_twice(seen: Seen, field: str) -> None:
    form = token_form(seen)
    seen.look_at(seen.run.target.request_token([*form.items(), (field, form[field])]))


@then(parsers.parse('the token request is refused as "{codes}"'))
def token_refused(seen: Seen, codes: str) -> None:
    answers.is_oauth_error(seen.exchange, [code.strip() for code in codes.split(",")])


@then("the grant allows no writing")
def no_writing(seen: Seen) -> None:
    if seen.exchange.status != 200:
        return  # refused altogether: nothing was granted
    granted = str(seen.json().get("scope", "")).split()
    writing = [s for s in granted if s.startswith("system/") and _writes(s)]
    if writing:
        raise CheckFailed("More was granted than is registered.", "no scope to write",
                          " ".join(writing), "scope")  # fmt: skip


@then(parsers.parse('the grant is no wider than "{scope}"'))
def no_wider(seen: Seen, scope: str) -> None:
    granted = str(seen.json().get("scope", "")).split()
    wider = [s for s in granted if s != scope]
    if wider:
        raise CheckFailed("More was granted than was asked for.", scope, " ".join(granted),
                          "scope")  # fmt: skip


@then(parsers.parse('it is refused, or the letters granted are among "{letters}"'))
def letters_granted(seen: Seen, letters: str) -> None:
    if 400 <= seen.exchange.status < 500:
        return  # refused altogether: nothing was widened
    granted = str(seen.json().get("scope", "")).split()
    known = set() if letters == "none" else set(letters)
    wider = [s for s in granted if not set(s.rpartition(".")[2]) & set("cruds") <= known
             or s.startswith(("system/*", "user/*", "patient/*"))]  # fmt: skip
    if wider:
        raise CheckFailed("More was granted than was asked for.", letters, " ".join(granted),
                          "scope")  # fmt: skip


@then(parsers.parse('every resource scope in "{path}" is well formed'))
def scopes_are_well_formed(seen: Seen, path: str) -> None:
    texts = [str(value) for value in answers.values_at(seen.json(), path)]
    # Others are opaque: the guides' own scopes for operations are no resource scopes.
    scopes = [s for text in texts for s in text.split() if s.startswith(_RESOURCE_LEVELS)]
    odd = [scope for scope in scopes if not _RESOURCE_SCOPE.fullmatch(scope)]
    if odd:
        raise CheckFailed("A scope has another form.", "[level]/[type].[letters of cruds in order]",
                          ", ".join(odd), path)  # fmt: skip


@when(parsers.parse('a member is {way} with a token for "{scope}"'))
def member_by_scope(seen: Seen, way: str, scope: str) -> None:
    run = seen.run
    member = run.member_id("unique")
    binding = run.settings.target.auth.member_binding
    token = run.once(
        ("narrow", scope),
        lambda: run.target.token(scope, member=member, binding=binding),
        keep=False,
    )
    if set(token.scope.split()) - {scope}:
        raise CannotTell("The target granted another scope than was asked for.")
    found = {"read": f"Patient/{member}", "searched for": f"Patient?_id={member}"}
    seen.look_at(run.target.get(found[way], token))


@when("an export is asked for without a token")
def export_without_token(seen: Seen) -> None:
    _protected(seen, "an export", None)


@when(parsers.re(r"(?P<what>a member match|a search) is asked for without a token"))
def without_token(seen: Seen, what: str) -> None:
    _protected(seen, what, None)


@when("a search is asked for with a token that was never issued")
def never_issued(seen: Seen) -> None:
    _protected(seen, "a search", AccessToken(Secret("never-issued-" + "0" * 32), "", 0.0))


@when("a search is asked for with the token in the address")
def token_in_address(seen: Seen) -> None:
    token = seen.run.data_token("unique")
    what = f"Group/{seen.run.group}/$export" if seen.run.group else "Condition"
    headers = {"Prefer": "respond-async"} if seen.run.group else {}
    url = f"{what}?access_token={token.value.reveal()}"
    seen.look_at(seen.run.target.get(url, headers=headers))


@when("data is asked for with the token of the match")
def data_with_match_token(seen: Seen) -> None:
    member = seen.run.member_id("unique")
    token = seen.run.token("match")
    seen.look_at(seen.run.target.get(f"Condition?patient={member}", token))


def _protected(seen: Seen, what: str, token: AccessToken | None) -> None:
    target, prefer = seen.run.target, {"Prefer": "respond-async"}
    if seen.run.group and what != "a member match":
        url = f"Group/{seen.run.group}/$export"
        seen.look_at(target.get(url, token, headers=prefer))
        return
    if what != "a search":
        seen.run.require_single()
    if what == "a member match":
        seen.look_at(target.post("Patient/$member-match", {"resourceType": "Parameters"}, token))
    elif what == "a search":
        seen.look_at(target.get("Condition?patient=somebody", token))
    else:
        seen.look_at(target.get("Patient/$export", token, headers=prefer))


def _ask(
    seen: Seen,
    *,
    claims: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
) -> None:
    form = smart_form(seen)
    form["client_assertion"] = seen.run.target.assertion(claims=claims, headers=headers)
    seen.look_at(seen.run.target.request_token(form))


def smart_form(seen: Seen) -> dict[str, str]:
    """As `token_form`; raises NotApplicable for UDAP, whose assertions have rules of their own."""
    if seen.run.target.udap:
        raise NotApplicable("The run authenticates by UDAP, whose own scenarios judge assertions.")
    return token_form(seen)


def token_form(seen: Seen) -> dict[str, str]:
    """The form of a good token request for the match; raises CannotTell without a private key."""
    if seen.run.target.udap:
        return seen.run.target.udap.form(seen.run.settings.target.auth.match_scope)
    if seen.run.settings.target.auth.method != "smart-backend-services":
        raise CannotTell(
            "Client assertions are judged with [target.auth] method = smart-backend-services "
            "or udap."
        )
    return {
        "grant_type": "client_credentials",
        "scope": seen.run.settings.target.auth.match_scope,
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": seen.run.target.assertion(),
    }


def _flawed(seen: Seen, flaw: str) -> str:
    target = seen.run.target
    if flaw in _CLAIM_FLAWS:
        return target.assertion(claims=_CLAIM_FLAWS[flaw])
    if flaw in _TIME_FLAWS:
        claim, seconds = _TIME_FLAWS[flaw]
        return target.assertion(claims={claim: int(time.time()) + seconds})
    if flaw in _FORGED:
        return _FORGED[flaw](target)
    raise CannotTell(f"No such flaw is known: {flaw}.")


def _writes(scope: str) -> bool:
    letters = scope.rsplit(".", 1)[-1].split("?", maxsplit=1)[0]
    return letters in ("write", "*") or (bool(set("cud") & set(letters)) and letters != "read")
