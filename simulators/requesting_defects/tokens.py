"""Defects of token requests, and of what a token is used for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin

from jwt.utils import base64url_decode, base64url_encode

from ...reference import target
from ...reference.errors import TargetError
from ...reference.fhir import json, media
from ...reference.http import Exchange
from ...reference.target import Target
from ...reference.trust import keys
from .registry import defect, header, is_kick_off, is_poll, put, sending


def _form(
    ident: str, summary: str, *violates: str, also: tuple[str, ...] = (), **fields: str | None
) -> None:
    """Token requests with other fields; None takes one out."""

    def change(sent: Exchange) -> None:
        if b"client_assertion=" in sent.request_body:
            form = dict(parse_qsl(sent.request_body.decode(), keep_blank_values=True))
            kept = {**form, **fields}
            sent.request_body = urlencode({k: v for k, v in kept.items() if v is not None}).encode()

    defect(ident, summary, *violates, also=also)(lambda: sending(change))


header("Q01", "A token is asked for with JSON said to be in the body",
        lambda sent: b"client_assertion=" in sent.request_body, "Content-Type", media.JSON,
        "smart-tok-01")  # fmt: skip
_form(
    "Q02",
    "A token is asked for by password",
    "smart-tok-02",
    "pdex-142",
    grant_type="password",
    also=("udap-tok-01",),
)
_form(
    "Q03", "A token is asked for without a scope", "smart-tok-03", scope=None, also=("udap-tok-01",)
)
_form("Q04", "A token is asked for with the scopes of a user", "scope-05", scope="user/*.rs")
_form("Q05", "The assertion is said to be of SAML", "smart-tok-04",
      client_assertion_type="urn:ietf:params:oauth:client-assertion-type:saml2-bearer")  # fmt: skip


def _assertion(
    ident: str, summary: str, *violates: str, also: tuple[str, ...] = (), **changes: Any
) -> None:
    """Assertions with other claims or headers."""

    def install() -> None:
        def assertion(client: str, url: str, jwk: Mapping[str, Any], now: Any, **given: Any) -> str:
            claims = {**(given.pop("claims", None) or {}), **changes.get("claims", {})}
            later = {"exp": int(now.timestamp()) + 3600} if changes.get("late") else {}
            headers = {**(given.pop("headers", None) or {}), **changes.get("headers", {})}
            key = {**keys.generate(), "kid": jwk["kid"]} if changes.get("other_key") else jwk
            return str(strict(client, url, key, now, claims={**claims, **later}, headers=headers))

        strict = put(target, "client_assertion", assertion)

    defect(ident, summary, *violates, also=also)(install)


_assertion("Q06", "The assertion is signed by another key", "smart-tok-05", "pdex-142",
           other_key=True, also=("smart-jwt-14",))  # fmt: skip
_assertion("Q07", "The assertion names another key", "smart-jwt-02", headers={"kid": "another"})
_assertion("Q08", "The assertion says that it is an access token", "smart-jwt-03",
           headers={"typ": "at+jwt"})  # fmt: skip
_assertion("Q09", "The assertion is for another server", "smart-jwt-07", "smart-jwt-08",
           claims={"aud": "https://another.example/token"})  # fmt: skip
_assertion("Q25", "The assertion is by somebody else", "smart-jwt-07", "smart-jwt-08",
           claims={"iss": "another-client"})  # fmt: skip
_assertion("Q10", "The assertion is good for an hour", "smart-jwt-09", late=True)
_assertion("Q11", "Every assertion has the same jti", "smart-jwt-10", "smart-jwt-16",
           claims={"jti": "always-the-same"})  # fmt: skip


@defect("Q12", "The assertion says an algorithm that is not offered", "smart-jwt-01",
         also=("smart-jwt-14", "smart-tok-05", "pdex-142"))  # fmt: skip
def other_algorithm() -> None:
    def assertion(*given: Any, **options: Any) -> str:
        header, claims, signature = strict(*given, **options).split(".")
        head = {**json.read(base64url_decode(header)), "alg": "ES256"}
        return f"{base64url_encode(json.write(head)).decode()}.{claims}.{signature}"

    strict = put(target, "client_assertion", assertion)


@defect("Q13", "The token endpoint is known beforehand", "smart-disc-14")
def hard_coded() -> None:
    told = os.environ.get("PAYER_EXCHANGE_TOKEN_ENDPOINT", "")
    put(Target, "token_url", lambda _self: told)


@defect("Q14", "A relative token endpoint is resolved from the folder above", "smart-disc-04")
def wrong_folder() -> None:
    def token_url(self: Target) -> str:
        found = self.read_json(self.smart_configuration())["token_endpoint"]
        return urljoin(self.fhir_base, str(found))

    put(Target, "token_url", token_url)


@defect("Q15", "A token answer with more in it is refused", "smart-rsp-11")
def strict_token_answer() -> None:
    def request_token(self: Target, *given: Any, **options: Any) -> Exchange:
        found: Exchange = strict(self, *given, **options)
        if b"id_token" in found.body:
            raise TargetError("The token answer holds something unknown.")
        return found

    strict = put(Target, "request_token", request_token)


@defect("Q16", "A token is used until the end, and beyond", "smart-rsp-12",
         also=("smart-jwt-10", "smart-jwt-16"))  # fmt: skip
def never_renewed() -> None:
    kept: dict[str, Any] = {}

    def token(self: Target, scope: str, **options: Any) -> Any:
        if scope not in kept:
            kept[scope] = strict(self, scope, **options)
        return kept[scope]

    strict = put(Target, "token", token)


@defect(
    "Q17", "A poll carries its token under another scheme", "smart-use-01", also=("bulk-status-12",)
)
def other_scheme() -> None:
    done: list[str] = []

    def change(sent: Exchange) -> None:
        if is_poll(sent) and not done:
            done.append(sent.url)
            token = sent.request_headers.get("Authorization", "").removeprefix("Bearer ")
            sent.request_headers["Authorization"] = f"Token {token}"

    sending(change)


@defect("Q18", "The token stands in the address of the kick-off", "http-09")
def token_in_address() -> None:
    def change(sent: Exchange) -> None:
        if is_kick_off(sent):
            token = sent.request_headers["Authorization"].removeprefix("Bearer ")
            sent.url += f"?access_token={token}"

    sending(change)


@defect("Q19", "Another scope than was asked for is refused", "scope-11", "udap-scope-04")
def strict_scope() -> None:
    def request_token(self: Target, form: Any, headers: Any = None) -> Exchange:
        found: Exchange = strict(self, form, headers)
        granted = self.read_json(found).get("scope") if found.status == 200 else form["scope"]
        if granted != form["scope"]:
            raise TargetError("Another scope was granted than was asked for.")
        return found

    strict = put(Target, "request_token", request_token)


_form("Q24", "The token for data is the payer's own, not the member's", "pdex-201", "pdex-222",
     patient=None)  # fmt: skip
