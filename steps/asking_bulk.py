"""Steps of a requesting payer in bulk: the match, the export of a Group, and what comes later."""

from __future__ import annotations

from typing import Any

from pytest_bdd import parsers, then

from .asking import Exchanged
from .asking_export import holds
from .checks import asking, asking_bulk
from .requester.calls import Call
from .requester.jobs import parameters_of
from .requester.played import TIMES
from .requester.records import ASKING
from .verdicts import CannotTell, CheckFailed, NotApplicable

_KICK_OFFS = ("bulk-match", "group-export")


def bundles(exchanged: Exchanged) -> list[dict[str, Any]]:
    """The parts of every MemberBundle that was submitted, by name."""
    return [dict(parts) for call in exchanged.calls("bulk-match")
            for parts in asking_bulk.bundle_parameters(call.json())]  # fmt: skip


@then(parsers.parse('every "{place}" is posted'))
def posted(exchanged: Exchanged, place: str) -> None:
    for call in exchanged.calls(place):
        kind = call.header("Content-Type").partition(";")[0].strip().lower()
        if call.exchange.method != "POST" or kind not in ("application/fhir+json",
                                                          "application/json"):  # fmt: skip
            raise CheckFailed("The operation is not called by a POST of Parameters.",
                              "POST of application/fhir+json", f"{call.exchange.method} of {kind}",
                              "method")  # fmt: skip


@then(parsers.parse('every "{place}" prefers an asynchronous answer'))
def prefers(exchanged: Exchanged, place: str) -> None:
    for call in exchanged.calls(place):
        if "respond-async" not in call.header("Prefer").lower():
            raise CheckFailed("The kick-off does not ask for an asynchronous answer.",
                              "respond-async", call.header("Prefer") or "absent",
                              "Prefer")  # fmt: skip


@then("the status of both kick-offs is asked for where it was told")
def polled(exchanged: Exchanged) -> None:
    exchanged.calls(*_KICK_OFFS)
    visit = exchanged.now.visit
    for kick_off, status in zip(_KICK_OFFS, ("match-status", "status"), strict=True):
        if visit.of(kick_off) and not [c for c in visit.of(status) if c.exchange.method == "GET"]:
            raise CheckFailed("The status of an operation is not asked for.",
                              "GET of its Content-Location", f"none after the {kick_off}",
                              "order of calls")  # fmt: skip
    odd = visit.of("elsewhere")
    exchanged.looked += [c.exchange for c in odd]
    if odd:
        raise CheckFailed("A call goes to an address that was never told.", "addresses as told",
                          f"{len(odd)} calls elsewhere", "URL")  # fmt: skip


@then("every MemberBundle has the parts of PDex")
def parts(exchanged: Exchanged) -> None:
    for call in exchanged.calls("bulk-match"):
        for found in asking_bulk.bundle_parameters(call.json()):
            asking_bulk.is_member_bundle(found)


@then("every member is submitted once, under an id of its own")
def each_once(exchanged: Exchanged) -> None:
    found = bundles(exchanged)
    asking_bulk.ids_are_unlike(found)
    wanted = len(exchanged.now.visit.members)
    if len(found) != wanted:
        raise CheckFailed("Not every member is submitted once.", f"{wanted} MemberBundles",
                          str(len(found)), "Parameters.parameter")  # fmt: skip


@then("the parts of every MemberBundle have what HRex asks for")
def parts_are_hrex(exchanged: Exchanged) -> None:
    for found in bundles(exchanged):
        asking.is_demographics(asking.part(found, "MemberPatient"))
        asking.is_coverage(asking.part(found, "CoverageToMatch"))
        consent = asking.part(found, "Consent")
        for check in (asking.is_consent, asking.consent_period_is_whole,
                      asking.consent_policy_is_known, asking.consent_has_no_filters,
                      asking.consent_action_is_disclose):  # fmt: skip
            check(consent)


@then("the parts of every MemberBundle name its MemberPatient")
def parts_are_local(exchanged: Exchanged) -> None:
    for found in bundles(exchanged):
        asking.references_are_local(found)


