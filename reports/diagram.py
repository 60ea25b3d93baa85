"""The exchanges of a run as a sequence diagram in SVG: who called what, when, and how long."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from .exchanges import ShownExchange

_ROW, _TOP, _LEFT, _GAP = 26, 56, 90, 420
_MOST = 60
_LETTERS = 58
# A part of a path that is somebody's or a job's own: it says nothing about the kind of call.
_OWN = re.compile(r"\{member\}|\*+|(?=[^/]*\d)[A-Za-z0-9._~-]{8,}|[0-9a-f-]{16,}|\d+")
_FILE = re.compile(r"[^/]+\.ndjson$")


@dataclass(slots=True)
class Call:
    """One kind of call: the first of it, how many there were, and how long they took."""

    host: str
    words: str
    status: int
    started: float
    count: int = 0
    milliseconds: float = 0.0


def calls(exchanges: Iterable[ShownExchange]) -> list[Call]:
    """The kinds of calls in the order in which the first of each was made."""
    found: dict[tuple[str, str, int], Call] = {}
    clock = 0.0
    for exchange in exchanges:
        parts = urlsplit(exchange.url)
        words = f"{exchange.method} {_kind(parts.path)}"
        key = (parts.netloc, words, exchange.status)
        call = found.setdefault(key, Call(parts.netloc or "file", words, exchange.status, clock))
        call.count += 1
        call.milliseconds += exchange.milliseconds
        clock += exchange.milliseconds
    return list(found.values())


def render(exchanges: Iterable[ShownExchange], asker: str, asked: str) -> str:
    """The diagram as SVG; empty when nothing was exchanged."""
    every = calls(exchanges)
    if not every:
        return ""
    shown = every[:_MOST]
    hosts = list(dict.fromkeys(call.host for call in shown))
    width, height = _LEFT + _GAP * len(hosts) + 120, _TOP + _ROW * (len(shown) + 1) + 24
    label = escape(f"{asker} calls {asked}: {len(every)} kinds of calls")
    parts = [
        f'<svg class="sequence" viewBox="0 0 {width} {height}" width="{width}" role="img">',
        f"<title>{label}</title>",
        _lifeline(_LEFT, asker, "", height),
        *(_lifeline(_LEFT + _GAP * (n + 1), asked if not n else "another host", host, height)
          for n, host in enumerate(hosts)),
        *(_arrow(n, call, hosts.index(call.host)) for n, call in enumerate(shown)),
    ]  # fmt: skip
    if len(every) > len(shown):
        y = _TOP + _ROW * (len(shown) + 1)
        parts.append(f'<text x="{_LEFT + 8}" y="{y}">and {len(every) - len(shown)} more</text>')
    return "\n".join([*parts, "</svg>"])


def _kind(path: str) -> str:
    found = _FILE.sub("{file}.ndjson", path)
    words = "/".join(_OWN.sub("{id}", part) if _OWN.fullmatch(part) else part
                     for part in found.split("/"))  # fmt: skip
    return words if len(words) <= _LETTERS else f"…{words[-_LETTERS:]}"


def _lifeline(x: int, name: str, host: str, height: int) -> str:
    return (
        f'<g><text class="who" x="{x}" y="18" text-anchor="middle">{escape(name)}</text>'
        f'<text class="host" x="{x}" y="34" text-anchor="middle">{escape(host)}</text>'
        f'<line class="life" x1="{x}" y1="42" x2="{x}" y2="{height - 10}"/></g>'
    )


def _arrow(row: int, call: Call, host: int) -> str:
    y, start, end = _TOP + _ROW * (row + 1), _LEFT, _LEFT + _GAP * (host + 1)
    kind = "bad" if call.status == 0 or call.status >= 500 else "call"
    times = f", {call.count} times" if call.count > 1 else ""
    took = f"{call.milliseconds / call.count:.0f} ms"
    words = escape(f"{call.words}{times}")
    return (
        f'<g class="{kind}"><title>{words}, answered {call.status or "not at all"}, first at '
        f"{call.started / 1000:.1f} s of waiting, {took} each</title>"
        f'<line x1="{start}" y1="{y}" x2="{end - 7}" y2="{y}"/>'
        f'<path d="M{end - 8} {y - 4}L{end} {y}L{end - 8} {y + 4}z"/>'
        f'<text x="{start + 8}" y="{y - 5}">{words}</text>'
        f'<text class="took" x="{end + 8}" y="{y + 4}">{call.status or "—"}, {took}</text></g>'
    )
