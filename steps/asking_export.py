"""Steps of a requesting payer: how it exports, and what it believes to have in the end."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime

from pytest_bdd import parsers, then

from ..reference.answered import retry_after
from ..reference.http import Exchange
from .asking import Exchanged
from .checks import asking
from .verdicts import CannotTell, CheckFailed

_PLACES = {"kick-off": ("kick-off", "bulk-match", "group-export"),
           "poll": ("status", "match-status"), "file request": ("file", "match-file")}  # fmt: skip
# A clock of whole seconds, and a poll that was sent just before.
_SLACK_S = 0.25


@then(parsers.re(r'(?:the|every) (?P<what>kick-off|poll|file request) has "(?P<value>[^"]+)" in '
                 r'"(?P<name>[^"]+)"'))  # fmt: skip
def call_header(exchanged: Exchanged, what: str, value: str, name: str) -> None:
    for call in exchanged.calls(*_PLACES[what]):
        if value not in call.header(name).lower():
            raise CheckFailed(f"The {what} lacks a header, or has another value in it.", value,
                              call.header(name) or "absent", name)  # fmt: skip


@then("no poll comes sooner than the one before was told")
def patient_polls(exchanged: Exchanged) -> None:
    exchanged.calls("status", "match-status")
    for place in ("match-status", "status"):
        patient([c.exchange for c in exchanged.now.visit.of(place)])


def patient(polls: list[Exchange]) -> None:
    """Each poll comes as late as the answer to the one before told."""
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
    foreign = [
        c
        for c in exchanged.calls("file", "match-file")
        if c.exchange.url.startswith(visit.file_host)
    ]
    leaked = [c for c in asking.some(foreign, "call to the other host")
              if c.header("Authorization")]  # fmt: skip
    if leaked:
        raise CheckFailed("A token is sent to another host.", "no Authorization header",
                          f"{len(leaked)} calls with one", "Authorization")  # fmt: skip


@then("no call to another host than the payer's own carries a token")
def no_token_abroad(exchanged: Exchanged) -> None:
    visit = exchanged.now.visit
    exchanged.calls("file")
    foreign = [c for c in visit.calls if c.exchange.url.startswith(visit.file_host)]
    exchanged.looked += [c.exchange for c in foreign]
    if any(c.header("Authorization") for c in foreign):
        raise CheckFailed("A token is sent to another host.", "no Authorization header",
                          "a call with one", "Authorization")  # fmt: skip


@then("every file is asked for once")
def files_once(exchanged: Exchanged) -> None:
    urls = [c.exchange.url for c in exchanged.calls("file", "match-file")]
    wanted = {url for job in exchanged.now.visit.jobs for url in job.urls()}
    if set(urls) != wanted:
        raise CheckFailed("Not every file is asked for.", f"{len(wanted)} files",
                          f"{len(set(urls))} files", "output")  # fmt: skip
    asking.all_unlike(urls, "a file's address")


@then("the error file is asked for")
def error_files(exchanged: Exchanged) -> None:
    urls = {c.exchange.url for c in exchanged.calls("file")}
    wanted = {url for job in exchanged.now.visit.exports() for url in job.urls("error")}
    if not wanted <= urls:
        raise CheckFailed("The reports of problems with the export are not read.",
                          "each error file", f"{len(wanted - urls)} left", "error")  # fmt: skip


@then("the export is deleted after the last file")
def deleted(exchanged: Exchanged) -> None:
    places = [c.place for c in exchanged.now.visit.calls]
    exchanged.calls("file")
    if "delete" not in places[len(places) - places[::-1].index("file") :]:
        raise CheckFailed("A finished export is left with the other payer.", "DELETE of its status",
                          "none", "delete")  # fmt: skip


# What it believes


@then("the record is received")
@then("the records of the matched members are received")
def received(exchanged: Exchanged) -> None:
    told, visit = exchanged.now.told, exchanged.now.visit
    exchanged.looked += [c.exchange for c in visit.calls[-3:]]
    _is_fetched(exchanged)
    if told is None:
        return
    if not told.succeeded:
        raise CheckFailed("The requesting payer gave up.", "a completed exchange",
                          told.outcome or f"exit status {told.exit_status}",
                          "the trigger's answer")  # fmt: skip
    holds(told.resources, _held(exchanged))


def holds(told: dict[str, int], served: dict[str, int]) -> None:
    """What is told to be held, if anything is, is what was served."""
    if told and told != served:
        raise CheckFailed("The requesting payer believes to have another record than it was sent.",
                          _counts(served), _counts(told), "the trigger's answer")  # fmt: skip


def _held(exchanged: Exchanged) -> dict[str, int]:
    visit = exchanged.now.visit
    if visit.script.is_bulk:
        return visit.held()
    found = visit.exports()
    return found[-1].served if found else {}


def _is_fetched(exchanged: Exchanged) -> None:
    visit = exchanged.now.visit
    jobs = visit.exports()
    if not jobs:
        raise CheckFailed("No export is started.", "a kick-off", "none", "order of calls")
    if visit.script.export.redirected:
        return
    files = jobs[-1].urls("output")
    fetched = {c.exchange.url for c in visit.of("file") if c.exchange.status == 200}
    if files - fetched:
        raise CheckFailed("Files of the export are not fetched.", f"{len(files)} files",
                          f"{len(files - fetched)} left", "output")  # fmt: skip


@then("the requesting payer knows of the problems")
def knows_problems(exchanged: Exchanged) -> None:
    told = exchanged.now.told
    if told is None or told.problems is None:
        raise CannotTell("The trigger does not tell how many problems are known.")
    exchanged.looked += [c.exchange for c in exchanged.now.visit.calls[-3:]]
    if not told.problems:
        raise CheckFailed("Problems that the export reports are taken for none.", "problems told",
                          "none", "the trigger's answer")  # fmt: skip


@then("the requesting payer has every file, or does not claim to have a record")
def no_silent_loss(exchanged: Exchanged) -> None:
    visit = exchanged.now.visit
    wanted = {url for job in visit.exports() for url in job.urls("output")}
    exchanged.calls("file")
    fetched = {c.exchange.url for c in visit.of("file") if c.exchange.status == 200}
    if wanted - fetched:
        claims_nothing(exchanged)


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
