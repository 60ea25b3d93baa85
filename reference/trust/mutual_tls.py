"""Mutual TLS at the responding payer: whose certificate it is, and tokens that are bound to it.

RFC 8705 with HRex's narrowing: certificates come from an authority, never from their holder, and
the holder is named by a URI in the certificate (HRex sec-13 to sec-16). Whether the chain is good
the listener has found out before anything here is asked.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

METHOD = "tls_client_auth"
OFF, OPTIONAL, REQUIRED = "", "optional", "required"
MODES = (OFF, OPTIONAL, REQUIRED)


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What a connection's client certificate says: its digest, and its holder's URIs."""

    thumbprint: str
    """SHA-256 of the DER in base64url, as `x5t#S256` has it."""
    uris: tuple[str, ...]


@lru_cache(maxsize=1024)
def client_certificate(pem: str) -> ClientCertificate:
    """A certificate that the listener has verified; raises ValueError for text that is none."""
    found = x509.load_pem_x509_certificate(pem.encode())
    return ClientCertificate(thumbprint(found.public_bytes(Encoding.DER)), uris_of(found))


def uris_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """The URIs among the subject alternative names."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(names.get_values_for_type(x509.UniformResourceIdentifier))


def thumbprint(der: bytes) -> str:
    """The digest of a certificate as a confirmation claim carries it (RFC 8705, 3.1)."""
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def confirmation(bound_to: str) -> Mapping[str, str]:
    """The `cnf` of a token that is bound to a certificate."""
    return {"x5t#S256": bound_to}
