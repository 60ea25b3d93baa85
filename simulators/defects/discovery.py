"""Defects of what a responding payer says of itself."""

from __future__ import annotations

from typing import Any

from ..responding import RespondingSimulator
from .registry import change_json, defect, set_header


def _drop(content: dict[str, Any], name: str) -> None:
    content.pop(name, None)


@defect("R01", "The SMART configuration names no token endpoint", "smart-disc-05", "smart-disc-03")
def no_token_endpoint(simulator: RespondingSimulator) -> None:
    change_json(simulator, "smart", lambda c: _drop(c, "token_endpoint"))


@defect("R01-relative", "The token endpoint is told as a path", "smart-disc-03", "smart-disc-05")
def relative_token_endpoint(simulator: RespondingSimulator) -> None:
    change_json(simulator, "smart", lambda c: c.update(token_endpoint="/oauth/token"))  # noqa: S106


@defect("R01-missing", "There is no SMART configuration", "smart-disc-01", also=("smart-disc-02",
        "http-03"))  # fmt: skip
def no_smart_configuration(simulator: RespondingSimulator) -> None:
    simulator.app.view_functions["fhir.smart"] = simulator.absent


@defect("R01-type", "The SMART configuration is served as text", "smart-disc-02")
def smart_as_text(simulator: RespondingSimulator) -> None:
    set_header(simulator, "smart", "Content-Type", "text/plain")


_BACKEND = ("pdex-183", "bulk-auth-01", "hrex-sec-11")


def _list_defect(ident: str, field: str, requirements: tuple[str, ...], words: str) -> None:
    @defect(ident, words, *requirements)
    def install(simulator: RespondingSimulator) -> None:
        change_json(simulator, "smart", lambda c: c.update({field: []}))


_list_defect("R01-grants", "grant_types_supported", ("smart-disc-06", *_BACKEND),
             "No grant type is offered")  # fmt: skip
_list_defect("R01-methods", "token_endpoint_auth_methods_supported", ("smart-disc-09", *_BACKEND),
             "private_key_jwt is not offered")  # fmt: skip
_list_defect("R01-algorithms", "token_endpoint_auth_signing_alg_values_supported",
             ("smart-disc-10",), "No signing algorithm is named")  # fmt: skip
_list_defect("R01-scopes", "scopes_supported", ("smart-disc-11",), "No scope is listed")


@defect("R01-capabilities", "No capability is claimed", "smart-disc-07", "smart-disc-12")
def no_capabilities(simulator: RespondingSimulator) -> None:
    change_json(simulator, "smart", lambda c: c.update(capabilities=[]))


@defect("R01-plain", "The plain code challenge is offered", "smart-disc-08")
def plain_challenge(simulator: RespondingSimulator) -> None:
    change_json(simulator, "smart", lambda c: c.update(
        code_challenge_methods_supported=["S256", "plain"]))  # fmt: skip


@defect("R02", "The CapabilityStatement declares no operation", "pdex-cap-membermatch", "pdex-225",
        "cap-03", "pdex-192")  # fmt: skip
def no_operations(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        for resource in content["rest"][0]["resource"]:
            resource.pop("operation", None)

    change_json(simulator, "metadata", change)


@defect("R02-version", "The CapabilityStatement is of FHIR R5", "cap-01", "pdex-96")
def other_fhir_version(simulator: RespondingSimulator) -> None:
    change_json(simulator, "metadata", lambda c: c.update(fhirVersion="5.0.0"))


@defect("R02-instantiates", "The bulk data capability is not claimed", "cap-02")
def no_instantiates(simulator: RespondingSimulator) -> None:
    change_json(simulator, "metadata", lambda c: _drop(c, "instantiates"))


@defect("R02-security", "The CapabilityStatement says nothing of security", "cap-05")
def no_security(simulator: RespondingSimulator) -> None:
    change_json(simulator, "metadata", lambda c: _drop(c["rest"][0], "security"))


@defect("R02-revinclude", "Reverse includes are not declared", "pdex-cap-revinclude")
def no_reverse_includes(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        for resource in content["rest"][0]["resource"]:
            resource.pop("searchRevInclude", None)

    change_json(simulator, "metadata", change)


@defect("R02-format", "JSON is not among the formats", "pdex-cap-payer-json")
def no_json(simulator: RespondingSimulator) -> None:
    change_json(simulator, "metadata", lambda c: c.update(format=["application/fhir+xml"]))


@defect("R02-types", "A type that is delivered is not declared", "pdex-98")
def undeclared_type(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        rest = content["rest"][0]
        rest["resource"] = [r for r in rest["resource"] if r["type"] != "Observation"]

    change_json(simulator, "metadata", change)


@defect("R01-openid", "OpenID Connect is claimed without issuer and keys", "smart-disc-15")
def openid_without_issuer(simulator: RespondingSimulator) -> None:
    change_json(simulator, "smart", lambda c: c["capabilities"].append("sso-openid-connect"))
