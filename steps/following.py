"""Following what a target handed out: its status, its files, its pages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin

from ..reference.errors import TargetError
from ..reference.fhir.ndjson import lines_of
from ..reference.http import Exchange
from ..reference.target import AccessToken, Target
from .delivered import DeliveredFile, Export, entries_in

AskToken = Callable[[], AccessToken]
_LIMIT_S = 300
_MOST_PAGES = 200


def follow(target: Target, export: Export, token: AskToken) -> Export:
    """Poll and download an export that was kicked off; failures are kept in it."""
    location = export.kick_off.header("Content-Location")
    if export.kick_off.status != 202 or not location:
        export.failure = f"The kick-off was answered {export.kick_off.status}."
        return export
    try:
        export.result = target.await_export(
            urljoin(export.kick_off.url, location), token, limit_s=_LIMIT_S,
            on_poll=export.polls.append,
        )  # fmt: skip
    except TargetError as error:
        export.failure = str(error)
        return export
    for section in ("output", "error", "deleted"):
        for entry in entries_in(export.result.manifest, section):
            export.files.append(_download(target, entry, token, export.result.manifest))
    return export


def follow_pages(target: Target, url: str, token: AccessToken) -> list[Exchange]:
    """The answer and its further pages, up to 200 of them, each asked for once."""
    pages: list[Exchange] = []
    seen: set[str] = set()
    while url and url not in seen and len(pages) < _MOST_PAGES:
        seen.add(url)
        pages.append(target.get(url, token))
        url = next_link(pages[-1])
    return pages


def next_link(exchange: Exchange) -> str:
    """The next link of a Bundle answer; empty when it has none."""
    try:
        bundle = json.loads(exchange.body)
    except ValueError:
        return ""
    links = bundle.get("link", []) if isinstance(bundle, dict) else []
    return next((str(x.get("url", "")) for x in links if x.get("relation") == "next"), "")


def _download(
    target: Target, entry: Mapping[str, Any], ask_token: AskToken, manifest: Mapping[str, Any]
) -> DeliveredFile:
    url, count = str(entry.get("url", "")), entry.get("count")
    exchange, body, failure = _fetch(target, url, ask_token, manifest)
    return DeliveredFile(
        str(entry.get("type", "")),
        url,
        count if isinstance(count, int) else None,
        exchange,
        tuple(lines_of([body])) if not failure else (),
        body.endswith(b"\n"),
        b"\r" in body,
        failure,
    )


def _fetch(
    target: Target, url: str, ask_token: AskToken, manifest: Mapping[str, Any]
) -> tuple[Exchange, bytes, str]:
    """The exchange, what came, and why it is not the whole file; the token stays at home."""
    wants_token = manifest.get("requiresAccessToken") is not False
    kept = bytearray()
    try:
        where = urljoin(target.fhir_base + "/", url)
        headers = {"Accept": "application/fhir+ndjson"}
        if wants_token and target.is_own_origin(where):
            headers["Authorization"] = f"Bearer {ask_token().value.reveal()}"
        exchange, chunks = target.http.stream(where, headers=headers)
        for chunk in chunks:
            kept += chunk
    except TargetError as error:
        return Exchange("GET", url, {}, b"", 0.0), bytes(kept), str(error)
    failure = "" if exchange.status == 200 else f"It was answered {exchange.status}."
    return exchange, bytes(kept), failure
