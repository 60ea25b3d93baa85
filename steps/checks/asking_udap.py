"""Checks on what a UDAP client sends: software statements and authentication tokens.

UDAP Security IG 2.0.0, registration (3.1) and the token request of a back-end client (5.2).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ..verdicts import CheckFailed
from .asking import segments

_LONGEST_S = 300
_ALGORITHMS = ("RS256", "RS384", "ES256", "ES384")
Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SignedText:
    """A JWT of a client: its parts, read and not yet believed."""

    text: str
    header: Claims
    claims: Claims

    @classmethod
    def of(cls, text: Any, where: str) -> SignedText:
        """The JWT; raises CheckFailed unless it is one JWS in compact form."""
        if not isinstance(text, str):
            raise _failed("There is no JWT.", "a compact JWS", "absent", where)
        return cls(text, *segments(text, where))

    def certificate(self) -> x509.Certificate:
        """The first certificate of x5c; raises CheckFailed when there is none in DER."""
        found = self.header.get("x5c")
        if not isinstance(found, list) or not found:
            raise _failed("The JWT carries no certificate.", "x5c, the leaf first", "absent", "x5c")
        try:
            chain = [x509.load_der_x509_certificate(base64.b64decode(str(entry), validate=True))
                     for entry in found]  # fmt: skip
        except (ValueError, binascii.Error) as error:
            raise _failed("An entry of x5c is no certificate.", "standard base64 of DER",
                          "another form", "x5c") from error  # fmt: skip
        return chain[0]


def has_header(found: SignedText) -> None:
    """An algorithm of UDAP, and certificates of which the first is the client's own."""
    _expect(found.header.get("alg") in _ALGORITHMS, "The JWT has another algorithm.",
            " or ".join(_ALGORITHMS), str(found.header.get("alg")), "alg")  # fmt: skip
    found.certificate()


def is_signed(found: SignedText) -> None:
    """The signature is by the key of the first certificate."""
    key = found.certificate().public_key()
    _expect(
        isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey),
        "The certificate has a key of another kind.",
        "RSA or EC",
        type(key).__name__,
        "x5c",
    )
    try:
        jwt.api_jws.decode(found.text, key, algorithms=list(_ALGORITHMS))  # type: ignore[arg-type]
    except jwt.InvalidTokenError as error:
        raise _failed("The signature does not fit the certificate.", "a signature by x5c[0]",
                      type(error).__name__, "signature") from error  # fmt: skip


def issuer_is_in_certificate(found: SignedText) -> None:
    """Iss is one of the URIs among the certificate's alternative names (udap-reg-01)."""
    try:
        names = found.certificate().extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    _expect(found.claims.get("iss") in uris, "iss is no URI of the certificate.",
            "a URI of the certificate", "another value", "iss")  # fmt: skip


def lives_briefly(found: SignedText) -> None:
    """Iat and exp are whole numbers, at most five minutes apart."""
    iat, exp = found.claims.get("iat"), found.claims.get("exp")
    whole = all(isinstance(m, int) and not isinstance(m, bool) for m in (iat, exp))
    _expect(whole, "iat and exp are not both whole numbers.", "two integers",
            f"{type(iat).__name__} and {type(exp).__name__}", "exp")  # fmt: skip
    assert isinstance(iat, int)
    assert isinstance(exp, int)
    _expect(0 < exp - iat <= _LONGEST_S, "A JWT lives too long, or not at all.",
            f"at most {_LONGEST_S} s", f"{exp - iat} s", "exp")  # fmt: skip


def claim_is(found: SignedText, name: str, wanted: Any, message: str) -> None:
    """A claim has one value, which no message tells."""
    _expect(found.claims.get(name) == wanted, message, "the value of this exchange",
            "another value" if name in found.claims else "absent", name)  # fmt: skip


def has_contacts(found: SignedText) -> None:
    """Contacts are URIs, and one of them is a mail address (udap-reg-07)."""
    contacts = found.claims.get("contacts")
    listed = contacts if isinstance(contacts, list) else []
    uris = bool(listed) and all(isinstance(c, str) and urlsplit(c).scheme for c in listed)
    _expect(uris and any(str(c).startswith("mailto:") for c in listed),
            "contacts are not URIs with a mail address among them.",
            "an array of URIs, one of them mailto", "another value", "contacts")  # fmt: skip


