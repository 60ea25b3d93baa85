"""What a payer says of its UDAP, as its client reads it: signed, or not to be believed.

UDAP Security, discovery: the client checks the signed metadata, its certificate included, and
stops when a check fails; what is signed wins over what is not (udap-disc-19, udap-disc-20).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from ...errors import TargetError
from .chains import ChainRefused, Trust, check_chain, uris_of
from .tokens import JwtRefused, check_times, verified

YEAR_S = 366 * 86_400.0
HL7_B2B = "hl7-b2b"
_NEEDED = ("udap_dcr", "udap_authn", "udap_authz")
_REASONS = {
    "certificate-expired": "its certificate has expired",
    "certificate-not-yet-valid": "its certificate is not valid yet",
    "certificate-revoked": "its certificate was revoked",
    "chain-untrusted": "its certificate leads to no authority in trust_anchors",
    "signature": "its signature does not fit its certificate",
    "exp-past": "it has expired",
    "exp-too-far": "it is good for more than a year",
}


@dataclass(frozen=True, slots=True)
class UdapServer:
    """The endpoints that the signed metadata vouches for, and what the server can do."""

    token_url: str
    registration_url: str
    document: Mapping[str, Any]
    """The metadata with the signed values in place of the plain ones."""

    def algorithms(self, purpose: str) -> list[str]:
        """The signing algorithms named for a purpose: token_endpoint_auth or registration."""
        names = {
            "token": "token_endpoint_auth_signing_alg_values_supported",
            "registration": "registration_endpoint_jwt_signing_alg_values_supported",
        }
        found = self.document.get(names[purpose])
        return [str(a) for a in found] if isinstance(found, list) else []


def read_metadata(
    document: Mapping[str, Any], fhir_base: str, trust: Trust, now: datetime
) -> UdapServer:
    """The server that the metadata of a FHIR base describes.

    Raises TargetError saying which check failed; then nothing in the document is to be used.
    """
    signed = document.get("signed_metadata")
    if not isinstance(signed, str):
        raise TargetError("The payer's UDAP metadata is not signed. Ask it for signed_metadata.")
    try:
        claims = _checked(signed, fhir_base, trust, now)
    except (JwtRefused, ChainRefused) as refused:
        reason = _REASONS.get(str(refused), f"the check {refused} failed")
        raise TargetError(
            f"The payer's signed UDAP metadata cannot be relied on: {reason}. Nothing was sent."
        ) from refused
    merged = {**document, **claims}
    _check_offer(merged)
    return UdapServer(_url(merged, "token_endpoint"), _url(merged, "registration_endpoint"), merged)


def _checked(signed: str, fhir_base: str, trust: Trust, now: datetime) -> Mapping[str, Any]:
    found = verified(signed)
    check_chain(found.chain, trust, now)
    claims = found.claims
    if claims.get("iss") != fhir_base:
        raise JwtRefused("iss-is-the-base")
    if fhir_base not in uris_of(found.chain[0]):
        raise JwtRefused("iss-in-certificate")
    if claims.get("sub") != claims["iss"]:
        raise JwtRefused("sub-is-iss")
    check_times(claims, now, YEAR_S)
    return claims


def _check_offer(document: Mapping[str, Any]) -> None:
    """That what an exchange needs is offered; an empty or absent list offers nothing."""
    profiles = document.get("udap_profiles_supported")
    lacking = [p for p in _NEEDED if p not in (profiles if isinstance(profiles, list) else [])]
    if lacking:
        raise TargetError(f"The payer's UDAP does not offer {', '.join(lacking)}.")
    required = document.get("udap_authorization_extensions_required") or []
    unknown = [e for e in required if e != HL7_B2B] if isinstance(required, list) else []
    if unknown:
        raise TargetError(f"The payer's UDAP requires the extension {unknown[0]}, not known here.")


def _url(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str) or not urlsplit(found).netloc:
        raise TargetError(f"The payer's signed UDAP metadata names no {name}.")
    return found
