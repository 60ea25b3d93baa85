"""Defects of `$everything`, search and read, and of who may use them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from flask import Request, Response

from ...reference.errors import BadRequest
from ...reference.fhir import json
from ...reference.fhir.outcome import operation_outcome
from ..responding import RespondingSimulator
from .registry import EVERYTHING, WITHDRAWN, change_answer, change_json, defect, set_header


def _entries(
    simulator: RespondingSimulator, endpoint: str, keep: Callable[[dict[str, Any]], bool]
) -> None:
    def change(bundle: dict[str, Any]) -> None:
        bundle["entry"] = [e for e in bundle.get("entry", []) if keep(e)]

    change_json(simulator, endpoint, change)


def _use(entry: dict[str, Any]) -> Any:
    return entry["resource"].get("use")


@defect(
    "R91",
    "Everything leaves claims out",
    "pdex-214",
    also=("ev-07", *EVERYTHING, "pdex-139"),
)
def everything_without_claims(simulator: RespondingSimulator) -> None:
    _entries(simulator, "everything", lambda e: _use(e) != "claim")


@defect("R91-patient", "Everything leaves the Patient out", "pdex-212", "ev-01",
        also=("ev-07", *EVERYTHING, "pdex-139"))  # fmt: skip
def everything_without_patient(simulator: RespondingSimulator) -> None:
    _entries(simulator, "everything", lambda e: e["resource"]["resourceType"] != "Patient")


@defect("R91-page", "Everything has one page only", *EVERYTHING, "pdex-139", also=("ev-07",))
def one_page(simulator: RespondingSimulator) -> None:
    def change(bundle: dict[str, Any]) -> None:
        bundle["link"] = [x for x in bundle["link"] if x["relation"] != "next"]

    change_json(simulator, "everything", change)


@defect("R91-collection", "Answers are collections", "pdex-212", "ev-01", "search-01", "pdex-99",
        "pdex-211", "pdex-cap-search-shall", "pdex-cap-docref", "ev-09")  # fmt: skip
def collection(simulator: RespondingSimulator) -> None:
    for endpoint in ("everything", "search", "docref"):
        change_json(simulator, endpoint, lambda c: c.update(type="collection"))


@defect("HAPI-7550", "Everything of somebody unknown is answered 200", "ev-08",
        also=("pdex-213",))  # fmt: skip
def everything_of_nobody(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.retrieval.everything

    def everything(access: Any, member: str, pairs: Any) -> Any:
        known = member if member in access.members else next(iter(access.members), member)
        return strict(access, known, pairs)

    payer.retrieval.everything = everything  # type: ignore[method-assign]


@defect("SEA-1", "A search leaves matches out", "search-01", "pdex-99", "pdex-211")
def loses_matches(simulator: RespondingSimulator) -> None:
    def change(bundle: dict[str, Any]) -> None:
        if len(bundle.get("entry", [])) > 2:
            bundle["entry"] = bundle["entry"][1:]

    change_json(simulator, "search", change)


@defect("SEA-2", "The self link does not tell what was used", "search-02")
def bare_self_link(simulator: RespondingSimulator) -> None:
    def change(bundle: dict[str, Any]) -> None:
        for link in bundle["link"]:
            if link["relation"] == "self":
                link["url"] = link["url"].split("?")[0]

    change_json(simulator, "search", change)


@defect("SEA-3", "A page has no next link", "search-03", "search-05")
def no_next_link(simulator: RespondingSimulator) -> None:
    def change(bundle: dict[str, Any]) -> None:
        bundle["link"] = [x for x in bundle["link"] if x["relation"] != "next"]

    change_json(simulator, "search", change)


@defect("SEA-4", "The next page is the same page", "search-03", "search-05")
def next_is_same(simulator: RespondingSimulator) -> None:
    def change(bundle: dict[str, Any]) -> None:
        for link in bundle["link"]:
            if link["relation"] == "next":
                link["url"] = link["url"].replace("_page=2", "_page=0")

    change_json(simulator, "search", change)


@defect("SEA-5", "The page size is ignored", "search-05", "search-03")
def ignores_count(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.retrieval.search

    def search(access: Any, kind: str, pairs: Any, **options: Any) -> Any:
        kept = [(n, v) for n, v in pairs if n != "_count"]
        return strict(access, kind, [*kept, ("_count", "500")], **options)

    payer.retrieval.search = search  # type: ignore[method-assign]


@defect("SEA-6", "Included resources are not told apart", "search-06")
def no_search_mode(simulator: RespondingSimulator) -> None:
    def change(bundle: dict[str, Any]) -> None:
        for entry in bundle.get("entry", []):
            entry["search"]["mode"] = "match"

    change_json(simulator, "search", change)


@defect("R79-search", "No Provenance comes with a search", "pdex-12", "pdex-87")
def search_without_provenance(simulator: RespondingSimulator) -> None:
    _entries(simulator, "search", lambda e: e["resource"]["resourceType"] != "Provenance")


@defect("SEA-7", "A parameter nobody knows is ignored when asked strictly", "search-07")
def never_strict(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.retrieval.search
    payer.retrieval.search = (  # type: ignore[method-assign]
        lambda access, kind, pairs, **_options: strict(access, kind, pairs, strict=False)
    )


@defect(
    "SEA-8",
    "A date that is none finds nothing instead of being refused",
    "search-08",
    also=("search-09",),
)
def forgives_dates(simulator: RespondingSimulator) -> None:
    empty = {"resourceType": "Bundle", "type": "searchset", "link": []}

    def change(_request: Request, response: Response) -> Response:
        if response.status_code == 400 and b'"value"' in response.get_data():
            response.status_code = 200
            response.set_data(json.write(empty))
        return response

    change_answer(simulator, "search", change)


@defect("SEA-9", "A posted search is answered 500", "search-10")
def post_breaks(simulator: RespondingSimulator) -> None:
    change_answer(simulator, "search_post", lambda _request, _response: Response(status=500))


@defect("SEA-10", "Shared types cannot be searched", "pdex-cap-search-shall")
def no_shared_search(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        kind = (request.view_args or {}).get("kind")
        return _refusal(404) if kind in ("Practitioner", "Organization", "Location") else response

    change_answer(simulator, "search", change)


@defect("SEA-11", "There is no docref", "pdex-cap-docref")
def no_docref(simulator: RespondingSimulator) -> None:
    simulator.app.view_functions["fhir.docref"] = simulator.absent


@defect(
    "REST-1",
    "A resource that does not exist is answered 200",
    "rest-01",
    also=(
        "hrex-sec-20",
        "pdex-01",
    ),
)
def unknown_is_empty(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        if response.status_code == 404 and (request.view_args or {}).get("kind") == "Condition":
            response.status_code = 200
        return response

    change_answer(simulator, "read", change)


@defect("REST-2", "A read has no version tag", "rest-02")
def no_etag(simulator: RespondingSimulator) -> None:
    set_header(simulator, "read", "ETag", None)


@defect("REST-3", "XML is answered with JSON", "conneg-02")
def ignores_accept(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        if response.status_code == 406 and request.headers.get("Accept") == "application/fhir+xml":
            response.status_code = 200
        return response

    change_answer(simulator, "read", change)


@defect("REST-4", "A method that is not allowed is answered without Allow", "http-03")
def no_allow(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        response.headers.pop("Allow", None)
        return response

    change_answer(simulator, "*", change)


@defect("REST-5", "A version breaks the payer", "rest-03")
def version_breaks(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        return Response(status=500) if "/_history/" in request.path else response

    change_answer(simulator, "*", change)


@defect("EV-1", "Everything cannot be asked for by POST", "ev-09")
def everything_by_get_only(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        return _refusal(405) if request.method == "POST" else response

    change_answer(simulator, "everything", change)


@defect("R22", "A token for one member opens every matched member", "pdex-213", "pdex-218",
        "search-11", "pdex-223", "pdex-186", "ev-08")  # fmt: skip
def unbound_token(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.access
    payer.access = lambda grant: strict(replace(grant, member=None))  # type: ignore[method-assign]


@defect("R17", "Members who were never matched are open", "pdex-01",
        also=("oo-03", "scope-09", "hrex-sec-20"))  # fmt: skip
def never_matched_open(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.retrieval.read

    def read(access: Any, kind: str, ident: str) -> Any:
        row = payer.repository.get(kind, ident)
        if kind == "Patient" and row is not None:
            return row.body, row
        return strict(access, kind, ident)

    payer.retrieval.read = read  # type: ignore[method-assign]


@defect("A1", "A refusal tells that a record exists", "oo-03")
def existence_oracle(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.retrieval.read

    def read(access: Any, kind: str, ident: str) -> Any:
        try:
            return strict(access, kind, ident)
        except BadRequest as refused:
            if refused.status == 404 and payer.repository.get(kind, ident) is not None:
                raise BadRequest("It is not yours.", status=403, code="forbidden") from refused
            raise

    payer.retrieval.read = read  # type: ignore[method-assign]


@defect("R11-type", "A type outside the scope is exported", "scope-13",
        also=("pdex-scope-group", "scope-18", "bulk-kickoff-18", "bulk-p2p-03",
              "pdex-187", "pdex-188"))  # fmt: skip
def type_beyond_scope(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.kick_off

    def kick_off(grant: Any, url: str, pairs: Any, **options: Any) -> Any:
        try:
            return strict(grant, url, pairs, **options)
        except BadRequest as refused:
            if refused.status != 403:
                raise
            wider = replace(grant, scopes=grant.scopes | {"system/*.rs"})
            return strict(wider, url, pairs, **options)

    payer.kick_off = kick_off  # type: ignore[method-assign]


@defect("R11-export", "An export ignores the scope of the token", "scope-16", "pdex-217")
def export_beyond_scope(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.kick_off

    def kick_off(grant: Any, url: str, pairs: Any, **options: Any) -> Any:
        job = strict(grant, url, pairs, **options)
        if dict(pairs):
            return job
        wider = replace(grant, scopes=grant.scopes | {"system/*.rs"})
        return strict(wider, url, pairs, **options)

    payer.kick_off = kick_off  # type: ignore[method-assign]


@defect("R74", "A consent withdrawn after the match is not looked at", *WITHDRAWN,
        "pdex-token-consent-recheck")  # fmt: skip
def withdrawal_ignored(simulator: RespondingSimulator) -> None:
    simulator.payer.withdraw_consent = lambda _member: 0  # type: ignore[method-assign]


def _refusal(status: int) -> Response:
    body = json.write(operation_outcome("Not here.", code="not-supported"))
    return Response(body, status=status, mimetype="application/fhir+json")


def _everything_drops(ident: str, name: str, requirement: str) -> None:
    @defect(ident, f"{name} is taken by everything and not applied", requirement)
    def install(simulator: RespondingSimulator) -> None:
        payer = simulator.payer
        strict = payer.retrieval.everything

        def everything(access: Any, member: str, pairs: Any) -> Any:
            return strict(access, member, [(n, v) for n, v in pairs if n != name])

        payer.retrieval.everything = everything  # type: ignore[method-assign]


_everything_drops("EV-type", "_type", "ev-06")
_everything_drops("EV-since", "_since", "ev-05")
_everything_drops("EV-start", "start", "ev-04")
_everything_drops("EV-count", "_count", "ev-07")


@defect("EV-async", "Everything is accepted and there is no place to ask", "ev-10")
def accepted_nowhere(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        if "respond-async" in request.headers.get("Prefer", ""):
            response.status_code = 202
        return response

    change_answer(simulator, "everything", change)


@defect("EV-none", "A payer of PDex 2.0.0 offers no everything", "pdex-v200-everything-support",
        version="2.0.0")  # fmt: skip
def no_everything(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        for resource in content["rest"][0]["resource"]:
            resource["operation"] = [
                o for o in resource.get("operation", []) if o["name"] != "everything"
            ]

    change_json(simulator, "metadata", change)


@defect("SEA-12", "A search that cannot be run finds nothing", "search-09",
        also=("search-07", "search-08"))  # fmt: skip
def found_nothing(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        if response.status_code in (400, 404):
            response.status_code = 200
            response.set_data(b'{"resourceType":"Bundle","type":"searchset","total":0}')
        return response

    change_answer(simulator, "search", change)


@defect("REST-6", "A conditional read breaks the server", "rest-04")
def broken_condition(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        if "If-None-Match" in request.headers:
            response.status_code = 500
        return response

    change_answer(simulator, "read", change)


def _versioned(resource: dict[str, Any]) -> None:
    resource.setdefault("meta", {})["versionId"] = "1"


@defect("REST-7", "A version is told where none are declared", "rest-06")
def undeclared_version(simulator: RespondingSimulator) -> None:
    change_json(simulator, "read", _versioned)


@defect("REST-8", "Versions are declared and cannot be read", "pdex-100", "pdex-388", "pdex-389")
def unreadable_version(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        for resource in content["rest"][0]["resource"]:
            resource["versioning"] = "versioned"
            resource.setdefault("interaction", []).append({"code": "vread"})

    change_json(simulator, "metadata", change)
    change_json(simulator, "read", _versioned)
