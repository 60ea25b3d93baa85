"""The recorded exchanges of a run as a report shows them, each with a command that repeats it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .masking import MASK

# Beyond this a body is cut: the report is for reading, and the archive beside it holds the rest.
_MOST_SHOWN = 6_000
# What a masked value stands for in a command; each is to be set before the command is run.
_PLACEHOLDERS = (
    ("{member}", "$MEMBER"),
    (f"client_assertion={MASK}", "client_assertion=$ASSERTION"),
    (f"client_secret={MASK}", "client_secret=$SECRET"),
    (f"Bearer {MASK}", "Bearer $TOKEN"),
    (MASK, "$VALUE"),
)
_SPECIAL = re.compile(r'(["\\`$])')
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class ShownExchange:
    """One request and its answer, masked, ready to be shown."""

    id: str
    method: str
    url: str
    status: int
    milliseconds: float
    request: str
    response: str
    curl: str
    note: str = ""


def read_exchanges(archive: Path) -> dict[str, ShownExchange]:
    """The exchanges of an HTTP archive by their ids; empty when there is no readable one."""
    try:
        content = json.loads(archive.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {e["comment"]: shown(e) for e in content["log"]["entries"]}


def shown(entry: Mapping[str, Any]) -> ShownExchange:
    """An entry of an HTTP archive as a report shows it."""
    request, response = entry["request"], entry["response"]
    return ShownExchange(
        id=entry["comment"],
        method=request["method"],
        url=request["url"],
        status=response["status"],
        milliseconds=entry["time"],
        request=_message(
            f"{request['method']} {request['url']}",
            request["headers"],
            request.get("postData", {}).get("text", ""),
        ),
        response=_message(
            f"HTTP {response['status']}", response["headers"], response["content"].get("text", "")
        ),
        curl=curl(request),
        note=response.get("comment", ""),
    )


def curl(request: Mapping[str, Any]) -> str:
    """A command that repeats a recorded request, what was masked left to be set by the reader."""
    parts = [f"curl -i -X {request['method']} {_quoted(request['url'])}"]
    for header in request["headers"]:
        value = header["value"]
        if header["name"].lower() == "authorization" and value == MASK:
            value = f"Bearer {MASK}"
        parts.append(f"-H {_quoted(header['name'] + ': ' + value)}")
    body = request.get("postData", {}).get("text", "")
    if body:
        is_form = request["postData"].get("mimeType", "").startswith(_FORM)
        parts.append(f"--data {_quoted(body)}" if is_form else "--data-binary @request.json")
    return " \\\n  ".join(parts)


def _quoted(text: str) -> str:
    """A double-quoted word of a shell, in which only our own placeholders are variables."""
    escaped = _SPECIAL.sub(r"\\\1", text.replace("\r", " ").replace("\n", " "))
    for masked, variable in _PLACEHOLDERS:
        escaped = escaped.replace(masked, variable)
    return f'"{escaped}"'


def _message(first: str, headers: Iterable[Mapping[str, str]], body: str) -> str:
    lines = [first, *(f"{h['name']}: {h['value']}" for h in headers)]
    if body:
        cut = f"\n({len(body) - _MOST_SHOWN} characters more in exchange.har)"
        lines += ["", body[:_MOST_SHOWN] + (cut if len(body) > _MOST_SHOWN else "")]
    return "\n".join(lines)
