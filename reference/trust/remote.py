"""Keys that a client publishes at its registered URL.

They are fetched, kept for a while, and never trusted for longer than an hour when the URL no longer
answers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..clock import Clock
from ..errors import PayerExchangeError
from ..fhir import json
from ..http import HttpClient

# A removed key counts for so long; a new one is looked for once in so long.
FRESH_S = 300.0
LOOK_AGAIN_S = 60.0
LAST_GOOD_S = 3600.0
_MAX_BYTES = 256 * 1024


@dataclass(slots=True)
class _Kept:
    jwks: Mapping[str, Any]
    fetched: float
    tried: float
    looked: float = float("-inf")


class RemoteKeys:
    """The JWK sets of registered URLs. Safe to share between threads."""

    def __init__(self, fetch: Callable[[str], Mapping[str, Any]], clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._lock = threading.Lock()

    def get(self, url: str, kid: str) -> Mapping[str, Any]:
        """The set at a URL; empty when it cannot be had.

        A `kid` that is not in it has the set fetched anew, at most once a minute, so that a key
        can be rotated without an outage and a stranger cannot make us ask without end.
        """
        now = self._clock.now().timestamp()
        with self._lock:
            kept = self._kept.get(url)
            if kept is None or now - kept.tried >= FRESH_S:
                kept = self._renewed(url, kept, now)
            elif not _holds(kept.jwks, kid) and now - kept.looked >= LOOK_AGAIN_S:
                kept = self._renewed(url, kept, now)
                kept.looked = now
            return kept.jwks if now - kept.fetched < LAST_GOOD_S else {}

    def _renewed(self, url: str, kept: _Kept | None, now: float) -> _Kept:
        try:
            jwks = self._fetch(url)
        except (PayerExchangeError, ValueError):
            jwks = {}
        if jwks:
            looked = kept.looked if kept else float("-inf")
            kept = _Kept(jwks, now, now, looked)
        else:
            kept = kept or _Kept({}, now, now)
            # Soon again: an outage of the other side's should not become ours.
            kept.tried = now - FRESH_S + LOOK_AGAIN_S
        self._kept[url] = kept
        return kept


def fetch_jwks(url: str) -> Mapping[str, Any]:
    """The JWK set at a URL; empty when the answer is none. Raises TargetError without an answer."""
    http = HttpClient(timeout_s=5)
    try:
        exchange, chunks = http.stream(url, headers={"Accept": "application/json"})
        body = b""
        for chunk in chunks:
            body += chunk
            if len(body) > _MAX_BYTES:
                return {}
        found = json.read_object(body) if exchange.status == 200 else {}
    finally:
        http.close()
    return found


def _holds(jwks: Mapping[str, Any], kid: str) -> bool:
    keys = jwks.get("keys")
    return any(
        isinstance(jwk, Mapping) and jwk.get("kid") == kid
        for jwk in (keys if isinstance(keys, list) else [])
    )
