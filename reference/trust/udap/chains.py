"""Whether a certificate may be relied on: a path to a trust anchor, dates, rights, revocation.

UDAP Security, general requirements: whoever reads a UDAP JWT builds the path from the certificate
in `x5c` to an anchor it trusts, and looks at expiry and revocation (udap-jwt-08). Name constraints
and other critical extensions that are not understood here refuse a certificate, as RFC 5280 asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from ...errors import SettingsError

# Longer paths than any real hierarchy has; a search among many certificates stops there.
_MAX_PATH = 6
_MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
# The clocks of whoever signs certificates and of whoever reads them.
_SKEW = timedelta(seconds=60)
_UNDERSTOOD = frozenset({
    ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE, ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
})  # fmt: skip
_BROKEN_DIGESTS = frozenset({"md5", "sha1"})
# What a path that ends badly is told by, when several do.
_NO_PATH = "chain-untrusted"


class ChainRefused(Exception):
    """The certificate is not to be relied on; `str()` is a stable reason, for the audit record."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom a payer trusts in one community, and what these authorities have revoked."""

    anchors: tuple[x509.Certificate, ...]
    intermediates: tuple[x509.Certificate, ...] = ()
    """Authorities below the anchors that a sender may leave out."""
    revocation_lists: tuple[x509.CertificateRevocationList, ...] = ()
    """The lists that were fetched. An authority without one here is not asked about revocation."""


def read_trust(anchors: Path, revocation_lists: Iterable[Path] = ()) -> Trust:
    """Trust from PEM files; raises SettingsError naming the one that cannot be read."""
    found, path = [], anchors
    try:
        certificates = x509.load_pem_x509_certificates(anchors.read_bytes())
        for path in revocation_lists:
            found.append(x509.load_pem_x509_crl(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"{path} cannot be read. It has to hold certificates, or a revocation list, in PEM."
        ) from error
    return Trust(tuple(certificates), revocation_lists=tuple(found))


def check_chain(chain: Iterable[x509.Certificate], trust: Trust, now: datetime) -> None:
    """Return when the first certificate may be relied on; raises ChainRefused with the reason.

    The order of the others does not count, and they are trusted for nothing by being there.
    """
    leaf, *sent = chain
    _check_leaf(leaf)
    reason = _NO_PATH
    for path in _paths(leaf, (*sent, *trust.intermediates), trust.anchors):
        try:
            _check_path(path, trust, now)
        except ChainRefused as refused:
            reason = str(refused)
        else:
            return
    raise ChainRefused(reason)


def uris_of(certificate: x509.Certificate) -> list[str]:
    """The URIs among a certificate's subject alternative names, in their order."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return []
    return names.value.get_values_for_type(x509.UniformResourceIdentifier)


def _paths(
    leaf: x509.Certificate, between: tuple[x509.Certificate, ...],
    anchors: tuple[x509.Certificate, ...],
) -> Iterator[tuple[x509.Certificate, ...]]:  # fmt: skip
    """Every path from the leaf to an anchor along signatures that hold, the leaf first."""
    begun: list[tuple[x509.Certificate, ...]] = [(leaf,)]
    while begun:
        path = begun.pop()
        for anchor in anchors:
            if anchor not in path and _issued(path[-1], anchor):
                yield (*path, anchor)
        if len(path) < _MAX_PATH:
            begun += [(*path, c) for c in between if c not in path and _issued(path[-1], c)]


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _check_path(path: tuple[x509.Certificate, ...], trust: Trust, now: datetime) -> None:
    for certificate in path:
        _check_dates(certificate, now)
        _check_extensions(certificate)
        _check_key(certificate)
    for below, issuer in enumerate(path[1:]):
        _check_authority(issuer, below)
        _check_revocation(path[below], issuer, trust, now)


def _check_leaf(leaf: x509.Certificate) -> None:
    try:
        usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    except ValueError as error:
        raise ChainRefused("certificate-malformed") from error
    if not usage.digital_signature:
        raise ChainRefused("certificate-may-not-sign")


def _check_dates(certificate: x509.Certificate, now: datetime) -> None:
    if certificate.not_valid_after_utc < now:
        raise ChainRefused("certificate-expired")
    if certificate.not_valid_before_utc > now + _SKEW:
        raise ChainRefused("certificate-not-yet-valid")


def _check_extensions(certificate: x509.Certificate) -> None:
    try:
        extensions = list(certificate.extensions)
    except ValueError as error:
        raise ChainRefused("certificate-malformed") from error
    if any(e.critical and e.oid not in _UNDERSTOOD for e in extensions):
        raise ChainRefused("certificate-critical-extension")


def _check_key(certificate: x509.Certificate) -> None:
    key, digest = certificate.public_key(), certificate.signature_hash_algorithm
    if isinstance(key, rsa.RSAPublicKey):
        strong = key.key_size >= _MIN_RSA_BITS
    else:
        strong = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
    if not strong:
        raise ChainRefused("certificate-weak-key")
    if digest is not None and digest.name in _BROKEN_DIGESTS:
        raise ChainRefused("certificate-weak-digest")


def _check_authority(certificate: x509.Certificate, below: int) -> None:
    """That it may issue, with so many authorities below it (RFC 5280, 4.2.1.9)."""
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound as error:
        raise ChainRefused("issuer-no-authority") from error
    if not basic.ca or (basic.path_length is not None and below > basic.path_length):
        raise ChainRefused("issuer-no-authority")
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise ChainRefused("issuer-no-authority")


def _check_revocation(
    certificate: x509.Certificate, issuer: x509.Certificate, trust: Trust, now: datetime
) -> None:
    for found in trust.revocation_lists:
        if found.issuer != issuer.subject:
            continue
        key = issuer.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            raise ChainRefused("certificate-weak-key")
        if not found.is_signature_valid(key):
            raise ChainRefused("revocation-list-forged")
        # An old list says nothing about today.
        if found.next_update_utc is not None and found.next_update_utc < now:
            raise ChainRefused("revocation-list-expired")
        if found.get_revoked_certificate_by_serial_number(certificate.serial_number) is not None:
            raise ChainRefused("certificate-revoked")
