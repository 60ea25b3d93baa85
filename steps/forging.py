"""Client assertions and access tokens that a forger would try, each from a good one by one change.

The least that has to be refused is what RFC 7515 to 7519, 7523 and 8725 forbid; the negative probes
of the SMART and UDAP guides are among them. Nothing here is good, whatever a server is lenient on.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..reference.target import Target
from ..reference.trust import keys
from ..reference.trust.signing import client_assertion
from .verdicts import NotApplicable

Forged = Callable[[Target], str]


def _claims(**changes: Any) -> Forged:
    return lambda target: target.assertion(claims=changes)


def _later(claim: str, seconds: float, kind: Callable[[float], Any] = int) -> Forged:
    return lambda target: target.assertion(claims={claim: kind(time.time() + seconds)})


def _audience(change: Callable[[str], Any]) -> Forged:
    return lambda target: target.assertion(claims={"aud": change(target.token_url())})


def _client(claim: str, change: Callable[[str], Any]) -> Forged:
    return lambda target: target.assertion(claims={claim: change(target.credentials.client_id)})


def _headers(**changes: Any) -> Forged:
    return lambda target: target.assertion(headers=changes)


def _text(change: Callable[[str], str]) -> Forged:
    return lambda target: change(target.assertion())


def _parts(change: Callable[[str, str, str], str]) -> Forged:
    def forge(target: Target) -> str:
        header, payload, signature = target.assertion().split(".")
        return change(header, payload, signature)

    return forge


def _rewritten(part: str, **changes: Any) -> str:
    """A header or payload with some entries changed, as text again."""
    return encoded(json.dumps({**json.loads(decoded(part)), **changes}).encode())


def _with_secret(secret: Callable[[Target], bytes], algorithm: str) -> Forged:
    """An assertion signed with a secret that is none: what every server knows of the client."""

    def forge(target: Target) -> str:
        header, payload, _ = target.assertion().split(".")
        head = _rewritten(header, alg=algorithm)
        digest = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}[algorithm]
        sign = hmac.new(secret(target), f"{head}.{payload}".encode(), digest).digest()
        return f"{head}.{payload}.{encoded(sign)}"

    return forge


def _public_pem(target: Target) -> bytes:
    public = keys.key_object(target.credentials.jwk or {}).public_key()
    return bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def _public_jwk(target: Target) -> bytes:
    public = keys.public_set(target.credentials.jwk or {})["keys"][0]
    return json.dumps(public).encode()


def _other_algorithm(target: Target) -> str:
    """Signed by a key of the other kind, under the key id of the registered one."""
    own: Mapping[str, Any] = target.credentials.jwk or {}
    other = "RS384" if keys.algorithm_of(own) == "ES384" else "ES384"
    return _signed_by(target, {**keys.generate(other), "kid": own.get("kid")})


def _signed_by(
    target: Target, jwk: Mapping[str, Any], headers: Mapping[str, Any] | None = None
) -> str:
    return client_assertion(target.credentials.client_id, target.token_url(), jwk,
                            target.clock.now(), headers=headers)  # fmt: skip


def _own_key_inside(target: Target) -> str:
    """Signed by a forger's key that the header carries along (RFC 8725, 3.8)."""
    forger = keys.generate()
    public = keys.public_set(forger)["keys"][0]
    return _signed_by(target, forger, {"jwk": public, "kid": public.get("kid")})


def _certificate_inside(target: Target) -> str:
    """Signed by a forger's key whose bare public half stands where a certificate would."""
    forger = keys.generate()
    key = keys.key_object(forger).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    kid = target.credentials.jwk["kid"] if target.credentials.jwk else None
    return _signed_by(target, forger, {"x5c": [base64.b64encode(der).decode()], "kid": kid})


def _list_of_issuers(target: Target) -> str:
    """Signed by the registered key over claims that the signing library itself would refuse."""
    header, payload, _ = target.assertion().split(".")
    own: Mapping[str, Any] = target.credentials.jwk or {}
    claims = {**json.loads(decoded(payload)), "iss": [target.credentials.client_id, "somebody"]}
    return jwt.api_jws.encode(json.dumps(claims).encode(), keys.key_object(own),
                              keys.algorithm_of(own), json.loads(decoded(header)))  # fmt: skip


def _short_key(target: Target) -> str:
    """Signed with RS384 by a key of 1,024 bits (RFC 7518, 3.3 wants 2,048)."""
    header, payload, _ = target.assertion().split(".")
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - on purpose
    return jwt.encode(json.loads(decoded(payload)), key, algorithm="RS384",
                      headers={"kid": json.loads(decoded(header)).get("kid")})  # fmt: skip


def _zeros(target: Target) -> str:
    """An elliptic signature of two zeros, which careless arithmetic takes for good."""
    if keys.algorithm_of(target.credentials.jwk or {}) != "ES384":
        raise NotApplicable("The client signs with RSA, whose signatures have no such flaw.")
    good = target.assertion()
    return f"{good[: good.rindex('.')]}.{encoded(bytes(96))}"


def _as_json(target: Target) -> str:
    header, payload, signature = target.assertion().split(".")
    return json.dumps({"protected": header, "payload": payload, "signature": signature})


