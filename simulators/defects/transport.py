"""Defects of TLS and mutual TLS; they show where the simulated payer is served over https."""

from __future__ import annotations

import ssl
from typing import Any

from flask import request

from ...reference.errors import BadRequest
from ...reference.trust.authorization import OAuthError
from ..peers import CERTIFICATE
from ..responding import RespondingSimulator
from .registry import change_json, defect

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python gives no name.
_ANY_TIME = 0x200000


@defect("R18", "TLS below 1.2 is taken", "tls-01", also=("tls-03", "hrex-sec-9"))
def old_tls(simulator: RespondingSimulator) -> None:
    def soften(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")

    simulator.listening.append(soften)


@defect("R18-ciphers", "Ciphers that encrypt nothing are taken", "tls-03", "hrex-sec-9")
def no_cipher(simulator: RespondingSimulator) -> None:
    simulator.listening.append(lambda c: c.set_ciphers("ALL:eNULL:aNULL:@SECLEVEL=0"))


@defect("R18-http", "An endpoint is told with plain http", "tls-01", also=("tls-03", "hrex-sec-9"))
def plain_address(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        told = content["revocation_endpoint"].replace("https:", "http:")
        content["revocation_endpoint"] = told

    change_json(simulator, "smart", change)


@defect("R19", "A client that only names itself is given a token", "mtls-01", "hrex-sec-13",
        also=("mtls-03", "hrex-sec-15"))  # fmt: skip
def named_client(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.authenticate

    def authenticate(form: Any, basic: Any, certificate: Any = None) -> Any:
        try:
            return strict(form, basic, certificate)
        except OAuthError:
            client = server.clients.find(form.get("client_id", [""])[0])
            if client is None or "client_assertion" in form:
                raise
            return client, client.client_id

    server.authenticate = authenticate  # type: ignore[method-assign]


@defect("R19-expired", "A client certificate may have expired", "mtls-02", "hrex-sec-14")
def any_time(simulator: RespondingSimulator) -> None:
    def soften(context: ssl.SSLContext) -> None:
        context.verify_flags |= ssl.VerifyFlags(_ANY_TIME)

    simulator.listening.append(soften)


@defect("R19-uri", "Any certificate of the authority proves any client", "mtls-03", "hrex-sec-15")
def any_holder(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.by_certificate

    def by_certificate(client_id: str, certificate: Any) -> Any:
        client = server.clients.find(client_id)
        return (client, client_id) if client else strict(client_id, certificate)

    server.by_certificate = by_certificate  # type: ignore[method-assign]


@defect("R19-bound", "A bound token serves every connection", "mtls-04", "hrex-sec-16")
def unbound(simulator: RespondingSimulator) -> None:
    simulator.payer.authorization.is_bound_to = lambda *_: True  # type: ignore[method-assign]


@defect("R19-discovery", "Discovery wants a client certificate", "mtls-06")
def closed_discovery(simulator: RespondingSimulator) -> None:
    views = simulator.app.view_functions
    strict = views["fhir.smart"]

    def smart() -> Any:
        if not request.environ.get(CERTIFICATE):
            raise BadRequest("Connect with a client certificate.", status=401, code="login")
        return strict()

    views["fhir.smart"] = smart
