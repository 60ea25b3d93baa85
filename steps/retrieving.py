"""Steps of synchronous retrieval: everything, search and read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from pytest_bdd import given, parsers, then, when

from ..reference.fhir import media
from ..reference.fhir.references import split_reference
from .checks import answers, delivery, payload
from .following import next_link
from .seen import Seen, page_resources
from .verdicts import CannotTell, CheckFailed

_NOBODY = "no-such-resource-0000"


@given(parsers.parse('everything of the request "{name}"'))
def everything_of(seen: Seen, name: str) -> None:
    seen.request = name
    seen.pages = seen.run.everything(name)
    for page in seen.pages:
        seen.look_at(page)


@then("each page is a searchset Bundle")
def pages_are_searchsets(seen: Seen) -> None:
    for page in seen.pages:
        _is_searchset(page)


@then("the pages hold the Patient who was meant")
def pages_hold_patient(seen: Seen) -> None:
    ident = seen.meant()["patient_id"]
    if ("Patient", ident) not in _keys(page_resources(seen)):
        raise CheckFailed("The pages do not hold the Patient.", "the Patient", "absent",
                          "Bundle.entry")  # fmt: skip


@then("the pages hold every resource that the truth table expects")
def pages_hold_record(seen: Seen) -> None:
    expected = delivery.expected_keys(seen.meant(), "sent", "stripped")
    delivery.all_present(expected, _keys(page_resources(seen)))


@then("the pages hold claims and prior authorizations")
def pages_hold_both(seen: Seen) -> None:
    claims = [r for r in page_resources(seen) if r.get("resourceType") == "ExplanationOfBenefit"]
    expected = delivery.expected_keys(seen.meant(), "sent", "stripped").items()
    held = {bool(f.get("prior_authorization")) for k, f in expected
            if k[0] == "ExplanationOfBenefit"}  # fmt: skip
    if held != {True, False}:
        raise CannotTell("The record holds claims or prior authorizations, but not both.")
    kinds = {payload.is_authorization(r) for r in claims}
    if kinds != {True, False}:
        found = ", ".join("prior authorizations" if k else "claims" for k in kinds) or "none"
        raise CheckFailed("Everything leaves one kind of ExplanationOfBenefit out.",
                          "claims and prior authorizations", found, "Bundle.entry")  # fmt: skip


@when(parsers.parse('everything of the request "{name}" is asked for by POST'))
def everything_by_post(seen: Seen, name: str) -> None:
    seen.run.require_single()
    member = seen.run.member_id(name)
    token = seen.run.data_token(name)
    body = {"resourceType": "Parameters",
            "parameter": [{"name": "_count", "valueInteger": 10}]}  # fmt: skip
    seen.look_at(seen.run.target.post(f"Patient/{member}/$everything", body, token))


@when(parsers.parse('a version of the Patient of "{name}" is read'))
def version_read(seen: Seen, name: str) -> None:
    member = seen.run.member_id(name)
    token = seen.run.data_token(name)
    seen.look_at(seen.run.target.get(f"Patient/{member}/_history/1", token))


@then("a refusal is an OperationOutcome")
def refusal_is_outcome(seen: Seen) -> None:
    if seen.exchange.status >= 400:
        answers.is_outcome(seen.exchange)


@when("everything of a Patient who does not exist is asked for")
def everything_of_nobody(seen: Seen) -> None:
    token = seen.run.data_token("unique")
    seen.look_at(seen.run.target.get(f"Patient/{_NOBODY}/$everything", token))


@when(parsers.re(r'"(?P<query>[^"]+)" is searched in the record of "(?P<name>[^"]+)"'))
def searched(seen: Seen, query: str, name: str) -> None:
    seen.request = name
    seen.look_at(seen.run.search(name, query))


@when(parsers.re(r'"(?P<query>[^"]+)" is searched strictly in the record of "(?P<name>[^"]+)"'))
def searched_strictly(seen: Seen, query: str, name: str) -> None:
    member = seen.run.member_id(name)
    token = seen.run.data_token(name)
    url = query.replace("{member}", member)
    seen.look_at(seen.run.target.get(url, token, headers={"Prefer": "handling=strict"}))


@when(parsers.re(r'a search for "(?P<kind>\w+)" is posted in the record of "(?P<name>[^"]+)"'))
def searched_by_post(seen: Seen, kind: str, name: str) -> None:
    member = seen.run.member_id(name)
    token = seen.run.data_token(name)
    body = urlencode({"patient": member}).encode()
    headers = {"Content-Type": media.FORM}
    seen.look_at(seen.run.target.post(f"{kind}/_search", body, token, headers=headers))


@then("the answer is a searchset Bundle")
def answer_is_searchset(seen: Seen) -> None:
    answers.has_status(seen.exchange, [200])
    _is_searchset(seen.exchange)


@then(parsers.parse('the matches are the resources of type "{kind}" that the truth table expects'))
def matches_are_expected(seen: Seen, kind: str) -> None:
    expected = {
        k for k in delivery.expected_keys(seen.meant(), "sent", "stripped")
        if k[0] == kind
    }  # fmt: skip
    found = _keys(e["resource"] for e in _matches(seen))
    delivery.all_present(expected, found)
    delivery.only_types(found, [kind])


@then(parsers.parse('the Bundle\'s self link has the parameter "{name}"'))
def self_link_has(seen: Seen, name: str) -> None:
    links = seen.json("Bundle").get("link", [])
    url = next((x.get("url", "") for x in links if x.get("relation") == "self"), "")
    if name not in parse_qs(urlsplit(url).query):
        raise CheckFailed("The self link does not tell what was used.", name,
                          "absent", "Bundle.link.where(relation='self')")  # fmt: skip


@then(parsers.parse("the Bundle holds at most {most:d} matches"))
def at_most(seen: Seen, most: int) -> None:
    found = len(_matches(seen))
    if found > most:
        raise CheckFailed("The page holds more than was asked for.", f"at most {most}",
                          str(found), "Bundle.entry")  # fmt: skip


@then("the next link leads to other matches")
def next_leads_on(seen: Seen) -> None:
    first = _keys(e["resource"] for e in _matches(seen))
    url = next_link(seen.exchange)
    held = [k for k in delivery.expected_keys(seen.meant(), "sent", "stripped")
            if k[0] == "Observation"]  # fmt: skip
    if not url and len(held) <= len(first):
        raise CannotTell("The record has too few resources of the type for a second page.")
    if not url:
        raise CheckFailed("A page that is not the last has no next link.", "a next link",
                          "absent", "Bundle.link")  # fmt: skip
    token = seen.run.data_token(seen.request)
    seen.look_at(seen.run.target.get(url, token))
    answers.has_status(seen.exchange, [200])
    second = _keys(e["resource"] for e in _matches(seen))
    if not second or set(first) & set(second):
        raise CheckFailed("The next page does not go on.", "other matches",
                          "the same ones" if second else "none", "Bundle.entry")  # fmt: skip


@then("each entry says whether it is a match or included")
def entries_have_mode(seen: Seen) -> None:
    for index, entry in enumerate(seen.json("Bundle").get("entry", [])):
        mode = entry.get("search", {}).get("mode")
        kind = entry.get("resource", {}).get("resourceType")
        wanted = "include" if kind == "Provenance" else "match"
        if mode != wanted:
            raise CheckFailed("An entry is not told apart.", wanted, str(mode),
                              f"Bundle.entry[{index}].search.mode")  # fmt: skip


@then("the Bundle holds Provenance for every match")
def provenance_for_every(seen: Seen) -> None:
    resources = [e["resource"] for e in seen.json("Bundle").get("entry", [])]
    targets = {
        split_reference(t.get("reference"))
        for r in resources if r.get("resourceType") == "Provenance"
        for t in r.get("target", [])
    }  # fmt: skip
    matched = [k for k in _keys(resources) if k[0] != "Provenance"]
    if not matched:
        raise CannotTell("The record has nothing of the type searched.")
    delivery.all_present(matched, [t for t in targets if t])


@when(parsers.re(r'the Patient of "(?P<name>[^"]+)" is read(?: as "(?P<accept>[^"]+)")?$'))
def patient_read(seen: Seen, name: str, accept: str | None) -> None:
    member = seen.run.member_id(name)
    token = seen.run.data_token(name)
    seen.look_at(seen.run.target.get(f"Patient/{member}", token, accept=accept or media.FHIR_JSON))


@when(parsers.re(r'a Condition that does not exist is read in the record of "(?P<name>[^"]+)"'))
def unknown_read(seen: Seen, name: str) -> None:
    token = seen.run.data_token(name)
    seen.look_at(seen.run.target.get(f"Condition/{_NOBODY}", token))


def _matches(seen: Seen) -> list[dict[str, Any]]:
    return [
        e for e in seen.json("Bundle").get("entry", [])
        if e.get("search", {}).get("mode", "match") == "match"
    ]  # fmt: skip


def _keys(resources: Any) -> list[tuple[str, str]]:
    return [(str(r.get("resourceType")), str(r.get("id"))) for r in resources
            if isinstance(r, Mapping)]  # fmt: skip


def _is_searchset(exchange: Any) -> None:
    content = answers.is_resource(exchange, "Bundle")
    if content.get("type") != "searchset":
        raise CheckFailed("The Bundle is of another type.", "searchset", str(content.get("type")),
                          "Bundle.type")  # fmt: skip