@then("every identifier of a submitted coverage is that of a member")
def coverage_identifiers(exchanged: Exchanged) -> None:
    numbers = {member.number for member in exchanged.now.visit.members}
    found = [i.get("value") for parts in bundles(exchanged)
             for i in asking.part(parts, "CoverageToMatch").get("identifier") or []]  # fmt: skip
    if not found:
        raise NotApplicable("No submitted coverage has an identifier.")
    if odd := [value for value in found if value not in numbers]:
        raise CheckFailed("A coverage has the number of somebody else.", "the number of a card",
                          f"{len(odd)} others", "CoverageToMatch.identifier")  # fmt: skip


@then("every new coverage is paid by the asking payer")
def new_coverage(exchanged: Exchanged) -> None:
    found = [parts["CoverageToLink"] for parts in bundles(exchanged) if "CoverageToLink" in parts]
    if not found:
        raise NotApplicable("No new coverage is submitted.")
    for coverage in found:
        payors = [(p.get("identifier") or {}).get("value") for p in coverage.get("payor") or []]
        if payors != [ASKING["value"]]:
            raise CheckFailed("The new coverage is another payer's.", "the asking payer",
                              "another one" if any(payors) else "none",
                              "CoverageToLink.payor")  # fmt: skip


@then("the Group files are fetched, and go before the older form")
def group_files(exchanged: Exchanged) -> None:
    exchanged.calls("match-status")
    visit = exchanged.now.visit
    [job] = [job for job in visit.jobs if job.place]
    wanted = {e["url"] for e in job.manifest()["output"] if e["type"] == "Group"}
    fetched = {c.exchange.url for c in visit.of("match-file")}
    if wanted - fetched or not visit.of("group-export"):
        raise CheckFailed("The older form of the answer is taken where Group files are offered.",
                          "the Group files, and the export that follows from them",
                          "an export" if visit.of("group-export") else "no export",
                          "output")  # fmt: skip


# Export of a Group


def kick_offs(exchanged: Exchanged, number: int = 0) -> list[Call]:
    """The kick-offs of a Group's export in a round."""
    found = [c for c in exchanged.calls("group-export") if c.round == number]
    return asking.some(found, "export of the matched Group in that round")


@then("the export says that it is from payer to payer")
def export_type(exchanged: Exchanged) -> None:
    for call in kick_offs(exchanged):
        found = parameters_of(call).get("exportType", [])
        if found != [asking_bulk.PAYER_TO_PAYER]:
            raise CheckFailed("The export has another exportType.", asking_bulk.PAYER_TO_PAYER,
                              ", ".join(map(str, found)) or "none", "exportType")  # fmt: skip


@then("the export says a type")
def any_export_type(exchanged: Exchanged) -> None:
    for call in kick_offs(exchanged):
        if not any(parameters_of(call).get("exportType", [])):
            raise CheckFailed("The export has no exportType.", "a value", "none", "exportType")


@then("the parameters of the export are those of ATR")
def export_parameters(exchanged: Exchanged) -> None:
    for call in exchanged.calls("group-export"):
        asking_bulk.parameters_are_typed(call.json())


@then("the matched Group alone is exported")
def matched_group_alone(exchanged: Exchanged) -> None:
    exchanged.calls("bulk-match")
    odd = exchanged.now.visit.of("other-group")
    exchanged.looked += [c.exchange for c in odd]
    if odd:
        raise CheckFailed("Another Group is asked for than that of the matched members.",
                          "the matched Group", f"{len(odd)} calls for others", "URL")  # fmt: skip


@then("no Group is exported")
def nothing_exported(exchanged: Exchanged) -> None:
    exchanged.calls("match-file")
    found = exchanged.now.visit.of("group-export", "other-group")
    if found:
        raise CheckFailed("A Group is exported though nobody was matched.", "no export",
                          f"{len(found)} calls", "order of calls")  # fmt: skip


@then("what became of each member is known")
def outcomes(exchanged: Exchanged) -> None:
    told, script = exchanged.now.told, exchanged.now.visit.script
    if told is None or not told.members:
        raise CannotTell("The trigger does not tell what became of each member.")
    exchanged.looked += [c.exchange for c in exchanged.now.visit.of("match-file")]
    wanted = {f"member-{n}": outcome for n, outcome in enumerate(script.members, 1)}
    wrong = [name for name, outcome in wanted.items() if told.members.get(name) != outcome]
    if wrong:
        raise CheckFailed("The requesting payer takes members for something else.",
                          f"{len(wanted)} as the Groups say", f"{len(wrong)} others",
                          "the trigger's answer")  # fmt: skip


