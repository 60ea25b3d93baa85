"""UDAP of the played payer: metadata that it signs, well or badly, and the registration of clients.

UDAP Security: a client checks the signed metadata, the certificate and its revocation included, and
stops when a check fails (udap-disc-20). What is registered is judged afterwards; here it is taken.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt

from ...reference.clock import SystemClock
from ...reference.trust import pki
from ...reference.trust.pki import Issued, TestAuthority

CLIENT_URI = "https://asking-payer.example.org/udap"
COMMUNITY = "urn:payer-exchange:played-community"
GOOD, ABSENT, NOTHING_OFFERED = "good", "absent", "nothing-offered"
ELSEWHERE = "https://another.example/r4"
_ALGORITHMS = ["RS256", "ES256", "RS384", "ES384"]
_DAY = timedelta(days=1)
_DAY_S = 86_400
Claims = dict[str, Any]


@dataclass(slots=True)
class Community:
    """A community of a run: its authority, one outside it, and the client's certificate."""

    authority: TestAuthority
    stranger: TestAuthority
    client: Issued

    @classmethod
    def create(cls) -> Community:
        """A new one; its members trust the root of its authority."""
        clock = SystemClock()
        authority = TestAuthority.create(clock, name="played community", intermediate=True)
        stranger = TestAuthority.create(clock, name="another community")
        return cls(authority, stranger, authority.issue(uris=[CLIENT_URI], key="RSA"))

    def write(self, folder: Path) -> dict[str, str]:
        """Write what the client needs, and name the files as a trigger is told them."""
        files = {
            "CERTIFICATE": ("udap-client.pem", self.client.chain_pem()),
            "KEY": ("udap-client.key.pem", self.client.key_pem()),
            "ANCHORS": ("udap-anchors.pem", self.authority.anchor_pem()),
            "REVOCATION_LIST": ("udap-crl.pem", self.authority.crl_pem()),
        }
        for name, content in files.values():
            (folder / name).touch(mode=0o600)
            (folder / name).write_bytes(content)
        told = {f"UDAP_{name}": str(folder / file) for name, (file, _) in files.items()}
        return {**told, "UDAP_CLIENT_URI": CLIENT_URI, "UDAP_COMMUNITY": COMMUNITY}


class PlayedUdap:
    """What the played payer says of itself in one exchange, with the flaw of the script."""

    def __init__(self, community: Community, flaw: str, base: str, token_url: str) -> None:
        self._community, self._flaw = community, flaw
        self._base, self._token_url = base, token_url
        self.path = f"/{secrets.token_hex(6)}"
        self.client_id = f"udap-{secrets.token_hex(6)}"
        self._issued = community.authority.issue(uris=[base], key="RSA")
        if flaw == "revoked-certificate":
            community.authority.revoke(self._issued)

    @property
    def is_offered(self) -> bool:
        """Whether there is UDAP at all."""
        return self._flaw != ABSENT

    def document(self, registration_url: str) -> dict[str, Any]:
        """The metadata at `.well-known/udap`."""
        endpoints = {"token_endpoint": self._token_url, "registration_endpoint": registration_url}
        plain = {name: f"{url}-unsigned" for name, url in endpoints.items()}
        offered = [] if self._flaw == NOTHING_OFFERED else ["udap_dcr", "udap_authn", "udap_authz"]
        found = {
            "udap_versions_supported": ["1"],
            "udap_profiles_supported": offered,
            "udap_authorization_extensions_supported": ["hl7-b2b"],
            "udap_authorization_extensions_required": ["hl7-b2b"],
            "udap_certifications_supported": [],
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": ["system/*.rs"],
            **(plain if self._flaw == "endpoints-differ" else endpoints),
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": _ALGORITHMS,
            "registration_endpoint_jwt_signing_alg_values_supported": _ALGORITHMS,
        }
        if self._flaw == "unsigned":
            return found
        return {**found, "signed_metadata": self._signed(endpoints)}

    def _signed(self, endpoints: Mapping[str, str]) -> str:
        now = int(time.time())
        claims: Claims = {"iss": self._base, "sub": self._base, "iat": now, "exp": now + _DAY_S,
                          "jti": uuid.uuid4().hex, **endpoints}  # fmt: skip
        change = _CLAIMS.get(self._flaw)
        make = _CERTIFICATES.get(self._flaw)
        issued = make(self._issued, self._community, self._base) if make else self._issued
        return jwt.encode(change(claims) if change else claims, issued.key, algorithm="RS256",
                          headers={"x5c": issued.x5c()})  # fmt: skip


_CLAIMS: dict[str, Callable[[Claims], Claims]] = {
    "other-issuer": lambda c: {**c, "iss": ELSEWHERE, "sub": ELSEWHERE},
    "other-subject": lambda c: {**c, "sub": ELSEWHERE},
    "expired-metadata": lambda c: {**c, "iat": c["iat"] - 2 * _DAY_S, "exp": c["iat"] - _DAY_S},
    "long-lived-metadata": lambda c: {**c, "exp": c["iat"] + 500 * _DAY_S},
    "no-jti": lambda c: {name: value for name, value in c.items() if name != "jti"},
}
_CERTIFICATES: dict[str, Callable[[Issued, Community, str], Issued]] = {
    "another-key": lambda own, _c, _b: replace(own, key=pki.make_key("RSA")),
    "unknown-authority": lambda own, c, b: c.stranger.issue(uris=[b], key=own.key),
    "expired-certificate": lambda own, c, b: c.authority.issue(
        uris=[b], key=own.key, starts=-2 * _DAY, lasts=_DAY),
    "other-name": lambda own, c, _b: c.authority.issue(uris=[ELSEWHERE], key=own.key),
}  # fmt: skip
# What a client has to notice in metadata before it uses anything of it.
FLAWS = (*_CLAIMS, *_CERTIFICATES, "revoked-certificate", "unsigned")
