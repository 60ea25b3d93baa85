"""Media types and the two headers that steer an exchange: Accept and Prefer."""

from __future__ import annotations

FHIR_JSON = "application/fhir+json"
FHIR_NDJSON = "application/fhir+ndjson"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

# What a server takes as FHIR JSON in a request body (R4 http.html, "generic json accepted").
JSON_BODY_TYPES = frozenset({FHIR_JSON, JSON, "text/json"})
# Names a client may use for NDJSON in _outputFormat (Bulk Data 2.0.0).
NDJSON_NAMES = frozenset({FHIR_NDJSON, "application/ndjson", "ndjson"})

_ACCEPTED = frozenset({FHIR_JSON, JSON, "text/json", "*/*", "application/*", "json"})


def media_type(header: str | None) -> str:
    """The bare media type of a Content-Type header, in lower case; empty when absent."""
    return (header or "").split(";", 1)[0].strip().lower()


def accepts_json(header: str | None, format_parameter: str | None = None) -> bool:
    """Whether the caller takes FHIR JSON; `_format` overrides Accept (R4 http.html)."""
    if format_parameter:
        return media_type(format_parameter.replace(" ", "+")) in _ACCEPTED
    if not header:
        return True
    return any(media_type(part) in _ACCEPTED for part in header.split(","))


def preferences(headers: list[str]) -> dict[str, str]:
    """The Prefer headers as a map, names in lower case: a list by comma, semicolon or repetition.

    Quotes around a value or around the whole preference are taken off (RFC 7240).
    """
    found: dict[str, str] = {}
    for header in headers:
        for part in header.replace(";", ",").split(","):
            name, _, value = part.strip().strip('"').partition("=")
            if name:
                found.setdefault(name.strip().strip('"').lower(), value.strip().strip('"'))
    return found
