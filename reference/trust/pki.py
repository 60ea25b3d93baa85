"""A certificate authority for tests on loopback: never for anything that real members rely on.

It makes good certificates and, on purpose, bad ones: expired, not yet valid, for another host, of a
short key, without the right to sign, self-signed or by an authority nobody knows. Its name says in
every certificate, and in every file, that it is a test.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..clock import Clock
from ..errors import SettingsError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

KEYS = ("RSA", "P-256", "P-384", "RSA-1024")
"""What `make_key` makes; the last is too short on purpose."""
MARK = "payer-exchange test authority, trust it on loopback only"
_ROOT, _ISSUING, _CRL = "test-root", "test-issuing", "test-crl.pem"
# Clocks differ a little, so a certificate counts from a while before it was made.
_EARLIER = timedelta(hours=-1)
_YEAR = timedelta(days=365)
_HASH = hashes.SHA256()


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate with its key; `chain` has the leaf first and leaves the root out."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)

    @property
    def certificate(self) -> x509.Certificate:
        """The leaf itself."""
        return self.chain[0]

    def x5c(self) -> list[str]:
        """The chain as a JOSE header wants it: standard base64 of DER, leaf first (RFC 7515)."""
        return [base64.b64encode(_der(certificate)).decode() for certificate in self.chain]

    def chain_pem(self) -> bytes:
        """The chain in PEM, leaf first, as a TLS server is given it."""
        return b"".join(certificate.public_bytes(_PEM) for certificate in self.chain)

    def key_pem(self) -> bytes:
        """The private key in PKCS 8 PEM, without a passphrase."""
        return key_pem(self.key)

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write NAME.pem and NAME.key.pem (mode 0600); raises SettingsError for one that exists."""
        chain, key = folder / f"{name}.pem", folder / f"{name}.key.pem"
        write_new(chain, self.chain_pem(), mode=0o644)
        write_new(key, self.key_pem())
        return chain, key


@dataclass(slots=True)
class TestAuthority:
    """A root, perhaps an intermediate below it, and what they have issued and revoked."""

    clock: Clock
    root: Issued
    issuing: Issued
    """The root itself, or the intermediate when there is one; `chain` ends before the root."""
    revoked: dict[int, datetime] = field(default_factory=dict)

    __test__ = False  # pytest takes every class called Test... for a test

    @classmethod
    def create(
        cls, clock: Clock, *, name: str = "root", intermediate: bool = False, key: str = "P-256"
    ) -> TestAuthority:
        """A new authority; `name` tells one from another in the subject."""
        root_key = make_key(key)
        root_name = _subject(f"TEST {name}")
        root = _sign(
            clock, root_name, root_key, _Signer(root_name, root_key), ca=True, lasts=10 * _YEAR
        )  # fmt: skip
        authority = cls(clock, Issued((root,), root_key), Issued((), root_key))
        if intermediate:
            below = authority._certify(f"TEST {name} issuing", make_key(key), ca=True)
            authority.issuing = below
        return authority

    @property
    def anchor(self) -> x509.Certificate:
        """The root certificate, to be trusted where the tests run."""
        return self.root.certificate

    def anchor_pem(self) -> bytes:
        """The root certificate in PEM."""
        return self.anchor.public_bytes(_PEM)

    def issue(
        self,
        *,
        uris: Iterable[str] = (),
        names: Iterable[str] = (),
        addresses: Iterable[str] = (),
        key: str | PrivateKey = "P-256",
        subject: str = "TEST leaf",
        starts: timedelta = _EARLIER,
        lasts: timedelta = _YEAR,
        may_sign: bool = True,
    ) -> Issued:
        """A leaf for these URIs, DNS names and IP addresses, all as subject alternative names.

        `starts` counts from now, `lasts` from there; `key` is a kind of `KEYS` or a key to certify
        anew; `may_sign=False` leaves digitalSignature out of the key usage.
        """
        alternatives = _alternatives(uris, names, addresses)
        return self._certify(
            subject, make_key(key) if isinstance(key, str) else key,
            alternatives=alternatives, starts=starts, lasts=lasts, may_sign=may_sign,
        )  # fmt: skip

    def localhost(self, *, uris: Iterable[str] = (), key: str = "P-256") -> Issued:
        """A leaf for a server at 127.0.0.1, ::1 and localhost."""
        return self.issue(
            uris=uris, names=["localhost"], addresses=["127.0.0.1", "::1"], key=key,
            subject="TEST localhost",
        )  # fmt: skip

    def revoke(self, issued: Issued) -> None:
        """Name the certificate in every revocation list from now on."""
        self.revoked[issued.certificate.serial_number] = self.clock.now()

    def crl(self, *, lasts: timedelta = timedelta(days=30)) -> x509.CertificateRevocationList:
        """The revocation list of the issuing authority, as of now."""
        issuer = self.issuing.chain[0] if self.issuing.chain else self.anchor
        now = self.clock.now().replace(microsecond=0)
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(issuer.subject)
            .last_update(now + _EARLIER)
            .next_update(now + lasts)
        )
        for serial, moment in self.revoked.items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.issuing.key, _HASH)

    def crl_pem(self) -> bytes:
        """The revocation list in PEM."""
        return self.crl().public_bytes(_PEM)

    def write(self, folder: Path) -> None:
        """Write root, intermediate and revocation list; raises SettingsError if one exists."""
        folder.mkdir(parents=True, exist_ok=True)
        self.root.write(folder, _ROOT)
        if self.issuing.chain:
            self.issuing.write(folder, _ISSUING)
        write_new(folder / _CRL, self.crl_pem(), mode=0o644)

    @classmethod
    def read(cls, folder: Path, clock: Clock) -> TestAuthority:
        """The authority that `write` left there; raises SettingsError when it is not whole."""
        try:
            root = _read(folder, _ROOT)
            below = (folder / f"{_ISSUING}.pem").is_file()
            issuing = _read(folder, _ISSUING) if below else Issued((), root.key)
            crl = x509.load_pem_x509_crl((folder / _CRL).read_bytes())
        except (OSError, ValueError, SettingsError) as error:
            raise SettingsError(
                f"The test authority in {folder} cannot be read. Remove the folder to have "
                "another one made."
            ) from error
        revoked = {entry.serial_number: entry.revocation_date_utc for entry in crl}
        return cls(clock, root, issuing, revoked)

    def _certify(
        self, subject: str, key: PrivateKey, *, ca: bool = False,
        alternatives: x509.SubjectAlternativeName | None = None,
        starts: timedelta = _EARLIER, lasts: timedelta = _YEAR, may_sign: bool = True,
    ) -> Issued:  # fmt: skip
        issuer = self.issuing.chain[0] if self.issuing.chain else self.anchor
        leaf = _sign(
            self.clock, _subject(subject), key, _Signer(issuer.subject, self.issuing.key), ca=ca,
            alternatives=alternatives, starts=starts, lasts=lasts, may_sign=may_sign,
        )  # fmt: skip
        return Issued((leaf, *self.issuing.chain), key)


