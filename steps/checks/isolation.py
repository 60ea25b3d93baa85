"""Checks on what one client learns of another's: nothing, not even that it is there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from ...reference.answered import issue_codes
from ...reference.http import Exchange
from ..verdicts import CheckFailed

_REFUSED = (401, 403, 404)


def is_out_of_reach(exchange: Exchange) -> None:
    """A refusal, or a search result with nothing of a member in it."""
    if exchange.status in _REFUSED:
        return
    found = _entries(exchange) if exchange.status == 200 else None
    if found is None or any(r.get("resourceType") != "OperationOutcome" for r in found):
        raise CheckFailed(
            "A client reaches what another one's match opened.",
            "401, 403 or 404, or an empty search result",
            f"status {exchange.status}",
            "status",
        )


def are_alike(first: Exchange, second: Exchange) -> None:
    """The refusal of what is another's is that of what does not exist."""
    told = [(e.status, tuple(issue_codes(e))) for e in (first, second)]
    if told[0] != told[1]:
        raise CheckFailed("A refusal tells that something is there.",
                          "the same status and issue codes for both",
                          f"{told[0][0]} and {told[1][0]}", "status")  # fmt: skip


def holds_none_of(exchange: Exchange, idents: Iterable[str]) -> None:
    """No resource with one of the ids is in a search result; a refusal holds none either."""
    if exchange.status in _REFUSED:
        return
    found = _entries(exchange)
    if found is None:
        raise CheckFailed("The search was not answered.", "a searchset Bundle or a refusal",
                          f"status {exchange.status}", "status")  # fmt: skip
    foreign = [r for r in found if str(r.get("id")) in set(idents)]
    if foreign:
        raise CheckFailed("A search finds another client's Groups.", "none of them",
                          f"{len(foreign)} of them", "Bundle.entry")  # fmt: skip


def not_existing(url: str) -> str:
    """The same URL with the id in it made up: its last segment that is no operation."""
    head, _, tail = url.rpartition("/")
    if tail.startswith("$"):
        return f"{not_existing(head)}/{tail}"
    return f"{head}/{'0' * min(len(tail), 32)}"


def _entries(exchange: Exchange) -> list[Mapping[str, Any]] | None:
    """The resources of a Bundle; None when the answer is none."""
    try:
        bundle = json.loads(exchange.body)
    except ValueError:
        return None
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        return None
    entries = [e.get("resource") for e in bundle.get("entry") or [] if isinstance(e, dict)]
    return [r for r in entries if isinstance(r, dict)]
