"""Defects of bulk exchange: what is submitted, which Group is exported, and how it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ...reference.errors import ExportFailed
from ...reference.fhir import json
from ...reference.fhir.parameters import make_parameters
from ...reference.http import Exchange
from ...reference.requesting import batch_fetching
from ...reference.requesting.bulk_match import BulkConversation
from ...reference.requesting.exchange import Matched
from ...reference.requesting.reconcile import reconcile
from ...reference.target import Target
from .registry import (
    RECEIVED,
    defect,
    header,
    is_bulk_match,
    is_group_export,
    is_poll,
    put,
    sending,
)

_ANYBODY = Matched(("", ""))


def _method(ident: str, summary: str, meant: Callable[[Exchange], bool], *violates: str) -> None:
    def change(sent: Exchange) -> None:
        if meant(sent):
            sent.method = "PUT"

    defect(ident, summary, *violates)(lambda: sending(change))


_method("Q70", "The bulk match is put, not posted", is_bulk_match, "pdex-146")
header("Q71", "The bulk match does not ask for an asynchronous answer", is_bulk_match, "Prefer",
       None, "pdex-147")  # fmt: skip
header("Q72", "In PDex 2.1.0 the export does not ask for an asynchronous answer", is_group_export,
       "Prefer", None, "pdex-v210-prefer-both", also=("pdex-139a",), version="2.1.0")  # fmt: skip
_method("Q85", "The export of a Group is put, not posted", is_group_export, "pdex-139a")


def _bundles(
    ident: str, summary: str, change: Callable[[dict[str, Any]], Any], *violates: str,
    also: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """MemberBundles with other parts."""

    def tamper(sent: Exchange) -> None:
        if is_bulk_match(sent):
            body = json.read(sent.request_body)
            for bundle in body["parameter"]:
                parts = {p["name"]: p.get("resource", {}) for p in bundle["part"]}
                change(parts)
                bundle["part"] = [{"name": n, "resource": r} for n, r in parts.items()]
            sent.request_body = json.write(body)

    defect(ident, summary, *violates, also=also)(lambda: sending(tamper))


_bundles("Q73", "Members are submitted without a Consent", lambda parts: parts.pop("Consent"),
         "pdex-144", "pdex-prof-in", "pdex-398", "pdex-140")  # fmt: skip
_bundles("Q74", "Members are submitted with a Consent that has no end",
         lambda parts: parts["Consent"]["provision"]["period"].pop("end"), "pdex-140")  # fmt: skip
_bundles("Q75", "A submitted Coverage is about another Patient",
         lambda parts: parts["CoverageToMatch"].update(beneficiary={"reference": "Patient/other"}),
         "hrex-mm-6")  # fmt: skip


_bundles("Q105", "A submitted coverage has somebody else's number",
         lambda parts: parts["CoverageToMatch"]["identifier"][0].update(value="X-1"),
         "pdex-73")  # fmt: skip
_bundles("Q106", "The new coverage is the other payer's",
         lambda parts: parts["CoverageToLink"].update(payor=parts["CoverageToMatch"]["payor"]),
         "pdex-141", "pdex-145")  # fmt: skip


@defect("Q76", "The status is asked for at an address of one's own making", "pdex-137",
        also=(*RECEIVED, "bulk-status-09", "smart-disc-04", "smart-disc-14",
              "udap-disc-20"))  # fmt: skip
def own_status() -> None:
    def change(sent: Exchange) -> None:
        if is_poll(sent):
            sent.url += "/status"

    sending(change)


@defect("Q78", "The older form of the answer is taken where Groups are offered", "pdex-138b")
def envelope_first() -> None:
    def resources_of(staging: Any, kind: str) -> Iterator[dict[str, Any]]:
        older = any(file.kind == "Parameters" for file in staging.files)
        return iter(()) if older and kind == "Group" else strict(staging, kind)

    strict = put(BulkConversation, "_resources_of", staticmethod(resources_of))


@defect("Q79", "Another Group than that of the matched members is exported", "pdex-154b")
def other_group() -> None:
    def export_group(self: BulkConversation, *given: Any, **options: Any) -> Any:
        parameters = make_parameters([])
        self.target.kick_off("Group/another/$davinci-data-export", self.token(_ANYBODY), parameters)
        return strict(self, *given, **options)

    strict = put(BulkConversation, "export_group", export_group)


@defect("Q80", "Whose Consent cannot be honoured is taken for unknown", "pdex-154b")
def constrained_is_unknown() -> None:
    def lenient(*given: Any) -> Any:
        found = reconcile(*given)
        found.no_match |= found.constrained
        found.constrained = set()
        return found

    put(batch_fetching, "reconcile", lenient)


@defect("Q81", "A Group is exported though nobody was matched", "pdex-154b")
def exports_nobody() -> None:
    def match(self: BulkConversation, *given: Any) -> Any:
        groups = strict(self, *given)
        if not any(group.get("member") for group in groups[:1]):
            self.target.kick_off(f"Group/{groups[0]['id']}/$davinci-data-export",
                                 self.token(_ANYBODY), make_parameters([]))  # fmt: skip
        return groups

    strict = put(BulkConversation, "bulk_match", match)


def _parameters(
    ident: str, summary: str, change: Callable[[dict[str, dict[str, Any]]], Any], *violates: str,
    also: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Exports of a Group with other parameters."""

    def tamper(sent: Exchange) -> None:
        if is_group_export(sent):
            body = json.read(sent.request_body)
            entries = {entry["name"]: entry for entry in body["parameter"]}
            change(entries)
            body["parameter"] = list(entries.values())
            sent.request_body = json.write(body)

    defect(ident, summary, *violates, also=also)(lambda: sending(tamper))