# What comes later


@then("the second export asks for what is new since the first")
def since_first(exchanged: Exchanged) -> None:
    for call in kick_offs(exchanged, 1):
        found = parameters_of(call).get("_since", [])
        if found != [TIMES[0]]:
            raise CheckFailed("A later export does not ask for what is new since the first.",
                              "_since is the transactionTime of the first",
                              "another moment" if found else "no _since", "_since")  # fmt: skip


@then("each export asks for the whole record, or for what is new")
def whole_or_new(exchanged: Exchanged) -> None:
    for call in exchanged.calls("group-export"):
        found = parameters_of(call)
        narrowed = [n for n in ("_until", "_type", "_typeFilter", "patient") if n in found]
        if narrowed or (call.round == 0 and "_since" in found):
            raise CheckFailed("An export asks for a part of the record.",
                              "all of it, or what is new since the last one",
                              ", ".join(narrowed) or "_since at first", "parameter")  # fmt: skip


@then("what was deleted is held no longer, and what is new is held")
def deleted_is_gone(exchanged: Exchanged) -> None:
    told = exchanged.now.told
    if told is None or not told.resources:
        raise CannotTell("The trigger does not tell what is held.")
    exchanged.looked += [c.exchange for c in exchanged.now.visit.calls[-3:]]
    holds(told.resources, exchanged.now.visit.held())


@then("nothing is asked for after the member has withdrawn")
def silent(exchanged: Exchanged) -> None:
    exchanged.calls("bulk-match")
    later = [c for c in exchanged.now.visit.calls if c.round > 0]
    exchanged.looked += [c.exchange for c in later]
    if later:
        raise CheckFailed("A member who has withdrawn is asked for.", "no call",
                          f"{len(later)} calls", "order of calls")  # fmt: skip


@then(parsers.re("the record is asked for (?P<when>within a week of the opt-in|again within a "
                 "quarter)$"))  # fmt: skip
def in_time(exchanged: Exchanged, when: str) -> None:
    number = int(when.startswith("again"))
    found = exchanged.now.visit.of("bulk-match", "match")
    exchanged.looked += [c.exchange for c in found]
    if not [c for c in found if c.round == number]:
        raise CheckFailed("The record is not asked for in time.", when, "no match request",
                          "order of calls")  # fmt: skip


# Filters


_FILTERS = {
    "every filter is a search of a type that is asked for": asking_bulk.filters_are_searches,
    "every filter searches by parameters of the profiles": asking_bulk.filters_are_known,
    "every type that is asked for is one of FHIR": asking_bulk.types_are_known,
    "no filter shapes the result": asking_bulk.filters_shape_nothing,
    "the days of service are bounded by a filter": asking_bulk.filters_bound_service,
}


@then(parsers.re("(?P<what>" + "|".join(_FILTERS) + ")$"))
def filters(exchanged: Exchanged, what: str) -> None:
    found = [parameters_of(call) for call in kick_offs(exchanged)]
    name = "_type" if what.startswith("every type") else "_typeFilter"
    bounds = what.startswith("the days")
    if not bounds and not any(name in parameters for parameters in found):
        raise NotApplicable(f"The requesting payer uses no {name}.")
    for parameters in found:
        _FILTERS[what](parameters)


@then("the manifest's pages are all read, and every file is asked for once")
def pages(exchanged: Exchanged) -> None:
    visit = exchanged.now.visit
    exchanged.calls("kick-off")
    if not any(job.allows_pages for job in visit.exports()):
        raise NotApplicable("The requesting payer does not ask for a manifest in pages.")
    wanted = {url for job in visit.exports() for url in job.urls()}
    urls = [c.exchange.url for c in visit.of("file")]
    if set(urls) != wanted:
        raise CheckFailed("Not every page of the manifest is read.", f"{len(wanted)} files",
                          f"{len(set(urls))} files", "link")  # fmt: skip
    asking.all_unlike(urls, "a file's address")
