"""TLS of a payer as a client: whom it trusts, what it shows, and what a failed handshake means.

TLS 1.2 is the floor (tls-01, HRex sec-9), and there is no setting that leaves a check out: a test
site with an authority of its own names that authority.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import certifi

from .errors import SettingsError, TlsRefused

_REASONS = {
    9: "is not valid yet. Compare both clocks, or wait until it is valid",
    10: "has expired. The payer has to renew it",
    18: "is self-signed. The payer needs one that an authority has issued",
    19: "comes from an authority that is not trusted here. Name its file in authorities if it is "
    "right",
    20: "comes from an authority that is not trusted here. Name its file in authorities if it is "
    "right",
    21: "comes without the certificates between it and its authority. The payer has to send them",
    23: "was revoked. The payer has to replace it",
    62: "is for another host. Check the address, or have the payer name this host in it",
    64: "is for another address. Check the address, or have the payer name it in the certificate",
    66: "has a key that is too short. The payer needs RSA with 2048 bits or more, or an EC key",
    67: "comes from an authority whose key is too short. The payer needs another authority",
    68: "is signed with a digest that is broken. The payer needs a new one",
}
_ALERTS = (
    (("TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL", "WRONG_VERSION_NUMBER"),
     "{} does not speak TLS 1.2 or newer there. Members' data and tokens go over nothing less."),
    (("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "UNKNOWN_CA", "BAD_CERTIFICATE",
      "CERTIFICATE_EXPIRED", "CERTIFICATE_UNKNOWN", "EOF_OCCURRED", "UNEXPECTED_EOF"),
     ("{} wants a client certificate, or does not take the one it was shown. Set certificate and "
     "key to what the other payer has registered.")),
)  # fmt: skip
_SHORT_KEYS = ("EE_KEY_TOO_SMALL", "DH_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "BAD_KEY_LENGTH")


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom a client trusts and what it shows; every certificate is checked whatever it says."""

    authorities: str = ""
    """A PEM file of the authorities to trust instead of the public ones."""
    certificate: str = ""
    """A PEM file with this client's certificate chain, for mutual TLS."""
    key: str = ""
    """The PEM file of its private key."""


def client_context(tls: Tls) -> ssl.SSLContext:
    """The context of a client's connections; raises SettingsError naming the file that is wrong.

    It is made once, and anew when a file has changed: the public authorities alone take longer to
    read than a request.
    """
    return _context(tls, tuple(_changed(f) for f in (tls.authorities, tls.certificate, tls.key)))


def _changed(file: str) -> int:
    try:
        return Path(file).stat().st_mtime_ns if file else 0
    except OSError as error:
        raise SettingsError(f"The file {file} cannot be read: {error.strerror}.") from error


@lru_cache(maxsize=64)
def _context(tls: Tls, _changes: tuple[int, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _trust(context, tls.authorities or certifi.where())
    if tls.certificate:
        load_chain(context, tls.certificate, tls.key)
    return context


@dataclass(frozen=True, slots=True)
class ServerTls:
    """What a listener shows, and whose client certificates it takes."""

    certificate: str
    """A PEM file with the server's certificate chain, leaf first."""
    key: str
    """The PEM file of its private key."""
    client_authorities: str = ""
    """A PEM file of the authorities of client certificates; empty: none is asked for."""


def server_context(tls: ServerTls) -> ssl.SSLContext:
    """The context of a listener; raises SettingsError naming the files that are wrong.

    With client authorities a certificate is asked for and may be left out, so that discovery stays
    open; one that is shown has to be good, or there is no connection.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_chain(context, tls.certificate, tls.key)
    if tls.client_authorities:
        _trust(context, tls.client_authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _trust(context: ssl.SSLContext, authorities: str) -> None:
    try:
        context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"The file {authorities} holds no certificates of authorities."
        ) from error


def load_chain(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Give the context a certificate of its own; raises SettingsError when the files are none."""
    try:
        context.load_cert_chain(certificate, key or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"{certificate} and {key or 'no key'} are not a PEM certificate and its private key."
        ) from error


def tls_failure(error: BaseException, origin: str) -> TlsRefused | None:
    """What is wrong with a secure connection, in a sentence; None when the fault is another."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            told = _REASONS.get(cause.verify_code, f"cannot be trusted ({cause.verify_message})")
            return TlsRefused(f"The certificate of {origin} {told}. Nothing was sent.")
        if isinstance(cause, ssl.SSLError):
            return TlsRefused(_told(cause, origin))
    return None


def _told(error: ssl.SSLError, origin: str) -> str:
    text = f"{error.reason or ''} {error}".upper().replace(" ", "_")
    if any(name in text for name in _SHORT_KEYS):
        return f"The certificate of {origin} {_REASONS[66]}. Nothing was sent."
    for names, sentence in _ALERTS:
        if any(name in text for name in names):
            return sentence.format(origin)
    return (f"No secure connection to {origin} could be made ({error.reason or 'TLS failed'}). "
            "Check its TLS settings.")  # fmt: skip


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that led to it, however the libraries wrapped it."""
    waiting, seen = [error], set()
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        inner = [found.__cause__, found.__context__, getattr(found, "reason", None), *found.args]
        waiting += [cause for cause in inner if isinstance(cause, BaseException)]
