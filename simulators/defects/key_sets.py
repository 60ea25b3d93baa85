"""Defects of fetching and keeping the keys that a client publishes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jwt

from ...reference.egress import EgressRules
from ...reference.fhir import json
from ...reference.http import HttpClient
from ...reference.trust.authorization import OAuthError
from ...reference.trust.remote import PublishedKeys, RemoteKeys, fetch_jwks, lifetime
from ..responding import RespondingSimulator
from .registry import defect

_RULES = EgressRules(allow_loopback=True)
_HOUR_S = 3600.0
Fetch = Callable[[str], PublishedKeys]


def _fetching(simulator: RespondingSimulator, change: Callable[[Fetch], Fetch]) -> None:
    """Have key sets fetched another way."""

    def fetch(url: str) -> PublishedKeys:
        return fetch_jwks(url, _RULES)

    remote = RemoteKeys(change(fetch), simulator.payer.clock)
    simulator.payer.authorization.published = remote.get


@defect("KS-accept", "A key set is asked for as a web page", "smart-reg-11")
def as_web_page(simulator: RespondingSimulator) -> None:
    def fetch(url: str) -> PublishedKeys:
        answer = HttpClient(_RULES).request("GET", url, headers={"Accept": "text/html"})
        return PublishedKeys(json.read_object(answer.body), lifetime(answer))

    _fetching(simulator, lambda _: fetch)


@defect(
    "KS-unknown",
    "A key set with a key of an unknown type is thrown away",
    "jwk-01",
    also=(
        "smart-jwt-04",
        "smart-reg-09",
    ),
)
def known_types_only(simulator: RespondingSimulator) -> None:
    def strict(good: Fetch) -> Fetch:
        def fetch(url: str) -> PublishedKeys:
            found = good(url)
            known = all(key.get("kty") in ("RSA", "EC") for key in found.jwks.get("keys", []))
            return found if known else PublishedKeys({})

        return fetch

    _fetching(simulator, strict)


@defect(
    "KS-hour",
    "A key set is kept for an hour, whatever its client allows",
    "smart-reg-09",
    also=("smart-jwt-04",),
)
def for_an_hour(simulator: RespondingSimulator) -> None:
    _fetching(simulator, lambda good: lambda url: replace(good(url), lifetime_s=_HOUR_S))


@defect("KS-once", "A key set is fetched once, and a new key never seen", "smart-reg-09",
        also=("jwk-01", "smart-jwt-04", "smart-reg-10"))  # fmt: skip
def fetched_once(simulator: RespondingSimulator) -> None:
    kept: dict[str, Mapping[str, Any]] = {}

    def published(url: str, _kid: str) -> Mapping[str, Any]:
        if not kept.get(url):
            kept[url] = fetch_jwks(url, _RULES).jwks
        return kept[url]

    simulator.payer.authorization.published = published


@defect("KS-each", "A key set is fetched for every token", "smart-reg-10")
def each_time(simulator: RespondingSimulator) -> None:
    _fetching(simulator, lambda good: lambda url: replace(good(url), lifetime_s=0.0))


@defect("KS-jku", "A key URL in an assertion is refused though it is the registered one",
        "smart-jwt-04")  # fmt: skip
def no_jku(simulator: RespondingSimulator) -> None:
    server = simulator.payer.authorization
    strict = server.by_assertion

    def by_assertion(assertion: str, client_id: str) -> Any:
        if _header(assertion).get("jku") is not None:
            raise OAuthError(401, "invalid_client", "The key URL is refused.", "jku")
        return strict(assertion, client_id)

    server.by_assertion = by_assertion


def _header(assertion: str) -> dict[str, Any]:
    """Its header; empty where it is no JWT, which the payer refuses by itself."""
    try:
        return jwt.get_unverified_header(assertion)
    except jwt.InvalidTokenError:
        return {}
