"""UDAP JWTs and certificates that nobody may take, each made from a good one by one change.

The same flaws are made in software statements and in authentication tokens: `make` is either.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Protocol

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ..reference.trust import pki
from ..reference.trust.pki import Issued, TestAuthority
from ..reference.trust.udap.client import UdapClient
from ..reference.trust.udap.identity import UdapIdentity
from .udap_run import UdapRun
from .verdicts import CannotTell

_DAY = timedelta(days=1)
ELSEWHERE = "https://another.example/udap"


class Make(Protocol):
    """`UdapClient.statement` or `UdapClient.assertion`."""

    def __call__(
        self, *, claims: dict[str, Any] | None = None, headers: dict[str, Any] | None = None,
        identity: UdapIdentity | None = None,
    ) -> str: ...  # fmt: skip


Flaw = Callable[[UdapRun, Make], str]


def flawed(udap: UdapRun, make: Make, flaw: str) -> str:
    """A JWT with the flaw; raises CannotTell when it cannot be made here."""
    if flaw in _CLAIMS:
        return make(claims=_CLAIMS[flaw]())
    if flaw in _MADE:
        return _MADE[flaw](udap, make)
    if flaw in _CERTIFICATES:
        return make(identity=udap.by(_CERTIFICATES[flaw](udap)))
    raise CannotTell(f"No such flaw is known: {flaw}.")


def _times(starts_s: float, lasts_s: float) -> dict[str, Any]:
    issued = int(time.time() + starts_s)
    return {"iat": issued, "exp": issued + int(lasts_s)}


_CLAIMS: dict[str, Callable[[], dict[str, Any]]] = {
    "issuer is somebody else": lambda: {"iss": ELSEWHERE, "sub": ELSEWHERE},
    "subject is another than its issuer": lambda: {"sub": ELSEWHERE},
    "audience is another address": lambda: {"aud": ELSEWHERE},
    "audience is missing": lambda: {"aud": None},
    "expiry is past": lambda: _times(-600, 60),
    "expiry is missing": lambda: {"exp": None},
    "date of issue is missing": lambda: {"iat": None},
    "date of issue is tomorrow": lambda: _times(86_400, 60),
    "life is longer than five minutes": lambda: _times(0, 3600),
    "jti is missing": lambda: {"jti": None},
}


def _altered(_udap: UdapRun, make: Make) -> str:
    header, payload, signature = make().split(".")
    claims = json.loads(_decoded(payload))
    return f"{header}.{_encoded({**claims, 'client_name': 'Somebody else', 'x': 1})}.{signature}"


def _unsigned(_udap: UdapRun, make: Make) -> str:
    header, payload, _ = make().split(".")
    return f"{_encoded({**json.loads(_decoded(header)), 'alg': 'none'})}.{payload}."


def _by_public_key(udap: UdapRun, make: Make) -> str:
    """HS256 with the public key as its secret, which whoever reads the header could use."""
    public = udap.identity.issued.key.public_key()
    secret = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    header, payload, _ = make().split(".")
    head = _encoded({**json.loads(_decoded(header)), "alg": "HS256"})
    code = hmac.new(secret, f"{head}.{payload}".encode(), hashlib.sha256).digest()
    return f"{head}.{payload}.{base64.urlsafe_b64encode(code).decode().rstrip('=')}"


def _by_another_key(udap: UdapRun, make: Make) -> str:
    """The certificate is shown, and somebody else has signed."""
    other = pki.self_signed(udap.clock, uris=[udap.identity.uri], key="P-256")
    return make(identity=udap.by(other), headers={"x5c": udap.identity.issued.x5c()})


def _leaf_last(udap: UdapRun, make: Make) -> str:
    x5c = udap.identity.issued.x5c()
    if len(x5c) < 2:
        raise CannotTell("The client's certificate has no intermediate, so no order to change.")
    return make(headers={"x5c": x5c[::-1]})


def _in_pem(udap: UdapRun, make: Make) -> str:
    return make(headers={"x5c": [udap.identity.issued.chain_pem().decode()]})


_MADE: dict[str, Flaw] = {
    "signature is by another key": _by_another_key,
    "content was altered": _altered,
    "algorithm is none": _unsigned,
    "algorithm is HS256": _by_public_key,
    "certificate is left out": lambda _udap, make: make(headers={"x5c": None}),
    "certificate is in PEM": _in_pem,
    "certificates are in another order": _leaf_last,
}


def _own(udap: UdapRun, authority: TestAuthority, **how: Any) -> Issued:
    return authority.issue(uris=[udap.identity.uri], key=udap.identity.issued.key, **how)


_CERTIFICATES: dict[str, Callable[[UdapRun], Issued]] = {
    "certificate is self-signed": lambda u: pki.self_signed(
        u.clock, uris=[u.identity.uri], key=u.identity.issued.key
    ),
    "certificate is by an unknown authority": lambda u: _own(u, TestAuthority.create(u.clock)),
    "certificate has expired": lambda u: _own(u, u.authority, starts=-2 * _DAY, lasts=_DAY),
    "certificate is not valid yet": lambda u: _own(u, u.authority, starts=_DAY),
    "certificate was revoked": lambda u: u.revoked(),
    "certificate may not sign": lambda u: _own(u, u.authority, may_sign=False),
    "certificate has a short key": lambda u: u.authority.issue(
        uris=[u.identity.uri], key="RSA-1024"
    ),
    "certificate names another client": lambda u: u.authority.issue(
        uris=[ELSEWHERE], key=u.identity.issued.key
    ),
    "certificate is by another community": lambda u: _own(u, u.other_authority),
}


def smart_style(client: UdapClient, udap: UdapRun) -> str:
    """An assertion as SMART has it, with a key id in place of the certificate."""
    return client.assertion(headers={"x5c": None, "kid": "no-such-key"},
                            identity=udap.identity)  # fmt: skip


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(content: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")
