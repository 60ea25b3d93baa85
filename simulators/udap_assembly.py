"""UDAP for a simulated responding payer: two test authorities, its certificates, a client's.

The authorities and keys are kept in the payer's data folder; certificates are issued at each start,
for the address that it has then.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..reference.clock import Clock
from ..reference.parties import PayerIdentity
from ..reference.trust import pki
from ..reference.trust.pki import Issued, PrivateKey, TestAuthority
from ..reference.trust.udap.authority import Community, UdapSettings
from ..reference.trust.udap.chains import Trust
from ..reference.trust.udap.identity import UdapIdentity

COMMUNITY = "urn:payer-exchange:test-community"
OTHER_COMMUNITY = "urn:payer-exchange:other-test-community"
CLIENT_URI = "https://requesting-payer.example.org/udap"
PROBE_URI = "https://requesting-payer.example.org/udap-probe"
FOLDER = "udap"
_PKI, _OTHER = "test-pki", "other-community"
REVOKED = "test-revoked"


@dataclass(frozen=True, slots=True)
class UdapKit:
    """What a simulated payer and its client know each other by."""

    settings: UdapSettings
    identity: UdapIdentity
    authorities: Mapping[str, TestAuthority]
    revoked: Issued

    def write(self, folder: Path) -> None:
        """Write the client's certificate and key, the anchor, and the test authorities."""
        folder.mkdir(parents=True, exist_ok=True)
        first = self.authorities[COMMUNITY]
        _put(folder / "requesting-payer.pem", self.identity.issued.chain_pem())
        _put(folder / "requesting-payer.key.pem", self.identity.issued.key_pem())
        _put(folder / "test-anchors.pem", first.anchor_pem())
        for name, authority in ((_PKI, first), (_OTHER, self.authorities[OTHER_COMMUNITY])):
            place = folder / name
            for path in place.glob("test-*.pem") if place.is_dir() else ():
                path.unlink()
            authority.write(place)
        self.revoked.write(folder / _PKI, REVOKED)

    def toml(self) -> str:
        """The section of payer-exchange.toml that names what `write` wrote."""
        return _TOML


_TOML = f"""
[target.auth.udap]
certificate = "{FOLDER}/requesting-payer.pem"
key = "{FOLDER}/requesting-payer.key.pem"
trust_anchors = "{FOLDER}/test-anchors.pem"
revocation_list = "{FOLDER}/{_PKI}/test-crl.pem"
client_uri = "{CLIENT_URI}"
probe_uri = "{PROBE_URI}"
community = "{COMMUNITY}"
test_authority = "{FOLDER}/{_PKI}"
other_community = "{OTHER_COMMUNITY}"
other_authority = "{FOLDER}/{_OTHER}"
"""


def open_udap(
    data_dir: Path, clock: Clock, fhir_base: str, registration_url: str, scopes: tuple[str, ...],
    requesting: PayerIdentity,
) -> UdapKit:  # fmt: skip
    """The kit of a data folder, made when it has none."""
    folder = data_dir / _PKI
    if not (folder / "test-root.pem").is_file():
        _make(folder, clock)
    authorities = {
        COMMUNITY: TestAuthority.read(folder, clock),
        OTHER_COMMUNITY: TestAuthority.read(folder / _OTHER, clock),
    }
    own, client = (_key(folder, name) for name in ("test-payer", "test-client"))
    communities = tuple(
        Community(uri, _trust(authority), authority.issue(uris=[fhir_base], key=own))
        for uri, authority in authorities.items()
    )
    settings = UdapSettings(
        communities, registration_url, scopes, dict.fromkeys((CLIENT_URI, PROBE_URI), requesting)
    )
    first = authorities[COMMUNITY]
    identity = UdapIdentity(
        first.issue(uris=[CLIENT_URI, PROBE_URI], key=client), _trust(first), CLIENT_URI,
        community=COMMUNITY, client_name=requesting.name,
    )  # fmt: skip
    return UdapKit(settings, identity, authorities, pki.read_issued(
        folder / f"{REVOKED}.pem", folder / f"{REVOKED}.key.pem"
    ))  # fmt: skip


def _make(folder: Path, clock: Clock) -> None:
    first = TestAuthority.create(clock, name="community", intermediate=True)
    own, client = pki.make_key("RSA"), pki.make_key("RSA")
    revoked = first.issue(uris=[CLIENT_URI, PROBE_URI], key=client, subject="TEST revoked")
    first.revoke(revoked)
    TestAuthority.create(clock, name="other community").write(folder / _OTHER)
    for name, key in (("test-payer", own), ("test-client", client)):
        first.issue(key=key).write(folder, name)
    revoked.write(folder, REVOKED)
    # Last, so that a folder with a root is whole.
    first.write(folder)


def _key(folder: Path, name: str) -> PrivateKey:
    return pki.read_issued(folder / f"{name}.pem", folder / f"{name}.key.pem").key


def _trust(authority: TestAuthority) -> Trust:
    return Trust((authority.anchor,), revocation_lists=(authority.crl(),))


def _put(path: Path, content: bytes) -> None:
    """Write a file that nobody else may read, over an older one."""
    with os.fdopen(os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "wb") as file:
        file.write(content)