def has_no_redirects(found: SignedText) -> None:
    """A back-end client names no redirects (udap-reg-09)."""
    odd = [name for name in ("redirect_uris", "response_types") if name in found.claims]
    _expect(not odd, "A back-end client names redirects.", "none", ", ".join(odd), "statement")


def registration_body(body: Any, content_type: str) -> None:
    """JSON with software_statement, udap as text 1, and certifications as an array if any."""
    found = body if isinstance(body, dict) else {}
    _expect(content_type == "application/json", "The registration is not sent as JSON.",
            "application/json", content_type or "absent", "Content-Type")  # fmt: skip
    _expect(isinstance(found.get("software_statement"), str) and found.get("udap") == "1",
            "The registration lacks a member, or has another value.",
            'software_statement, and udap "1"', "not both", "body")  # fmt: skip
    odd = sorted(set(found) - {"software_statement", "udap", "certifications"})
    listed = isinstance(found.get("certifications", []), list)
    _expect(not odd and listed, "The registration holds something else.",
            "software_statement, certifications, udap", ", ".join(odd) or "certifications as text",
            "body")  # fmt: skip


def b2b(found: SignedText) -> Mapping[str, Any]:
    """The B2B extension; raises CheckFailed when there is none (udap-tok-05)."""
    extensions = found.claims.get("extensions")
    extension = extensions.get("hl7-b2b") if isinstance(extensions, dict) else None
    if not isinstance(extension, dict):
        raise _failed("The assertion carries no B2B extension.", "extensions.hl7-b2b", "absent",
                      "extensions")  # fmt: skip
    return extension


def has_b2b(found: SignedText) -> None:
    """There is a B2B extension."""
    b2b(found)


def b2b_version(extension: Claims) -> None:
    """Version is the text 1 (udap-b2b-01)."""
    found = extension.get("version")
    _expect(found == "1", "The B2B extension has another version.", 'the string "1"',
            f"{type(found).__name__}", "hl7-b2b.version")  # fmt: skip


def b2b_organization(extension: Claims) -> None:
    """organization_id is a URI (udap-b2b-02)."""
    found = extension.get("organization_id")
    _expect(isinstance(found, str) and bool(urlsplit(found).scheme),
            "The asking organization is not named by a URI.", "a URI", "another value",
            "hl7-b2b.organization_id")  # fmt: skip


def b2b_purpose(extension: Claims) -> None:
    """purpose_of_use is an array of texts, not empty (udap-b2b-03)."""
    found = extension.get("purpose_of_use")
    listed = isinstance(found, list) and bool(found) and all(isinstance(p, str) for p in found)
    _expect(listed, "purpose_of_use is no array of purposes.", "strings, at least one",
            "another value" if "purpose_of_use" in extension else "absent",
            "hl7-b2b.purpose_of_use")  # fmt: skip


def b2b_subject(extension: Claims) -> None:
    """Whoever is named by id or role is named by name as well (udap-b2b-04)."""
    named = [n for n in ("subject_id", "subject_role") if n in extension]
    _expect(not named or "subject_name" in extension, "A subject has no name.",
            "subject_name as well", ", ".join(named) + " alone", "hl7-b2b")  # fmt: skip


def b2b_consent(extension: Claims) -> None:
    """Consent references come with a policy, both as absolute URLs (udap-b2b-05)."""
    urls = [u for name in ("consent_policy", "consent_reference")
            for u in _listed(extension.get(name))]  # fmt: skip
    alone = "consent_reference" in extension and "consent_policy" not in extension
    _expect(not alone, "A Consent is named without its policy.", "consent_policy as well",
            "consent_reference alone", "hl7-b2b")  # fmt: skip
    _expect(all(urlsplit(str(u)).scheme for u in urls), "A Consent or policy is no absolute URL.",
            "absolute URLs", "another value", "hl7-b2b")  # fmt: skip


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if value is not None else []


def _expect(holds: bool, message: str, expected: str, actual: str, where: str) -> None:
    if not holds:
        raise _failed(message, expected, actual, where)


def _failed(message: str, expected: str, actual: str, where: str) -> CheckFailed:
    return CheckFailed(message, expected, actual, where)
