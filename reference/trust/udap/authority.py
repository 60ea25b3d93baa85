"""What a responding payer says of its UDAP, signed anew for each community and each asker."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ...parties import PayerIdentity
from ..pki import Issued
from .chains import Trust
from .metadata import HL7_B2B
from .tokens import ALGORITHMS, sign

# The guide allows a year; what was signed a day ago need not be believed.
METADATA_LIFETIME_S = 86_400


@dataclass(frozen=True, slots=True)
class Community:
    """One trust community: its URI, whom it vouches for, and this payer's certificate in it."""

    uri: str
    trust: Trust
    issued: Issued = field(repr=False)
    """The certificate has the FHIR base among its URIs."""


@dataclass(frozen=True, slots=True)
class UdapSettings:
    """UDAP at a responding payer."""

    communities: tuple[Community, ...]
    """The first is meant when a client names none."""
    registration_url: str
    """The registration endpoint that others see: the audience of software statements."""
    scopes: tuple[str, ...]
    """What clients may register for: all of it is advertised, wildcards too."""
    organizations: Mapping[str, PayerIdentity] = field(default_factory=dict)
    """Which payer a client URI belongs to, as consents name it. Others are known by their URI."""

    def community(self, uri: str = "") -> Community | None:
        """The community of that URI, the first without one, or None for one that is unknown."""
        if not uri:
            return self.communities[0]
        return next((c for c in self.communities if c.uri == uri), None)


def udap_metadata(
    settings: UdapSettings, community: Community, fhir_base: str, token_url: str, now: datetime
) -> dict[str, Any]:
    """The document at `.well-known/udap` for a community (UDAP Security, 2.2 and 2.3)."""
    endpoints = {"token_endpoint": token_url, "registration_endpoint": settings.registration_url}
    issued = int(now.timestamp())
    expires = issued + METADATA_LIFETIME_S
    claims = {"iss": fhir_base, "sub": fhir_base, "iat": issued, "exp": expires,
              "jti": uuid.uuid4().hex, **endpoints}  # fmt: skip
    return {
        "udap_versions_supported": ["1"],
        "udap_profiles_supported": ["udap_dcr", "udap_authn", "udap_authz"],
        "udap_authorization_extensions_supported": [HL7_B2B],
        "udap_authorization_extensions_required": [HL7_B2B],
        "udap_certifications_supported": [],
        "grant_types_supported": ["client_credentials"],
        "scopes_supported": list(settings.scopes),
        **endpoints,
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "registration_endpoint_jwt_signing_alg_values_supported": list(ALGORITHMS),
        "signed_metadata": sign(claims, community.issued, algorithm="RS256"),
    }
