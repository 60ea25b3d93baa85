"""The one place that speaks HTTP to another payer.

Every exchange can be watched by an observer; every address goes through the rules of `egress.py`;
redirects are followed by hand, so that neither a token nor a body travels to another origin; a body
can be streamed without being held in memory. Certificates are always checked.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import RequestsCookieJar
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
)
from urllib3.util.connection import create_connection

from .egress import EgressRules, normal_origin
from .errors import AddressRefused, TargetError, TargetHungUp, TargetTimeout, TargetUnreachable
from .fhir import json
from .pace import Pace
from .tls import Tls, client_context, tls_failure

_MAX_REDIRECTS = 5
_CHUNK = 1 << 16
_SECRET = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(slots=True)
class Exchange:
    """One request and what came back; `body` is empty when the answer was streamed."""

    method: str
    url: str
    # What was sent and what came back hold tokens and members: they are not printed.
    request_headers: dict[str, str] = field(repr=False)
    request_body: bytes = field(repr=False)
    started: float
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)
    elapsed_s: float = 0.0
    note: str = ""
    wire_octets: int | None = 0
    """Of a streamed body that was read: its bytes as they were sent, before any decoding.

    None where they cannot be told: of a compressed body that came in chunks.
    """

    def header(self, name: str) -> str:
        """A response header, whatever its case; empty when absent."""
        wanted = name.lower()
        return next((v for k, v in self.headers.items() if k.lower() == wanted), "")

    def json_object(self) -> dict[str, Any]:
        """The answer's JSON object; raises TargetError when it is none."""
        try:
            found = json.read(self.body)
        except ValueError as error:
            raise TargetError("The answer is not JSON.", status=self.status) from error
        if not isinstance(found, dict):
            raise TargetError("The answer is not a JSON object.", status=self.status)
        return found


class HttpClient:
    """Requests to another payer, with time limits and an observer.

    `rules` say where requests may go: https to public addresses unless told otherwise. `tls` names
    the authorities that are trusted and this client's own certificate. `pace` holds requests back
    that would come too fast. `timeout_s` bounds the wait
    for a connection and for each next byte, not the whole transfer. So many `connections` to one
    origin are kept open at most.
    """

    def __init__(
        self,
        rules: EgressRules | None = None,
        *,
        timeout_s: float = 30.0,
        observer: Callable[[Exchange], None] | None = None,
        headers: Mapping[str, str] | None = None,
        tls: Tls | None = None,
        pace: Pace | None = None,
        connections: int = 10,
    ) -> None:
        self._rules = rules or EgressRules()
        self._adapter = _CheckedAdapter(self._rules, client_context(tls or Tls()), connections)
        self._cookies = RequestsCookieJar()
        self._headers = {"Accept-Encoding": "gzip, deflate", **(headers or {})}
        self._timeout = timeout_s
        self._observer = observer
        self._pace = pace or Pace(0)

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        follow: bool = True,
    ) -> Exchange:
        """The whole answer; raises TargetUnreachable or TargetTimeout when none comes.

        Raises AddressRefused when the URL, or one it redirects to, is not to be asked.
        """
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
        self._adapter.close()

    def _open(
        self, method: str, url: str, headers: dict[str, str], body: bytes, *, follow: bool
    ) -> tuple[requests.Response, Exchange]:
        for _ in range(_MAX_REDIRECTS + 1):
            self._pace.wait()
            exchange = Exchange(method, url, dict(headers), body, time.time())
            response = self._send(exchange)
            target = response.headers.get("Location")
            if not (follow and response.is_redirect and target):
                return response, exchange
            response.close()
            self._close(exchange)
            url, headers = _next_hop(exchange, target)
        raise TargetError("The other payer redirects without end.", status=response.status_code)

    def _send(self, exchange: Exchange) -> requests.Response:
        self._rules.check_url(exchange.url)
        try:
            prepared = self._prepared(exchange)
            response = self._adapter.send(prepared, stream=True, timeout=self._timeout)
        except requests.RequestException as error:
            failure = self._failed(error, exchange)
            exchange.note = str(failure)
            self._close(exchange)
            raise failure from error
        exchange.status = response.status_code
        exchange.headers = dict(response.headers)
        self._cookies.update(response.cookies)
        return response

    def _prepared(self, exchange: Exchange) -> requests.PreparedRequest:
        # The library's session would merge settings that are always the same, and with them those
        # of the environment, for as much time as all the rest of a request takes.
        prepared = requests.PreparedRequest()
        prepared.prepare(
            exchange.method,
            exchange.url,
            headers={**self._headers, **exchange.request_headers},
            data=exchange.request_body or None,
            cookies=self._cookies,
        )
        return prepared

    def _chunks(self, response: requests.Response, exchange: Exchange) -> Iterator[bytes]:
        read = 0
        try:
            for chunk in response.iter_content(_CHUNK):
                read += len(chunk)
                yield chunk
        except requests.RequestException as error:
            raise self._failed(error, exchange) from error
        finally:
            # The library counts nothing of a body in chunks (RFC 9112, 7.1).
            plain = exchange.header("Content-Encoding").lower() in ("", "identity")
            exchange.wire_octets = response.raw.tell() or (read if plain or not read else None)
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
        refused = tls_failure(error, origin)
        if refused:
            return refused
        if isinstance(error, requests.Timeout):
            return TargetTimeout(f"{origin} did not answer in time.", elapsed_s=elapsed)
        if exchange.status:
            return TargetError(
                f"The transfer from {origin} broke off before its end.",
                status=exchange.status,
                elapsed_s=elapsed,
            )
        if error.args and isinstance(error.args[0], ProtocolError):
            return TargetHungUp(
                f"{origin} closed the connection without an answer.", elapsed_s=elapsed
            )
        return TargetUnreachable(
            f"{origin} cannot be reached. Check the address and that the payer is running.",
            elapsed_s=elapsed,
        )


