"""Defects of the files of an export, and of its end: who gets them, what they hold, deletion."""

from __future__ import annotations

from typing import Any

from flask import Request, Response, request

from ...reference.fhir import json
from ...reference.trust.tokens import Grant
from ..responding import RespondingSimulator
from .export import of_manifest
from .registry import (
    BULK_TOLD,
    DELIVERED,
    change_answer,
    change_lines,
    defect,
    set_header,
)


@defect("R14", "The status is open without a token", "bulk-status-16", "pdex-184")
def open_status(simulator: RespondingSimulator) -> None:
    _open(simulator, "fhir.status")


@defect("R15", "Files are open without a token", "pdex-184")
def open_files(simulator: RespondingSimulator) -> None:
    _open(simulator, "fhir.file")


def _open(simulator: RespondingSimulator, endpoint: str) -> None:
    """Answer an address to anybody who asks without a token, as its owner would be."""
    view = simulator.app.view_functions[endpoint]

    def opened(**arguments: Any) -> Any:
        if request.headers.get("Authorization"):
            return view(**arguments)
        strict = simulator.grant
        client = simulator.payer.clients.all()[0].client_id
        simulator.grant = lambda: Grant(  # type: ignore[method-assign]
            client, frozenset({"system/*.rs"}), None, 0.0)  # fmt: skip
        try:
            return view(**arguments)
        finally:
            simulator.grant = strict  # type: ignore[method-assign]

    simulator.app.view_functions[endpoint] = opened


@defect("R85", "Files are served as JSON", "bulk-out-02")
def files_as_json(simulator: RespondingSimulator) -> None:
    set_header(simulator, "file", "Content-Type", "application/json")


@defect("R85-array", "Files hold a JSON array", "bulk-out-03",
        also=("hrex-prov-1", "hrex-prov-2", *DELIVERED, *BULK_TOLD, "bulk-man-11", "bulk-man-12",
              "bulk-man-14"))  # fmt: skip
def files_as_array(simulator: RespondingSimulator) -> None:
    change_lines(simulator, lambda lines: [b"[" + b",".join(lines) + b"]"])


@defect("R85-error", "Error files hold texts", "bulk-man-11",
        also=("atr-export-patient-ignore", "bulk-status-13", "bulk-man-12",
              "bulk-man-14"))  # fmt: skip
def error_file_of_texts(simulator: RespondingSimulator) -> None:
    def told(line: bytes) -> bytes:
        return b'{"message":"ignored"}' if b'"OperationOutcome"' in line else line

    change_lines(simulator, lambda lines: [told(line) for line in lines])


@defect(
    "R85-mixed",
    "A file holds a resource of another type",
    "bulk-man-07",
    also=(
        "bulk-man-11",
        "bulk-out-14",
        "hrex-conf-3",
        "pdex-119",
        "pdex-80",
        "bulk-man-15",
        "bulk-man-16",
        "bulk-man-17",
        "pdex-cap-meta-profile",
        "bulk-kickoff-16",
        "pdex-98",
        "bulk-man-09",
        "ref-01",
        "bulk-param-04",
        "scope-16",
        "pdex-217",
        "bulk-group-02",
        "pdex-139",
        "atr-response-rules",
        "pdex-out-group-ndjson",
    ),
)
def mixed_file(simulator: RespondingSimulator) -> None:
    other = b'{"resourceType":"Basic","id":"stray"}'
    change_lines(simulator, lambda lines: [*lines, other])


@defect(
    "R85-twice",
    "A resource is delivered twice",
    "bulk-group-02",
    also=(
        "atr-response-rules",
        "bulk-out-14",
        "pdex-bucket-exclusive",
        "bulk-man-09",
    ),
)
def delivered_twice(simulator: RespondingSimulator) -> None:
    change_lines(simulator, lambda lines: [*lines, lines[0]])


@defect("R85-missing", "A file of the manifest cannot be downloaded", "bulk-out-01", "bulk-man-20",
        also=(*DELIVERED, "bulk-out-02", "atr-response-rules"))  # fmt: skip
def file_not_found(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        content = json.read(response.get_data()) if response.status_code == 200 else {}
        for entry in content.get("output", []):
            if entry["type"] == "Condition":
                entry["url"] += "x"
        if content:
            response.set_data(json.write(content))
        return response

    change_answer(simulator, "status", change)


@defect("DEL-1", "An export cannot be deleted", "bulk-del-01", "bulk-del-02")
def cannot_delete(simulator: RespondingSimulator) -> None:
    simulator.app.view_functions["fhir.delete"] = simulator.absent


@defect("DEL-2", "A deleted export is still there", "bulk-del-02", "bulk-del-03",
        also=("bulk-status-17",))  # fmt: skip
def deleted_stays(simulator: RespondingSimulator) -> None:
    simulator.app.view_functions["fhir.delete"] = lambda **_arguments: Response(status=202)


@defect("STA-1", "An export that does not exist runs for ever", "bulk-status-18",
        also=("bulk-status-17", "pdex-185", "pdex-186", "bulk-del-02"))  # fmt: skip
def unknown_runs(simulator: RespondingSimulator) -> None:
    def change(_request: Request, response: Response) -> Response:
        return (
            Response(status=202, headers={"Retry-After": "1"})
            if (response.status_code == 404)
            else response
        )

    change_answer(simulator, "status", change)


_DELETIONS = ("bulk-man-15", "bulk-man-16", "bulk-man-17")


@of_manifest("DE-none", "What was deleted since is not told", *_DELETIONS)
def no_deletions(manifest: dict[str, Any]) -> None:
    manifest["deleted"] = []


@defect("DE-method", "What was deleted is told as an update", *_DELETIONS)
def deletions_as_updates(simulator: RespondingSimulator) -> None:
    def change(lines: list[bytes]) -> list[bytes]:
        return [line.replace(b'"DELETE"', b'"PUT"') for line in lines]

    change_lines(simulator, change)
