"""Steps of the export: kick-off, status, manifest, files, deletion."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import urljoin

from pytest_bdd import given, parsers, then, when

from ..reference.fhir.dates import parse_moment
from ..reference.http import Exchange
from .checks import answers, delivery
from .delivered import Export, entries_in, export_parameters
from .seen import Seen
from .verdicts import CannotTell, CheckFailed, NotApplicable


@given(parsers.re(r'the export of the request "(?P<name>[^"]+)"$'))
def export_of(seen: Seen, name: str) -> None:
    seen.request = name
    seen.look_at_export(seen.run.export(name))


@given(parsers.parse('the export of the request "{name}" with "{option}" set to "{value}"'))
def export_with(seen: Seen, name: str, option: str, value: str) -> None:
    seen.request = name
    seen.look_at_export(seen.run.export(name, **{option: value}))


@given(
    parsers.parse(
        'the export of the request "{name}" with Observations since the middle of its record'
    )
)
def export_filtered(seen: Seen, name: str) -> None:
    seen.request = name
    seen.moment = middle_of_observations(seen)
    query = f"Observation?date=ge{seen.moment}"
    seen.look_at_export(seen.run.export(name, _type="Observation,Condition", _typeFilter=query))


@then("only Observations since then are delivered, and every Condition")
def filter_applied(seen: Seen) -> None:
    seen.files()
    facts = delivery.expected_keys(seen.meant(), "sent", "stripped")
    conditions = [k for k in facts if k[0] == "Condition"]
    dated = {k: str(f.get("service_date") or "")[:10] for k, f in facts.items()
             if k[0] == "Observation"}  # fmt: skip
    delivery.none_present(
        {k: {"reason": "Observation before it"} for k, day in dated.items() if day < seen.moment},
        seen.resources(),
    )
    delivery.all_present([*conditions, *(k for k, day in dated.items() if day >= seen.moment)],
                         seen.resources())  # fmt: skip


@given(parsers.parse('a lenient export of the request "{name}" with a parameter nobody knows'))
def lenient_export(seen: Seen, name: str) -> None:
    export = seen.run.once(("lenient", name), lambda: _exported_leniently(seen, name))
    if 400 <= export.kick_off.status < 500:
        raise CannotTell("The target refuses what it does not know, even when asked leniently.")
    seen.look_at_export(export)


def _exported_leniently(seen: Seen, name: str) -> Export:
    body = export_parameters({"_type": "Patient", "_nonsense": "1"})
    headers = {"Prefer": "respond-async, handling=lenient"}
    return seen.run.follow(Export(seen.run.kick_off(name, body, headers=headers)), name)


@then("each line of the error files is an OperationOutcome")
def error_files_hold_outcomes(seen: Seen) -> None:
    told = {str(entry.get("url")) for entry in entries_in(seen.export.manifest, "error")}
    files = [f for f in seen.files() if f.url in told]
    if not files:
        raise CannotTell("The manifest names no error file, though something was ignored.")
    for file in files:
        kinds = [r.get("resourceType") for r in file.resources]
        if len(kinds) < len(file.lines) or set(kinds) - {"OperationOutcome"}:
            raise CheckFailed("An error file holds something else.", "an OperationOutcome a line",
                              "another line", "manifest.error")  # fmt: skip


@given("the target refuses what it does not support")
def refuses_unknown(seen: Seen) -> None:
    started = seen.run.once(("unknown parameter",), lambda: _with_unknown_parameter(seen))
    if started.status < 400:
        raise NotApplicable("The target takes a parameter that nobody knows without a word: "
                            "whether it supports this one cannot be told.")  # fmt: skip


def _with_unknown_parameter(seen: Seen) -> Exchange:
    started = seen.run.kick_off("unique", export_parameters({"_nonsense": "1"}))
    release(seen, started)
    return started


@then("an error file tells what was ignored")
def error_file_tells(seen: Seen) -> None:
    files = [f for f in seen.files() if f.type == "OperationOutcome"]
    outcomes = [r for f in files for r in f.resources if r.get("issue")]
    listed = [e.get("type") for e in seen.export.manifest.get("output", [])]
    if not outcomes or "OperationOutcome" in listed:
        raise CheckFailed("What was ignored is not told in an error file.",
                          "an OperationOutcome in manifest.error",
                          "in manifest.output" if "OperationOutcome" in listed else "none",
                          "manifest.error")  # fmt: skip


@when("the status is asked for again with a new token")
def status_again(seen: Seen) -> None:
    _ = seen.export.manifest
    seen.run.target.forget_tokens()
    token = seen.run.data_token(seen.request)
    seen.look_at(seen.run.target.get(_status_url(seen.export), token, accept="application/json"))


@then("the answer is the same manifest")
def same_manifest(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200])
    found, first = seen.json(), seen.export.manifest
    for name in ("transactionTime", "request"):
        if found.get(name) != first.get(name):
            raise CheckFailed("A second answer tells another export.", "the same manifest",
                              f"another {name}", f"manifest.{name}")  # fmt: skip
    types = [sorted(str(e.get("type")) for e in m.get("output", [])) for m in (found, first)]
    if types[0] != types[1]:
        raise CheckFailed("A second answer lists other files.", "the same files", "others",
                          "manifest.output")  # fmt: skip


@when("an export that does not exist is deleted")
def unknown_deleted(seen: Seen) -> None:
    url = _status_url(seen.run.export("unique"))
    token = seen.run.data_token("unique")
    head, _, _ = url.rstrip("/").rpartition("/")
    seen.look_at(seen.run.target.delete(f"{head}/00000000000000000000000000000000", token))


@when(parsers.parse('all that the token of "{name}" reaches is exported'))
def type_level_export(seen: Seen, name: str) -> None:
    seen.run.require_single()
    token = seen.run.data_token(name)
    exchange = seen.run.kick_offs.send("Patient/$export", token, export_parameters({}))
    seen.look_at(exchange)
    location = exchange.header("Content-Location")
    if exchange.status == 202 and location:
        seen.run.target.delete(urljoin(exchange.url, location), token)


@when("an export is started by GET")
def started_by_get(seen: Seen) -> None:
    _start(seen, None)


@when(parsers.parse('an export is started with the preference "{preference}"'))
def started_with_preference(seen: Seen, preference: str) -> None:
    _start(seen, {}, preference)


@when(parsers.parse('an export is started with "{name}" set to "{value}"'))
def started_with(seen: Seen, name: str, value: str) -> None:
    if name == "patient":
        seen.run.require_single()  # a Group export leaves out whom it does not hold (ATR)
    _start(seen, {name: value})


@then("the kick-off has status 202")
def kick_off_accepted(seen: Seen) -> None:
    answers.has_status(seen.export.kick_off, [202])


@then("the kick-off names an absolute status URL")
def kick_off_names_status(seen: Seen) -> None:
    found = seen.export.kick_off.header("Content-Location")
    if not answers.is_absolute_url(found):
        raise CheckFailed("The kick-off does not tell where to ask for the status.",
                          "an absolute URL", (found and "another text") or "absent",
                          "Content-Location")  # fmt: skip


@then("polls that were not the last carry Retry-After")
def polls_carry_retry_after(seen: Seen) -> None:
    waiting = [p for p in seen.export.polls if p.status == 202] or _polled_at_once(seen)
    if not waiting:
        raise CannotTell("Every export was finished at its first poll: no waiting answer came.")
    for poll in waiting:
        answers.has_header(poll, "Retry-After")


@then("no answer asks to come again later than a business day")
def nobody_waits_for_days(seen: Seen) -> None:
    for answer in (seen.export.kick_off, *seen.export.polls):
        answers.comes_within_a_business_day(answer)


@then(parsers.parse('the last poll has the media type "{wanted}"'))
def last_poll_media_type(seen: Seen, wanted: str) -> None:
    answers.has_media_type(seen.export.last_poll, wanted)


@then(parsers.parse('the last poll has the header "{name}"'))
def last_poll_header(seen: Seen, name: str) -> None:
    answers.has_header(seen.export.last_poll, name)


@when("the status is asked for without a token")
def status_without_token(seen: Seen) -> None:
    seen.look_at(seen.run.target.get(_status_url(seen.export)))


@when("the status of an export that does not exist is asked for")
def unknown_status(seen: Seen) -> None:
    url = _status_url(seen.run.export("unique"))
    token = seen.run.data_token("unique")
    head, _, _ = url.rstrip("/").rpartition("/")
    seen.look_at(seen.run.target.get(f"{head}/00000000000000000000000000000000", token))


@then(parsers.parse('the manifest\'s "{name}" is an instant'))
def manifest_instant(seen: Seen, name: str) -> None:
    found = seen.export.manifest.get(name)
    moment = parse_moment(found) if isinstance(found, str) and "T" in found else None
    if moment is None or moment > datetime.now(UTC).replace(year=datetime.now(UTC).year + 1):
        raise CheckFailed(
            "The manifest has no such instant.",
            "a FHIR instant",
            "absent" if found is None else "another value",
            f"manifest.{name}",
        )


@then(parsers.parse('the manifest\'s "{name}" is an absolute URL'))
def manifest_url(seen: Seen, name: str) -> None:
    answers.holds(seen.export.manifest, name, "an absolute URL", answers.is_absolute_url)


@then(parsers.parse('the manifest\'s "{name}" is a boolean'))
def manifest_boolean(seen: Seen, name: str) -> None:
    answers.holds(seen.export.manifest, name, "true or false", lambda v: isinstance(v, bool))


@then(parsers.parse('the manifest\'s "{name}" is a list'))
def manifest_list(seen: Seen, name: str) -> None:
    answers.holds(seen.export.manifest, name, "a list", lambda v: isinstance(v, list))


@then("every file of the manifest has a type and an absolute URL")
def manifest_entries(seen: Seen) -> None:
    answers.holds(seen.export.manifest, "output", "a list", lambda v: isinstance(v, list))
    for index, entry in enumerate(seen.export.manifest["output"]):
        where = f"manifest.output[{index}]"
        if not isinstance(entry.get("type"), str):
            raise CheckFailed("A file has no type.", "a resource type", "absent", f"{where}.type")
        if not answers.is_absolute_url(entry.get("url")):
            raise CheckFailed("A file has no absolute URL.", "an absolute URL",
                              "absent or relative", f"{where}.url")  # fmt: skip


@then("no file of the manifest is empty")
def no_empty_file(seen: Seen) -> None:
    delivery.files_are_not_empty(seen.files())


@then("every count of the manifest is the number of lines in its file")
def counts_right(seen: Seen) -> None:
    delivery.counts_are_right(seen.files())


@then("every file was downloaded whole")
def files_whole(seen: Seen) -> None:
    delivery.files_are_whole(seen.files())


@then(parsers.parse('every file has the media type "{wanted}"'))
def files_media_type(seen: Seen, wanted: str) -> None:
    for file in seen.files():
        seen.look_at(file.exchange)
        answers.has_media_type(file.exchange, wanted)


@then("every line of every file is a resource")
def lines_are_resources(seen: Seen) -> None:
    delivery.lines_are_resources(seen.files())


@then("every file holds resources of its own type only")
def files_one_type(seen: Seen) -> None:
    delivery.types_are_kept_apart(seen.files())


@then("no resource is delivered twice")
def no_duplicates(seen: Seen) -> None:
    delivery.no_duplicates(seen.files())


@when("each file is asked for without a token")
def files_without_token(seen: Seen) -> None:
    if seen.export.manifest.get("requiresAccessToken") is False:
        raise CannotTell("The manifest says that files need no token.")
    for file in seen.files():
        seen.look_at(seen.run.target.get(file.url, accept="application/fhir+ndjson"))


@then("every file was refused")
def files_refused(seen: Seen) -> None:
    # Of several files the worst is shown: one that was given out without a token.
    asked = seen.exchanges[-len(seen.files()) :]
    for exchange in asked:
        answers.has_status(exchange, [400, 401, 403])


@given("an export that is deleted")
def deleted_export(seen: Seen) -> None:
    seen.look_at(seen.run.once(("deleted-export",), lambda: _deleted(seen)))


@when("its status is asked for")
def status_after_delete(seen: Seen) -> None:
    token = seen.run.data_token("unique")
    seen.look_at(seen.run.target.get(seen.exchange.url, token))


@then("the filter is refused, or reported in an error file")
def filter_not_ignored(seen: Seen) -> None:
    if 400 <= seen.exchange.status < 500:
        answers.is_outcome(seen.exchange)
        return
    export = seen.run.follow(Export(seen.exchange), "unique")
    observed = [f for f in export.files if f.type == "Observation" and f.lines]
    if not export.manifest.get("error") and observed:
        raise CheckFailed("A filter that cannot be applied was ignored in silence.",
                          "a refusal, an error file or a filtered result",
                          "unfiltered data", "manifest.error")  # fmt: skip


def _start(seen: Seen, options: dict[str, str] | None, preference: str = "respond-async") -> None:
    """Start an export and look at the kick-off; what was started is released again.

    By POST, as PDex wants it, and by GET when there are no options to send.
    """
    token = seen.run.data_token("unique")
    body = None if options is None else export_parameters(options)
    exchange = seen.run.kick_off("unique", body, headers={"Prefer": preference})
    seen.look_at(exchange)
    location = exchange.header("Content-Location")
    if exchange.status == 202 and location and "_typeFilter" not in (options or {}):
        seen.run.target.delete(urljoin(exchange.url, location), token)


def release(seen: Seen, started: Exchange) -> None:
    """Take back what was started, if it was."""
    location = started.header("Content-Location")
    if started.status == 202 and location:
        token = seen.run.data_token("unique")
        seen.run.target.delete(urljoin(started.url, location), token)


def middle_of_observations(seen: Seen) -> str:
    """A day with Observations before and after it; raises CannotTell without one."""
    facts = delivery.expected_keys(seen.meant(), "sent", "stripped")
    days = sorted({str(f["service_date"])[:10] for (kind, _), f in facts.items()
                   if kind == "Observation" and f.get("service_date")})  # fmt: skip
    if len(days) < 2:
        raise CannotTell("The truth table knows fewer than two days of Observations.")
    return days[len(days) // 2]


def _polled_at_once(seen: Seen) -> list[Exchange]:
    """A waiting answer of an export that is asked for without delay, if one of three gives one."""
    token = seen.run.data_token("unique")
    for _ in range(3):
        started = seen.run.kick_off("unique", export_parameters({}))
        location = started.header("Content-Location")
        if started.status != 202 or not location:
            return []
        poll = seen.run.target.get(urljoin(started.url, location), token)
        seen.run.target.delete(urljoin(started.url, location), token)
        if poll.status == 202:
            return [seen.look_at(poll)]
    return []


def _deleted(seen: Seen) -> Exchange:
    token = seen.run.data_token("unique")
    started = seen.run.kick_off("unique", export_parameters({}))
    location = started.header("Content-Location")
    if started.status != 202 or not location:
        raise CannotTell("No export could be started that could be deleted.")
    return seen.run.target.delete(urljoin(started.url, location), token)


def _status_url(export: Export) -> str:
    location = export.kick_off.header("Content-Location")
    if not location:
        raise CannotTell("The kick-off told no status URL.")
    return urljoin(export.kick_off.url, location)
