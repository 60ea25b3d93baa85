"""Steps of what an export may offer besides: its options, and the forms they have where offered."""

from __future__ import annotations

from urllib.parse import urljoin

from pytest_bdd import given, parsers, then, when

from ..reference.errors import TargetError
from ..reference.http import Exchange
from .checks import answers, delivery, options
from .delivered import Export, export_parameters
from .delivering import type_delivered
from .exporting import middle_of_observations, release
from .seen import Seen
from .verdicts import CannotTell, CheckFailed, NotApplicable

_REFUSED = "The target refuses this, as it may."
_SEPARATE = "separate-export-status"
_AT_ONCE = 15
_POLLS = 50


@given(parsers.parse(
    'the export of the request "{name}" with the option "{option}" set to "{value}"'))  # fmt: skip
def with_option(seen: Seen, name: str, option: str, value: str) -> None:
    seen.request = name
    export = seen.run.export(name, **{option: value})
    seen.look_at_export(export)
    if 400 <= export.kick_off.status < 500:
        answers.is_outcome(export.kick_off)
        raise NotApplicable(f"The target refuses {option}, as it may.")
    if export.result and export.manifest.get("error"):
        raise NotApplicable(f"The target tells in an error file what it makes of {option}.")


@when("the export of the whole server is started where it is declared")
def whole_server(seen: Seen) -> None:
    if not seen.run.declares("", "export"):
        raise NotApplicable("The target declares no export of the whole server.")
    _start(seen, "$export", {})


@when("an export is started with its status to be told apart")
def status_told_apart(seen: Seen) -> None:
    token = seen.run.data_token("unique")
    started = seen.look_at(seen.run.kick_off(
        "unique", export_parameters({}), headers={"Prefer": f"respond-async, {_SEPARATE}"}
    ))  # fmt: skip
    location = started.header("Content-Location")
    if started.status != 202 or _SEPARATE not in started.header("Preference-Applied"):
        release(seen, started)
        raise NotApplicable(f"The target does not apply the preference {_SEPARATE}.")
    seen.look_at(seen.run.target.get(urljoin(started.url, location), token))
    release(seen, started)


@when("an export is started leniently with a parameter nobody knows")
def started_leniently(seen: Seen) -> None:
    headers = {"Prefer": "respond-async, handling=lenient"}
    body = export_parameters({"_type": "Patient", "_nonsense": "1"})
    started = seen.look_at(seen.run.kick_off("unique", body, headers=headers))
    release(seen, started)


@given("an export that is deleted once it is finished")
def deleted_when_finished(seen: Seen) -> None:
    export = seen.run.follow(
        Export(seen.run.kick_off("unique", export_parameters({"_type": "Patient"}))), "unique"
    )
    seen.look_at_export(export)
    _ = export.manifest
    release(seen, export.kick_off)


@given(parsers.parse(
    'the export of the request "{name}" with Observations before and since the middle of its '
    "record"))  # fmt: skip
def in_two_halves(seen: Seen, name: str) -> None:
    seen.request = name
    middle = middle_of_observations(seen)
    # A semicolon stands for the same parameter once more.
    halves = f"Observation?date=lt{middle};Observation?date=ge{middle}"
    export = seen.run.export(name, _type="Observation", _typeFilter=halves)
    seen.look_at_export(export)
    if 400 <= export.kick_off.status < 500:
        raise NotApplicable("The target refuses several filters of one type.")


@when("each file is asked for without a token where none is needed")
def files_without_need(seen: Seen) -> None:
    if seen.export.manifest.get("requiresAccessToken") is not False:
        raise NotApplicable("The manifest says that files need a token.")
    for file in seen.files():
        seen.look_at(seen.run.target.get(file.url, accept="application/fhir+ndjson"))


@when(parsers.parse('a file is asked for with the encoding "{offered}"'))
def with_encoding(seen: Seen, offered: str) -> None:
    if not seen.files():
        raise CannotTell("The export has no file.")
    token = seen.run.data_token("unique")
    seen.moment = offered
    seen.look_at(seen.run.target.get(
        seen.files()[0].url, token, accept="application/fhir+ndjson",
        headers={"Accept-Encoding": offered},
    ))  # fmt: skip


@when(parsers.parse('a file is asked for that may be "{accept}"'))
def file_as(seen: Seen, accept: str) -> None:
    if not seen.files():
        raise CannotTell("The export has no file.")
    token = seen.run.data_token("unique")
    seen.look_at(seen.run.target.get(seen.files()[0].url, token, accept=accept))


@then("it is the file that was delivered")
def same_file(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200])
    if seen.exchange.body.splitlines() != list(seen.files()[0].lines):
        raise CheckFailed("Another file is sent for another Accept header.", "the same lines",
                          f"{len(seen.exchange.body)} other bytes", "body")  # fmt: skip


