"""Defects of what an export may offer besides: options that are taken and not done right."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable
from typing import Any

from flask import Request, Response, request

from ...reference.fhir import json
from ..responding import RespondingSimulator
from .export import answer_waiting_once
from .registry import change_answer, change_json, change_lines, defect, set_header

Parameters = list[dict[str, Any]]
_BULK_DATA = "http://hl7.org/fhir/uv/bulkdata"
_KICK_OFFS = ("export", "export_one", "export_group", "data_export")
_FILTERED = ("pdex-180c", "pdex-180d", "bulk-param-15", "bulk-param-18")


def _asked(simulator: RespondingSimulator, change: Callable[[Parameters], Parameters]) -> None:
    """Change what a kick-off asks for before anybody reads it."""

    def before() -> None:
        if request.method == "POST" and request.path.endswith("export"):
            content = json.read(request.get_data())
            content["parameter"] = change(content.get("parameter", []))
            request._cached_data = json.write(content)  # noqa: SLF001 - where flask keeps the body

    simulator.app.before_request(before)


def _ignored(simulator: RespondingSimulator, *names: str) -> None:
    """Take parameters as if they were known, and do nothing about them."""
    _asked(simulator, lambda found: [p for p in found if p.get("name") not in names])


def _ignores(
    ident: str, words: str, option: str, *requirements: str, also: tuple[str, ...] = ()
) -> None:
    @defect(ident, words, *requirements, also=also)
    def install(simulator: RespondingSimulator) -> None:
        _ignored(simulator, option)


def _tells(ident: str, words: str, requirement: str, **elements: Any) -> None:
    """A defect whose manifest says something that it must not."""

    @defect(ident, words, requirement)
    def install(simulator: RespondingSimulator) -> None:
        change_json(simulator, "status", lambda manifest: manifest.update(elements))


_ignores("OP-organize", "Files are not organized as asked", "organizeOutputBy",
         "bulk-man-21", "bulk-param-20")  # fmt: skip
_ignores("OP-elements", "Elements are not left out as asked", "_elements", "bulk-param-08")
_ignores("OP-associated", "All Provenance is sent where the latest is asked for",
         "includeAssociatedData", "bulk-param-13")  # fmt: skip
_ignores("OP-size", "The size that files may have is not looked at", "_maximumFileSize",
         "bulk-param-25")  # fmt: skip
_ignores("OP-until", "Until is taken and not applied", "_until", "bulk-param-19",
         also=("atr-export-until",))  # fmt: skip
_tells("OP-extension", "The manifest's extension is text", "bulk-man-19", extension="a text")
_tells("OP-later", "The manifest's output format is a number", "bulk-man-26", outputFormat=1)
_tells("OP-next", "The manifest has a next part that nobody asked for", "bulk-param-21",
       link=[{"relation": "next", "url": "https://payer.example/next"}])  # fmt: skip


@defect("OP-body", "An accepted kick-off has a page as its body", "bulk-kickoff-13")
def page_as_body(simulator: RespondingSimulator) -> None:
    for endpoint in _KICK_OFFS:
        _say(simulator, endpoint)


@defect("OP-delete-body", "An accepted deletion has a page as its body", "bulk-del-06")
def page_for_deletion(simulator: RespondingSimulator) -> None:
    _say(simulator, "delete")


def _say(simulator: RespondingSimulator, endpoint: str) -> None:
    def change(_request: Request, response: Response) -> Response:
        if response.status_code == 202:
            response.set_data(b"<p>Thank you.</p>")
        return response

    change_answer(simulator, endpoint, change)


@defect(
    "OP-delete-file",
    "A file of a deleted export breaks the server",
    "bulk-del-04",
    also=(
        "bulk-status-17",
        "pdex-185",
        "pdex-186",
    ),
)
def broken_file(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        response.status_code = 500 if response.status_code == 404 else response.status_code
        return response

    change_answer(simulator, "file", change)


def _breaks(simulator: RespondingSimulator, is_so: Callable[[set[str]], bool]) -> None:
    """Answer a kick-off with 500 where its parameters are so."""

    def before() -> Response | None:
        if request.method == "POST" and request.path.endswith("export"):
            entries = json.read(request.get_data()).get("parameter", [])
            if is_so({str(p.get("name")) for p in entries}):
                return Response("broken", 500)
        return None

    simulator.app.before_request(before)


@defect(
    "OP-post",
    "Parameters in a POST break the server",
    "bulk-kickoff-03",
    also=(
        "scope-13",
        "bulk-kickoff-15",
        "bulk-kickoff-16",
        "bulk-param-04",
        "bulk-param-06",
        "bulk-kickoff-14",
        "scope-14",
        "bulk-out-14",
    ),
)
def broken_post(simulator: RespondingSimulator) -> None:
    _breaks(simulator, lambda names: names == {"_type"})


@defect("OP-lenient", "An unknown parameter breaks the server", "bulk-param-12",
        also=("bulk-param-11",))  # fmt: skip
def broken_by_unknown(simulator: RespondingSimulator) -> None:
    _breaks(simulator, lambda names: "_nonsense" in names)


@defect("OP-filter", "A type filter breaks the server", "pdex-180a",
        also=(*_FILTERED, "cap-04"))  # fmt: skip
def broken_by_filter(simulator: RespondingSimulator) -> None:
    _breaks(simulator, lambda names: "_typeFilter" in names)


@defect("OP-and", "Of several filters of a type the first alone is applied", "bulk-param-18")
def first_filter(simulator: RespondingSimulator) -> None:
    def change(found: Parameters) -> Parameters:
        filters = [p for p in found if p.get("name") == "_typeFilter"]
        return [p for p in found if p not in filters[1:]]

    _asked(simulator, change)


@defect("OP-system", "An export of the whole server is declared and not there",
        "bulk-kickoff-07")  # fmt: skip
def no_system_export(simulator: RespondingSimulator) -> None:
    operation = {"name": "export", "definition": f"{_BULK_DATA}/OperationDefinition/export"}

    def change(content: dict[str, Any]) -> None:
        content["rest"][0].setdefault("operation", []).append(operation)

    change_json(simulator, "metadata", change)


@defect("OP-running", "A running export is answered 200", "bulk-status-02",
        also=("pdex-139", "bulk-status-04"))  # fmt: skip
def running_is_200(simulator: RespondingSimulator) -> None:
    answer_waiting_once(simulator)

    def change(_request: Request, response: Response) -> Response:
        if response.status_code == 202:
            response.status_code = 200
            response.set_data(b"")
        return response

    change_answer(simulator, "status", change)


@defect("OP-progress", "Progress is told at length", "bulk-status-03")
def long_progress(simulator: RespondingSimulator) -> None:
    answer_waiting_once(simulator)
    set_header(simulator, "status", "X-Progress", "going on " * 20)


@defect("OP-newer", "The transaction time lies before what is delivered", "bulk-man-02")
def early_transaction_time(simulator: RespondingSimulator) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["transactionTime"] = "2015-01-01T00:00:00Z"

    change_json(simulator, "status", change)


def _in_parts(simulator: RespondingSimulator, change: Callable[[dict[str, Any]], None]) -> None:
    """Take the wish for partial manifests, and say of every export what a change says."""
    _ignored(simulator, "allowPartialManifests")
    change_json(simulator, "status", lambda told: change(told) if told.get("output") else None)


@defect("OP-parts", "Parts of a manifest are linked by another word", "bulk-man-23",
        also=("bulk-man-24", "bulk-param-21"))  # fmt: skip
def other_relation(simulator: RespondingSimulator) -> None:
    def change(manifest: dict[str, Any]) -> None:
        manifest["link"] = [{"relation": "more", "url": request.url}]

    _in_parts(simulator, change)


@defect("OP-altered", "A part of a manifest is altered when it is read again", "bulk-man-24",
        also=("bulk-man-23", "bulk-param-21", "bulk-status-19", "bulk-status-01"))  # fmt: skip
def altered_part(simulator: RespondingSimulator) -> None:
    reads: Counter[str] = Counter()

    def change(manifest: dict[str, Any]) -> None:
        if "part" in request.args:
            manifest["output"] = []
            return
        reads[request.path] += 1
        manifest["link"] = [{"relation": "next", "url": f"{request.base_url}?part=2"}]
        if reads[request.path] > 1:
            manifest["output"].pop()

    _in_parts(simulator, change)


@defect("OP-continued", "A file is continued in one that is not listed", "bulk-man-22",
        also=("bulk-man-21", "bulk-param-20"))  # fmt: skip
def continued_nowhere(simulator: RespondingSimulator) -> None:
    _ignored(simulator, "organizeOutputBy")

    def change(manifest: dict[str, Any]) -> None:
        for entry in manifest["output"]:
            entry["continuesInFile"] = "https://payer.example/nowhere"

    change_json(simulator, "status", change)


@defect(
    "OP-separate",
    "A status that is to be told apart is not told",
    "bulk-param-23",
    also=(
        "bulk-status-02",
        "pdex-139",
    ),
)
def status_not_told(simulator: RespondingSimulator) -> None:
    applied = "respond-async, separate-export-status"
    for endpoint in _KICK_OFFS:
        set_header(simulator, endpoint, "Preference-Applied", applied)

    def change(_request: Request, response: Response) -> Response:
        response.status_code = 200 if response.status_code == 202 else response.status_code
        return response

    change_answer(simulator, "status", change)


@defect(
    "OP-once",
    "A file that needs no token is there once",
    "bulk-out-06",
    also=(
        "bulk-man-15",
        "bulk-man-16",
        "bulk-man-17",
        "bulk-out-15",
        "bulk-out-16",
        "pdex-184",
        "bulk-out-11",
        "http-07",
    ),
)
def once(simulator: RespondingSimulator) -> None:
    seen: set[str] = set()

    def free(manifest: dict[str, Any]) -> None:
        manifest["requiresAccessToken"] = False
        token = request.headers["Authorization"].rpartition(" ")[2]
        for entry in (*manifest["output"], *manifest.get("error", ())):
            entry["url"] += f"?of={token}"

    def before() -> None:
        token = request.args.get("of", "")
        if token and request.url not in seen:
            seen.add(request.url)
            request.environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"

    change_json(simulator, "status", free)
    simulator.app.before_request(before)


@defect("OP-gzip", "A file is compressed and does not say so", "bulk-out-11", "http-07")
def unlabelled(simulator: RespondingSimulator) -> None:
    _compressed_for(simulator, "gzip", label=False)


@defect("OP-identity", "A file is compressed though that was not offered", "bulk-out-11",
        "http-07")  # fmt: skip
def not_offered(simulator: RespondingSimulator) -> None:
    _compressed_for(simulator, "identity", label=True)


def _compressed_for(simulator: RespondingSimulator, offered: str, *, label: bool) -> None:
    def change(request: Request, response: Response) -> Response:
        if response.status_code == 200 and request.headers.get("Accept-Encoding") == offered:
            response.direct_passthrough = False
            response.set_data(gzip.compress(response.get_data()))
            if label:
                response.headers["Content-Encoding"] = "gzip"
        return response

    change_answer(simulator, "file", change)


@defect("OP-attachment", "Attachments have relative addresses", "bulk-out-15", "bulk-out-16")
def relative_attachments(simulator: RespondingSimulator) -> None:
    simulator.payer.releases.addressed = (  # type: ignore[method-assign]
        lambda _kind, body: body
    )


@defect(
    "OP-binary",
    "Documents are delivered without what names them",
    "bulk-out-17",
    also=("pdex-239", "bulk-out-14", "bulk-out-15", "bulk-out-16", "pdex-133", "pdex-134"),
)
def loose_binaries(simulator: RespondingSimulator) -> None:
    def change(lines: list[bytes]) -> list[bytes]:
        return [line.replace(b"/Binary/", b"/Media/") for line in lines]

    change_lines(simulator, change)


@defect("OP-reference", "References lead to another server", "bulk-out-18")
def foreign_references(simulator: RespondingSimulator) -> None:
    there = b'"reference":"https://another.example/fhir/Organization/'

    def change(lines: list[bytes]) -> list[bytes]:
        return [line.replace(b'"reference":"Organization/', there) for line in lines]

    change_lines(simulator, change)


@defect(
    "OP-many",
    "Many exports at once break the server",
    "bulk-kickoff-15",
    also=(
        "bulk-status-06",
        "hrex-sec-20",
        "pdex-01",
    ),
)
def broken_by_many(simulator: RespondingSimulator) -> None:
    started: Counter[bytes] = Counter()

    def before() -> Response | None:
        body = request.get_data() if request.path.endswith("$export") else b""
        started[body] += 1
        many = body and started[body] > 10
        return Response("busy", 503) if many else None

    simulator.app.before_request(before)


@defect("OP-polls", "Polls without pause break the server", "bulk-status-06")
def broken_by_polls(simulator: RespondingSimulator) -> None:
    polls: Counter[str] = Counter()

    def change(request: Request, response: Response) -> Response:
        polls[request.path] += 1
        if polls[request.path] > 20:
            response.status_code = 500
        return response

    change_answer(simulator, "status", change)


@defect("OP-range", "A part of a file is announced, and the file sent whole", "http-05")
def whole_as_part(simulator: RespondingSimulator) -> None:
    asked = "payer_exchange.range"

    def before() -> None:
        if found := request.environ.pop("HTTP_RANGE", ""):
            request.environ[asked] = found

    def change(request: Request, response: Response) -> Response:
        if asked in request.environ and response.status_code == 200:
            response.status_code = 206
            response.headers["Content-Range"] = "bytes 0-99/100000"
        return response

    simulator.app.before_request(before)
    change_answer(simulator, "file", change)


@defect("OP-accept", "A file is not sent to who accepts anything", "bulk-out-12")
def not_for_anybody(simulator: RespondingSimulator) -> None:
    def change(request: Request, response: Response) -> Response:
        if request.headers.get("Accept") == "*/*":
            response.status_code = 406
        return response

    change_answer(simulator, "file", change)
