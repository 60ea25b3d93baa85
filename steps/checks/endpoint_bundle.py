"""Checks of the signed Bundle that tells of a mutual-TLS endpoint (PDex, deprecated in 2.2.0)."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import jwt
from cryptography import x509

from ..verdicts import CannotTell, CheckFailed

_SIGNED_OBJECT = "pdex-mtls-signedobject-extension"
_SERVERS = "base-ext-associatedServers"
_ALGORITHMS = ["ES256", "ES384", "RS256", "RS384", "PS256"]
_TOLD = ("type", "timestamp", "signature")


def has_head(bundle: Mapping[str, Any]) -> None:
    """The Bundle is a collection with timestamp and signature (profile mtls-bundle)."""
    for name in _TOLD:
        if not bundle.get(name):
            raise CheckFailed("The Bundle lacks an element.", name, "absent", f"Bundle.{name}")
    if bundle["type"] != "collection":
        raise CheckFailed("The Bundle is of another type.", "collection", str(bundle["type"]),
                          "Bundle.type")  # fmt: skip


def signature_holds(bundle: Mapping[str, Any]) -> None:
    """The signature, a JWS with its certificate, is over the Bundle as it is.

    The guide leaves the form of the signature open: raises CannotTell for one of another form.
    """
    signature = bundle.get("signature") or {}
    try:
        token = base64.b64decode(signature["data"]).decode()
        chain = jwt.get_unverified_header(token)["x5c"]
        leaf = x509.load_der_x509_certificate(base64.b64decode(chain[0]))
    except (KeyError, IndexError, TypeError, ValueError, jwt.PyJWTError) as error:
        raise CannotTell("The signature is no JWS with a certificate (x5c), whose forms the guide "
                         "leaves open: verify it by hand.") from error  # fmt: skip
    rest = {name: value for name, value in bundle.items() if name != "signature"}
    content = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    key: Any = leaf.public_key()
    try:
        jwt.api_jws.decode(token, key, algorithms=_ALGORITHMS, detached_payload=content.encode())
    except jwt.PyJWTError as error:
        raise CheckFailed("The signature does not hold for the Bundle.", "a signature over it",
                          type(error).__name__, "Bundle.signature") from error  # fmt: skip


def endpoint_is_complete(bundle: Mapping[str, Any], now: datetime) -> None:
    """The Endpoint is active, has one payload type, and certificates that are valid now."""
    endpoint = the_endpoint(bundle)
    if endpoint.get("status") != "active":
        raise CheckFailed("The Endpoint is not active.", "active", str(endpoint.get("status")),
                          "Endpoint.status")  # fmt: skip
    kinds = endpoint.get("payloadType") or []
    if len(kinds) != 1:
        raise CheckFailed("The Endpoint has not one payload type.", "1", str(len(kinds)),
                          "Endpoint.payloadType")  # fmt: skip
    objects = [parts.get("Object") for parts in _extensions(endpoint, _SIGNED_OBJECT)]
    if not objects:
        raise CheckFailed("The Endpoint carries no certificate.", _SIGNED_OBJECT, "absent",
                          "Endpoint.extension")  # fmt: skip
    for content in objects:
        _is_valid(content, now)


def organizations_are_complete(bundle: Mapping[str, Any]) -> None:
    """Every Organization says that it is active, and where its members find support."""
    found = _resources(bundle, "Organization")
    if not found:
        raise CheckFailed("The Bundle names no Organization.", "an Organization", "absent",
                          "Bundle.entry")  # fmt: skip
    for organization in found:
        if not isinstance(organization.get("active"), bool):
            raise CheckFailed("An Organization does not say whether it is active.", "active",
                              "absent", "Organization.active")  # fmt: skip
        kinds = [t.get("system") for t in organization.get("telecom", [])]
        if "url" not in kinds:
            raise CheckFailed("An Organization names no page for support.", "a telecom of url",
                              ", ".join(map(str, kinds)) or "absent",
                              "Organization.telecom")  # fmt: skip


def associated_servers(bundle: Mapping[str, Any]) -> list[str]:
    """The URLs of the associated servers; raises CheckFailed when none is named."""
    endpoint = the_endpoint(bundle)
    found = [str(parts["serverURL"]) for parts in _extensions(endpoint, _SERVERS)
             if parts.get("serverURL")]  # fmt: skip
    if not found:
        raise CheckFailed("The Endpoint names no associated server.", "a serverURL", "absent",
                          "Endpoint.extension")  # fmt: skip
    return found


def the_endpoint(bundle: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one Endpoint of the Bundle."""
    found = _resources(bundle, "Endpoint")
    if len(found) != 1:
        raise CheckFailed("The Bundle has not one Endpoint.", "1", str(len(found)), "Bundle.entry")
    return found[0]


def _resources(bundle: Mapping[str, Any], kind: str) -> list[Mapping[str, Any]]:
    found = [entry.get("resource") or {} for entry in bundle.get("entry") or []]
    return [resource for resource in found if resource.get("resourceType") == kind]


def _extensions(resource: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """The parts of each extension whose URL ends so: two guides have copies of them."""
    for extension in resource.get("extension") or []:
        if str(extension.get("url", "")).endswith(f"/{name}"):
            yield {
                str(part.get("url")): value
                for part in extension.get("extension") or []
                for key, value in part.items() if key.startswith("value")
            }  # fmt: skip


def _is_valid(content: Any, now: datetime) -> None:
    try:
        found = x509.load_pem_x509_certificates(base64.b64decode(content, validate=True))
    except (TypeError, ValueError) as error:
        raise CheckFailed("The signed object holds no certificate.", "certificates in PEM",
                          "something else", "Endpoint.extension") from error  # fmt: skip
    for certificate in found:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            raise CheckFailed("A certificate of the Endpoint is not valid now.",
                              "a certificate in force", "one that is not",
                              "Endpoint.extension")  # fmt: skip