@when("the first 100 bytes of a file are asked for")
def first_bytes(seen: Seen) -> None:
    if not seen.files():
        raise CannotTell("The export has no file.")
    token = seen.run.data_token("unique")
    headers = {"Range": "bytes=0-99", "Accept-Encoding": "identity"}
    seen.look_at(seen.run.target.get(
        seen.files()[0].url, token, accept="application/fhir+ndjson", headers=headers
    ))  # fmt: skip


@then("those bytes are sent, or the file whole")
def part_or_whole(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200, 206])
    if seen.exchange.status == 206:
        answers.has_header(seen.exchange, "Content-Range", "bytes 0-99/")
    whole = b"".join(line + b"\n" for line in seen.files()[0].lines)
    wanted = whole[:100] if seen.exchange.status == 206 else whole
    if seen.exchange.body.rstrip() != wanted.rstrip():
        raise CheckFailed("Other bytes are sent than were asked for.", f"{len(wanted)} bytes",
                          f"{len(seen.exchange.body)} bytes", "body")  # fmt: skip


@when("many exports are started at the same time")
def many_at_once(seen: Seen) -> None:
    seen.run.require_pressure()
    body = export_parameters({"_type": "Patient"})
    started = [seen.run.kick_off("unique", body) for _ in range(_AT_ONCE)]
    seen.look_at_all(started)
    for exchange in started:
        release(seen, exchange)


@when("an export is asked about without pause")
def polled_without_pause(seen: Seen) -> None:
    seen.run.require_pressure()
    target, token = seen.run.target, seen.run.data_token("unique")
    started = seen.run.kick_off("unique", export_parameters({}))
    where = urljoin(started.url, started.header("Content-Location"))
    polls = [target.get(where, token, accept="application/json") for _ in range(_POLLS)]
    export = seen.run.follow(Export(started), "unique")
    seen.look_at_export(export)
    seen.look_at_all(polls)
    release(seen, started)


@then("the export is still finished")
def still_finished(seen: Seen) -> None:
    if seen.export.result is None:
        raise CheckFailed("An export that was asked about too often is lost.", "a manifest",
                          seen.export.failure, "status")  # fmt: skip


@then("each poll is answered, or told to wait with Retry-After")
@then("each of them is accepted, or told to wait with Retry-After")
def answered_or_told_to_wait(seen: Seen) -> None:
    for exchange in seen.exchanges:
        answers.has_status(exchange, [200, 202, 429])
        if exchange.status == 429:
            answers.has_header(exchange, "Retry-After")


@then("the body of the kick-off is empty or an OperationOutcome")
def kick_off_body(seen: Seen) -> None:
    answers.has_status(seen.export.kick_off, [202])
    options.says_nothing_or_an_outcome(seen.export.kick_off)


@then("the body of the answer is empty or an OperationOutcome")
def answer_body(seen: Seen) -> None:
    options.says_nothing_or_an_outcome(seen.exchange)


@then("its files are delivered as before, or are not found")
def files_there_or_gone(seen: Seen) -> None:
    token = seen.run.data_token("unique")
    for file in seen.files():
        exchange = seen.look_at(seen.run.target.get(file.url, token))
        answers.has_status(exchange, [200, 401, 403, 404, 410])


@then("it is accepted, or refused with an OperationOutcome")
def accepted_or_refused(seen: Seen) -> None:
    if 400 <= seen.exchange.status < 500:
        answers.is_outcome(seen.exchange)
        raise NotApplicable(_REFUSED)
    answers.has_status(seen.exchange, [202])


@then("it is not accepted")
def not_accepted(seen: Seen) -> None:
    answers.is_refusal_with_outcome(seen.exchange)


@then("polls that were not the last have status 202")
def running_is_202(seen: Seen) -> None:
    export = seen.export
    polls = export.polls if export.result is None else export.polls[:-1]
    for poll in polls:
        answers.has_status(poll, [202, 429, 503])
    if export.result is None:
        raise CannotTell(export.failure)


@then("no poll tells of its progress in 100 characters or more")
def progress_is_short(seen: Seen) -> None:
    _ = seen.export.manifest
    told = [p.header("X-Progress") for p in seen.export.polls if p.header("X-Progress")]
    if not told:
        raise NotApplicable("No poll told of its progress.")
    longest = max(map(len, told))
    if longest > 99:
        raise CheckFailed("Progress is told in too many words.", "fewer than 100 characters",
                          f"{longest} characters", "X-Progress")  # fmt: skip


@then("nothing delivered was updated after the transaction time")
def nothing_newer(seen: Seen) -> None:
    options.nothing_is_newer(seen.resources().values(), seen.export.manifest)


@then("an extension of the manifest is an object or a list of extensions")
def manifest_extension(seen: Seen) -> None:
    options.extension_is_formed(seen.export.manifest)


