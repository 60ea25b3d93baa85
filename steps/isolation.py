"""Steps of isolation: what another payer's client reaches of the first one's, which is nothing."""

from __future__ import annotations

from urllib.parse import urljoin

from pytest_bdd import parsers, then, when

from .bulk_run import BulkMatch
from .checks import isolation
from .delivered import export_parameters
from .other_client import OtherClient, Place
from .seen import Seen
from .verdicts import CannotTell, CheckFailed


def _other(seen: Seen) -> OtherClient:
    return seen.run.once(("other-client",), lambda: OtherClient(seen.run))


@when(parsers.parse('another client asks for "{name}"'))
def other_asks(seen: Seen, name: str) -> None:
    other = _other(seen)
    seen.look_at(other.ask(other.place(name)))


@then("it is out of reach")
def out_of_reach(seen: Seen) -> None:
    isolation.is_out_of_reach(seen.exchange)


@when(parsers.parse('another client asks for what does not exist and for "{name}"'))
def other_asks_for_both(seen: Seen, name: str) -> None:
    other = _other(seen)
    place = other.place(name)
    for url in (place.url, isolation.not_existing(place.url)):
        seen.look_at(other.ask(Place(place.method, url, place.body)))


@then("both answers have the same status and issues")
def same_refusal(seen: Seen) -> None:
    isolation.are_alike(*seen.exchanges[-2:])


@when("another client searches Groups")
def other_searches_groups(seen: Seen) -> None:
    seen.batch = _matched(seen)
    seen.look_at(_other(seen).ask(Place("GET", "Group?code=match")))


@then("no Group of the first client is found")
def no_foreign_group(seen: Seen) -> None:
    assert seen.batch is not None
    own = {str(group.get("id")) for group in seen.batch.groups}
    isolation.holds_none_of(seen.exchange, own)


@when("another client deletes a new export")
def other_deletes(seen: Seen) -> None:
    other = _other(seen)
    started = seen.run.kick_off("unique", export_parameters({}))
    location = started.header("Content-Location")
    if started.status != 202 or not location:
        raise CannotTell("No export could be started that another client could delete.")
    seen.moment = urljoin(started.url, location)
    seen.look_at(other.ask(Place("DELETE", seen.moment)))


@then("the export is still there for the first client")
def export_lives_on(seen: Seen) -> None:
    token = seen.run.data_token("unique")
    answer = seen.look_at(seen.run.target.get(seen.moment, token))
    seen.run.target.delete(seen.moment, token)
    if answer.status not in (200, 202, 429):
        raise CheckFailed("Another client can end an export.", "the manifest, or still running",
                          f"status {answer.status}", "status")  # fmt: skip


@when("another client asks for a token for the member")
def other_asks_for_token(seen: Seen) -> None:
    binding = seen.run.settings.target.auth.member_binding
    if binding == "none":
        raise CannotTell("Tokens are not bound to a member: set [target.auth] member_binding.")
    member = seen.run.member_id("unique")
    other = _other(seen)
    other.token()  # it is a client in good standing
    seen.moment = "granted" if other.token_of(member, binding) else "refused"
    seen.look_at(seen.run.recorder.exchanges[-1][1])


@then("no token is given")
def no_token(seen: Seen) -> None:
    if seen.moment == "granted":
        raise CheckFailed("A client gets a token for a member whom it never matched.",
                          "a refusal", "a token", "token endpoint")  # fmt: skip


def _matched(seen: Seen) -> BulkMatch:
    found = seen.run.bulk.match("known answers")
    _ = found.matched()
    return found
