"""Defects of the export: kick-off, status, manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Request, Response, request

from ...reference.errors import BadRequest
from ..responding import RespondingSimulator
from .registry import (
    DELIVERED,
    change_answer,
    change_json,
    defect,
    set_header,
)


def of_manifest(
    ident: str, words: str, *requirements: str, also: tuple[str, ...] = ()
) -> Callable[[Callable[[dict[str, Any]], Any]], None]:
    def register(change: Callable[[dict[str, Any]], Any]) -> None:
        @defect(ident, words, *requirements, also=also)
        def install(simulator: RespondingSimulator) -> None:
            change_json(simulator, "status", change)

    return register


@of_manifest("R80-error", "The manifest has no error list", "bulk-man-10",
           also=("atr-export-patient-ignore", "bulk-status-13", "bulk-man-11", "bulk-man-12",
                 "bulk-man-14"))  # fmt: skip
def no_error_list(manifest: dict[str, Any]) -> None:
    manifest.pop("error")


@of_manifest("R80-time", "The manifest has no transaction time", "bulk-man-01",
           "atr-response-rules")  # fmt: skip
def no_transaction_time(manifest: dict[str, Any]) -> None:
    manifest.pop("transactionTime")


@of_manifest("R80-request", "The manifest does not name the request", "bulk-man-03")
def no_request(manifest: dict[str, Any]) -> None:
    manifest.pop("request")


@of_manifest("R80-token", "requiresAccessToken is text", "bulk-man-04")
def token_as_text(manifest: dict[str, Any]) -> None:
    manifest["requiresAccessToken"] = "true"


@of_manifest(
    "R80-relative",
    "Files are told as paths",
    "bulk-man-06",
    "bulk-man-05",
    also=(
        "bulk-out-12",
        "bulk-out-11",
        "http-05",
        "http-07",
        "atr-response-rules",
        "bulk-out-01",
        "bulk-man-20",
        "pdex-184",
    ),
)
def relative_urls(manifest: dict[str, Any]) -> None:
    for entry in manifest["output"]:
        entry["url"] = "/" + entry["url"].split("/", 3)[3]


@of_manifest("R80-count", "The manifest counts wrong", "bulk-man-09", also=("atr-response-rules",))
def wrong_counts(manifest: dict[str, Any]) -> None:
    for entry in manifest["output"]:
        entry["count"] += 1


@defect("R80-empty-file", "The manifest lists a file without lines", "bulk-man-08")
def file_without_lines(simulator: RespondingSimulator) -> None:
    def change(manifest: dict[str, Any]) -> None:
        if not manifest["output"]:
            return
        url = manifest["output"][0]["url"]
        manifest["output"].append({"type": "Media", "url": f"{url}?empty=1", "count": 0})

    change_json(simulator, "status", change)

    def no_lines(request: Request, response: Response) -> Response:
        if "empty" in request.args:
            response.direct_passthrough = False
            response.set_data(b"")
        return response

    change_answer(simulator, "file", no_lines)


@defect("R82", "A finished export is answered as text", "bulk-status-14",
        also=("pdex-129", "pdex-148", "pdex-149"))  # fmt: skip
def manifest_as_text(simulator: RespondingSimulator) -> None:
    set_header(simulator, "status", "Content-Type", "text/html")


@defect("R82-expires", "A finished export does not say how long it is kept", "bulk-status-15")
def no_expires(simulator: RespondingSimulator) -> None:
    set_header(simulator, "status", "Expires", None)


@defect("R83", "Polls are not told when to come again", "bulk-status-04")
def no_retry_after(simulator: RespondingSimulator) -> None:
    answer_waiting_once(simulator)
    set_header(simulator, "status", "Retry-After", None)


@defect("R83-week", "A kick-off says to come again in a week", "cms0057-respond-1bd")
def come_in_a_week(simulator: RespondingSimulator) -> None:
    for endpoint in ("export_one", "data_export"):
        set_header(simulator, endpoint, "Retry-After", "604800")


def answer_waiting_once(simulator: RespondingSimulator) -> None:
    """Answer the first poll of each job as running, so that there is a poll to look at."""
    polled: set[str] = set()

    def change(request: Request, response: Response) -> Response:
        if response.status_code == 200 and request.path not in polled:
            polled.add(request.path)
            return Response(status=202, headers={"Retry-After": "1"})
        return response

    simulator.after.insert(0, ("status", change))


@defect(
    "R84",
    "A kick-off is answered 200 with the data",
    "bulk-kickoff-11",
    "bulk-kickoff-04",
    "bulk-kickoff-01",
    "bulk-kickoff-06",
    "pdex-215",
    "pdex-216",
    "bulk-kickoff-02",
    "bulk-kickoff-10",
    "bulk-param-01",
    also=(
        "bulk-kickoff-03",
        "bulk-kickoff-13",
        "bulk-param-12",
        "bulk-status-06",
        "cap-04",
        "pdex-180a",
        "bulk-del-01",
        "pdex-139",
    ),
)
def synchronous_kick_off(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        if response.status_code == 202:
            response.status_code = 200
        return response

    for endpoint in ("export", "export_one"):
        change_answer(simulator, endpoint, change)


@defect("R84-location", "The status URL is told as a path", "bulk-kickoff-12")
def relative_status(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        found = response.headers.get("Content-Location")
        if found:
            response.headers["Content-Location"] = "/" + found.split("/", 3)[3]
        return response

    change_answer(simulator, "export_one", change)


@defect("R46", "A kick-off with several preferences is refused", "bulk-kickoff-10")
def one_preference_only(simulator: RespondingSimulator) -> None:
    strict = simulator.app.view_functions["fhir.export_one"]

    def export(**arguments: Any) -> Any:
        if "," in request.headers.get("Prefer", ""):
            raise BadRequest("Send Prefer: respond-async.", code="not-supported")
        return strict(**arguments)

    simulator.app.view_functions["fhir.export_one"] = export


@defect("R65", "An export cannot be started by GET", "bulk-kickoff-02")
def no_get_kick_off(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        if request.method == "GET" and not request.args and (
                request.headers.get("Prefer") == "respond-async"):  # fmt: skip
            return Response(status=405, headers={"Allow": "POST"})
        return response

    change_answer(simulator, "export_one", change)


def _forgives(ident: str, words: str, names: tuple[str, ...], *requirements: str) -> None:
    """A defect that drops parameters it cannot read instead of refusing them."""

    @defect(ident, words, *requirements)
    def install(simulator: RespondingSimulator) -> None:
        payer = simulator.payer
        strict = payer.kick_off

        def kick_off(grant: Any, url: str, pairs: Any, **options: Any) -> Any:
            try:
                return strict(grant, url, pairs, **options)
            except BadRequest as refused:
                if refused.expression not in names:
                    raise
                kept = [(n, v) for n, v in pairs if n != refused.expression]
                return strict(grant, url, kept, **options)

        payer.kick_off = kick_off  # type: ignore[method-assign]


_forgives("R90", "A format nobody knows is accepted", ("_outputFormat",), "bulk-kickoff-14")
_forgives("R90-since", "A since that is no instant is ignored", ("_since",), "bulk-kickoff-14")
_forgives("R90-type", "A type nobody knows is ignored", ("_type",), "bulk-kickoff-14",
          "scope-13", "scope-14", "bulk-param-06")  # fmt: skip
_forgives("R90-unknown", "A parameter nobody knows is ignored", ("_nonsense",), "bulk-param-11")
_forgives("R90-patient", "Somebody out of reach is left out in silence", ("patient",),
          "bulk-param-10", "bulk-param-09")  # fmt: skip
_forgives("R69", "A filter that cannot be applied is ignored in silence", ("_typeFilter",),
          "pdex-180d")  # fmt: skip


@defect("R90-short", "The short names of the format are refused", "bulk-param-01")
def long_format_only(simulator: RespondingSimulator) -> None:
    payer = simulator.payer
    strict = payer.kick_off

    def kick_off(grant: Any, url: str, pairs: Any, **options: Any) -> Any:
        if any(n == "_outputFormat" and "fhir" not in v for n, v in pairs):
            raise BadRequest("Unknown format.", code="not-supported")
        return strict(grant, url, pairs, **options)

    payer.kick_off = kick_off  # type: ignore[method-assign]


def _asked(ident: str, words: str, *requirements: str, also: tuple[str, ...] = ()) -> Callable[
    [Callable[[list[tuple[str, str]]], list[tuple[str, str]]]], None
]:  # fmt: skip
    """A defect that changes what an export is asked for, in silence."""

    def register(change: Callable[[list[tuple[str, str]]], list[tuple[str, str]]]) -> None:
        @defect(ident, words, *requirements, also=also)
        def install(simulator: RespondingSimulator) -> None:
            payer = simulator.payer
            strict = payer.kick_off

            def kick_off(grant: Any, url: str, pairs: Any, **options: Any) -> Any:
                strict(grant, url, pairs, **options)  # refuses what has to be refused
                return strict(grant, url, change(list(pairs)), **options)

            payer.kick_off = kick_off  # type: ignore[method-assign]

    return register


@_asked(
    "R68",
    "Without types only some are exported",
    "bulk-param-05",
    "pdex-179",
    "pdex-139",
    also=(
        *DELIVERED,
        "bulk-man-15",
        "bulk-man-16",
        "bulk-man-17",
        "cap-04",
        "hrex-prov-1",
        "hrex-prov-2",
    ),
)
def default_types(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    if "_type" in dict(pairs):
        return pairs
    return [*pairs, ("_type", "Patient,Coverage,Condition")]


@_asked("R68-type", "The types asked for are ignored", "bulk-param-04", "bulk-kickoff-16")
def ignores_types(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(n, v) for n, v in pairs if n != "_type"]


@_asked(
    "R71",
    "Since is ignored",
    "bulk-param-02",
    "bulk-param-03",
    also=(
        "bulk-man-15",
        "bulk-man-16",
        "bulk-man-17",
    ),
)
def ignores_since(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(n, v) for n, v in pairs if n != "_since"]


@_asked("R67", "Since is raised to five years ago", "pdex-176",
        also=("bulk-param-02",))  # fmt: skip
def raises_since(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    floor = "2024-06-01T00:00:00Z"
    return [(n, max(v, floor) if n == "_since" else v) for n, v in pairs]


@_asked("R68-last", "Of several types sent one by one the last counts", "bulk-kickoff-16",
        also=("bulk-param-18", "atr-export-patient-ignore", "bulk-status-13"))  # fmt: skip
def last_type_only(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(dict(pairs).items())


@_asked("R70", "A filter is accepted and not applied", "pdex-180c", "bulk-param-15")
def ignores_filter(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(n, v) for n, v in pairs if n != "_typeFilter"]


@of_manifest("MAN-1", "What is ignored leniently is told nowhere", "bulk-man-14", "bulk-man-12",
           also=("atr-export-patient-ignore", "bulk-status-13"))  # fmt: skip
def errors_not_told(manifest: dict[str, Any]) -> None:
    manifest["error"] = []


@defect(
    "STA-2",
    "A finished export is answered once",
    "bulk-status-19",
    "bulk-status-01",
    also=("bulk-status-06",),
)
def answered_once(simulator: RespondingSimulator) -> None:
    answered: set[str] = set()

    def change(request: Request, response: Response) -> Response:
        if response.status_code == 200:
            if request.path in answered:
                response.status_code = 404
            answered.add(request.path)
        return response

    change_answer(simulator, "status", change)


@defect("DEL-3", "An export that does not exist is deleted all the same", "bulk-del-03",
        also=("bulk-status-17",))  # fmt: skip
def deletes_nothing(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        return Response(status=202) if response.status_code == 404 else response

    change_answer(simulator, "delete", change)
