"""Defects of what is delivered: money, prior authorizations, sensitive data, Provenance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...reference.fhir import json
from ..responding import RespondingSimulator
from .registry import DELIVERED, EVERYTHING, change_lines, defect

# What goes red when an element that must be supported comes nowhere, or not where it was loaded.
NEVER = ("hrex-conf-1", "pdex-103")
LESS = (*NEVER, "pdex-81", "pdex-82")


def _scope(simulator: RespondingSimulator, **changes: Any) -> None:
    releases = simulator.payer.releases
    releases.scope = replace(releases.scope, **changes)


@defect("R76", "Amounts of money are left in claims", "cms0057-exclude-financial")
def money_left(simulator: RespondingSimulator) -> None:
    _scope(simulator, strip_money=False)


@defect("R77-closed", "Prior authorizations closed more than a year ago are delivered", "pdex-131",
        "pdex-132", "pdex-170", "cms0057-exclude-denied-pa")  # fmt: skip
def closed_delivered(simulator: RespondingSimulator) -> None:
    _scope(simulator, prior_authorization_months=600)


@defect("R77", "Prior authorizations changed within a year are missing", "pdex-131", "pdex-132",
        "pdex-170", also=("pdex-133", "pdex-134", "pdex-158", "pdex-168", "pdex-210"))  # fmt: skip
def changed_missing(simulator: RespondingSimulator) -> None:
    _scope(simulator, prior_authorization_months=1)


@defect("R77-denied", "Denied prior authorizations are delivered", "cms0057-exclude-denied-pa")
def denied_delivered(simulator: RespondingSimulator) -> None:
    _scope(simulator, denied_prior_authorizations=True)


@defect("R77-drug", "Prior authorizations of drugs are delivered", "cms0057-exclude-denied-pa")
def drugs_delivered(simulator: RespondingSimulator) -> None:
    _scope(simulator, drug_prior_authorizations=True)


@defect("R75", "Sensitive records are delivered under a regular consent", "pdex-154",
        also=("pdex-typefilter-window",))  # fmt: skip
def sensitive_delivered(simulator: RespondingSimulator) -> None:
    _scope(simulator, sensitive_labels=frozenset())


@defect("R72", "Less than five years of data is delivered", "pdex-172", "pdex-169", "pdex-130",
        "pdex-165", also=("ev-07", *DELIVERED, *EVERYTHING, "search-01", "pdex-99", "pdex-211",
                          "pdex-214"))  # fmt: skip
def short_memory(simulator: RespondingSimulator) -> None:
    _scope(simulator, years=2)


def without(
    ident: str, words: str, keep: Callable[[dict[str, Any]], bool], *requirements: str,
    also: tuple[str, ...] = (),
) -> None:  # fmt: skip
    @defect(ident, words, *requirements, also=(*DELIVERED, *also))
    def install(simulator: RespondingSimulator) -> None:
        change_lines(simulator, lambda lines: [x for x in lines if keep(json.read(x))])


def rewriting(
    ident: str, words: str, change: Callable[[dict[str, Any]], None], *requirements: str,
    also: tuple[str, ...] = (),
) -> None:  # fmt: skip
    @defect(ident, words, *requirements, also=also)
    def install(simulator: RespondingSimulator) -> None:
        change_lines(simulator, lambda lines: [rewritten(line, change) for line in lines])


def rewritten(line: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    resource = json.read_exact(line)
    change(resource)
    return json.write(resource)


def is_a(resource: dict[str, Any], kind: str) -> bool:
    return bool(resource["resourceType"] == kind)


without("R79", "No Provenance is delivered", lambda r: not is_a(r, "Provenance"),
         "pdex-127", "pdex-42", "bulk-provenance-default", "bulk-param-14", "pdex-prov-profile",
         "pdex-05", "pdex-04", also=("hrex-prov-1", "hrex-prov-2"))  # fmt: skip
without(
    "R78",
    "Documents of prior authorizations are not delivered",
    lambda r: not is_a(r, "DocumentReference"),
    "pdex-133",
    "pdex-134",
    also=("bulk-out-17",),
)
without("R88-patient", "The Patient is not delivered", lambda r: not is_a(r, "Patient"),
         "bulk-param-24")  # fmt: skip
without("R68-oral", "Claims of the dentist are not delivered",
         lambda r: not any("Oral-Basis" in p for p in r.get("meta", {}).get("profile", [])),
         "pdex-158", "pdex-168", "pdex-79")  # fmt: skip
without("R88", "Practitioners are not delivered", lambda r: not is_a(r, "Practitioner"), "ref-01")


def _no_profile(resource: dict[str, Any]) -> None:
    resource.get("meta", {}).pop("profile", None)


def _no_agent_type(resource: dict[str, Any]) -> None:
    for agent in resource.get("agent", []):
        agent.pop("type", None)


def _no_transmitter(resource: dict[str, Any]) -> None:
    for agent in resource.get("agent", []):
        for coding in agent.get("type", {}).get("coding", []):
            if coding.get("code") == "transmitter":
                coding["code"] = "enterer"


def _format_at_root(resource: dict[str, Any]) -> None:
    for entity in resource.get("entity", []) if is_a(resource, "Provenance") else []:
        if "extension" in entity:
            resource.setdefault("extension", []).extend(entity.pop("extension"))


def _no_insurer(resource: dict[str, Any]) -> None:
    if resource.get("use") == "preauthorization":
        resource.pop("insurer", None)


def _no_identifier_type(resource: dict[str, Any]) -> None:
    if is_a(resource, "Patient"):
        for identifier in resource.get("identifier", []):
            identifier.pop("type", None)


def _no_content_type(resource: dict[str, Any]) -> None:
    if is_a(resource, "DocumentReference"):
        for content in resource.get("content", []):
            content.get("attachment", {}).pop("contentType", None)


rewriting("PRO-1", "Resources claim no profile", _no_profile, "pdex-21", "pdex-22", "pdex-23",
           "pdex-25", "pdex-26", "pdex-27", "pdex-28", "pdex-29", "pdex-30", "pdex-31", "pdex-32",
           "pdex-33", "pdex-34", "pdex-35", "pdex-37", "pdex-38", "pdex-39", "pdex-74", "pdex-75",
           "pdex-76", "pdex-78", "pdex-158", "pdex-168", "pdex-pa-metaprofile",
           "pdex-pa-use", "pdex-cap-meta-profile", also=("pdex-03", "pdex-79"))  # fmt: skip
rewriting(
    "PRO-2",
    "Provenance does not tell as what somebody acted",
    _no_agent_type,
    "pdex-prov-profile",
    also=(
        *LESS,
        "pdex-06",
        "pdex-08",
        "pdex-126",
        "pdex-128",
        "pdex-19",
        "pdex-20",
        "pdex-127",
        "pdex-42",
        "pdex-05",
        "pdex-04",
    ),
)
rewriting("R79-transmitter", "No Provenance names the transmitter", _no_transmitter, "pdex-127",
           "pdex-42", also=("pdex-19", "pdex-20"))  # fmt: skip
rewriting(
    "PRO-6",
    "The format of a source stands on the Provenance",
    _format_at_root,
    "pdex-prov-sourceformat",
    also=(
        *LESS,
        "pdex-06",
        "pdex-126",
        "pdex-128",
        "pdex-19",
        "pdex-20",
    ),
)
rewriting(
    "PRO-3",
    "Prior authorizations lack the insurer",
    _no_insurer,
    "pdex-76",
    "pdex-pa-metaprofile",
    "pdex-pa-use",
    also=("hrex-conf-3", "pdex-80", "pdex-97", *NEVER, "pdex-119"),
)
rewriting("PRO-4", "The member's number is not typed", _no_identifier_type, "pdex-36")
rewriting("PRO-5", "Attachments have no content type", _no_content_type, "bulk-out-14",
           "pdex-pa-docs-inline-url", also=(*LESS, "pdex-119"))  # fmt: skip


def _no_recorded(resource: dict[str, Any]) -> None:
    if is_a(resource, "Provenance"):
        resource.pop("recorded", None)


def _no_format(resource: dict[str, Any]) -> None:
    for entity in resource.get("entity", []) if is_a(resource, "Provenance") else []:
        entity.pop("extension", None)


def _location_as_author(resource: dict[str, Any]) -> None:
    for agent in resource.get("agent", []) if is_a(resource, "Provenance") else []:
        agent["who"] = {"reference": "Location/somewhere"}


def _for_itself(resource: dict[str, Any]) -> None:
    for agent in resource.get("agent", []) if is_a(resource, "Provenance") else []:
        agent["onBehalfOf"] = agent["who"]


_TOLD = ("pdex-06", "pdex-19", "pdex-20", "pdex-126", "pdex-128")
rewriting(
    "PRO-7",
    "Provenance does not tell when it was recorded",
    _no_recorded,
    "pdex-08",
    also=("hrex-conf-3", "pdex-80", "pdex-97", *NEVER, "pdex-119"),
)
rewriting(
    "PRO-8", "Provenance does not tell the format of a source", _no_format, *_TOLD, also=(*LESS,)
)
rewriting("PRO-9", "A Location is the author of records", _location_as_author, "hrex-prov-1",
           also=("pdex-97", "pdex-119", "ref-01"))  # fmt: skip
rewriting("PRO-10", "Agents act on behalf of themselves", _for_itself, "hrex-prov-2")
without(
    "PRO-11",
    "The Provenance of an earlier plan stays behind",
    lambda r: not is_a(r, "Provenance") or str(r.get("id")).startswith("tx-"),
    "pdex-15",
    "pdex-18",
    "pdex-86",
    *_TOLD,
    also=(
        "pdex-156",
        "pdex-167",
        "pdex-revocation-responder",
    ),
)


@defect("TF-1", "A type filter brings sensitive records along", "pdex-typefilter-window")
def filter_widens(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.kick_off

    def kick_off(grant: Any, url: str, pairs: Any, **options: Any) -> Any:
        # Of the exports that are filtered alone: whoever asks otherwise gets what is allowed.
        filtered = any(name == "_typeFilter" and "1900" in value for name, value in pairs)
        scope = payer.settings.scope
        payer.releases.scope = replace(scope, sensitive_labels=frozenset()) if filtered else scope
        return strict(grant, url, pairs, **options)

    payer.kick_off = kick_off  # type: ignore[method-assign]
