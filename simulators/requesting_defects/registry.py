"""The register of a requesting payer's defects, and the few ways a defect changes what is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ...reference.fhir import media
from ...reference.http import Exchange, HttpClient

Install = Callable[[], None]


@dataclass(frozen=True, slots=True)
class RequestingDefect:
    """One defect: what is wrong, which requirements that violates, and how it is put in."""

    id: str
    summary: str
    violates: tuple[str, ...]
    install: Install
    also: tuple[str, ...] = ()
    version: str = "2.2.0"
    """The version of PDex that is played when it is looked for."""


REQUESTING_DEFECTS: dict[str, RequestingDefect] = {}


def put(owner: Any, name: str, value: Any) -> Any:
    """Put something in the place of what an owner has under a name; returns what was there."""
    strict = getattr(owner, name)
    setattr(owner, name, value)
    return strict


def break_requester(ident: str) -> None:
    """Give the requesting payers of this process a defect; raises KeyError for an unknown one."""
    REQUESTING_DEFECTS[ident].install()


def defect(
    ident: str, summary: str, *violates: str, also: tuple[str, ...] = (), version: str = "2.2.0"
) -> Callable[[Install], Install]:
    def register(install: Install) -> Install:
        REQUESTING_DEFECTS[ident] = RequestingDefect(
            ident, summary, violates, install, also, version
        )
        return install

    return register


# What cannot be met either by a requesting payer that does not bring an exchange to its end.
RECEIVED = ("bulk-man-27", "bulk-out-10", "bulk-status-05", "bulk-status-08", "bulk-status-12",
            "hrex-conf-6", "hrex-conf-7", "http-04", "pdex-109", "pdex-200", "smart-rsp-11",
            "smart-rsp-12", "bulk-out-05", "bulk-del-05", "http-06", "bulk-man-18", "bulk-man-25",
            "bulk-out-07", "bulk-out-08", "bulk-param-17", "hrex-conf-2", "pdex-83", "pdex-104",
            "pdex-137", "pdex-154b", "search-04", "smart-jwt-14", "bulk-out-20", "pdex-173",
            "pdex-166", "pdex-138b", "bulk-out-19", "mtls-05", "scope-11", "udap-reg-25",
            "udap-scope-04")  # fmt: skip


def sending(change: Callable[[Exchange], None]) -> None:
    """Change every request before it is sent."""

    def send(self: HttpClient, sent: Exchange) -> Any:
        change(sent)
        return strict(self, sent)

    strict = put(HttpClient, "_send", send)


def header(
    ident: str, summary: str, meant: Callable[[Exchange], bool], name: str, value: str | None,
    *violates: str, also: tuple[str, ...] = (), version: str = "2.2.0",
) -> None:  # fmt: skip
    """Requests with another header; None takes it out."""

    def change(sent: Exchange) -> None:
        if meant(sent):
            for known in [k for k in sent.request_headers if k.lower() == name.lower()]:
                del sent.request_headers[known]
            if value is not None:
                sent.request_headers[name] = value

    defect(ident, summary, *violates, also=also, version=version)(lambda: sending(change))


def is_bulk_match(sent: Exchange) -> bool:
    return sent.url.endswith("$bulk-member-match")


def is_group_export(sent: Exchange) -> bool:
    return sent.url.endswith("$davinci-data-export")


def is_kick_off(sent: Exchange) -> bool:
    return urlsplit(sent.url).path.endswith("$export")


def is_poll(sent: Exchange) -> bool:
    return sent.method == "GET" and sent.request_headers.get("Accept") == media.JSON and (
        ".well-known" not in sent.url
    )  # fmt: skip


def is_file(sent: Exchange) -> bool:
    return sent.request_headers.get("Accept") == media.FHIR_NDJSON
