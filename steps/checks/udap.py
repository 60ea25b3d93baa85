"""Checks on UDAP metadata and registrations: the judge's own reading of them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ...reference.http import Exchange
from ..verdicts import CheckFailed

_YEAR_S = 366 * 86_400
_SKEW_S = 60
REGISTRATION_ERRORS = ("invalid_redirect_uri", "invalid_client_metadata",
                       "invalid_software_statement", "unapproved_software_statement",
                       "invalid_request")  # fmt: skip
_JWT_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "jti")


@dataclass(frozen=True, slots=True)
class SignedMetadata:
    """The parts of a signed metadata element, read and not yet believed."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def certificates(self) -> list[x509.Certificate]:
        """The certificates in x5c, leaf first; raises CheckFailed when they are none."""
        found = self.header.get("x5c")
        if not isinstance(found, list) or not found:
            raise _failed("The signed metadata carries no certificate.", "x5c with the leaf first",
                          "absent", "signed_metadata header.x5c")  # fmt: skip
        try:
            return [
                x509.load_der_x509_certificate(base64.b64decode(str(t), validate=True))
                for t in found
            ]
        except ValueError as error:
            raise _failed("An entry of x5c is no certificate.", "standard base64 of DER",
                          "another form", "signed_metadata header.x5c") from error  # fmt: skip


def signed_metadata(document: Mapping[str, Any]) -> SignedMetadata:
    """The signed metadata of a document; raises CheckFailed unless it is one compact JWS."""
    text = document.get("signed_metadata")
    parts = text.split(".") if isinstance(text, str) else []
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts[:2])
        signature = _decoded(parts[2])
    except (ValueError, IndexError) as error:
        raise _failed("The metadata is not signed.", "a compact JWS", "absent or another form",
                      "signed_metadata") from error  # fmt: skip
    if len(parts) != 3 or not isinstance(header, dict) or not isinstance(claims, dict):
        raise _failed("The metadata is not signed.", "a compact JWS", "another form",
                      "signed_metadata")  # fmt: skip
    return SignedMetadata(header, claims, ".".join(parts[:2]).encode(), signature)


def is_signed_by_its_certificate(found: SignedMetadata) -> None:
    """The signature is RS256 by the key of the first certificate."""
    if found.header.get("alg") != "RS256":
        raise _failed("The metadata is signed in another way.", "RS256",
                      str(found.header.get("alg")), "signed_metadata header.alg")  # fmt: skip
    key = found.certificates()[0].public_key()
    try:
        if not isinstance(key, rsa.RSAPublicKey):
            raise InvalidSignature
        key.verify(found.signature, found.signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature as error:
        raise _failed("The signature does not fit the certificate.", "a signature by x5c[0]",
                      "another", "signed_metadata") from error  # fmt: skip


def is_issued_by_base(found: SignedMetadata, base: str) -> None:
    """Issuer and subject are the FHIR base, which the certificate names, letter by letter."""
    for name in ("iss", "sub"):
        if found.claims.get(name) != base:
            raise _failed("The signed metadata is in another name.", "the FHIR base URL",
                          "another", f"signed_metadata {name}")  # fmt: skip
    if base not in _uris(found.certificates()[0]):
        raise _failed("The certificate is for another address.", "the FHIR base among its URIs",
                      "absent", "signed_metadata x5c[0]")  # fmt: skip


def is_in_its_time(found: SignedMetadata) -> None:
    """iat, exp and jti are there; it counts now, and for a year at most."""
    issued, expires, now = found.claims.get("iat"), found.claims.get("exp"), time.time()
    if not _is_integer(issued) or not _is_integer(expires):
        raise _failed("The signed metadata is not dated.", "iat and exp as whole numbers",
                      "absent or another", "signed_metadata iat, exp")  # fmt: skip
    assert issued is not None
    assert expires is not None
    for bad, expected, where in (
        (expires <= now, "an expiry to come", "exp"),
        (issued > now + _SKEW_S, "a date of issue that is past", "iat"),
        (expires - issued > _YEAR_S, "a year at most between iat and exp", "exp"),
        (not found.claims.get("jti"), "a jti", "jti"),
    ):
        if bad:
            raise _failed("The signed metadata is not of now.", expected, "not so",
                          f"signed_metadata {where}")  # fmt: skip


def repeats_endpoints(found: SignedMetadata, document: Mapping[str, Any]) -> None:
    """The signed endpoints are there and agree with those beside them."""
    names = ["token_endpoint", "registration_endpoint"]
    if "authorization_code" in document.get("grant_types_supported", []):
        names.append("authorization_endpoint")
    for name in names:
        if not found.claims.get(name):
            raise _failed("An endpoint is not signed.", name, "absent", f"signed_metadata {name}")
        if found.claims[name] != document.get(name):
            raise _failed("What is signed differs from what stands beside it.", "the same",
                          "another", name)  # fmt: skip


def leads_to_anchor(
    certificates: list[x509.Certificate], anchors: Iterable[x509.Certificate]
) -> None:
    """The first certificate leads, through those beside it, to a trust anchor."""
    path, left = [certificates[0]], certificates[1:]
    while True:
        if any(_is_issued(path[-1], anchor) for anchor in anchors):
            return
        above = next((c for c in left if _is_issued(path[-1], c)), None)
        if above is None:
            raise _failed("The certificate leads to no trust anchor.",
                          "a chain to an authority in trust_anchors", "none",
                          "signed_metadata x5c")  # fmt: skip
        path.append(above)
        left = [c for c in left if c is not above]


def is_subset(document: Mapping[str, Any], part: str, whole: str) -> None:
    """The list `whole` is there; `part` is too unless that is empty, and holds nothing else."""
    every, some = document.get(whole), document.get(part)
    if not isinstance(every, list):
        raise _failed("A list is missing.", whole, "absent", whole)
    if every and not isinstance(some, list):
        raise _failed("A list is missing.", part, "absent", part)
    strange = sorted(set(map(str, some or [])) - set(map(str, every)))
    if strange:
        raise _failed("More is required than is supported.", f"a part of {whole}",
                      ", ".join(strange), part)  # fmt: skip


def is_exactly(document: Mapping[str, Any], name: str, wanted: list[str]) -> None:
    """The list is this one."""
    if document.get(name) != wanted:
        raise _failed("A list is another one.", json.dumps(wanted), _shown(document.get(name)),
                      name)  # fmt: skip


def is_registration_error(exchange: Exchange, codes: Iterable[str]) -> None:
    """The registration is refused by 400 and one of the codes, in JSON (RFC 7591, 3.2.2)."""
    if exchange.status != 400:
        raise _failed("The registration was not refused as it must be.", "400",
                      str(exchange.status), "status")  # fmt: skip
    try:
        content = json.loads(exchange.body)
    except ValueError:
        content = None
    found = content.get("error") if isinstance(content, dict) else None
    wanted = list(codes)
    if found not in wanted:
        raise _failed("The refusal has another code.", " or ".join(wanted), str(found), "error")


def is_bare(content: Mapping[str, Any]) -> None:
    """The answer holds nothing that was not assigned, and no claim of the statement's JWT."""
    odd = sorted(k for k, v in content.items() if v in (None, "") or k in _JWT_CLAIMS)
    if odd:
        raise _failed("The answer holds more than was registered.", "assigned metadata alone",
                      ", ".join(odd), "body")  # fmt: skip


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return found.value.get_values_for_type(x509.UniformResourceIdentifier)


def _is_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    return "absent" if value is None else json.dumps(value)[:120]


def _failed(message: str, expected: str, actual: str, where: str) -> CheckFailed:
    return CheckFailed(message, expected, actual, where)