def self_signed(
    clock: Clock, *, uris: Iterable[str] = (), names: Iterable[str] = (),
    addresses: Iterable[str] = (), key: str | PrivateKey = "P-256",
) -> Issued:  # fmt: skip
    """A leaf that nobody but itself vouches for."""
    made = make_key(key) if isinstance(key, str) else key
    subject = _subject("TEST self-signed")
    alternatives = _alternatives(uris, names, addresses)
    return Issued(
        (_sign(clock, subject, made, _Signer(subject, made), alternatives=alternatives),), made
    )


def make_key(kind: str) -> PrivateKey:
    """A new private key of a kind of `KEYS`; raises SettingsError for another kind."""
    if kind in ("RSA", "RSA-1024"):
        size = 1024 if kind == "RSA-1024" else 2048
        return rsa.generate_private_key(public_exponent=65537, key_size=size)
    curves: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}
    if kind not in curves:
        raise SettingsError(f"The kind of a key must be one of {', '.join(KEYS)}.")
    return ec.generate_private_key(curves[kind])


def key_pem(key: PrivateKey) -> bytes:
    """A private key in PKCS 8 PEM, without a passphrase."""
    return key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def write_new(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file that nobody else may read meanwhile; raises SettingsError if it exists."""
    try:
        opened = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode)
    except FileExistsError as error:
        raise SettingsError(
            f"{path} is there already. Remove it first, or name another folder."
        ) from error
    with os.fdopen(opened, "wb") as file:
        file.write(content)


def read_issued(chain: Path | bytes, key: Path | bytes) -> Issued:
    """A certificate chain with its key, from PEM files or from PEM itself.

    Raises SettingsError for files that cannot be read or do not belong together.
    """
    where = chain if isinstance(chain, Path) else "The certificate"
    try:
        certificates = x509.load_pem_x509_certificates(_content(chain))
        found = serialization.load_pem_private_key(_content(key), None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise SettingsError(
            f"{where} or its key cannot be read. Both have to be PEM, the key without a passphrase."
        ) from error
    if not isinstance(found, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise SettingsError(f"{where} has a key that is neither RSA nor elliptic.")
    if found.public_key() != certificates[0].public_key():
        raise SettingsError(f"{where} is not for the private key beside it.")
    return Issued(tuple(certificates), found)


def _content(source: Path | bytes) -> bytes:
    return source if isinstance(source, bytes) else source.read_bytes()


_PEM = serialization.Encoding.PEM


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _read(folder: Path, name: str) -> Issued:
    return read_issued(folder / f"{name}.pem", folder / f"{name}.key.pem")


def _subject(name: str) -> x509.Name:
    return x509.Name([
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, MARK),
        x509.NameAttribute(NameOID.COMMON_NAME, name),
    ])  # fmt: skip


def _alternatives(
    uris: Iterable[str], names: Iterable[str], addresses: Iterable[str]
) -> x509.SubjectAlternativeName | None:
    found: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
    found += [x509.DNSName(name) for name in names]
    found += [x509.IPAddress(ip_address(address)) for address in addresses]
    return x509.SubjectAlternativeName(found) if found else None


@dataclass(frozen=True, slots=True)
class _Signer:
    name: x509.Name
    key: PrivateKey


def _sign(
    clock: Clock, subject: x509.Name, key: PrivateKey, by: _Signer,
    *, ca: bool = False, alternatives: x509.SubjectAlternativeName | None = None,
    starts: timedelta = _EARLIER, lasts: timedelta = _YEAR, may_sign: bool = True,
) -> x509.Certificate:  # fmt: skip
    begins = clock.now().replace(microsecond=0) + starts
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + lasts)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(_usage(ca=ca, may_sign=may_sign), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(signer, critical=False)
    )
    if alternatives:
        builder = builder.add_extension(alternatives, critical=False)
    if not ca:
        either = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(either), critical=False)
    return builder.sign(by.key, _HASH)


def _usage(*, ca: bool, may_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca and may_sign, key_encipherment=not ca and not may_sign,
        key_cert_sign=ca, crl_sign=ca,
        content_commitment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )  # fmt: skip
