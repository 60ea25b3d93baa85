"""Defects of UDAP and TLS: whom a requester believes, how it registers, and what it says it is."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from urllib3 import connection

from ...reference import tls
from ...reference.errors import TargetError
from ...reference.fhir import media
from ...reference.http import Exchange
from ...reference.trust import keys, pki
from ...reference.trust.udap import client, metadata
from ...reference.trust.udap.client import UdapClient
from ...reference.trust.udap.identity import UdapIdentity
from ...reference.trust.udap.metadata import UdapServer
from .. import key_publishing
from .registry import defect, put, sending

_OTHER = "https://another.example/udap"
_FAR = 4_000_000_000


@defect("Q110", "Discovery names no community", "udap-disc-23")
def no_community() -> None:
    def discover(self: UdapClient, _community: str | None = None) -> Any:
        return usual(self, "")

    usual = put(UdapClient, "metadata", discover)


@defect(
    "Q111",
    "Where there is no UDAP, a token is asked for all the same",
    "udap-disc-03",
    also=(
        "udap-disc-04",
        "udap-disc-20",
    ),
)
def asks_anyway() -> None:
    def server(self: UdapClient) -> UdapServer:
        try:
            return usual(self)  # type: ignore[no-any-return]
        except TargetError:
            self.http.request("POST", os.environ["PAYER_EXCHANGE_TOKEN_ENDPOINT"],
                              headers={"Content-Type": media.FORM}, body=b"scope=x")  # fmt: skip
            raise

    usual = put(UdapClient, "server", server)


@defect("Q112", "A payer that offers no UDAP profile is registered at", "udap-disc-04")
def offers_nothing() -> None:
    put(metadata, "_check_offer", lambda _document: None)


def _believes(ident: str, summary: str, change: Callable[[], Any]) -> None:
    defect(ident, summary, "udap-disc-20", also=("udap-disc-03", "udap-disc-04"))(change)


def _plain(document: Mapping[str, Any], *_given: Any) -> UdapServer:
    return UdapServer(document["token_endpoint"], document["registration_endpoint"], document)


def _unchecked(name: str) -> Callable[[], Any]:
    return lambda: put(metadata, name, lambda *_given: None)


_believes("Q113", "Metadata is believed as it comes",
          lambda: put(client, "read_metadata", _plain))  # fmt: skip
_believes("Q114", "The certificate of metadata is not looked at", _unchecked("check_chain"))
_believes("Q115", "The times of metadata are not looked at", _unchecked("check_times"))


@defect("Q116", "Revocation is not looked at", "udap-disc-20")
def no_revocation() -> None:
    def chain(found: Any, trust: Any, now: Any) -> None:
        check(found, replace(trust, revocation_lists=()), now)

    check = put(metadata, "check_chain", chain)


@defect("Q117", "Plain addresses go before signed ones", "udap-disc-20")
def plain_first() -> None:
    def read(document: Mapping[str, Any], *given: Any) -> UdapServer:
        checked(document, *given)
        return _plain(document)

    checked = put(client, "read_metadata", read)


def _jwt(ident: str, summary: str, method: str, *violates: str, also: tuple[str, ...] = (),
         headers: Mapping[str, Any] | None = None, **claims: Any) -> None:  # fmt: skip
    """Statements or assertions with other claims; None takes one out."""

    def install() -> None:
        def made(self: UdapClient, **given: Any) -> str:
            told = {**(given.pop("claims", None) or {}), **claims}
            return str(usual(self, claims=told, headers=headers, **given))

        usual = put(UdapClient, method, made)

    defect(ident, summary, *violates, also=also)(install)


def _statement(ident: str, summary: str, *violates: str, **claims: Any) -> None:
    _jwt(ident, f"The software statement {summary}", "statement", *violates, **claims)


_statement("Q120", "is by another URI", "udap-reg-01", iss=_OTHER, sub=_OTHER)
_statement("Q121", "is about somebody else", "udap-reg-02", sub=_OTHER)
_statement("Q122", "is for another server", "udap-reg-03", aud=_OTHER)
_statement("Q123", "is good for years", "udap-reg-04", exp=_FAR)
_statement("Q124", "has no nonce", "udap-reg-05", jti=None)
_statement("Q125", "names no client", "udap-reg-06", client_name=None)
_statement("Q126", "has a bare mail address", "udap-reg-07", contacts=["payer@example.org"])
_statement("Q127", "is for two grants", "udap-reg-08",
           grant_types=["client_credentials", "refresh_token"])  # fmt: skip
_statement("Q128", "names redirects", "udap-reg-09", redirect_uris=["https://new.example/back"])
_statement("Q129", "says another way to authenticate", "udap-reg-10",
           token_endpoint_auth_method="client_secret_basic")  # fmt: skip  # noqa: S106 - a name of the protocol
_statement("Q130", "wants no scopes", "udap-reg-11", scope=None)


@defect("Q131", "The software statement is signed by another key", "udap-reg-12")
def other_key() -> None:
    def statement(self: UdapClient, **given: Any) -> str:
        other = replace(self.identity.issued, key=pki.make_key("RSA"))
        return str(usual(self, identity=replace(self.identity, issued=other), **given))

    usual = put(UdapClient, "statement", statement)


@defect("Q132", "The registration does not say that it is UDAP", "udap-reg-13")
def no_version() -> None:
    def submit(self: UdapClient, text: str, **_more: Any) -> Any:
        return usual(self, text, udap=None)

    usual = put(UdapClient, "submit", submit)


@defect("Q133", "No registration comes before a token request", "udap-reg-25", "mtls-dcr",
        also=("udap-tok-03",))  # fmt: skip
def never_registers() -> None:
    put(UdapClient, "client_id", lambda _self: "known-beforehand")


@defect("Q134", "A statement has a part more than a JWS", "udap-jwt-01",
        also=(*(f"udap-reg-{n:02}" for n in range(1, 13)), "udap-jwt-04"))  # fmt: skip
def four_parts() -> None:
    def statement(self: UdapClient, **given: Any) -> str:
        return f"{usual(self, **given)}.more"

    usual = put(UdapClient, "statement", statement)


_jwt("Q135", "Certificates of an assertion are left out", "assertion", "udap-jwt-04",
     headers={"x5c": None})  # fmt: skip
_jwt("Q136", "An assertion is by the client's own URI", "assertion", "udap-tok-03",
     also=("udap-reg-25",), iss=_OTHER, sub=_OTHER)  # fmt: skip
_jwt("Q137", "An assertion of UDAP is good for years", "assertion", "udap-tok-04", exp=_FAR)
_jwt("Q138", "An assertion has no B2B extension", "assertion", "udap-tok-05",
     also=tuple(f"udap-b2b-0{n}" for n in range(1, 6)), extensions=None)  # fmt: skip


def _form(ident: str, summary: str, *violates: str, **fields: str | None) -> None:
    def change(sent: Exchange) -> None:
        if b"client_assertion=" in sent.request_body or b"grant_type=" in sent.request_body:
            found = {**dict(parse_qsl(sent.request_body.decode())), **fields}
            sent.request_body = urlencode(
                {k: v for k, v in found.items() if v is not None}
            ).encode()

    defect(ident, summary, *violates)(lambda: sending(change))


_form("Q140", "The token request does not say that it is UDAP", "udap-tok-01", udap=None)
_form(
    "Q141",
    "The token request holds a secret as well",
    "udap-tok-02",
    client_secret="told-as-well",  # noqa: S106 - a name of the protocol
)
_form("Q142", "By mutual TLS the client does not name itself", "mtls-05", client_id=None)


def _b2b(ident: str, summary: str, *violates: str, **elements: Any) -> None:
    def install() -> None:
        def b2b(self: UdapIdentity) -> dict[str, Any]:
            return {**usual(self), **elements}

        usual = put(UdapIdentity, "b2b", b2b)

    defect(ident, f"The B2B extension {summary}", *violates)(install)


_b2b("Q143", "has its version as a number", "udap-b2b-01", version=1)
_b2b("Q144", "names the organization by a bare number", "udap-b2b-02",
     organization_id="1234567893")  # fmt: skip
_b2b("Q145", "tells its purpose as a text", "udap-b2b-03", purpose_of_use="HPAYMT")
_b2b("Q146", "names a subject by id alone", "udap-b2b-04", subject_id="1234567893")
_b2b("Q147", "names a Consent without its policy", "udap-b2b-05",
     consent_reference=["https://new.example/Consent/1"])  # fmt: skip


@defect("Q150", "Certificates are not looked at", "tls-02")
def trusts_all() -> None:
    def context(given: tls.Tls, changes: tuple[int, ...]) -> ssl.SSLContext:
        found: ssl.SSLContext = usual(given, changes)
        found.check_hostname = False
        return found

    usual = put(tls, "_context", context)
    put(connection, "resolve_cert_reqs", lambda _given: ssl.CERT_NONE)


@defect("Q151", "No certificate is shown where mutual TLS was agreed", "mtls-05", "mtls-dcr")
def shows_nothing() -> None:
    def context(given: tls.Tls, changes: tuple[int, ...]) -> Any:
        return usual(replace(given, certificate="", key=""), changes)

    usual = put(tls, "_context", context)


@defect("Q160", "The keys are published by plain http", "smart-reg-04")
def plain_keys() -> None:
    put(key_publishing, "listening", lambda _context, socket: socket)


@defect("Q161", "The key set does not say for how long it may be kept", "smart-reg-05")
def never_told() -> None:
    put(key_publishing, "CACHE_CONTROL", "")


@defect("Q162", "The private key is published", "smart-reg-06")
def tells_all() -> None:
    put(key_publishing, "key_set", lambda private: {"keys": [keys.read_private(private)]})
