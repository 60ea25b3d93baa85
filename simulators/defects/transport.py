"""Defects of TLS and mutual TLS; they show where the simulated payer is served over https."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any

from cheroot import wsgi
from cheroot.server import HeaderReader
from flask import request

from ...reference.errors import BadRequest
from ...reference.trust.authorization import OAuthError
from ..peers import CERTIFICATE
from ..responding import RespondingSimulator
from .registry import BOUND, change_json, defect

# X509_V_FLAG_NO_CHECK_TIME of OpenSSL, which Python gives no name.
_ANY_TIME = 0x200000


def _soften(simulator: RespondingSimulator, change: Callable[[ssl.SSLContext], None]) -> None:
    """Change how TLS is spoken, where it is."""

    def soften(server: wsgi.Server) -> None:
        if server.ssl_adapter:
            change(server.ssl_adapter.context)

    simulator.listening.append(soften)


@defect("HT-case", "A header is known in one spelling alone", "http-01")
def one_spelling(simulator: RespondingSimulator) -> None:
    class Strict(HeaderReader):
        def _transform_key(self, key_name: bytes) -> bytes:
            name = key_name.strip()
            return name if name == name.title() else b"X-Unknown-Header"

    def listen(server: wsgi.Server) -> None:
        own = server.ConnectionClass
        request = type("Request", (own.RequestHandlerClass,), {"header_reader": Strict()})
        server.ConnectionClass = type("Connection", (own,), {"RequestHandlerClass": request})

    simulator.listening.append(listen)


@defect("R18", "TLS below 1.2 is taken", "tls-01", also=("tls-03", "hrex-sec-9"))
def old_tls(simulator: RespondingSimulator) -> None:
    def soften(context: ssl.SSLContext) -> None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("ALL:@SECLEVEL=0")

    _soften(simulator, soften)


@defect("R18-ciphers", "Ciphers that encrypt nothing are taken", "tls-03", "hrex-sec-9")
def no_cipher(simulator: RespondingSimulator) -> None:
    _soften(simulator, lambda c: c.set_ciphers("ALL:eNULL:aNULL:@SECLEVEL=0"))


@defect("R18-http", "An endpoint is told with plain http", "tls-01", also=("tls-03", "hrex-sec-9"))
def plain_address(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        told = content["revocation_endpoint"].replace("https:", "http:")
        content["revocation_endpoint"] = told

    change_json(simulator, "smart", change)


@defect("R19", "A client that only names itself is given a token", "mtls-01", "hrex-sec-13",
        also=("smart-rsp-09", "mtls-03", "hrex-sec-15", "tls-04"))  # fmt: skip
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

    _soften(simulator, soften)


@defect("R19-uri", "Any certificate of the authority proves any client", "mtls-03", "hrex-sec-15")
def any_holder(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.by_certificate

    def by_certificate(client_id: str, certificate: Any) -> Any:
        client = server.clients.find(client_id)
        return (client, client_id) if client else strict(client_id, certificate)

    server.by_certificate = by_certificate  # type: ignore[method-assign]


@defect("R19-bound", "A bound token serves every connection", *BOUND)
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


def _bundle(
    ident: str, words: str, requirement: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    """A flaw of the signed endpoint bundle, which is signed over it as it should be."""
    # Where the change comes after the signing, the signature does not hold either.
    also = () if requirement == "mtls-bundle" else ("mtls-bundle",)

    @defect(ident, words, requirement, also=also)
    def install(simulator: RespondingSimulator) -> None:
        change_json(simulator, "mtls_bundle", change)


def _of(bundle: dict[str, Any], kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind
    )
    return found


def _without(bundle: dict[str, Any], kind: str, *names: str) -> None:
    for name in names:
        _of(bundle, kind).pop(name)


_bundle("MB-unsigned", "The endpoint bundle is not signed", "mtls-bundle",
        lambda bundle: bundle.pop("signature") and None)  # fmt: skip
_bundle("MB-changed", "The endpoint bundle was changed after it was signed", "mtls-bundle",
        lambda bundle: bundle.update(timestamp="2020-01-01T00:00:00Z"))  # fmt: skip
_bundle("MB-off", "The endpoint of the bundle is not active", "mtls-endpoint",
        lambda bundle: _of(bundle, "Endpoint").update(status="off"))  # fmt: skip
_bundle("MB-bare", "The endpoint of the bundle carries no certificate", "mtls-endpoint",
        lambda bundle: _of(bundle, "Endpoint")["extension"].pop(0) and None)  # fmt: skip
_bundle("MB-payload", "The endpoint of the bundle has two payload types", "mtls-endpoint",
        lambda bundle: _of(bundle, "Endpoint")["payloadType"].append({"text": "two"}))  # fmt: skip
_bundle("MB-support", "The bundle names no page for support", "mtls-org",
        lambda bundle: _without(bundle, "Organization", "telecom"))  # fmt: skip
_bundle("MB-server", "The bundle names no server to register at", "mtls-associated-servers",
        lambda bundle: _of(bundle, "Endpoint")["extension"].pop(1) and None)  # fmt: skip
_bundle("MB-address", "The endpoint of the bundle is another payer's", "mtls-associated-servers",
        lambda bundle: _of(bundle, "Endpoint").update(address="https://an.example"))  # fmt: skip


@defect("R19-none", "A client with a certificate is given an answer without a token", "mtls-01",
        "hrex-sec-13", "tls-04", also=(*BOUND, "mtls-02", "mtls-03"))  # fmt: skip
def no_token_by_certificate(simulator: RespondingSimulator) -> None:
    def change(content: dict[str, Any]) -> None:
        if "client_assertion" not in request.form:
            content.pop("access_token")

    change_json(simulator, "token", change)