ASSERTIONS: dict[str, Forged] = {
    # claims
    "expires in ten minutes": _later("exp", 600),
    "expires at a text": _later("exp", 60, lambda moment: f"{moment:.0f} seconds"),
    "expires at a list": _later("exp", 60, lambda moment: [int(moment)]),
    "expires at null": _parts(lambda h, p, s: f"{h}.{_rewritten(p, exp=None)}.{s}"),
    "is for the FHIR base": lambda target: target.assertion(claims={"aud": target.fhir_base}),
    "is for a place below the token endpoint": _audience(lambda url: f"{url}/other"),
    "is for the token endpoint of another host": _audience(
        lambda url: "https://another.example/" + url.split("/", 3)[-1]),
    "is for the beginning of the token endpoint": _audience(lambda url: url[:-3]),
    "is for nobody": _claims(aud=[]),
    "is for an object": _claims(aud={"url": "any"}),
    "has no issuer": _claims(iss=None),
    "has no subject": _claims(sub=None),
    "has an issuer with a space": _client("iss", lambda ident: f"{ident} "),
    "has an issuer in other case": _client("iss", str.swapcase),
    "has a list of issuers": _list_of_issuers,
    "has an empty jti": _claims(jti=""),
    "has a number as jti": _claims(jti=12345),
    "has a list as jti": _claims(jti=["a"]),
    "has no claims": _parts(lambda h, _p, s: f"{h}.{encoded(b'{}')}.{s}"),
    # signatures
    "is signed with the public key as a secret": _with_secret(_public_pem, "HS256"),
    "is signed with the public JWK as a secret": _with_secret(_public_jwk, "HS256"),
    "is signed with the client id as a secret": _with_secret(
        lambda target: target.credentials.client_id.encode(), "HS384"),
    "is signed with an empty secret": _with_secret(lambda _target: b"", "HS256"),
    "is signed by a key of another kind": _other_algorithm,
    "is signed by a key of 1,024 bits": _short_key,
    "has a signature of zeros": _zeros,
    "has claims changed after it was signed": _parts(
        lambda h, p, s: f"{h}.{_rewritten(p, jti='another-one')}.{s}"),
    "has a header changed after it was signed": _parts(
        lambda h, p, s: f"{_rewritten(h, note='changed')}.{p}.{s}"),
    "names its algorithm nOnE": _parts(lambda h, p, _s: f"{_rewritten(h, alg='nOnE')}.{p}."),
    "names no algorithm": _parts(lambda h, p, s: f"{_rewritten(h, alg=None)}.{p}.{s}"),
    # keys
    "brings its own key": _own_key_inside,
    "brings its own certificate": _certificate_inside,
    "names a path as key id": _headers(kid="../../../../dev/null"),
    "names a piece of SQL as key id": _headers(kid="x' UNION SELECT 'key' --"),
    "names an empty list as critical": _headers(crit=[]),
    # forms
    "is written as JSON": _as_json,
    "has a fourth part": _text(lambda good: f"{good}.{good.rsplit('.', 1)[-1]}"),
    "has five parts": _text(lambda good: f"{good}.e30.e30"),
    "has two parts": _text(lambda good: good.rsplit(".", 1)[0]),
    "is no JWT": lambda _target: "this-is-no-assertion",
    "is of dots": lambda _target: "..",
    "holds control characters": _text(lambda good: f"{good}\x00\x01"),
    "is signed over other text": _parts(lambda h, p, s: f"{h}.{p[:-4]}.{s}"),
    "is a hundred kilobytes of padding": _text(lambda good: good + "A" * 100_000),
}  # fmt: skip

# What a header of the request says, given a good token and the client's id.
TOKENS: dict[str, Callable[[Target, str], str]] = {
    "is empty": lambda _target, _good: "Bearer ",
    "lacks its last third": lambda _target, good: f"Bearer {good[: -(len(good) // 3)]}",
    "has another letter in its middle": lambda _target, good: f"Bearer {_turned(good)}",
    "is written twice": lambda _target, good: f"Bearer {good}{good}",
    "is written backwards": lambda _target, good: f"Bearer {good[::-1]}",
    "is quoted": lambda _target, good: f'Bearer "{good}"',
    "has a word behind it": lambda _target, good: f"Bearer {good} admin",
    "comes under the scheme Basic": lambda _target, good: f"Basic {good}",
    "comes under the scheme Token": lambda _target, good: f"Token {good}",
    "comes without a scheme": lambda _target, good: good,
    "is the client's id": lambda target, _good: f"Bearer {target.credentials.client_id}",
    "is a client assertion": lambda target, _good: f"Bearer {target.assertion()}",
    "is an unsigned JWT": lambda target, _good: f"Bearer {_unsigned(target)}",
    "is a JWT of the client's own": lambda target, _good: f"Bearer {_own_jwt(target)}",
    "is a wildcard": lambda _target, _good: "Bearer *",
    "is null": lambda _target, _good: "Bearer null",
    "is a piece of SQL": lambda _target, _good: "Bearer ' OR '1'='1",
}


def _turned(good: str) -> str:
    """A token with one letter in its middle changed: its end may hold bits that mean nothing."""
    middle = len(good) // 2
    letter = "a" if good[middle] != "a" else "b"
    return f"{good[:middle]}{letter}{good[middle + 1 :]}"


def _access_claims(target: Target) -> dict[str, Any]:
    now = int(time.time())
    return {"iss": target.token_url(), "sub": target.credentials.client_id, "aud": target.fhir_base,
            "client_id": target.credentials.client_id, "scope": "system/*.cruds",
            "iat": now, "exp": now + 300}  # fmt: skip


def _unsigned(target: Target) -> str:
    head = encoded(json.dumps({"alg": "none", "typ": "at+jwt"}).encode())
    return f"{head}.{encoded(json.dumps(_access_claims(target)).encode())}."


def _own_jwt(target: Target) -> str:
    return target.assertion(claims=_access_claims(target), headers={"typ": "at+jwt"})


def decoded(text: str) -> bytes:
    """The bytes of a part of a JWS."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encoded(content: bytes) -> str:
    """Bytes as a part of a JWS."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