@then("what later versions add to the manifest has its type")
def later_elements(seen: Seen) -> None:
    options.later_elements_are_typed(seen.export.manifest)


@then("no waiting answer holds a manifest, and the manifest has no next part")
def one_part(seen: Seen) -> None:
    options.comes_in_one_part(seen.export.manifest, seen.export.polls[:-1])


@then("its manifest's parts are linked, alike, and stay as they are")
def parts_belong(seen: Seen) -> None:
    first = seen.export.manifest
    if not first.get("link"):
        raise NotApplicable("The manifest came in one part.")
    token = seen.run.data_token(seen.request)
    pages, last = [first], seen.export.last_poll
    while (url := options.next_part(pages[-1])) and len(pages) < _POLLS:
        last = seen.look_at(seen.run.target.get(urljoin(last.url, url), token))
        pages.append(seen.run.json_of(last))
    options.parts_are_alike(pages)
    again = seen.look_at(seen.run.target.get(seen.export.last_poll.url, token))
    options.part_is_unaltered(first, seen.run.json_of(again))


@then(parsers.parse('the manifest says that its files are organized by "{kind}"'))
def organized(seen: Seen, kind: str) -> None:
    options.says_how_it_is_organized(seen.export.manifest, kind)


@then("each block of a file begins with its header")
def blocks_begin(seen: Seen) -> None:
    for file in seen.files():
        options.blocks_have_headers(file.resources)


@then("a file that another one continues is continued with the same header")
def continued(seen: Seen) -> None:
    options.continuations_repeat_the_header(seen.export.manifest, seen.files())


@then("each answer about its status tells it in a header")
def status_in_header(seen: Seen) -> None:
    if seen.exchange.status == 200:
        answers.has_header(seen.exchange, "X-Export-Status")


@then("every resource with elements left out is tagged as not whole, and has what it must have")
def subsetted(seen: Seen) -> None:
    _ = seen.export.manifest
    options.trimmed_are_tagged(list(seen.export.resources()))


@then("no resource is the target of more than one Provenance")
def one_provenance(seen: Seen) -> None:
    _ = seen.export.manifest
    if seen.run.group:
        type_delivered(seen, "Provenance")
    options.one_provenance_each(seen.export.resources("Provenance"))


@then(parsers.parse("no file is larger than {most:d} bytes"))
def files_are_small(seen: Seen, most: int) -> None:
    for file in seen.files():
        size = sum(len(line) + 1 for line in file.lines)
        if size > most and len(file.lines) > 1:
            raise CheckFailed("A file is larger than was asked for.", f"at most {most} bytes",
                              f"{size} bytes", "file")  # fmt: skip


@then("every Observation is delivered that the truth table expects")
def observations(seen: Seen) -> None:
    seen.files()
    facts = delivery.expected_keys(seen.meant(), "sent", "stripped")
    delivery.all_present([k for k in facts if k[0] == "Observation"], seen.resources())


@then("each of them is delivered")
def each_delivered(seen: Seen) -> None:
    for exchange in seen.exchanges[-len(seen.files()) :]:
        answers.has_status(exchange, [200])


@then("it is compressed as it says, and in no way that was not offered")
def compressed_as_said(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200])
    options.is_compressed_as_said(seen.exchange, seen.moment)


@then("every attachment's address is absolute")
def absolute_attachments(seen: Seen) -> None:
    seen.files()
    options.attachments_are_absolute(seen.resources().values())


@then("an attachment of the target is delivered with the token, as its files are")
def attachment_delivered(seen: Seen) -> None:
    own = [u for u in options.attachment_urls(seen.resources().values())
           if seen.run.target.is_own_origin(u)]  # fmt: skip
    if not own:
        raise CannotTell("No attachment of the delivery lies at the target.")
    free = seen.export.manifest.get("requiresAccessToken") is False
    token = None if free else seen.run.data_token(seen.request)
    answers.has_status(seen.look_at(_fetched(seen, own[0], token)), [200])


@then("no Binary is delivered but one that a DocumentReference names")
def binaries_are_named(seen: Seen) -> None:
    seen.files()
    options.binaries_are_named(seen.resources())


@then("every reference is relative or below the FHIR base")
def references_are_below(seen: Seen) -> None:
    seen.files()
    options.references_are_own(seen.resources().values(), seen.run.target.fhir_base)


def _fetched(seen: Seen, url: str, token: object) -> Exchange:
    try:
        return seen.run.target.get(url, token, accept="*/*")  # type: ignore[arg-type]
    except TargetError as error:
        raise CheckFailed("An attachment cannot be had.", "status 200", "no answer",
                          "attachment.url") from error  # fmt: skip


def _start(seen: Seen, url: str, parameters: dict[str, str]) -> None:
    token = seen.run.token("data")
    body = export_parameters(parameters)
    release(seen, seen.look_at(seen.run.kick_offs.send(url, token, body)))