_parameters("Q82", "The export of a Group says no type", lambda found: found.pop("exportType"),
            "pdex-118", "pdex-171")  # fmt: skip
_parameters("Q83", "The export of a Group is for providers",
            lambda found: found["exportType"].update(
                valueCanonical="hl7.fhir.us.davinci-pdex#provider-delta"),
            "pdex-171")  # fmt: skip
_parameters("Q84", "The type of an export is given as plain text",
            lambda found: found.update(exportType={
                "name": "exportType", "valueString": found["exportType"]["valueCanonical"]}),
            "atr-export-params")  # fmt: skip
_parameters("Q86", "A later export asks for everything", lambda found: found.pop("_since", None),
            "pdex-173", "pdex-175", also=("bulk-man-18",))  # fmt: skip
_parameters("Q87", "The first export asks for what changed in five years",
            lambda found: found.setdefault(
                "_since", {"name": "_since", "valueInstant": "2021-11-23T00:00:00Z"}),
            "pdex-166", "pdex-174", "pdex-typefilter-dos")  # fmt: skip


def _filter(text: str) -> Callable[[dict[str, dict[str, Any]]], Any]:
    def change(found: dict[str, dict[str, Any]]) -> None:
        if "_typeFilter" in found:
            found["_typeFilter"]["valueString"] = text

    return change


_parameters("Q107", "A type is asked for that is none",
            lambda found: found.get("_type", {}).update(valueString="Observations"), "pdex-178",
            also=("pdex-180", "pdex-181"))  # fmt: skip
_parameters("Q93", "A filter is of a type that is not asked for",
            _filter("Condition?recorded-date=ge2025-02-01"), "pdex-180",
            "pdex-181",
            also=("pdex-typefilter-dos",))  # fmt: skip
_parameters("Q94", "A filter searches by what the profiles do not know",
            _filter("Observation?date=ge2025-02-01&mood=good"), "pdex-182")  # fmt: skip
_parameters("Q95", "A filter limits how many come",
            _filter("Observation?date=ge2025-02-01&_count=50"), "bulk-param-16")  # fmt: skip
_parameters("Q96", "Days of service are asked for by _since",
            lambda found: found.update(_since={
                "name": "_since", "valueInstant": "2025-02-01T00:00:00Z"})
            if found.pop("_typeFilter", None) else None,
            "pdex-typefilter-dos")  # fmt: skip


@defect("Q97", "A filter that was not applied ends the exchange", "bulk-param-17")
def needs_filter() -> None:
    asked: list[str] = []

    def change(sent: Exchange) -> None:
        if is_group_export(sent) and b"_typeFilter" in sent.request_body:
            asked.append(sent.url)

    def listed(self: Target, *given: Any, **options: Any) -> Any:
        found = strict(self, *given, **options)
        if asked and any(e["type"] == "Condition" for e in found.manifest["output"]):
            raise ExportFailed("The filter was not applied.")
        return found

    sending(change)
    strict = put(Target, "await_export", listed)
