"""The small answers every simulated payer gives: bodies in, bodies and refusals out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask import Response, request

from ..reference.errors import BadRequest
from ..reference.export.request import parameter_pairs
from ..reference.fhir import json, media
from ..reference.fhir.outcome import issue, operation_outcome, outcome_of

# 4 MiB: a hundred times the largest request that is one.
MAX_BODY = 4 << 20
# For ten thousand members in one bulk match.
MAX_BULK_BODY = 128 << 20
NO_STORE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def fhir_answer(
    body: bytes, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """An answer of FHIR JSON."""
    return Response(body, status=status, mimetype=media.FHIR_JSON, headers=headers)


def json_answer(
    content: Any, *, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """An answer of plain JSON."""
    return Response(json.write(content), status=status, mimetype=media.JSON, headers=headers)


def refusal(error: BadRequest) -> Response:
    """The OperationOutcome that tells a caller what was wrong."""
    first = issue(str(error), code=error.code, expression=error.expression)
    outcome = outcome_of([first, *error.issues])
    return fhir_answer(json.write(outcome), status=error.status, headers=error.headers)


def json_body() -> dict[str, Any]:
    """The request's body as an object; raises BadRequest (415, 400) when it is none."""
    return json.read_object(fhir_body())


def fhir_body() -> bytes:
    """The request's body; raises BadRequest 415 when it is not sent as FHIR JSON."""
    if media.media_type(request.content_type) not in media.JSON_BODY_TYPES:
        raise BadRequest(f"Send the body as {media.FHIR_JSON}.", status=415, code="structure")
    return request.get_data()


def query_pairs() -> list[tuple[str, str]]:
    """The query as name and value pairs, each repetition one."""
    return [(n, v) for n in request.args for v in request.args.getlist(n)]


def http_error(text: str) -> Callable[[Any], Response]:
    """An answer to an HTTP error of the framework, as an OperationOutcome."""

    def answer(error: Any) -> Response:
        outcome = operation_outcome(text, code="not-supported")
        response = fhir_answer(json.write(outcome), status=error.code)
        allow = getattr(error, "valid_methods", None)
        if allow:
            response.headers["Allow"] = ", ".join(sorted(allow))
        return response

    return answer


# What the framework itself refuses, in the words of the exchange.
HTTP_ERRORS = (
    (400, "The request cannot be read."),
    (404, "There is nothing at this address."),
    (405, "This address does not take that method."),
    (413, f"The body is larger than {MAX_BODY} bytes."),
)


def operation_pairs() -> list[tuple[str, str]]:
    """The parameters of an operation: of the query, and of a Parameters body if there is one."""
    posted = request.method == "POST" and request.get_data()
    return query_pairs() + (parameter_pairs(json_body()) if posted else [])


def form_pairs() -> list[tuple[str, str]]:
    """The fields of a posted search; raises BadRequest 415 for another body."""
    if media.media_type(request.content_type) != media.FORM:
        raise BadRequest(f"Send the search as {media.FORM}.", status=415, code="structure")
    return [(n, v) for n in request.form for v in request.form.getlist(n)]


def require_acceptable(*also: str) -> None:
    """Raise BadRequest 406 unless the caller takes FHIR JSON, or one of the other types."""
    header = request.headers.get("Accept")
    if media.accepts_json(header, request.args.get("_format")):
        return
    if not any(media.media_type(part) in also for part in (header or "").split(",")):
        raise BadRequest(f"This payer answers in {media.FHIR_JSON}.", status=406,
                         code="not-supported")  # fmt: skip


def preferences() -> dict[str, str]:
    """What the Prefer headers ask for."""
    return media.preferences(request.headers.getlist("Prefer"))


def http_date(text: str) -> str:
    """An instant as HTTP writes it."""
    return datetime.fromisoformat(text).strftime("%a, %d %b %Y %H:%M:%S GMT")
