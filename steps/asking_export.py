"""Steps of a requesting payer: how it exports, and what it believes to have in the end."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from pytest_bdd import parsers, then

from ..reference.http import Exchange
from ..reference.target import retry_after
from .asking import Exchanged
from .checks import asking
from .verdicts import CannotTell, CheckFailed

# A clock of whole seconds, and a poll that was sent just before.
_SLACK_S = 0.25


@then(parsers.re(r'(?:the|every) (?P<what>kick-off|poll|file request) has "(?P<value>[^"]+)" in '
                 r'"(?P<name>[^"]+)"'))  # fmt: skip
def call_header(exchanged: Exchanged, what: str, value: str, name: str) -> None:
    place = {"kick-off": "kick-off", "poll": "status", "file request": "file"}[what]
    for call in exchanged.calls(place):
        if value not in call.header(name).lower():
            raise CheckFailed(f"The {what} lacks a header, or has another value in it.", value,
                              call.header(name) or "absent", name)  # fmt: skip


@then("no poll comes sooner than the one before was told")
def patient_polls(exchanged: Exchanged) -> None:
    polls = [c.exchange for c in exchanged.calls("status")]
    for before, after in itertools.pairwise(polls):
        told = retry_after(before, _moment(before))
        gap = after.started - before.started
        if told is not None and gap + _SLACK_S < told:
            raise CheckFailed("A poll comes sooner than it was told to.", f"{told:.1f} s later",
                              f"{gap:.1f} s later", "Retry-After")  # fmt: skip


@then("the status is not asked for again after the failure")
def stops(exchanged: Exchanged) -> None:
    polls = exchanged.calls("status")
    if len(polls) > 1:
        raise CheckFailed("An export that failed is asked for again.", "one poll",
                          f"{len(polls)} polls", "status")  # fmt: skip


@then("every file is asked for with a token")
def files_with_token(exchanged: Exchanged) -> None:
    bare = [c for c in exchanged.calls("file") if not c.header("Authorization")]
    if bare:
        raise CheckFailed("A guarded file is asked for without a token.", "Authorization",
                          f"{len(bare)} without", "Authorization")  # fmt: skip


@then("no file is asked for with a token")
@then("no call to the other host carries a token")
def no_token_leaks(exchanged: Exchanged) -> None:
    visit = exchanged.now.visit
    foreign = [c for c in exchanged.calls("file") if c.exchange.url.startswith(visit.file_host)]
    leaked = [c for c in asking.some(foreign, "call to the other host")
              if c.header("Authorization")]  # fmt: skip
    if leaked:
        raise CheckFailed("A token is sent to another host.", "no Authorization header",
                          f"{len(leaked)} calls with one", "Authorization")  # fmt: skip


@then("every file is asked for once")
def files_once(exchanged: Exchanged) -> None:
    urls = [c.exchange.url for c in exchanged.calls("file")]
    wanted = {str(entry["url"]) for entry in exchanged.now.visit.manifest()["output"]}
    if set(urls) != wanted:
        raise CheckFailed("Not every file is asked for.", f"{len(wanted)} files",
                          f"{len(set(urls))} files", "output")  # fmt: skip
    asking.all_unlike(urls, "a file's address")


@then("the export is deleted after the last file")
def deleted(exchanged: Exchanged) -> None:
    places = [c.place for c in exchanged.now.visit.calls]
    exchanged.calls("file")
    if "delete" not in places[len(places) - places[::-1].index("file") :]:
        raise CheckFailed("A finished export is left with the other payer.", "DELETE of its status",
                          "none", "delete")  # fmt: skip


# What it believes


@then("the record is received")
def received(exchanged: Exchanged) -> None:
    told, visit = exchanged.now.told, exchanged.now.visit
    files = {str(entry["url"]) for entry in visit.manifest()["output"]}
    exchanged.looked += [c.exchange for c in visit.calls[-3:]]
    fetched = [c.exchange for c in visit.of("file") if c.exchange.status == 200]
    missing = files - {e.url for e in fetched} if not visit.script.redirected_files else set()
    if missing:
        raise CheckFailed("Files of the export are not fetched.", f"{len(files)} files",
                          f"{len(missing)} left", "output")  # fmt: skip
    if told is None:
        return
    if not told.succeeded:
        raise CheckFailed("The requesting payer gave up.", "a completed exchange",
                          told.outcome or f"exit status {told.exit_status}",
                          "the trigger's answer")  # fmt: skip
    if told.resources and told.resources != visit.served:
        raise CheckFailed("The requesting payer believes to have another record than it was sent.",
                          _counts(visit.served), _counts(told.resources),
                          "the trigger's answer")  # fmt: skip


@then("the requesting payer does not claim to have a record")
def claims_nothing(exchanged: Exchanged) -> None:
    told = exchanged.now.told
    if told is None:
        raise CannotTell("What the requesting payer believes is told by a trigger alone.")
    exchanged.looked += [c.exchange for c in exchanged.now.visit.calls[-3:]]
    if told.succeeded:
        raise CheckFailed("The requesting payer takes a failed exchange for a good one.",
                          "an exchange that failed", told.outcome or "exit status 0",
                          "the trigger's answer")  # fmt: skip


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) or "nothing"


def _moment(exchange: Exchange) -> datetime:
    return datetime.fromtimestamp(exchange.started, UTC)
