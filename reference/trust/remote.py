"""Keys that a client publishes at its registered URL.

They are fetched and kept for as long as the client announced, never longer (SMART App Launch 2.2,
registering a client: a server shall not cache a JWK set for longer than the client said). Keys of
a client that announces nothing are kept for five minutes, and for an hour when its URL no longer
answers.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

from ..clock import Clock
from ..egress import EgressRules, normal_origin
from ..errors import PayerExchangeError
from ..fhir import json
from ..http import Exchange, HttpClient
from ..tls import Tls

# How long keys count for which nothing was announced, and the most that an announcement counts.
FRESH_S = 300.0
MOST_S = 3600.0
# A new key is looked for, and a URL that failed is tried again, once in so long.
LOOK_AGAIN_S = 60.0
LAST_GOOD_S = 3600.0
MAX_BYTES = 256 * 1024
_MAX_HOPS = 3
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_AGE = re.compile(r'(?<![\w-])max-age\s*=\s*"?(\d{1,12})"?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PublishedKeys:
    """A JWK set as it came, and for how many seconds its client lets it be kept, if it said."""

    jwks: Mapping[str, Any]
    lifetime_s: float | None = None


@dataclass(slots=True)
class _Kept:
    """What is known of one URL; whoever looks at it or changes it holds the lock."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    jwks: Mapping[str, Any] = field(default_factory=dict)
    fresh_until: float = float("-inf")
    good_until: float = float("-inf")
    looked: float = float("-inf")
    failed: float = float("-inf")


class RemoteKeys:
    """The JWK sets of registered URLs. Safe to share between threads."""

    def __init__(self, fetch: Callable[[str], PublishedKeys], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def get(self, url: str, kid: str) -> Mapping[str, Any]:
        """The set at a URL; empty when it cannot be had.

        A `kid` that is not in it has the set fetched anew, at most once a minute, so that a key
        can be rotated without an outage and a stranger cannot make us ask without end.
        """
        with self._lock:
            kept = self._kept.setdefault(url, _Kept())
        # A lock for each URL: a client whose server is slow keeps no other client waiting.
        with kept.lock:
            now, renewed = self._clock.now().timestamp(), False
            if now >= kept.fresh_until:
                renewed = self._renew(url, kept, now)
            elif not _holds(kept.jwks, kid) and now - kept.looked >= LOOK_AGAIN_S:
                kept.looked = now
                renewed = self._renew(url, kept, now)
            return kept.jwks if renewed or now < kept.good_until else {}

    def _renew(self, url: str, kept: _Kept, now: float) -> bool:
        """Fetch the set anew; returns whether there is one."""
        if now - kept.failed < LOOK_AGAIN_S:
            return False
        try:
            found = self._fetch(url)
        except (PayerExchangeError, ValueError):
            found = PublishedKeys({})
        if not found.jwks:
            kept.failed = now
            return False
        told = found.lifetime_s
        life = FRESH_S if told is None else min(told, MOST_S)
        kept.jwks, kept.fresh_until = found.jwks, now + life
        # What was announced is a promise to its client; an outage does not lengthen it.
        kept.good_until = now + (LAST_GOOD_S if told is None else life)
        return True


def fetch_jwks(url: str, rules: EgressRules | None = None, tls: Tls | None = None) -> PublishedKeys:
    """The JWK set at a URL, empty when the answer is none or larger than 256 KiB.

    Redirects are followed within the URL's own origin only: the registration vouches for no other.
    The rules say where such URLs may lead. Raises TargetError without an answer, AddressRefused
    for a URL that is not to be asked.
    """
    http = HttpClient(rules, timeout_s=5, tls=tls)
    try:
        for _ in range(_MAX_HOPS + 1):
            exchange, body = _get(http, url)
            if exchange.status == 200:
                return PublishedKeys(json.read_object(body), lifetime(exchange)) if body else _NONE
            following = urljoin(url, exchange.header("Location"))
            if exchange.status not in _REDIRECTS or normal_origin(following) != normal_origin(url):
                return _NONE
            url = following
    finally:
        http.close()
    return _NONE


def lifetime(exchange: Exchange) -> float | None:
    """For how many seconds an answer may be kept (RFC 9111, 4.2.1); None when it does not say."""
    control = exchange.header("Cache-Control").lower()
    if "no-store" in control or "no-cache" in control:
        return 0.0
    found = _MAX_AGE.search(control)
    if found:
        age = exchange.header("Age")
        return max(0.0, float(found[1]) - (float(age) if age.isdecimal() else 0.0))
    expires = exchange.header("Expires")
    return _until(expires, exchange.header("Date"), exchange.started) if expires else None


_NONE = PublishedKeys({})


def _get(http: HttpClient, url: str) -> tuple[Exchange, bytes]:
    exchange, chunks = http.stream(url, headers={"Accept": "application/json"}, follow=False)
    body = b""
    for chunk in chunks:
        body += chunk
        if len(body) > MAX_BYTES:
            return exchange, b""
    return exchange, body


def _until(expires: str, date: str, received: float) -> float:
    """Seconds between the moment of an answer and its expiry; one that is no date is past."""
    try:
        end = parsedate_to_datetime(expires).timestamp()
    except (ValueError, TypeError):
        return 0.0
    try:
        start = parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        start = received
    return max(0.0, end - start)


def _holds(jwks: Mapping[str, Any], kid: str) -> bool:
    keys = jwks.get("keys")
    return any(
        isinstance(jwk, Mapping) and jwk.get("kid") == kid
        for jwk in (keys if isinstance(keys, list) else [])
    )
