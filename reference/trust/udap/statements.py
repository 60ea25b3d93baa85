"""Whether a software statement is a client's own, fresh, and asks for what may be had.

UDAP Security, registration 3.1 and 3.2.3: signature and certificate, the client URI among the
certificate's names, times, and the client's metadata.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ..assertions import ReplayStore
from ..scopes import grant
from .authority import Community, UdapSettings
from .chains import ChainRefused, check_chain, uris_of
from .tokens import SKEW_S, JwtRefused, SignedClaims, check_short_lived, verified

INVALID, UNAPPROVED, METADATA = (
    "invalid_software_statement", "unapproved_software_statement", "invalid_client_metadata",
)  # fmt: skip
_MAX_URI = 1024
_MAX_NAME = 512


@dataclass
class RegistrationRefused(Exception):
    """The registration is refused with an error of RFC 7591; `reason` is for the audit record."""

    error: str
    description: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A good software statement: who asks in which community, and for what."""

    uri: str
    community: Community
    claims: Mapping[str, Any]
    scopes: tuple[str, ...]
    """What is both asked for and offered; empty for a cancellation."""

    @property
    def is_cancellation(self) -> bool:
        """Whether it names no grant types at all (udap-reg-24)."""
        return self.claims.get("grant_types") == []


class Statements:
    """Reads software statements; each is good for one use."""

    def __init__(self, settings: UdapSettings, replay: ReplayStore) -> None:
        self._settings = settings
        self._replay = replay
        self.checks: list[Callable[[SignedClaims, datetime], None]] = [
            _check_issuer, self._check_freshness,
        ]  # fmt: skip

    def read(self, text: str, now: datetime) -> Statement:
        """The statement; raises RegistrationRefused with the error that fits."""
        try:
            found = self.signed(text)
            for check in self.checks:
                check(found, now)
        except JwtRefused as refused:
            raise _invalid(str(refused)) from refused
        community = self.community_of(found, now)
        claims = found.claims
        uri = str(claims["iss"])
        if claims.get("grant_types") != []:
            _check_client(claims)
        scopes = self._scopes(claims)
        self._use_once(claims, uri, now)
        return Statement(uri, community, claims, scopes)

    def signed(self, text: str) -> SignedClaims:
        """The claims of a statement whose signature holds; raises JwtRefused."""
        return verified(text)

    def community_of(self, found: SignedClaims, now: datetime) -> Community:
        """The first community that vouches for the certificate; raises RegistrationRefused."""
        reason = ""
        for community in self._settings.communities:
            try:
                check_chain(found.chain, community.trust, now)
            except ChainRefused as refused:
                # The reason of the community that the certificate comes nearest to.
                reason = reason if reason and str(refused) == "chain-untrusted" else str(refused)
            else:
                return community
        raise RegistrationRefused(
            UNAPPROVED, "No trust community of this payer vouches for the certificate.", reason
        )

    def _check_freshness(self, found: SignedClaims, now: datetime) -> None:
        check_short_lived(found.claims, self._settings.registration_url, now)

    def _scopes(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        if claims.get("grant_types") == []:
            return ()
        asked = claims.get("scope")
        if not isinstance(asked, str) or not asked.split():
            raise _metadata("Name the scopes you need in scope.", "scope")
        found = tuple(grant(asked.split(), self._settings.scopes))
        if not found:
            raise _metadata("None of these scopes is offered.", "scope")
        return found

    def _use_once(self, claims: Mapping[str, Any], uri: str, now: datetime) -> None:
        until = float(claims["exp"]) + SKEW_S
        # Apart from the ids of access: a statement and an assertion may share one.
        if not self._replay.use(f"statement {uri}", claims["jti"], until, now.timestamp()):
            raise _invalid("jti-replayed")


def _check_issuer(found: SignedClaims, _now: datetime) -> None:
    """The client URI is one of the certificate's, letter by letter (udap-reg-01, udap-reg-02)."""
    issuer = found.claims.get("iss")
    if not isinstance(issuer, str) or not 0 < len(issuer) <= _MAX_URI:
        raise JwtRefused("iss")
    if issuer not in uris_of(found.chain[0]):
        raise JwtRefused("iss-in-certificate")
    if found.claims.get("sub") != issuer:
        raise JwtRefused("sub-is-iss")


def _check_client(claims: Mapping[str, Any]) -> None:
    """The client's metadata for client credentials (udap-reg-06 to 10)."""
    name = claims.get("client_name")
    for bad, text, reason in (
        (not isinstance(name, str) or not 0 < len(name.strip()) <= _MAX_NAME,
         "Name the client in client_name.", "client_name"),
        (not _are_contacts(claims.get("contacts")),
         "contacts must be a list of URIs with a mailto: among them.", "contacts"),
        (claims.get("grant_types") != ["client_credentials"],
         "grant_types must be client_credentials alone.", "grant_types"),
        (claims.get("token_endpoint_auth_method") != "private_key_jwt",
         "token_endpoint_auth_method must be private_key_jwt.", "token_endpoint_auth_method"),
        ("redirect_uris" in claims or "response_types" in claims,
         "redirect_uris and response_types are not for client_credentials.", "redirect_uris"),
    ):  # fmt: skip
        if bad:
            raise _metadata(text, reason)


def _are_contacts(value: Any) -> bool:
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        return False
    return all(_scheme(v) for v in value) and any(_scheme(v) == "mailto" for v in value)


def _scheme(text: str) -> str:
    try:
        return urlsplit(text).scheme
    except ValueError:
        return ""


def _invalid(reason: str) -> RegistrationRefused:
    return RegistrationRefused(
        INVALID, "The software statement is not signed, named, addressed or dated as it must be.",
        reason,
    )  # fmt: skip


def _metadata(text: str, reason: str) -> RegistrationRefused:
    return RegistrationRefused(METADATA, text, reason)
