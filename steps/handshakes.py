"""Handshakes that a target has to refuse, or to take: what was agreed on, told in a word.

Made with Python's own TLS, beside the client that exchanges are made with: that one would never
offer what is asked for here.
"""

from __future__ import annotations

import socket
import ssl
import warnings
from urllib.parse import SplitResult, urlsplit

import certifi

from .verdicts import CannotTell

VERSIONS = {"1.0": "TLSv1", "1.1": "TLSv1_1", "1.2": "TLSv1_2", "1.3": "TLSv1_3"}
# NULL, anonymous, export, RC4, single and triple DES: whatever of them this machine still knows.
WEAK = "eNULL:aNULL:EXPORT:LOW:RC4:3DES:@SECLEVEL=0"
_UNABLE = ("NO_PROTOCOLS_AVAILABLE", "NO_CIPHERS_AVAILABLE", "NO_CIPHER_MATCH")


def agreed(url: str, authorities: str, *, version: str = "", ciphers: str = "") -> str:
    """The version and cipher that a server takes of those offered; empty when it takes none.

    Raises CannotTell when there is no connection, or this machine cannot offer such a thing.
    """
    parts = urlsplit(url)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context = _offering(authorities, version, ciphers)
            return _shake_hands(parts, context)
    except ssl.SSLCertVerificationError as error:
        # The offer was taken, or there would be no certificate to look at.
        return f"it, and then a certificate that {error.verify_message}"
    except ssl.SSLError as error:
        if any(name in str(error).upper().replace(" ", "_") for name in _UNABLE):
            raise CannotTell(
                "This machine's OpenSSL cannot offer what is to be refused."
            ) from error
        return ""
    except ConnectionError:
        return ""
    except OSError as error:
        raise CannotTell("The target's port cannot be reached for a handshake.") from error


def _offering(authorities: str, version: str, ciphers: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(authorities or certifi.where())
    if version:
        if version in ("1.0", "1.1"):
            context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion[VERSIONS[version]]
    if ciphers:
        context.set_ciphers(ciphers)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def _shake_hands(parts: SplitResult, context: ssl.SSLContext) -> str:
    host = str(parts.hostname)
    with (
        socket.create_connection((host, parts.port or 443), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        name = (secured.cipher() or ("no cipher",))[0]
        return f"{secured.version()} with {name}"
