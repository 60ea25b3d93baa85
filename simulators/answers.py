"""The small answers every simulated payer gives: bodies in, bodies and refusals out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, request

from ..reference.errors import BadRequest
from ..reference.fhir import json, media
from ..reference.fhir.outcome import operation_outcome

# 4 MiB: a hundred times the largest request that is one.
MAX_BODY = 4 << 20
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
    outcome = operation_outcome(str(error), code=error.code, expression=error.expression)
    return fhir_answer(json.write(outcome), status=error.status, headers=error.headers)


def json_body() -> dict[str, Any]:
    """The request's body as an object; raises BadRequest (415, 400) when it is none."""
    if media.media_type(request.content_type) not in media.JSON_BODY_TYPES:
        raise BadRequest(f"Send the body as {media.FHIR_JSON}.", status=415, code="structure")
    return json.read_object(request.get_data())


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
