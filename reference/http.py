"""The one place that speaks HTTP to another payer.

Every exchange can be watched by an observer; redirects are followed by hand, so that a token never
travels to another origin; a body can be streamed without being held in memory.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from .errors import TargetError, TargetTimeout, TargetUnreachable

_MAX_REDIRECTS = 5
_CHUNK = 1 << 16


@dataclass(slots=True)
class Exchange:
    """One request and what came back; `body` is empty when the answer was streamed."""

    method: str
    url: str
    request_headers: dict[str, str]
    request_body: bytes
    started: float
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    elapsed_s: float = 0.0
    note: str = ""

    def header(self, name: str) -> str:
        """A response header, whatever its case; empty when absent."""
        wanted = name.lower()
        return next((v for k, v in self.headers.items() if k.lower() == wanted), "")


class HttpClient:
    """Requests to another payer, with time limits and an observer.

    `timeout_s` bounds the wait for a connection and for each next byte, not the whole transfer.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 30.0,
        observer: Callable[[Exchange], None] | None = None,
        headers: Mapping[str, str] | None = None,
        verify: bool | str = True,
    ) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers.clear()
        self._session.headers.update({"Accept-Encoding": "gzip, deflate", **(headers or {})})
        self._session.verify = verify
        self._timeout = timeout_s
        self._observer = observer

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        follow: bool = True,
    ) -> Exchange:
        """The whole answer; raises TargetUnreachable or TargetTimeout when none comes."""
        response, exchange = self._open(method, url, dict(headers or {}), body, follow=follow)
        try:
            exchange.body = response.content
        except requests.RequestException as error:
            raise self._failed(error, exchange) from error
        finally:
            response.close()
            self._close(exchange)
        return exchange

    def stream(
        self, url: str, *, headers: Mapping[str, str] | None = None, follow: bool = True
    ) -> tuple[Exchange, Iterator[bytes]]:
        """The answer's head, and an iterator over its body in chunks.

        The iterator raises TargetError when the transfer breaks off or is shorter than announced.
        """
        response, exchange = self._open("GET", url, dict(headers or {}), b"", follow=follow)
        return exchange, self._chunks(response, exchange)

    def close(self) -> None:
        """Give back the connections."""
        self._session.close()

    def _open(
        self, method: str, url: str, headers: dict[str, str], body: bytes, *, follow: bool
    ) -> tuple[requests.Response, Exchange]:
        for _ in range(_MAX_REDIRECTS + 1):
            exchange = Exchange(method, url, dict(headers), body, time.time())
            response = self._send(exchange)
            target = response.headers.get("Location")
            if not (follow and response.is_redirect and target):
                return response, exchange
            response.close()
            self._close(exchange)
            url, headers = _next_hop(url, target, headers)
        raise TargetError("The other payer redirects without end.", status=response.status_code)

    def _send(self, exchange: Exchange) -> requests.Response:
        try:
            response = self._session.request(
                exchange.method,
                exchange.url,
                headers=exchange.request_headers,
                data=exchange.request_body or None,
                timeout=self._timeout,
                stream=True,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            failure = self._failed(error, exchange)
            exchange.note = str(failure)
            self._close(exchange)
            raise failure from error
        exchange.status = response.status_code
        exchange.headers = dict(response.headers)
        return response

    def _chunks(self, response: requests.Response, exchange: Exchange) -> Iterator[bytes]:
        try:
            yield from response.iter_content(_CHUNK)
        except requests.RequestException as error:
            raise self._failed(error, exchange) from error
        finally:
            response.close()
            self._close(exchange)

    def _close(self, exchange: Exchange) -> None:
        exchange.elapsed_s = time.time() - exchange.started
        if self._observer:
            self._observer(exchange)

    @staticmethod
    def _failed(error: requests.RequestException, exchange: Exchange) -> TargetError:
        origin = origin_of(exchange.url)
        elapsed = time.time() - exchange.started
        if isinstance(error, requests.Timeout):
            return TargetTimeout(f"{origin} did not answer in time.", elapsed_s=elapsed)
        if exchange.status:
            return TargetError(
                f"The transfer from {origin} broke off before its end.",
                status=exchange.status,
                elapsed_s=elapsed,
            )
        return TargetUnreachable(
            f"{origin} cannot be reached. Check the address and that the payer is running.",
            elapsed_s=elapsed,
        )


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL: all of it that may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}"


def _next_hop(url: str, target: str, headers: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    following = urljoin(url, target)
    if origin_of(following) != origin_of(url):
        headers = {k: v for k, v in headers.items() if k.lower() != "authorization"}
    return following, headers
