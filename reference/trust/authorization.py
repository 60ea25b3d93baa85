"""The token endpoint's decisions: who is asking, and what they get.

SMART Backend Services with `private_key_jwt`, UDAP with certificates for clients that registered
so, and `client_secret_basic` as the seed page has it.
A token may be bound to one member: by the assertion's `sub` (pdex-222 proposes the MemberId there,
SMART wants the client id, so both are taken) or by a `patient` form parameter.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from ..clock import Clock
from ..fhir.references import split_reference
from ..matches import Matches
from ..registration.clients import Client, ClientRegistry
from .assertions import AssertionRefused, ReplayStore, unverified_client_id, verify
from .attempts import FailedAttempts
from .mutual_tls import ClientCertificate
from .scopes import grant
from .signing import ASSERTION_TYPE
from .tokens import Grant, TokenStore
from .udap.authenticating import ExtensionRefused, UdapAuthentication
from .udap.tokens import MAX_TOKEN

_ONCE = ("grant_type", "scope", "client_assertion_type", "client_assertion", "client_id", "patient",
         "udap")  # fmt: skip
# With one of these a request does not rest on the connection's certificate.
_OTHER_PROOFS = frozenset({"client_assertion", "client_assertion_type", "client_secret"})


@dataclass
class OAuthError(Exception):
    """A refusal of the token endpoint (RFC 6749, 5.2); `reason` is for the audit record only."""

    status: int
    error: str
    description: str
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class AuthorizationServer:
    """Decides on token requests and on tokens."""

    token_url: str
    clients: ClientRegistry
    tokens: TokenStore
    replay: ReplayStore
    matches: Matches
    clock: Clock
    published: Callable[[str, str], Mapping[str, Any]]
    failed: FailedAttempts
    udap: UdapAuthentication | None = None

    def token(
        self,
        form: Mapping[str, list[str]],
        basic: str | None,
        certificate: ClientCertificate | None = None,
    ) -> tuple[dict[str, Any], str]:
        """The token answer and the client it is for; raises OAuthError otherwise.

        `form` has every value of every field, `basic` the Authorization header if there is one. A
        token that is asked for over mutual TLS is bound to that certificate (RFC 8705, 3).
        """
        for name in _ONCE:
            if len(form.get(name, [])) > 1:
                raise OAuthError(400, "invalid_request", f"Send {name} once.")
        _expect_grant_type(_one(form, "grant_type"))
        client, subject = self.authenticate(form, basic, certificate)
        asked = _one(form, "scope").split()
        if not asked:
            raise OAuthError(400, "invalid_scope", "Send the scopes you need in scope.")
        scopes = grant(asked, client.scopes)
        if not scopes:
            raise OAuthError(400, "invalid_scope", "None of these scopes is registered for you.")
        member = self.bound_member(client, subject, _one(form, "patient"))
        bound_to = certificate.thumbprint if certificate else ""
        token = self.tokens.issue(client.client_id, scopes, self.clock.now(), member, bound_to)
        answer: dict[str, Any] = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": self.tokens.lifetime_s,
            "scope": " ".join(scopes),
        }
        return ({**answer, "patient": member} if member else answer), client.client_id

    def authorize(
        self, header: str | None, certificate: ClientCertificate | None = None
    ) -> Grant | None:
        """What the Bearer token of an Authorization header allows, or None.

        One that is bound to a certificate allows nothing over a connection without it.
        """
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return None
        found = self.tokens.find(token.strip(), self.clock.now())
        if found and not self.is_bound_to(found, certificate):
            return None
        client = self.clients.find(found.client_id) if found else None
        return found if client and client.state == "approved" else None

    @staticmethod
    def is_bound_to(found: Grant, certificate: ClientCertificate | None) -> bool:
        """Whether a token may be used over a connection with this certificate, or with none."""
        return found.thumbprint in ("", certificate.thumbprint if certificate else None)

    def authenticate(
        self,
        form: Mapping[str, list[str]],
        basic: str | None,
        certificate: ClientCertificate | None = None,
    ) -> tuple[Client, str]:
        """The client that asks, and the subject of its assertion.

        Raises OAuthError: 401 for a stranger, and 429 with Retry-After for an id under which
        authentication failed too often, whoever it was.
        """
        claimed = _claimed(form, basic)
        wait = self.failed.wait_s(claimed, self.clock.now()) if claimed else 0.0
        if wait:
            raise OAuthError(429, "temporarily_unavailable",
                             "Authentication failed too often. Wait as long as Retry-After says.",
                             reason="too-many-failures",
                             headers={"Retry-After": str(max(1, math.ceil(wait)))})  # fmt: skip
        try:
            return self._authenticated(form, basic, certificate)
        except OAuthError as refused:
            if claimed and refused.error == "invalid_client":
                self.failed.add(claimed, self.clock.now())
            raise

    def _authenticated(
        self,
        form: Mapping[str, list[str]],
        basic: str | None,
        certificate: ClientCertificate | None,
    ) -> tuple[Client, str]:
        if basic:
            if "client_assertion" in form:
                raise OAuthError(400, "invalid_request", "Authenticate in one way only.")
            return self._by_secret(basic)
        if certificate and not form.keys() & _OTHER_PROOFS:
            return self.by_certificate(_one(form, "client_id"), certificate)
        if _one(form, "client_assertion_type") != ASSERTION_TYPE:
            raise OAuthError(
                400, "invalid_request", f"client_assertion_type must be {ASSERTION_TYPE}."
            )
        if self.is_udap(form):
            return self.by_udap(form)
        return self.by_assertion(_one(form, "client_assertion"), _one(form, "client_id"))

    def is_udap(self, form: Mapping[str, list[str]]) -> bool:
        """Whether a request is to be judged by UDAP: it says so, or its client registered so."""
        if self.udap is None:
            return False
        client = self.clients.find(_claimed(form, None))
        return "udap" in form or bool(client and client.udap_uri)

    def by_udap(self, form: Mapping[str, list[str]]) -> tuple[Client, str]:
        """The client of a UDAP authentication token, and its id; raises OAuthError otherwise."""
        assertion = _one(form, "client_assertion")
        try:
            claimed = unverified_client_id(assertion, MAX_TOKEN)
            client = self._approved(claimed)
            if self.udap is None or not client.udap_uri:
                raise AssertionRefused("client-not-udap")
            if _one(form, "client_id") not in ("", claimed):
                raise AssertionRefused("client-id-differs")
            self.udap.verify(assertion, client, self.clock.now())
        except AssertionRefused as refused:
            raise invalid_client(str(refused)) from refused
        except ExtensionRefused as refused:
            raise OAuthError(400, "invalid_request", str(refused), reason="extension") from refused
        # It tells the two kinds of token requests apart; no other endpoint knows it.
        if "grant_type" in form and _one(form, "udap") != "1":
            raise OAuthError(400, "invalid_request", "Send udap=1.", reason="udap-missing")
        return client, client.client_id

    def by_certificate(self, client_id: str, certificate: ClientCertificate) -> tuple[Client, str]:
        """The client of a verified certificate, named by client_id (RFC 8705, 2.1).

        Raises OAuthError unless the certificate holds the URI that the client registered.
        """
        try:
            client = self._approved(client_id)
        except AssertionRefused as refused:
            raise invalid_client(str(refused)) from refused
        if not client.tls_uri or client.tls_uri not in certificate.uris:
            raise invalid_client("certificate")
        return client, client.client_id

    def by_assertion(self, assertion: str, client_id: str) -> tuple[Client, str]:
        """The client and subject of a client assertion; raises OAuthError when it is refused."""
        try:
            claimed = unverified_client_id(assertion)
            client = self._approved(claimed)
            if client_id and client_id != claimed:
                raise AssertionRefused("client-id-differs")
            verified = verify(
                assertion,
                client,
                audience=self.token_url,
                now=self.clock.now(),
                replay=self.replay,
                published=self.published,
            )
        except AssertionRefused as refused:
            raise invalid_client(str(refused)) from refused
        return client, verified.subject

    def _by_secret(self, header: str) -> tuple[Client, str]:
        client_id, secret = _id_and_secret(header)
        try:
            client = self._approved(client_id)
        except AssertionRefused as refused:
            raise invalid_client(str(refused)) from refused
        now = self.clock.now()
        # Each is looked at, so that the time tells nothing.
        accepted = [s.accepts(secret, now) for s in client.secrets]
        if not any(accepted):
            raise invalid_client("secret")
        return client, client.client_id

    def _approved(self, client_id: str) -> Client:
        client = self.clients.find(client_id)
        if client is None:
            raise AssertionRefused("client-unknown")
        if client.state != "approved":
            raise AssertionRefused(f"client-{client.state}")
        if "client_credentials" not in client.grant_types:
            raise OAuthError(400, "unauthorized_client", "This grant is not registered for you.")
        return client

    def bound_member(self, client: Client, subject: str, patient: str) -> str | None:
        """The member a token is to be bound to, or None; raises OAuthError for one out of reach."""
        wanted = patient or (subject if subject != client.client_id else "")
        if not wanted:
            return None
        key = split_reference(wanted)
        ident = key[1] if key and key[0] == "Patient" else wanted
        for member, match in self.matches.of(client.client_id, self.clock.now()).items():
            if ident == member or wanted == match.value:
                return member
        # The same answer whether the member exists or not.
        raise invalid_client("member-not-matched")


def invalid_client(reason: str) -> OAuthError:
    """The one answer to every failed authentication, with a reason for the audit record."""
    return OAuthError(
        401, "invalid_client", "The client could not be authenticated.", reason=reason
    )


def _claimed(form: Mapping[str, list[str]], basic: str | None) -> str:
    """Who the caller says to be, before anything is checked; empty when it does not say."""
    if basic:
        return _id_and_secret(basic)[0]
    try:
        return unverified_client_id(_one(form, "client_assertion"), MAX_TOKEN)
    except AssertionRefused:
        return "" if "client_assertion" in form else _one(form, "client_id")


def _id_and_secret(header: str) -> tuple[str, str]:
    """The two halves of a Basic header (RFC 6749, 2.3.1); both empty when it is none."""
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        text = ""
    client_id, _, secret = (text if scheme.lower() == "basic" else "").partition(":")
    return unquote_plus(client_id), unquote_plus(secret)


def _expect_grant_type(grant_type: str) -> None:
    if not grant_type:
        raise OAuthError(400, "invalid_request", "Send grant_type=client_credentials.")
    if grant_type != "client_credentials":
        raise OAuthError(400, "unsupported_grant_type", "Only client_credentials is supported.")


def _one(form: Mapping[str, list[str]], name: str) -> str:
    return form.get(name, [""])[0]
