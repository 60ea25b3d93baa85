"""The exchanges of a run as HTTP Archive 1.2, masked: what any browser's tools can open."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..reference.http import Exchange
from .masking import MASK, Masker

_HIDDEN_HEADERS = frozenset({"authorization", "cookie", "set-cookie"})


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of an archive that a run wrote; empty when there is no readable one."""
    try:
        found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["log"]["entries"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return found


def write_har(
    path: Path,
    exchanges: Iterable[tuple[str, Exchange]],
    masker: Masker,
    earlier: Iterable[Mapping[str, Any]] = (),
) -> None:
    """Write the exchanges; each entry's comment is its id. `earlier` entries stand before them."""
    log = {
        "version": "1.2",
        "creator": {"name": "payer-exchange", "version": "1"},
        "entries": [*earlier, *(_entry(ident, exchange, masker) for ident, exchange in exchanges)],
    }
    path.write_text(json.dumps({"log": log}, indent=1), encoding="utf-8")


def _entry(ident: str, exchange: Exchange, masker: Masker) -> dict[str, Any]:
    started = datetime.fromtimestamp(exchange.started, UTC)
    elapsed = round(exchange.elapsed_s * 1000, 3)
    return {
        "comment": ident,
        "startedDateTime": started.isoformat(timespec="milliseconds"),
        "time": elapsed,
        "request": {
            "method": exchange.method,
            "url": masker.text(exchange.url),
            "httpVersion": "HTTP/1.1",
            "headers": _headers(exchange.request_headers, masker),
            "queryString": [],
            "cookies": [],
            "headersSize": -1,
            "bodySize": len(exchange.request_body),
            "postData": {
                "mimeType": exchange.request_headers.get("Content-Type", ""),
                "text": masker.body(exchange.request_body),
            },
        },
        "response": {
            "status": exchange.status,
            "statusText": "",
            "httpVersion": "HTTP/1.1",
            "headers": _headers(exchange.headers, masker),
            "cookies": [],
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": len(exchange.body),
            "content": {
                "size": len(exchange.body),
                "mimeType": exchange.header("Content-Type"),
                "text": masker.body(exchange.body) if exchange.body else "",
            },
            "comment": exchange.note,
        },
        "cache": {},
        "timings": {"send": 0, "wait": elapsed, "receive": 0},
    }


def _headers(headers: Mapping[str, str], masker: Masker) -> list[dict[str, str]]:
    return [
        {"name": n, "value": MASK if n.lower() in _HIDDEN_HEADERS else masker.text(v)}
        for n, v in headers.items()
    ]
