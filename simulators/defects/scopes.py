"""Defects of scopes, and of the plain rules of HTTP and media types."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from flask import Request, Response, request

from ...reference.fhir import json
from ...reference.fhir.pdex import BULK_MATCH_SCOPES
from ...reference.trust.tokens import Grant
from ..responding import RespondingSimulator
from .registry import change_answer, change_json, defect, set_header


def _grants(
    simulator: RespondingSimulator, change: Callable[[frozenset[str]], Iterable[str]]
) -> None:
    """Take each token for one with other scopes."""
    strict = simulator.grant

    def grant() -> Grant:
        found = strict()
        return replace(found, scopes=frozenset(change(found.scopes)))

    simulator.grant = grant  # type: ignore[method-assign]


@defect("SC-1", "The query of a scope is forgotten", "scope-10", "pdex-219")
def queries_forgotten(simulator: RespondingSimulator) -> None:
    _grants(simulator, lambda scopes: {s.partition("?")[0] for s in scopes})


@defect("SC-2", "A token for Patient opens Groups", "scope-18", "pdex-scope-group")
def groups_for_all(simulator: RespondingSimulator) -> None:
    _grants(simulator, lambda scopes: scopes | {"system/Group.rs"})


@defect("SC-3", "The bulk match is open to every token", "pdex-scope-bulk",
        also=("pdex-scope-bulk-210", "bulk-p2p-03"))  # fmt: skip
def bulk_match_for_all(simulator: RespondingSimulator) -> None:
    _grants(simulator, lambda scopes: scopes | set(BULK_MATCH_SCOPES.values()))


def _never_granted(simulator: RespondingSimulator) -> None:
    """The scope of the bulk match is taken for a wish of the client, and granted as data."""

    def change(_request: Request, response: Response) -> Response:
        if response.status_code == 200:
            content = json.read(response.get_data())
            for spelling in BULK_MATCH_SCOPES.values():
                content["scope"] = content["scope"].replace(spelling, "system/*.rs")
            response.set_data(json.write(content))
        return response

    change_answer(simulator, "token", change)


defect("SC-4", "The scope of the bulk match is told under another name", "pdex-scope-bulk",
       "scope-19", also=("pdex-scope-bulk-210",))(_never_granted)  # fmt: skip
defect("SC-4-210", "PDex 2.1.0: the scope of the bulk match is told under another name",
       "pdex-scope-bulk-210", version="2.1.0",
       also=("scope-19", "pdex-scope-bulk"))(_never_granted)  # fmt: skip


@defect("SC-5", "A token is given for the MemberId alone, not for the identifier", "pdex-224")
def identifier_refused(simulator: RespondingSimulator) -> None:
    authorization = simulator.payer.authorization
    strict = authorization.bound_member

    def bound(client: Any, subject: str, patient: str) -> str | None:
        # Only numbers of this payer's own are Patient ids.
        known = simulator.payer.repository.get("Patient", patient.rsplit("/", 1)[-1])
        return strict(client, subject, patient if known or not patient else "nobody")

    authorization.bound_member = bound  # type: ignore[method-assign]


@defect("SC-6", "A batch is answered without a look at the token", "scope-12")
def open_batch(simulator: RespondingSimulator) -> None:
    def answer() -> Response:
        entries = []
        for entry in (request.get_json(force=True) or {}).get("entry", []):
            kind, _, ident = entry["request"]["url"].partition("/")
            row = simulator.payer.repository.get(kind, ident)
            entries.append({"resource": json.read(row.body), "response": {"status": "200 OK"}}
                           if row else {"response": {"status": "404"}})  # fmt: skip
        bundle = {"resourceType": "Bundle", "type": "batch-response", "entry": entries}
        return Response(json.write(bundle), content_type="application/fhir+json")

    simulator.app.add_url_rule("/fhir", "batch", answer, methods=["POST"])


@defect("DV-1", "The Da Vinci configuration is served as text", "hrex-ep-2")
def davinci_as_text(simulator: RespondingSimulator) -> None:
    set_header(simulator, "davinci", "Content-Type", "text/plain")


@defect("DV-2", "The Da Vinci configuration names no endpoint for payers", "pdex-88")
def davinci_empty(simulator: RespondingSimulator) -> None:
    change_json(simulator, "davinci", lambda content: content.update(endpoints={}))


@defect("HT-1", "FHIR JSON is said to be in Latin 1", "conneg-01")
def latin(simulator: RespondingSimulator) -> None:
    text = "application/fhir+json; charset=iso-8859-1"
    set_header(simulator, "metadata", "Content-Type", text)


def _refused_when(simulator: RespondingSimulator, meant: Callable[[Request], bool]) -> None:
    def change(asked: Request, response: Response) -> Response:
        return Response(status=406) if meant(asked) else response

    change_answer(simulator, "metadata", change)


@defect("HT-2", "The format in the address is not looked at", "conneg-03")
def format_ignored(simulator: RespondingSimulator) -> None:
    _refused_when(simulator, lambda asked: "xml" in asked.headers.get("Accept", ""))


@defect("HT-3", "A media type with a version of FHIR is refused", "conneg-04")
def version_refused(simulator: RespondingSimulator) -> None:
    _refused_when(simulator, lambda asked: "fhirVersion" in asked.headers.get("Accept", ""))


@defect("HT-4", "A HEAD request breaks the payer", "http-08")
def head_breaks(simulator: RespondingSimulator) -> None:
    def change(asked: Request, response: Response) -> Response:
        return Response(status=500) if asked.method == "HEAD" else response

    change_answer(simulator, "metadata", change)


@defect("HT-5", "A search parameter is declared that a type filter refuses", "cap-04")
def declared_in_vain(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        for resource in content["rest"][0]["resource"]:
            if resource["type"] == "Observation":
                resource["searchParam"].insert(0, {"name": "value-date", "type": "date"})

    change_json(simulator, "metadata", change)


@defect("SC-letters", "Letters out of order are granted as everything", "scope-02")
def odd_letters(simulator: RespondingSimulator) -> None:
    wide = {"access_token": "wide", "token_type": "bearer", "expires_in": 300,
            "scope": "system/*.cruds"}  # fmt: skip

    def change(request: Request, response: Response) -> Response:
        if request.form.get("scope") == "system/Patient.sr":
            response.status_code = 200
            response.set_data(json.write(wide))
        return response

    change_answer(simulator, "token", change)
