"""What a client authenticates with, and where the settings say it lies."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from .secret import NO_SECRET, Secret, SecretKey
from .settings import AuthSettings, Settings
from .trust.keys import read_private
from .trust.udap.identity import UdapIdentity, read_identity


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a client authenticates: private JWK, UDAP certificate, secret, or a ready token."""

    client_id: str = ""
    jwk: SecretKey | None = None
    secret: Secret = NO_SECRET
    token: Secret = NO_SECRET
    by_certificate: bool = False
    """By mutual TLS: the connection's certificate is the proof (RFC 8705, 2)."""
    udap: UdapIdentity | None = field(default=None, repr=False)
    jwks_url: str = ""
    """Where the public key is published, to be named in assertions; empty: it is not named."""


def credentials(settings: Settings, auth: AuthSettings | None = None) -> Credentials:
    """The credentials the settings name for a client, the first one when none is given.

    Raises SettingsError when a key cannot be read.
    """
    auth = auth or settings.target.auth
    if auth.method == "udap":
        return Credentials(auth.client_id, udap=udap_identity(settings))
    key = auth.private_key
    jwk = None
    if key:
        text = key.lstrip().startswith("{")
        jwk = SecretKey(json.loads(key) if text else read_private(settings.path(key)))
    return Credentials(
        auth.client_id, jwk, _secret(settings, auth.client_secret), _secret(settings, auth.token),
        by_certificate=auth.method == "mtls",
    )  # fmt: skip


def udap_identity(settings: Settings, uri: str = "") -> UdapIdentity | None:
    """The identity that [target.auth.udap] names, under another of its URIs when one is given.

    None without a certificate. Raises SettingsError when a file cannot be read.
    """
    udap = settings.target.auth.udap
    if not udap.certificate:
        return None
    return read_identity(
        settings.path(udap.certificate),
        settings.path(udap.key),
        settings.path(udap.trust_anchors),
        tuple(settings.path(text) for text in udap.revocation_list.split()),
        uri=uri or udap.client_uri,
        client_name=settings.identity.name,
        community=udap.community,
        organization_id=udap.organization_id,
        organization_name=udap.organization_name,
        purpose_of_use=tuple(udap.purpose_of_use.split()),
        contacts=tuple(udap.contact.split()),
    )


def _secret(settings: Settings, value: str) -> Secret:
    """A secret: the content of a file beside the settings when one has that name."""
    path = settings.path(value) if value else None
    read = path.read_text(encoding="utf-8").strip() if path and _is_file(path) else value
    return Secret(read)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a secret is no path, and may be too long to be one
        return False
