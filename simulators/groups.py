"""The matched Groups of a responding payer over HTTP: search, read, and their short history."""

from __future__ import annotations

from collections.abc import Callable

from flask import Response

from ..reference.bulk_match.search import history_of
from ..reference.errors import BadRequest
from ..reference.responding import RespondingPayer
from ..reference.trust.tokens import Grant
from .answers import (
    fhir_answer,
    form_pairs,
    http_date,
    preferences,
    query_pairs,
    require_acceptable,
)
from .exporting import require_bulk


class GroupRoutes:
    """The routes of Group: each client's own ones, and no other."""

    def __init__(self, payer: RespondingPayer, grant: Callable[[], Grant]) -> None:
        self._payer = payer
        self._grant = grant

    def add_to(self, route: Callable[..., None]) -> None:
        """Add the routes to a blueprint."""
        route("/Group", "search_group", self.search)
        route("/Group/_search", "search_group_post", self.search_post, methods=["POST"])
        route("/Group/<ident>", "read_group", self.read)
        route("/Group/<ident>/_history", "history_group", self.history)
        route("/Group/<ident>/_history/<version>", "vread_group", self.read)

    def search(self) -> Response:
        return self._found(query_pairs())

    def search_post(self) -> Response:
        return self._found(query_pairs() + form_pairs())

    def _found(self, pairs: list[tuple[str, str]]) -> Response:
        require_bulk(self._payer)
        grant = self._grant()
        require_acceptable()
        strict = preferences().get("handling") == "strict"
        page = self._payer.search_groups(grant, pairs, strict=strict)
        return fhir_answer(self._payer.retrieval.bundle(page))

    def read(self, ident: str, version: str = "1") -> Response:
        require_bulk(self._payer)
        group = self._payer.group(self._grant(), ident)
        require_acceptable()
        if version != "1":
            raise BadRequest("There is no such version of the Group.", status=404,
                             code="not-found")  # fmt: skip
        return fhir_answer(
            group.body, headers={"ETag": 'W/"1"', "Last-Modified": http_date(group.created)}
        )

    def history(self, ident: str) -> Response:
        require_bulk(self._payer)
        group = self._payer.group(self._grant(), ident)
        require_acceptable()
        url = f"{self._payer.settings.fhir_base}/Group/{ident}"
        return fhir_answer(history_of(group, url))