def origin_of(url: str) -> str:
    """Scheme, host and port of a URL: all of it that may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[-1]}"


def _next_hop(exchange: Exchange, target: str) -> tuple[str, dict[str, Any]]:
    """Where a redirect leads and what is sent there: to another origin no token, and no body."""
    following = urljoin(exchange.url, target)
    if normal_origin(following) == normal_origin(exchange.url):
        return following, exchange.request_headers
    if exchange.request_body:
        raise AddressRefused(
            f"The other payer redirects a {exchange.method} to {origin_of(following)}. What was "
            "meant for one address is not sent to another: register the address it belongs to."
        )
    if following.startswith("http:") and exchange.url.startswith("https:"):
        raise AddressRefused("The other payer redirects from https to plain http.")
    kept = {k: v for k, v in exchange.request_headers.items() if k.lower() not in _SECRET}
    return following, kept


class _CheckedAdapter(HTTPAdapter):
    """Connections that go to the address that was checked, and to no other.

    A name is looked up once, all its addresses are judged by the rules, and one of these is
    connected to; the name stays in the Host header and is what the certificate is checked for. A
    connection that is kept open stays with its address: nothing of this is done twice.
    """

    def __init__(self, rules: EgressRules, context: ssl.SSLContext, connections: int) -> None:
        self._rules = rules
        self._context = context
        super().__init__(pool_maxsize=connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        made: dict[str, Any] = {
            "http": partial(_PlainPool, rules=self._rules),
            "https": partial(_TlsPool, rules=self._rules),
        }
        self.poolmanager.pool_classes_by_scheme = made

    def build_connection_pool_key_attributes(
        self, request: Any, _verify: Any, _cert: Any = None
    ) -> Any:
        # The context alone says whom to trust: nothing a caller passes on takes a check away.
        return super().build_connection_pool_key_attributes(request, True)

    def cert_verify(self, *_args: Any, **_kwargs: Any) -> None:
        """Leave everything to the context."""


class _Checked(HTTPConnection):
    """A connection whose address the rules have judged."""

    def __init__(self, *args: Any, rules: EgressRules, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rules = rules

    def _new_conn(self) -> socket.socket:
        failed = "no address"
        try:
            addresses = self._rules.addresses(self.host, self.port)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        for address in addresses:
            try:
                return self._connected(address)
            except TimeoutError as error:
                raise ConnectTimeoutError(self, "The connection timed out.") from error
            except OSError as error:
                failed = str(error)
        raise NewConnectionError(self, f"No connection could be made: {failed}")

    def _connected(self, address: str) -> socket.socket:
        # The address is a literal: nothing is looked up a second time.
        return create_connection(
            (address, self.port),
            self.timeout,
            source_address=self.source_address,
            socket_options=self.socket_options,
        )


class _CheckedTls(_Checked, HTTPSConnection):
    """The same with TLS; the name is what is asked for and what the certificate must hold."""


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Checked


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _CheckedTls
