"""Steps of discovery: what the target says of itself."""

from __future__ import annotations

from typing import Any

from pytest_bdd import given, parsers, then, when

from .checks import answers
from .checks.provenance import CLINICAL
from .seen import Seen
from .verdicts import CheckFailed, NotApplicable


@given("the target's SMART configuration")
def smart_configuration(seen: Seen) -> None:
    seen.look_at(seen.run.smart_configuration())


@given("the target's CapabilityStatement")
def capability_statement(seen: Seen) -> None:
    seen.look_at(seen.run.capability())


@given("the target's Da Vinci configuration")
def davinci_configuration(seen: Seen) -> None:
    run = seen.run
    url = f"{run.target.fhir_base}/.well-known/davinci-configuration"
    found = run.once(("davinci",), lambda: run.target.get(url, accept="application/json"))
    if found.status in (404, 410):
        raise NotApplicable("The target has no Da Vinci configuration, which is an option.")
    seen.look_at(found)


@then(parsers.parse('"{name}" is an object'))
def is_object(seen: Seen, name: str) -> None:
    answers.holds(seen.json(), name, "an object", lambda found: isinstance(found, dict))


@then("it names an endpoint for payers at an absolute URL")
def names_payer_endpoint(seen: Seen) -> None:
    endpoints = seen.json().get("endpoints")
    named = {
        str(key): value
        for key, value in (endpoints.items() if isinstance(endpoints, dict) else ())
        if str(key).startswith("davinci_pdex_payer_endpoint#")
    }
    if not named or not all(answers.is_absolute_url(url) for url in named.values()):
        raise CheckFailed("The Da Vinci configuration names no endpoint for payers.",
                          "davinci_pdex_payer_endpoint#x.y with an absolute URL",
                          ", ".join(named) or "none", "endpoints")  # fmt: skip


@when(parsers.parse('the SMART configuration is asked for as "{accept}"'))
def smart_configuration_as(seen: Seen, accept: str) -> None:
    target = seen.run.target
    url = f"{target.fhir_base}/.well-known/smart-configuration"
    seen.look_at(target.get(url, accept=accept))


@when("the SMART configuration is sent a DELETE")
def smart_configuration_delete(seen: Seen) -> None:
    target = seen.run.target
    seen.look_at(target.delete(f"{target.fhir_base}/.well-known/smart-configuration"))


@then("an answer with status 405 says that GET is allowed")
def allows_get(seen: Seen) -> None:
    if seen.exchange.status == 405:
        answers.has_header(seen.exchange, "Allow", "GET")


@then(parsers.parse('the type "{kind}" declares the operation "{canonical}"'))
def type_declares(seen: Seen, kind: str, canonical: str) -> None:
    if kind == "Patient":
        seen.run.require_single()
    declared = [
        str(operation.get("definition", "")).split("|")[0]
        for resource in _resources(seen)
        if resource.get("type") == kind
        for operation in resource.get("operation", [])
    ]
    if canonical not in declared:
        raise CheckFailed(
            "The CapabilityStatement does not declare the operation.",
            canonical,
            ", ".join(declared) or "none",
            "rest.resource.operation.definition",
        )


@then(parsers.parse('the clinical types declare the reverse include "{value}"'))
def clinical_types_declare(seen: Seen, value: str) -> None:
    lacking = [
        resource["type"]
        for resource in _resources(seen)
        if resource.get("type") in CLINICAL and value not in resource.get("searchRevInclude", [])
    ]
    if lacking:
        raise CheckFailed("Types do not declare the reverse include.", value, ", ".join(lacking),
                          "rest.resource.searchRevInclude")  # fmt: skip


@then("OpenID Connect is claimed with its issuer and keys, or not at all")
def openid_is_whole(seen: Seen) -> None:
    found = seen.json()
    if "sso-openid-connect" not in found.get("capabilities", []):
        raise NotApplicable("The target does not claim OpenID Connect.")
    for name in ("issuer", "jwks_uri"):
        answers.holds(found, name, "an absolute URL", answers.is_absolute_url)


@then("every type that is delivered is declared")
def delivered_is_declared(seen: Seen) -> None:
    declared = {str(r.get("type")) for r in _resources(seen)}
    seen.files()
    lacking = sorted({kind for kind, _ in seen.resources()} - declared)
    if lacking:
        raise CheckFailed("Types are delivered that are not declared.", "every type that is there",
                          f"missing: {', '.join(lacking)}", "rest.resource.type")  # fmt: skip


def _resources(seen: Seen) -> list[dict[str, Any]]:
    statement = seen.json("CapabilityStatement")
    return [r for rest in statement.get("rest", []) for r in rest.get("resource", [])]
