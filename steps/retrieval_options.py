"""Steps of what a payer may offer when a record is read."""

from __future__ import annotations

from urllib.parse import urljoin

from pytest_bdd import given, parsers, then, when

from .checks import answers, delivery
from .delivered import entries_in
from .seen import Seen
from .verdicts import CheckFailed, NotApplicable

_NO_VERSION = ("no-version", "", None)


@given(parsers.parse('everything of the request "{name}" with "{query}" where that is taken'))
def everything_with(seen: Seen, name: str, query: str) -> None:
    seen.request = name
    seen.pages = seen.run.everything(name, query)
    for page in seen.pages:
        seen.look_at(page)
    first = seen.pages[0]
    if 400 <= first.status < 500:
        answers.is_outcome(first)
        raise NotApplicable("The target refuses this parameter of everything, as it may.")
    answers.has_status(first, [200])


@when(parsers.parse('everything of the request "{name}" is asked for asynchronously'))
def everything_later(seen: Seen, name: str) -> None:
    seen.run.require_single()
    member = seen.run.member_id(name)
    token = seen.run.data_token(name)
    answer = seen.run.target.get(
        f"Patient/{member}/$everything", token, headers={"Prefer": "respond-async"}
    )
    seen.look_at(answer)
    location = answer.header("Content-Location")
    if answer.status == 202 and location:
        seen.run.target.delete(urljoin(answer.url, location), token)


@when("the CapabilityStatement is read")
def capability_read(seen: Seen) -> None:
    seen.look_at(seen.run.capability())


@when(parsers.parse('the Patient of "{name}" is read again unless it has changed'))
def read_again(seen: Seen, name: str) -> None:
    member = seen.run.member_id(name)
    token = seen.run.data_token(name)
    first = seen.look_at(seen.run.target.get(f"Patient/{member}", token))
    conditions = {"If-None-Match": first.header("ETag"),
                  "If-Modified-Since": first.header("Last-Modified")}  # fmt: skip
    known = {header: value for header, value in conditions.items() if value}
    if not known:
        raise NotApplicable("The target tells neither ETag nor Last-Modified.")
    seen.look_at(seen.run.target.get(f"Patient/{member}", token, headers=known))


@when(parsers.parse('the version of the Patient of "{name}" is read where that is declared'))
def vread(seen: Seen, name: str) -> None:
    if "vread" not in _interactions(seen, "Patient"):
        raise NotApplicable("The target declares no reading of versions.")
    member = seen.run.member_id(name)
    token = seen.run.data_token(name)
    first = seen.look_at(seen.run.target.get(f"Patient/{member}", token))
    version = (seen.json("Patient").get("meta") or {}).get("versionId")
    if not version:
        raise CheckFailed("Versions are declared and none is told.", "meta.versionId", "absent",
                          "Patient.meta.versionId")  # fmt: skip
    seen.look_at(seen.run.target.get(f"{first.url}/_history/{version}", token))


@then(parsers.parse('the pages hold nothing but "{kinds}"'))
def nothing_but(seen: Seen, kinds: str) -> None:
    delivery.only_types(seen.resources(), [kind.strip() for kind in kinds.split(",")])


@then(parsers.parse('the pages hold no "{kinds}"'))
def none_of(seen: Seen, kinds: str) -> None:
    unwanted = {kind.strip() for kind in kinds.split(",")}
    found = {key: {"reason": key[0]} for key in seen.resources() if key[0] in unwanted}
    delivery.none_present(found, found)


@then(parsers.parse("no page holds more than {most:d} resources that match"))
def short_pages(seen: Seen, most: int) -> None:
    for page in seen.pages:
        entries = entries_in(seen.run.json_of(page, "Bundle"), "entry")
        found = sum(1 for e in entries if (e.get("search") or {}).get("mode", "match") == "match")
        if found > most:
            raise CheckFailed("A page holds more than was asked for.", f"at most {most}",
                              str(found), "Bundle.entry")  # fmt: skip


@then("it is answered at once, or accepted with a place to ask")
def at_once_or_later(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200, 202])
    if seen.exchange.status == 202:
        answers.has_header(seen.exchange, "Content-Location")
    else:
        answers.is_resource(seen.exchange, "Bundle")


@then(parsers.parse('the operation "{name}" of "{kind}" is declared'))
def operation_declared(seen: Seen, name: str, kind: str) -> None:
    if not seen.run.declares(kind, name):
        raise CheckFailed("An operation is not declared.", f"{kind} ${name}", "absent",
                          "CapabilityStatement.rest.resource.operation")  # fmt: skip


@then("it is sent, or said not to have changed")
def sent_or_unchanged(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200, 304])
    if seen.exchange.status == 304 and seen.exchange.body:
        raise CheckFailed("An answer that nothing has changed has a body.", "no body",
                          f"{len(seen.exchange.body)} bytes", "body")  # fmt: skip


@then(parsers.parse('it tells no version where "{kind}" has none'))
def no_version(seen: Seen, kind: str) -> None:
    if _declared(seen, kind).get("versioning") not in _NO_VERSION:
        raise NotApplicable(f"The target declares versions of {kind}.")
    told = (seen.json(kind).get("meta") or {}).get("versionId")
    if told:
        raise CheckFailed("A version is told where none are declared.", "no meta.versionId",
                          "a versionId", f"{kind}.meta.versionId")  # fmt: skip


def _interactions(seen: Seen, kind: str) -> set[str]:
    return {str(i.get("code")) for i in entries_in(_declared(seen, kind), "interaction")}


def _declared(seen: Seen, kind: str) -> dict[str, object]:
    """What the CapabilityStatement says of a type."""
    for rest in entries_in(seen.run.capability_statement(), "rest"):
        for resource in entries_in(rest, "resource"):
            if resource.get("type") == kind:
                return dict(resource)
    return {}
