"""The HTTP surface of a simulated payer as an OpenAPI description, made from its own routes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from flask import Flask, Response
from werkzeug.routing import Rule

from ..reference.fhir import media
from .answers import json_answer

PATH = "/openapi.json"
_OPEN = ("metadata", "smart", "davinci", "udap", "openapi", "token", "introspect", "revoke",
         "register")  # fmt: skip
_VALUE = re.compile(r"<(?:[a-z]+:)?([a-z_]+)>")
_SEARCH = ("_id", "_count", "_lastUpdated", "_include", "_revinclude", "_format", "patient",
           "identifier", "code", "date", "category", "characteristic",
           "characteristic-value-reference")  # fmt: skip
_EXPORT = ("_type", "_since", "_until", "_typeFilter", "_outputFormat", "patient", "exportType")
_QUERIES = {
    "search": _SEARCH,
    "search_all": _SEARCH,
    "groups": _SEARCH,
    "tasks": ("_id", "status", "code", "_tag"),
    "export": _EXPORT,
    "export_one": _EXPORT,
    "export_group": _EXPORT,
    "everything": ("start", "end", "_since", "_type", "_count"),
    "docref": ("patient", "start", "end"),
    "udap": ("community",),
}
_TOKEN_FORM = ("grant_type", "scope", "client_assertion_type", "client_assertion", "client_id",
               "patient", "udap")  # fmt: skip
_FORMS = {
    "token": _TOKEN_FORM,
    "introspect": ("token", *_TOKEN_FORM),
    "revoke": ("token", "token_type_hint", *_TOKEN_FORM),
    "search_post": _SEARCH,
}
_NAMES = ("MemberPatient", "CoverageToMatch", "CoverageToLink", "Consent", "MemberBundle",
          "localPatient", "sourceIssuerUrl", "memberMatch", "export", *_EXPORT)  # fmt: skip


def add_openapi(app: Flask, title: str) -> None:
    """Serve the description of everything the app answers at `/openapi.json`."""

    def openapi() -> Response:
        return json_answer(describe(app, title))

    app.add_url_rule(PATH, "openapi", openapi)


def describe(app: Flask, title: str) -> dict[str, Any]:
    """The OpenAPI 3.1 description: each route with its verbs, parameters, body and answers."""
    paths: dict[str, dict[str, Any]] = {}
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            found = paths.setdefault(_VALUE.sub(r"{\1}", rule.rule), {})
            found |= {method: _operation(rule, method) for method in _methods(rule)}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": _version()},
        "paths": dict(sorted(paths.items())),
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
    }


def _methods(rule: Rule) -> Iterator[str]:
    yield from (m.lower() for m in sorted(rule.methods or ()) if m not in ("HEAD", "OPTIONS"))


def _operation(rule: Rule, method: str) -> dict[str, Any]:
    name = rule.endpoint.rpartition(".")[2]
    found: dict[str, Any] = {
        "operationId": f"{method} {rule.rule}",
        "responses": {
            "2XX": {"description": "What was asked for."},
            "4XX": {"description": "A refusal.", "content": {
                media.FHIR_JSON: {"schema": _object("OperationOutcome")},
                media.JSON: {"schema": {"type": "object", "required": ["error"]}},
            }},
        },
    }  # fmt: skip
    parameters = [*_path_parameters(rule), *_query_parameters(name, method)]
    if parameters:
        found["parameters"] = parameters
    if name not in _OPEN:
        found["security"] = [{"token": []}]
    if method in ("post", "put"):
        found["requestBody"] = {"content": _body(name)}
    return found


def _path_parameters(rule: Rule) -> list[dict[str, Any]]:
    return [_parameter(name, "path", required=True) for name in _VALUE.findall(rule.rule)]


def _query_parameters(name: str, method: str) -> list[dict[str, Any]]:
    names = _QUERIES.get(name, ()) if method == "get" else ()
    return [_parameter(query, "query", required=False) for query in names]


def _parameter(name: str, place: str, *, required: bool) -> dict[str, Any]:
    schema = {"type": "string", **({"minLength": 1} if required else {})}
    return {"name": name, "in": place, "required": required, "schema": schema}


def _body(name: str) -> dict[str, Any]:
    if name in _FORMS:
        fields = {field: {"type": "string"} for field in _FORMS[name]}
        return {media.FORM: {"schema": {"type": "object", "properties": fields}}}
    if name == "register":
        fields = {"software_statement": {"type": "string"}, "udap": {"type": "string"}}
        return {media.JSON: {"schema": {"type": "object", "properties": fields}}}
    return {media.FHIR_JSON: {"schema": _parameters()}}


def _parameters() -> dict[str, Any]:
    """A Parameters body, loosely: what it may hold is for the operation to say."""
    values: Mapping[str, Any] = {
        "name": {"enum": list(_NAMES)},
        "valueString": {"type": "string"},
        "valueInstant": {"type": "string"},
        "valueReference": {"type": "object", "properties": {"reference": {"type": "string"}}},
        "resource": {"type": "object", "properties": {"resourceType": {"type": "string"}}},
        "part": {"type": "array", "items": {"type": "object"}},
    }
    entry = {"type": "object", "properties": values}
    return _object("Parameters", {"parameter": {"type": "array", "items": entry}})


def _object(kind: str, properties: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "required": ["resourceType"],
            "properties": {"resourceType": {"const": kind}, **(properties or {})}}  # fmt: skip


def _version() -> str:
    try:
        return version("payer-exchange")
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "0"
