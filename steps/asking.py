"""Steps of a requesting payer: the exchanges it makes with the payer that the judge plays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import jwt
import pytest
from pytest_bdd import given, parsers, then

from ..reference.http import Exchange
from ..reference.trust import keys
from .checks import asking
from .requester.calls import Call
from .requester.records import ASKING, PLAYED
from .requester.run import CLIENT_ID, Asked, RequesterRun
from .verdicts import CannotTell, CheckFailed

_DATA = ("search", "read", "kick-off", "group-export", "status", "file")


@dataclass(slots=True)
class Exchanged:
    """The exchange that a scenario looks at."""

    run: RequesterRun
    asked: Asked | None = None
    looked: list[Exchange] = field(default_factory=list)

    @property
    def now(self) -> Asked:
        """The exchange; raises CannotTell before there is one."""
        if self.asked is None:
            raise CannotTell("No exchange was made in this scenario.")
        return self.asked

    def calls(self, *places: str) -> list[Call]:
        """The calls to places, at least one; they are the evidence."""
        found = asking.some(
            (c for c in self.now.visit.calls if c.place in places), f"call to {places[0]}"
        )
        self.looked += [c.exchange for c in found]
        return found

    def assertions(self) -> Iterator[tuple[Call, str, dict[str, Any], dict[str, Any]]]:
        """Each token request with its assertion, header and claims."""
        for call in self.calls("token"):
            text = asking.one_value(call.form, "client_assertion")
            yield (call, text, *asking.segments(text))

    def key_of(self, call: Call) -> Mapping[str, Any]:
        """The key that is registered in the round of a call."""
        return self.now.keys[call.round]

    def match(self) -> dict[str, dict[str, Any]]:
        """The parts of the match request."""
        return asking.match_parameters(self.calls("match")[0].json())

    def evidence(self) -> tuple[str, ...]:
        """The ids of the calls that were looked at."""
        ids = (self.run.recorder.id_of(exchange) for exchange in self.looked[:20])
        return tuple(dict.fromkeys(ident for ident in ids if ident))


@pytest.fixture
def exchanged(requester_run: RequesterRun, request: pytest.FixtureRequest) -> Exchanged:
    """What this scenario looks at."""
    from .judging import EVIDENCE  # noqa: PLC0415 - heavy, and only wanted with a target

    found = Exchanged(requester_run)
    request.node.stash[EVIDENCE] = found
    return found


@given(parsers.parse('the exchange "{name}"'))
def exchange(exchanged: Exchanged, name: str) -> None:
    exchanged.asked = exchanged.run.exchange(name)


# Tokens


@then("discovery comes before the first token request")
def discovered_first(exchanged: Exchanged) -> None:
    exchanged.calls("token")
    places = [c.place for c in exchanged.now.visit.calls]
    if "smart" not in places[: places.index("token")]:
        raise CheckFailed("A token is asked for without discovery.",
                          ".well-known/smart-configuration first", "not asked for",
                          "order of calls")  # fmt: skip


@then("every token request goes to the token endpoint")
@then("no call goes to an address that was never told")
def nothing_elsewhere(exchanged: Exchanged) -> None:
    odd = exchanged.now.visit.of("elsewhere")
    exchanged.looked += [c.exchange for c in odd]
    if odd:
        raise CheckFailed("A call goes to an address that was never told.", "discovered addresses",
                          f"{len(odd)} calls elsewhere", "URL")  # fmt: skip


@then("every token request is a posted form")
def posted_form(exchanged: Exchanged) -> None:
    for call in exchanged.calls("token"):
        kind = call.header("Content-Type").partition(";")[0].strip().lower()
        if call.exchange.method != "POST" or kind != "application/x-www-form-urlencoded":
            raise CheckFailed("A token is not asked for by a posted form.",
                              "POST of application/x-www-form-urlencoded",
                              f"{call.exchange.method} of {kind}", "Content-Type")  # fmt: skip


@then(parsers.parse('every token request has "{name}" "{value}"'))
def token_field(exchanged: Exchanged, name: str, value: str) -> None:
    for call in exchanged.calls("token"):
        found = asking.one_value(call.form, name)
        if found != value:
            raise CheckFailed("A token request has another value.", value, found, name)


@then(parsers.re(r'every token request has "(?P<name>\w+)"$'))
def token_has(exchanged: Exchanged, name: str) -> None:
    for call in exchanged.calls("token"):
        asking.one_value(call.form, name)


@then(parsers.parse('every assertion is signed with "{algorithm}"'))
def signed_with(exchanged: Exchanged, algorithm: str) -> None:
    for _, _, head, _ in exchanged.assertions():
        if head.get("alg") != algorithm:
            raise CheckFailed("An assertion is signed by another algorithm than the one offered.",
                              algorithm, str(head.get("alg")), "alg")  # fmt: skip


@then("the token request after the match names the member")
def member_token(exchanged: Exchanged) -> None:
    visit = exchanged.now.visit
    places = [c.place for c in visit.calls]
    exchanged.calls("match")
    later = [c for c in visit.calls[places.index("match") :] if c.place == "token"]
    names = (visit.member.patient_id, visit.member.number)
    for call in asking.some(later, "token request after the match"):
        exchanged.looked.append(call.exchange)
        _, claims = asking.segments(asking.one_value(call.form, "client_assertion"))
        # Whatever binds the token to the member counts: sub, an extension, a field, a scope.
        told = f"{claims} {call.form}"
        if not any(name in told for name in names):
            raise CheckFailed("The token for data is not asked for in the name of the member.",
                              "the MemberId in sub, an extension, a field or a scope",
                              "nowhere", "sub")  # fmt: skip


@then("no token request asks for scopes of a user or a patient")
def system_scopes(exchanged: Exchanged) -> None:
    for call in exchanged.calls("token"):
        odd = [s for s in " ".join(call.form.get("scope", [])).split()
               if s.startswith(("user/", "patient/"))]  # fmt: skip
        if odd:
            raise CheckFailed("A back-end client asks for scopes of a person.", "system/",
                              " ".join(odd), "scope")  # fmt: skip


@then("every token request has the assertion type of RFC 7523")
def assertion_type(exchanged: Exchanged) -> None:
    for call in exchanged.calls("token"):
        asking.is_assertion_type(asking.one_value(call.form, "client_assertion_type"))


@then("every assertion is signed by the registered key")
def signed(exchanged: Exchanged) -> None:
    for call, text, _, _ in exchanged.assertions():
        public = keys.key_object(exchanged.key_of(call)).public_key()
        try:
            jwt.api_jws.decode(text, public, algorithms=["ES384", "RS384"])
        except jwt.InvalidTokenError as error:
            raise CheckFailed("An assertion is not signed by the registered key.",
                              "a good signature", type(error).__name__,
                              "client_assertion") from error  # fmt: skip


@then("every assertion has an algorithm that is offered")
def offered_algorithm(exchanged: Exchanged) -> None:
    for _, _, head, _ in exchanged.assertions():
        offered = exchanged.now.visit.script.algorithms
        if head.get("alg") not in offered:
            raise CheckFailed("An assertion has another algorithm than is offered.",
                              " or ".join(offered), str(head.get("alg")), "alg")  # fmt: skip


@then("every assertion names the registered key")
def names_key(exchanged: Exchanged) -> None:
    for call, _, head, _ in exchanged.assertions():
        if head.get("kid") != exchanged.key_of(call)["kid"]:
            raise CheckFailed("An assertion does not name its key.", "the kid that is registered",
                              "another" if head.get("kid") else "none", "kid")  # fmt: skip


@then("every assertion has the type JWT")
def typed(exchanged: Exchanged) -> None:
    for _, _, head, _ in exchanged.assertions():
        if head.get("typ") != "JWT":
            raise CheckFailed("An assertion does not say that it is a JWT.", "JWT",
                              str(head.get("typ")), "typ")  # fmt: skip


@then("every assertion is by the client and for the token endpoint")
def by_and_for(exchanged: Exchanged) -> None:
    for _, _, _, claims in exchanged.assertions():
        asking.issuer_and_audience(claims, CLIENT_ID, exchanged.now.visit.token_url)


@then("every assertion expires within five minutes")
def expires_soon(exchanged: Exchanged) -> None:
    for call, _, _, claims in exchanged.assertions():
        asking.expiry(claims, call.exchange.started)


@then("no assertion and no jti is sent twice")
def used_once(exchanged: Exchanged) -> None:
    found = list(exchanged.assertions())
    asking.all_unlike((text for _, text, _, _ in found), "client_assertion")
    asking.all_unlike((claims.get("jti") for _, _, _, claims in found), "jti")


@then("tokens are renewed, and none is tried twice after its end")
def renewed(exchanged: Exchanged) -> None:
    polls = exchanged.calls("status")
    refused = [c.header("Authorization") for c in polls if c.exchange.status == 401]
    if len(refused) != len(set(refused)) or len(exchanged.calls("token")) < 3:
        raise CheckFailed("A token that has ended is tried again.", "a new token",
                          f"{len(refused)} refused polls", "Authorization")  # fmt: skip


@then("every call for data carries its token as Bearer")
def bearer(exchanged: Exchanged) -> None:
    for call in exchanged.calls("match", *_DATA):
        if not call.header("Authorization").lower().startswith("bearer "):
            raise CheckFailed("A call does not carry its token as Bearer.",
                              "Authorization: Bearer", f"none for {call.place}",
                              "Authorization")  # fmt: skip


@then("no address holds a token")
def no_token_in_address(exchanged: Exchanged) -> None:
    tokens = exchanged.now.visit.tokens
    for call in exchanged.now.visit.calls:
        query = urlsplit(call.exchange.url).query
        if "access_token=" in query or any(token in call.exchange.url for token in tokens):
            exchanged.looked.append(call.exchange)
            raise CheckFailed("A token stands in an address.", "the header alone",
                              "in the query", "URL")  # fmt: skip


# Match


@then("no data is asked for before the match")
def match_first(exchanged: Exchanged) -> None:
    exchanged.calls("match")
    places = [c.place for c in exchanged.now.visit.calls]
    early = [p for p in places[: places.index("match")] if p in _DATA]
    if early:
        raise CheckFailed("Data is asked for before the match.", "the match first",
                          ", ".join(early), "order of calls")  # fmt: skip


@then("the CapabilityStatement is read before any data")
def capabilities_first(exchanged: Exchanged) -> None:
    exchanged.calls(*_DATA)
    places = [c.place for c in exchanged.now.visit.calls]
    first = min(places.index(place) for place in _DATA if place in places)
    if "metadata" not in places[:first]:
        raise CheckFailed("Data is asked for without a look at what is offered.",
                          "GET metadata first", "not asked for", "order of calls")  # fmt: skip


@then("no data is asked for")
def no_data(exchanged: Exchanged) -> None:
    exchanged.calls("match")
    found = [c.place for c in exchanged.now.visit.calls if c.place in _DATA]
    if found:
        raise CheckFailed("Data is asked for without a match.", "nothing after the refusal",
                          ", ".join(found), "order of calls")  # fmt: skip


@then("the Patient is searched for by the identifier of the match")
def searched_by_identifier(exchanged: Exchanged) -> None:
    given_back = exchanged.now.visit.member.identifier()
    wanted = f"{given_back['system']}|{given_back['value']}"
    found = [v for c in exchanged.calls("search") for v in c.query.get("identifier", [])]
    if wanted not in found:
        raise CheckFailed("The identifier of the match is not used as it was given.",
                          "system and value of MemberIdentifier",
                          f"{len(found)} other identifiers", "identifier")  # fmt: skip


@then("the next page is asked for as it was told")
def next_page(exchanged: Exchanged) -> None:
    found = [c.exchange.url for c in exchanged.calls("search")]
    told = exchanged.now.visit.next_page
    if told not in found:
        raise CheckFailed("A page is not asked for by the link that leads to it.",
                          "the address of the next link, as it is",
                          f"{len(found)} other searches", "link")  # fmt: skip


@then("the old coverage holds every element of the card")
def card(exchanged: Exchanged) -> None:
    card = exchanged.now.visit.member.coverage("")
    asking.tells_the_card(asking.part(exchanged.match(), "CoverageToMatch"), card)


@then("the new coverage holds no element that HRex does not support")
def link_is_lean(exchanged: Exchanged) -> None:
    asking.is_lean(asking.part(exchanged.match(), "CoverageToLink"))


@then("the match request holds the parameters of HRex alone")
def match_slices(exchanged: Exchanged) -> None:
    exchanged.match()


@then(parsers.parse('the match request holds "{name}"'))
def match_holds(exchanged: Exchanged, name: str) -> None:
    asking.part(exchanged.match(), name)


@then("the parts of the match request name the MemberPatient")
def match_references(exchanged: Exchanged) -> None:
    asking.references_are_local(exchanged.match())


@then("the MemberPatient has what HRex asks for")
def match_patient(exchanged: Exchanged) -> None:
    asking.is_demographics(asking.part(exchanged.match(), "MemberPatient"))


@then("the coverages of the match request have what HRex asks for")
def match_coverages(exchanged: Exchanged) -> None:
    parts = exchanged.match()
    for name in ("CoverageToMatch", "CoverageToLink"):
        if name in parts:
            asking.is_coverage(parts[name])


@then("the Consent is in force")
def in_force(exchanged: Exchanged) -> None:
    call = exchanged.calls("match")[0]
    today = datetime.fromtimestamp(call.exchange.started, UTC).date()
    asking.consent_is_in_force(asking.part(exchanged.match(), "Consent"), today)


@then(parsers.re("(?P<what>the match|the export) is asked for once$"))
def asked_once(exchanged: Exchanged, what: str) -> None:
    found = exchanged.calls({"the match": "match", "the export": "kick-off"}[what])
    if len(found) > 1:
        raise CheckFailed("What was asked for is asked for again.", "once", f"{len(found)} times",
                          "order of calls")  # fmt: skip


_CONSENT = {
    "the Consent has the form of HRex": asking.is_consent,
    "the period of the Consent is whole": asking.consent_period_is_whole,
    "the policy of the Consent is one of HRex": asking.consent_policy_is_known,
    "the provision of the Consent holds nothing that HRex forbids": asking.consent_has_no_filters,
    "the action of the Consent is to disclose": asking.consent_action_is_disclose,
}


@then(parsers.re("(?P<what>" + "|".join(_CONSENT) + ")$"))
def consent(exchanged: Exchanged, what: str) -> None:
    _CONSENT[what](asking.part(exchanged.match(), "Consent"))


@then("the Consent contains the representative")
def representative(exchanged: Exchanged) -> None:
    person = exchanged.now.visit.member.representative()
    asking.consent_contains(asking.part(exchanged.match(), "Consent"), person)


@then("the Consent names the representative as an actor")
def representing(exchanged: Exchanged) -> None:
    asking.consent_has_representative(asking.part(exchanged.match(), "Consent"))


@then(parsers.re("the Consent names the (?P<role>discloser|recipient)$"))
def consent_actor(exchanged: Exchanged, role: str) -> None:
    party = PLAYED if role == "discloser" else ASKING
    asking.consent_names(asking.part(exchanged.match(), "Consent"), role, party)
