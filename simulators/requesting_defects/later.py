"""Defects of what comes later, and of what lies elsewhere: updates, withdrawals, other hosts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...reference.errors import ExportFailed
from ...reference.fhir import json
from ...reference.http import Exchange, HttpClient
from ...reference.intake.bulk import BulkIntake
from ...reference.opt_in import OptIns
from ...reference.registration.servers import Server
from ...reference.requesting import calendar, exchange
from ...reference.requesting.calendar import Calendar
from ...reference.requesting.exchange import Conversation
from ...reference.secret import SecretKey
from ...reference.trust import keys
from .registry import defect, is_file, is_kick_off, put, sending

_ELSEWHERE = re.compile(rb'"url": ?"(http[^"]+/Binary/[^"]+)"')


@defect("Q88", "What the other payer has deleted is kept", "bulk-man-18")
def keeps_deleted() -> None:
    put(BulkIntake, "_forget_deleted", lambda *_given: None)


@defect("Q89", "The reports of problems with an export are not read", "bulk-out-20")
def overlooks_problems() -> None:
    def listed(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        return ((role, entry) for role, entry in strict(manifest) if role != "error")

    strict = put(exchange, "_listed", listed)


@defect("Q90", "A withdrawn permission is not looked at", "pdex-revocation-requester")
def asks_on() -> None:
    put(OptIns, "withdraw", lambda *_given: 0)


@defect("Q91", "An opt-in is left for later", "cms0057-request-1week",
        also=("cms0057-concurrent-quarterly", "pdex-concurrent-quarterly"))  # fmt: skip
def leaves_opt_ins() -> None:
    put(calendar, "opt_in_requests", lambda _payer: iter(()))


@defect("Q92", "Concurrent coverage is asked for once", "cms0057-concurrent-quarterly",
        "pdex-concurrent-quarterly")  # fmt: skip
def asks_once() -> None:
    put(Calendar, "_repeats", lambda _self: iter(()))


@defect("Q98", "A manifest in pages is asked for, and its first page is taken for all of it",
        "bulk-man-25")  # fmt: skip
def first_page() -> None:
    def change(sent: Exchange) -> None:
        if is_kick_off(sent) and sent.request_body:
            body = json.read(sent.request_body)
            body["parameter"].append({"name": "allowPartialManifests", "valueBoolean": True})
            sent.request_body = json.write(body)

    sending(change)


@defect("Q99", "A file that is no longer there is passed over", "bulk-out-07", "bulk-out-08")
def passes_over() -> None:
    def file(self: Conversation, *given: Any, **options: Any) -> Any:
        try:
            return strict(self, *given, **options)
        except ExportFailed as error:
            if error.status != 404:
                raise
            return _Nothing()

    strict = put(Conversation, "_file", file)


class _Nothing:
    """A file that was passed over."""

    kind, lines = "nothing", 0


@defect("Q66", "Only one algorithm can be signed with", "smart-jwt-14")
def one_algorithm() -> None:
    def credentials(self: Server) -> Any:
        found = strict(self)
        if found.jwk and found.jwk.get("kty") == "RSA":
            other = SecretKey({**keys.generate("ES384"), "kid": found.jwk["kid"]})
            return replace(found, jwk=other)
        return found

    strict = put(Server, "credentials", credentials)


@defect("Q67", "The first key is used for ever", "smart-tok-05", "smart-jwt-02",
        also=("pdex-142",))  # fmt: skip
def first_key() -> None:
    kept = Path(os.environ.get("PAYER_EXCHANGE_WORK_FOLDER", "")) / "first-key.json"

    def credentials(self: Server) -> Any:
        if not kept.is_file():
            kept.write_bytes(Path(self.key_file).read_bytes())
        return replace(strict(self), jwk=SecretKey(keys.read_private(kept)))

    strict = put(Server, "credentials", credentials)


@defect("Q68", "What lies at another host is fetched with the token", "smart-use-03")
def fetches_all() -> None:
    def stream(self: HttpClient, url: str, *given: Any, **options: Any) -> Any:
        head, chunks = strict(self, url, *given, **options)
        whole = b"".join(chunks)
        held = {k: v for k, v in options["headers"].items() if k == "Authorization"}
        for found in _ELSEWHERE.findall(whole):
            self.request("GET", found.decode(), headers=held)
        return head, iter([whole])

    strict = put(HttpClient, "stream", stream)


@defect("Q69", "The next page is asked for by an address of one's own making", "search-04")
def own_page() -> None:
    def next_url(bundle: Mapping[str, Any]) -> str:
        url = strict(bundle)
        return f"{url.partition('?')[0]}?_page=2" if url else ""

    strict = put(exchange, "_next_url", next_url)


@defect("Q77", "A record with much in it is refused", "hrex-conf-2", "pdex-83", "pdex-104")
def little_alone() -> None:
    def stream(self: HttpClient, *given: Any, **options: Any) -> Any:
        head, chunks = strict(self, *given, **options)
        whole = b"".join(chunks)
        if is_file(head) and b"AllergyIntolerance" in whole:
            raise ExportFailed("The file has a type that is not known.")
        return head, iter([whole])

    strict = put(HttpClient, "stream", stream)
