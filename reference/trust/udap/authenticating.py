"""The responding side of a UDAP token request: is this the registered client, and for whom?

UDAP Security, B2B 5.2: an authentication token signed by the certificate that is registered, or by
a renewed one of the same URI and community, with the B2B authorization extension in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ...registration.clients import Client
from ..assertions import AssertionRefused, ReplayStore
from .authority import UdapSettings
from .chains import ChainRefused, check_chain, uris_of
from .metadata import HL7_B2B
from .tokens import SKEW_S, JwtRefused, SignedClaims, check_short_lived, verified


class ExtensionRefused(Exception):
    """The client is who it says, and its B2B extension is not as it must be."""


Check = Callable[[SignedClaims, Client, datetime], None]


class UdapAuthentication:
    """Checks authentication tokens of clients that registered by UDAP."""

    def __init__(self, settings: UdapSettings, token_url: str, replay: ReplayStore) -> None:
        self._settings = settings
        self._token_url = token_url
        self._replay = replay
        self.checks: list[Check] = [
            self.check_certificate, self.check_issuer, self.check_freshness,
        ]  # fmt: skip

    def verify(self, assertion: str, client: Client, now: datetime) -> Mapping[str, Any]:
        """The claims of a good authentication token.

        Raises AssertionRefused with a stable reason, or ExtensionRefused.
        """
        try:
            found = self.signed(assertion)
            for check in self.checks:
                check(found, client, now)
        except (JwtRefused, ChainRefused) as refused:
            raise AssertionRefused(str(refused)) from refused
        self.use_once(found, client, now)
        self.check_extension(found.claims)
        return found.claims

    def signed(self, assertion: str) -> SignedClaims:
        """The claims of an assertion whose signature holds; raises JwtRefused."""
        return verified(assertion)

    def check_certificate(self, found: SignedClaims, client: Client, now: datetime) -> None:
        """That the client's own community vouches for the certificate, and it names the client."""
        community = self._settings.community(client.community)
        if community is None:
            raise ChainRefused("community-left")
        check_chain(found.chain, community.trust, now)
        if client.udap_uri not in uris_of(found.chain[0]):
            raise ChainRefused("client-in-certificate")

    def check_issuer(self, found: SignedClaims, client: Client, _now: datetime) -> None:
        """That issuer and subject are the client id (udap-tok-03)."""
        if found.claims.get("iss") != client.client_id:
            raise JwtRefused("iss")
        if found.claims.get("sub") != client.client_id:
            raise JwtRefused("sub-is-iss")

    def check_freshness(self, found: SignedClaims, _client: Client, now: datetime) -> None:
        """That it is meant for this token endpoint, now (udap-tok-04)."""
        check_short_lived(found.claims, self._token_url, now)

    def use_once(self, found: SignedClaims, client: Client, now: datetime) -> None:
        """That its `jti` was not used by this client before; raises AssertionRefused."""
        until = float(found.claims["exp"]) + SKEW_S
        if not self._replay.use(client.client_id, found.claims["jti"], until, now.timestamp()):
            raise AssertionRefused("jti-replayed")

    def check_extension(self, claims: Mapping[str, Any]) -> None:
        """That `hl7-b2b` is there and well formed (udap-b2b-01 to 06); raises ExtensionRefused."""
        extensions = claims.get("extensions")
        found = extensions.get(HL7_B2B) if isinstance(extensions, Mapping) else None
        if not isinstance(found, Mapping):
            raise ExtensionRefused(f"Send the extension {HL7_B2B} in the authentication token.")
        for bad, text in (
            (found.get("version") != "1", 'version must be "1"'),
            (not _is_uri(found.get("organization_id")), "organization_id must be a URI"),
            (not _are_texts(found.get("purpose_of_use")),
             "purpose_of_use must be a list of texts, not empty"),
            ("subject_id" in found and not found.get("subject_name"),
             "subject_id needs subject_name"),
            ("subject_role" in found and not found.get("subject_name"),
             "subject_role needs subject_name"),
            ("consent_reference" in found and not found.get("consent_policy"),
             "consent_reference needs consent_policy"),
            (not _are_urls(found.get("consent_reference", [])),
             "consent_reference must be a list of absolute URLs"),
        ):  # fmt: skip
            if bad:
                raise ExtensionRefused(f"In {HL7_B2B}, {text}.")


def _is_uri(value: Any) -> bool:
    try:
        parts = urlsplit(value) if isinstance(value, str) else None
    except ValueError:
        return False
    return bool(parts and parts.scheme and (parts.netloc or parts.path))


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(
        isinstance(v, str) and v.strip() for v in value
    )  # fmt: skip


def _are_urls(value: Any) -> bool:
    return isinstance(value, list) and all(_is_uri(v) and urlsplit(v).netloc for v in value)
