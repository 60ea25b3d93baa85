"""Starting an export: by POST, or by GET of a target that takes none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from ..reference.http import Exchange
from ..reference.target import AccessToken, Target

# What a server answers that does not know the method (bulk-kickoff-03).
_NOT_FOUND = 404
_NOT_BY_POST = (_NOT_FOUND, 405, 501)


class KickOffs:
    """Kick-offs of one target, by the method that it takes.

    A POST with Parameters is an option of Bulk Data (bulk-kickoff-03); GET is what every server
    takes (bulk-kickoff-02).
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._by_get = False

    def send(
        self,
        url: str,
        token: AccessToken,
        parameters: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
    ) -> Exchange:
        """The answer to a kick-off; to the GET where the target takes no POST."""
        if parameters is None or self._by_get:
            return self._get(url, token, parameters, headers)
        posted = self._target.kick_off(url, token, parameters, headers=headers)
        if posted.status not in _NOT_BY_POST:
            return posted
        got = self._get(url, token, parameters, headers)
        self._by_get = got.status == 202
        return posted if posted.status == _NOT_FOUND and not self._by_get else got

    def _get(
        self,
        url: str,
        token: AccessToken,
        parameters: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> Exchange:
        query = as_query(parameters or {})
        return self._target.kick_off(url + query, token, None, headers=headers)


def as_query(parameters: Mapping[str, Any]) -> str:
    """The entries of Parameters as the query of a URL, with its question mark; empty for none."""
    pairs = [(entry["name"], _text(entry)) for entry in parameters.get("parameter", [])]
    return f"?{urlencode(pairs)}" if pairs else ""


def _text(entry: Mapping[str, Any]) -> str:
    value = next(found for name, found in entry.items() if name.startswith("value"))
    if isinstance(value, bool):
        return str(value).lower()
    return str(value["reference"] if isinstance(value, Mapping) else value)
