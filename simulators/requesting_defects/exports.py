"""Defects of export: how it is started and waited for, what is fetched and what is believed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

from ...reference import http, target
from ...reference.errors import ExportFailed
from ...reference.http import Exchange, HttpClient
from ...reference.requesting import RequestingPayer
from ...reference.requesting.exchange import Conversation
from ...reference.target import Target
from .registry import RECEIVED, defect, header, is_file, is_kick_off, is_poll, put, sending

header("Q50", "The kick-off takes anything", is_kick_off, "Accept", "*/*", "bulk-kickoff-08")
header("Q51", "The kick-off does not ask for an asynchronous answer", is_kick_off, "Prefer", None,
        "bulk-kickoff-09")  # fmt: skip
header("Q52", "A poll takes HTML", is_poll, "Accept", "text/html", "bulk-status-09")
header("Q53", "Files are asked for without a token", is_file, "Authorization", None,
        "bulk-out-04", also=("smart-use-01", *RECEIVED, "bulk-out-09"))  # fmt: skip
header("Q54", "Files may not come compressed", is_file, "Accept-Encoding", "identity",
        "bulk-out-09")  # fmt: skip


@defect("Q55", "When to come again is not looked at", "bulk-status-05", "http-04",
         "bulk-status-08", also=("smart-rsp-12",))  # fmt: skip
def hurries() -> None:
    put(target, "retry_after", lambda _exchange, _now: 0.0)


def _fatal(
    ident: str, summary: str, status: int, *violates: str, also: tuple[str, ...] = ()
) -> None:
    def install() -> None:
        def get(self: Target, *given: Any, **options: Any) -> Exchange:
            found = strict(self, *given, **options)
            changed: Exchange = replace(found, status=400) if found.status == status else found
            return changed

        strict = put(Target, "get", get)

    defect(ident, summary, *violates, also=also)(install)


_fatal(
    "Q56", "A poll that came too fast ends the exchange", 429, "bulk-status-08", also=("pdex-137",)
)
_fatal("Q57", "A transient error ends the exchange", 503, "bulk-status-12")


@defect("Q58", "A manifest with more in it is refused", "bulk-man-27")
def strict_manifest() -> None:
    def await_export(self: Target, *given: Any, **options: Any) -> Any:
        found = strict(self, *given, **options)
        if "madeUp" in found.manifest:
            raise ExportFailed("The manifest holds something unknown.")
        return found

    strict = put(Target, "await_export", await_export)


@defect("Q59", "The token goes wherever a file lies", "bulk-out-05", also=("http-06",))
def token_everywhere() -> None:
    held: list[str] = []

    def change(sent: Exchange) -> None:
        if "Authorization" in sent.request_headers:
            held[:] = [sent.request_headers["Authorization"]]
        elif is_file(sent) and held and "Authorization" not in sent.request_headers:
            sent.request_headers["Authorization"] = held[0]

    sending(change)


@defect("Q60", "The token follows a redirect", "http-06", also=("bulk-out-05",))
def token_follows() -> None:
    def next_hop(sent: Exchange, location: str) -> tuple[str, dict[str, str]]:
        return urljoin(sent.url, location), sent.request_headers

    put(http, "_next_hop", next_hop)


def _reading(
    ident: str, summary: str, refuses: Callable[[Exchange, bytes], bool], *violates: str,
    also: tuple[str, ...] = (),
) -> None:  # fmt: skip
    """Files that are refused when they are read."""

    def install() -> None:
        def stream(self: HttpClient, *given: Any, **options: Any) -> Any:
            head, chunks = strict(self, *given, **options)

            def looked() -> Iterator[bytes]:
                for chunk in chunks:
                    if refuses(head, chunk):
                        raise ExportFailed("The file cannot be read.")
                    yield chunk

            return head, looked()

        strict = put(HttpClient, "stream", stream)

    defect(ident, summary, *violates, also=also)(install)


_reading("Q61", "A compressed file cannot be read",
         lambda head, _chunk: bool(head.header("Content-Encoding")), "bulk-out-10")  # fmt: skip
_reading("Q62", "A resource with an unknown extension is refused",
         lambda _head, chunk: b"made-up" in chunk, "hrex-conf-6", "hrex-conf-7",
         "pdex-109")  # fmt: skip


@defect("Q63", "Every exchange is taken for a good one", "bulk-out-20", "bulk-status-12",
         "pdex-196", also=("bulk-out-07", "bulk-out-08", "udap-disc-03",
                           "udap-disc-20"))  # fmt: skip
def always_content() -> None:
    def wait(self: RequestingPayer, *given: Any) -> Any:
        return replace(strict(self, *given), status="completed")

    strict = put(RequestingPayer, "wait", wait)


@defect("Q64", "A finished export is left with the other payer", "bulk-del-05")
def leaves_it() -> None:
    def delete(self: Target, url: str, _token: Any = None) -> Exchange:
        return Exchange("DELETE", self.absolute(url), {}, b"", 0.0, status=202)

    put(Target, "delete", delete)


@defect("Q104", "A poll that came too fast starts the export anew", "bulk-status-08",
        also=("http-04", "bulk-status-05"))  # fmt: skip
def starts_anew() -> None:
    started: list[tuple[Any, ...]] = []

    def kick_off(self: Target, *given: Any, **options: Any) -> Exchange:
        started[:] = [(given, options)]
        found: Exchange = first(self, *given, **options)
        return found

    def get(self: Target, *given: Any, **options: Any) -> Exchange:
        found: Exchange = strict(self, *given, **options)
        if found.status == 429 and started:
            [(asked, how)] = started
            first(self, *asked, **how)
        return found

    first = put(Target, "kick_off", kick_off)
    strict = put(Target, "get", get)


@defect("Q100", "What the other payer offers is not looked at", "pdex-195", "pdex-238")
def never_looks() -> None:
    put(Conversation, "offers", lambda _self, _method: None)


_reading("Q65", "A resource without meta is refused",
        lambda _head, chunk: b'"meta"' not in chunk, "bulk-out-19",
        also=RECEIVED)  # fmt: skip
