"""Steps of HTTP and media types: what is asked for in odd but legal ways."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urljoin

from pytest_bdd import parsers, then, when

from ..reference.http import Exchange
from .checks import answers
from .delivered import entries_in, export_parameters
from .seen import Seen
from .verdicts import CannotTell, CheckFailed

# A value of each kind of search parameter that a server can read.
_VALUES = {"date": "ge2000-01-01", "token": "some-code", "string": "some", "reference": "Some/one",
           "number": "1", "quantity": "1", "uri": "http://example.org/some"}  # fmt: skip
# So many kick-offs are enough to tell, and few enough to be kind.
_MOST = 12


@when(parsers.parse('the CapabilityStatement is asked for as "{accept}"'))
def metadata_as(seen: Seen, accept: str) -> None:
    seen.look_at(seen.run.target.get("metadata", accept=accept))


@when(parsers.parse('the CapabilityStatement is asked for as "{accept}" with the format "{name}"'))
def metadata_with_format(seen: Seen, accept: str, name: str) -> None:
    seen.look_at(seen.run.target.get(f"metadata?_format={name}", accept=accept))


@when("the CapabilityStatement is asked for by HEAD")
def metadata_by_head(seen: Seen) -> None:
    target = seen.run.target
    seen.look_at(target.http.request("HEAD", target.absolute("metadata")))


@when(parsers.parse('the member\'s Patient is asked for with the header "{name}"'))
def patient_with_header(seen: Seen, name: str) -> None:
    run = seen.run
    member = run.member_id("unique")
    token = run.data_token("unique")
    headers = {"aCCEPT": "application/fhir+json", name: f"Bearer {token.value.reveal()}"}
    url = run.target.absolute(f"Patient/{member}")
    seen.look_at(run.http.request("GET", url, headers=headers))


@then("the answer is FHIR JSON in UTF-8")
def is_fhir_json(seen: Seen) -> None:
    answers.has_media_type(seen.exchange, "application/fhir+json")
    _, _, parameters = seen.exchange.header("Content-Type").lower().partition(";")
    if "charset" in parameters and "utf-8" not in parameters:
        raise CheckFailed("FHIR JSON is sent in another character set.", "charset=utf-8",
                          parameters.strip(), "Content-Type")  # fmt: skip


@then("the answer has no body")
def no_body(seen: Seen) -> None:
    if seen.exchange.body:
        raise CheckFailed("A HEAD request is answered with a body.", "no body",
                          f"{len(seen.exchange.body)} bytes", "body")  # fmt: skip


@when("exports are started with a type filter by each declared search parameter")
def filtered_exports(seen: Seen) -> None:
    statement = seen.run.capability_statement()
    declared = [
        (resource.get("type"), parameter)
        for rest in entries_in(statement, "rest")
        for resource in entries_in(rest, "resource")
        for parameter in entries_in(resource, "searchParam")
        if resource.get("type") == "Observation" and not parameter.get("extension")
    ]
    if not declared:
        raise CannotTell("The CapabilityStatement declares no search parameter of Observation.")
    for kind, parameter in declared[:_MOST]:
        seen.look_at(_filtered(seen, str(kind), parameter))


def _filtered(seen: Seen, kind: str, parameter: Mapping[str, Any]) -> Exchange:
    value = quote(_VALUES.get(str(parameter.get("type")), "some"), safe="")
    query = f"{kind}?{parameter.get('name')}={value}"
    answer = seen.run.kick_off("unique", export_parameters({"_typeFilter": query}))
    location = answer.header("Content-Location")
    if answer.status == 202 and location:
        token = seen.run.data_token("unique")
        seen.run.target.delete(urljoin(answer.url, location), token)
    return answer


@then("each of them is accepted")
def all_accepted(seen: Seen) -> None:
    refused = [e for e in seen.exchanges if e.status != 202]
    if refused:
        raise CheckFailed("A declared search parameter cannot be used in _typeFilter.",
                          "202 for each", f"{len(refused)} of {len(seen.exchanges)} refused",
                          "status")  # fmt: skip
