"""Steps of a requesting payer by UDAP and over TLS: whom it believes, and how it names itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from pytest_bdd import parsers, then

from .asking import Exchanged
from .checks import asking
from .checks import asking_udap as udap
from .checks.asking_udap import SignedText
from .requester.calls import Call
from .verdicts import CannotTell, CheckFailed

_CREDENTIALS = ("register", "token")


def statements(exchanged: Exchanged) -> Iterator[tuple[Call, SignedText]]:
    """Each registration with its software statement."""
    for call in exchanged.calls("register"):
        body = call.json()
        text = body.get("software_statement") if isinstance(body, dict) else None
        yield call, SignedText.of(text, "software_statement")


def assertions(exchanged: Exchanged) -> Iterator[tuple[Call, SignedText]]:
    """Each token request with its assertion."""
    for call in exchanged.calls("token"):
        text = asking.one_value(call.form, "client_assertion")
        yield call, SignedText.of(text, "client_assertion")


# Discovery


@then("nothing is registered and no token is asked for")
def stops(exchanged: Exchanged) -> None:
    visit = exchanged.now.visit
    exchanged.looked += [c.exchange for c in visit.calls[:3]]
    found = visit.of(*_CREDENTIALS)
    if found:
        raise CheckFailed("Credentials are sent to a payer that must not be believed.",
                          "nothing after the metadata", ", ".join(c.place for c in found),
                          "order of calls")  # fmt: skip


@then("the metadata was read")
def read(exchanged: Exchanged) -> None:
    if not exchanged.calls("udap", "elsewhere"):
        raise CannotTell("The requesting payer did not look for UDAP.")


@then("credentials go to the signed addresses alone, or nowhere")
def signed_addresses(exchanged: Exchanged) -> None:
    exchanged.calls("udap")
    odd = exchanged.now.visit.of("elsewhere")
    exchanged.looked += [c.exchange for c in odd]
    if odd:
        raise CheckFailed("An address that was not signed is used.", "the signed addresses",
                          f"{len(odd)} calls elsewhere", "URL")  # fmt: skip


@then("the community is asked for by its URI")
def community(exchanged: Exchanged) -> None:
    for call in exchanged.calls("udap"):
        found = call.query.get("community", [""])[0]
        if not urlsplit(found).scheme:
            raise CheckFailed("Discovery does not name a community.", "a URI in community",
                              "no URI" if found else "absent", "community")  # fmt: skip


# JWTs


_EACH: dict[str, Callable[[SignedText], None]] = {
    "is signed by its certificate": udap.is_signed,
    "carries its certificates": udap.has_header,
    "is good for five minutes at most": udap.lives_briefly,
    "is by a URI of its certificate": udap.issuer_is_in_certificate,
    "has contacts": udap.has_contacts,
    "names no redirects": udap.has_no_redirects,
    "is a compact JWS": lambda _found: None,
    "carries the B2B extension": udap.has_b2b,
    "has version 1 of the extension": lambda found: udap.b2b_version(udap.b2b(found)),
    "names its organization by a URI": lambda found: udap.b2b_organization(udap.b2b(found)),
    "tells its purposes": lambda found: udap.b2b_purpose(udap.b2b(found)),
    "names a subject whole, or none": lambda found: udap.b2b_subject(udap.b2b(found)),
    "names a Consent with its policy, or none": lambda found: udap.b2b_consent(udap.b2b(found)),
}


@then(parsers.re("every (?P<kind>statement|assertion) (?P<what>" + "|".join(_EACH) + ")$"))
def each(exchanged: Exchanged, kind: str, what: str) -> None:
    for _, found in _of(exchanged, kind):
        _EACH[what](found)


@then(parsers.re('every (?P<kind>statement|assertion) has "(?P<name>\\w+)"$'))
def has_claim(exchanged: Exchanged, kind: str, name: str) -> None:
    for _, found in _of(exchanged, kind):
        if not found.claims.get(name):
            raise CheckFailed(f"A {kind} lacks a claim.", name, "absent", name)


@then(parsers.parse('every statement has "{name}" "{value}"'))
def has_value(exchanged: Exchanged, name: str, value: str) -> None:
    wanted = [value] if name == "grant_types" else value
    for _, found in statements(exchanged):
        udap.claim_is(found, name, wanted, f"A software statement has another {name}.")


@then("every statement is about its issuer")
def about_itself(exchanged: Exchanged) -> None:
    for _, found in statements(exchanged):
        udap.claim_is(found, "sub", found.claims.get("iss"), "sub is not iss.")


@then(parsers.re("every (?P<kind>statement|assertion) is for the address it is posted to$"))
def audience(exchanged: Exchanged, kind: str) -> None:
    for call, found in _of(exchanged, kind):
        aud = found.claims.get("aud")
        if call.exchange.url not in (aud if isinstance(aud, list) else [aud]):
            raise CheckFailed("aud is another address than the one posted to.",
                              "the URL that was posted to", "another value", "aud")  # fmt: skip


@then(parsers.re("no (?P<kind>statement|assertion) has a jti twice$"))
def fresh(exchanged: Exchanged, kind: str) -> None:
    found = [jwt.claims.get("jti") for _, jwt in _of(exchanged, kind)]
    if not all(found):
        raise CheckFailed(f"A {kind} has no jti.", "a nonce", "absent", "jti")
    asking.all_unlike(found, "jti")


@then("every assertion is by the client id that was assigned")
def by_assigned(exchanged: Exchanged) -> None:
    wanted = exchanged.now.visit.udap
    assert wanted is not None
    for _, found in assertions(exchanged):
        for name in ("iss", "sub"):
            udap.claim_is(found, name, wanted.client_id, f"{name} is not the assigned client id.")


@then("the registration comes before the first token request")
def registered_first(exchanged: Exchanged) -> None:
    exchanged.calls(*_CREDENTIALS)
    places = [c.place for c in exchanged.now.visit.calls]
    if "register" not in places or "token" not in places[places.index("register") :]:
        raise CheckFailed("A token is asked for without a registration.", "register, then token",
                          "no registration" if "register" not in places else "no token",
                          "order of calls")  # fmt: skip


@then("every registration has the form of UDAP")
def registration_form(exchanged: Exchanged) -> None:
    for call in exchanged.calls("register"):
        kind = call.header("Content-Type").partition(";")[0].strip().lower()
        udap.registration_body(call.json(), kind)


@then("every token request is one of UDAP")
def token_form(exchanged: Exchanged) -> None:
    for call in exchanged.calls("token"):
        for name in ("grant_type", "scope", "client_assertion_type", "client_assertion", "udap"):
            asking.one_value(call.form, name)
        if call.form["udap"] != ["1"] or call.form["grant_type"] != ["client_credentials"]:
            raise CheckFailed("A token request has another value.",
                              "udap 1, grant_type client_credentials", "another value",
                              "form")  # fmt: skip


@then("no token request holds a secret")
def no_secret(exchanged: Exchanged) -> None:
    for call in exchanged.calls("token"):
        if call.header("Authorization") or "client_secret" in call.form:
            raise CheckFailed("A token request by assertion holds a secret as well.",
                              "the assertion alone",
                              "Authorization" if call.header("Authorization") else "client_secret",
                              "token request")  # fmt: skip


def _of(exchanged: Exchanged, kind: str) -> Iterator[tuple[Call, SignedText]]:
    return statements(exchanged) if kind == "statement" else assertions(exchanged)


# TLS


@then("nothing is sent over the connection")
def nothing_sent(exchanged: Exchanged) -> None:
    visit = exchanged.now.visit
    if not visit.knocks:
        raise CannotTell("The requesting payer made no connection to the played payer.")
    exchanged.looked += [c.exchange for c in visit.calls]
    if visit.calls:
        raise CheckFailed("A bad certificate is taken for a good one.", "no request at all",
                          f"{len(visit.calls)} requests", "TLS")  # fmt: skip


@then("every token request names the client")
def names_client(exchanged: Exchanged) -> None:
    for call in exchanged.calls("token"):
        asking.one_value(call.form, "client_id")


@then(parsers.re("every (?P<what>token request|registration) comes with the client's certificate$"))
def with_certificate(exchanged: Exchanged, what: str) -> None:
    place = {"token request": "token", "registration": "register"}[what]
    for call in exchanged.calls(place):
        if not call.with_certificate:
            raise CheckFailed(f"A {what} comes without the client's certificate.",
                              "a client certificate", "none", "TLS")  # fmt: skip
