"""Who a client is in a UDAP community: its certificate, whom it trusts, and what it says it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from ...errors import SettingsError
from ..pki import Issued, read_issued
from .chains import Trust, read_trust, uris_of
from .metadata import HL7_B2B

# Payment (v3 PurposeOfUse); for an exchange between payers.
PAYMENT = "urn:oid:2.16.840.1.113883.5.8#HPAYMT"


@dataclass(frozen=True, slots=True)
class UdapIdentity:
    """A client's standing in one community."""

    issued: Issued = field(repr=False)
    trust: Trust
    uri: str
    """The client URI: one of the certificate's own."""
    client_name: str = "Requesting payer"
    contacts: tuple[str, ...] = ("mailto:payer-exchange@example.org",)
    community: str = ""
    organization_id: str = ""
    """The organization that asks, as a URI; empty: the client URI."""
    organization_name: str = ""
    purpose_of_use: tuple[str, ...] = (PAYMENT,)

    def b2b(self) -> dict[str, Any]:
        """The B2B authorization extension of a system that asks for its organization.

        UDAP Security, B2B: version, organization_id and purpose_of_use are needed; no human asks,
        so there is no subject (udap-b2b-01 to 05).
        """
        named = {"organization_name": self.organization_name} if self.organization_name else {}
        return {
            "version": "1",
            "organization_id": self.organization_id or self.uri,
            **named,
            "purpose_of_use": list(self.purpose_of_use),
        }

    def extensions(self) -> Mapping[str, Any]:
        """The `extensions` claim of an authentication token."""
        return {HL7_B2B: self.b2b()}


def read_identity(
    certificate: Path, key: Path, anchors: Path, revocation_lists: tuple[Path, ...], *,
    uri: str = "", **described: Any,
) -> UdapIdentity:  # fmt: skip
    """An identity from PEM files; raises SettingsError naming what is wrong with them.

    Without `uri` the certificate's first one is taken.
    """
    issued = read_issued(certificate, key)
    own = uris_of(issued.certificate)
    if not own or (uri and uri not in own):
        raise SettingsError(
            f"The certificate {certificate} names no client URI"
            + (f" {uri}. It has {', '.join(own)}." if own else " among its alternative names.")
        )
    trust = read_trust(anchors, revocation_lists)
    return UdapIdentity(issued, trust, uri or own[0],
                        **{k: v for k, v in described.items() if v})  # fmt: skip


def from_pem(content: Mapping[str, Any]) -> UdapIdentity:
    """An identity kept as PEM text, as a server registration keeps it; raises SettingsError."""
    try:
        issued = read_issued(content["certificate"].encode(), content["key"].encode())
        anchors = x509.load_pem_x509_certificates(content["trust_anchors"].encode())
        lists = [x509.load_pem_x509_crl(t.encode()) for t in content.get("revocation_lists", ())]
    except (KeyError, AttributeError, ValueError, TypeError) as error:
        raise SettingsError(
            "udap of a server registration needs certificate, key and trust_anchors in PEM."
        ) from error
    own = uris_of(issued.certificate)
    described: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v
                 for k, v in content.items() if k in _DESCRIBED and v}  # fmt: skip
    uri = content.get("uri") or (own[0] if own else "")
    if uri not in own:
        raise SettingsError("The certificate in udap of a server registration lacks its uri.")
    return UdapIdentity(
        issued, Trust(tuple(anchors), revocation_lists=tuple(lists)), uri, **described
    )


def to_pem(identity: UdapIdentity) -> dict[str, Any]:
    """The content that `from_pem` reads, as a registration document holds it."""
    pem = Encoding.PEM
    trust = identity.trust
    return {
        "certificate": identity.issued.chain_pem().decode(),
        "key": identity.issued.key_pem().decode(),
        "trust_anchors": "".join(a.public_bytes(pem).decode() for a in trust.anchors),
        "revocation_lists": [c.public_bytes(pem).decode() for c in trust.revocation_lists],
        "uri": identity.uri,
        **{name: list(v) if isinstance(v := getattr(identity, name), tuple) else v
           for name in _DESCRIBED},
    }  # fmt: skip


_DESCRIBED = ("client_name", "contacts", "community", "organization_id", "organization_name",
              "purpose_of_use")  # fmt: skip
