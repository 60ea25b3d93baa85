"""Serving a Flask payer on loopback: cheroot in a thread, or granian for load."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from cheroot import wsgi
from cheroot.server import HTTPConnection, HTTPRequest
from cheroot.ssl.builtin import BuiltinSSLAdapter

from ..reference.errors import SettingsError
from ..reference.event_log import tell
from ..reference.tls import ServerTls, server_context
from .faults import END_TURN
from .peers import CERTIFICATE

_log = logging.getLogger(__name__)

# Requests that are worked on at a time: on SQLite, which computes in this process; and on a
# database that is a process of its own, so that others go on while one waits for it.
AT_ONCE = (1, 4)
# Connections that wait to be accepted, and that are kept open between requests. The library's own
# five and ten are for a few browsers: a client that finds no place tries again a second later, and
# one whose connection is closed makes a new one for each request.
_WAITING, _KEPT = 256, 256
# So long a request waits for its turn.
_PATIENCE_S = 0.5


class Certified(BuiltinSSLAdapter):
    """TLS by a context made elsewhere; a request finds its connection's client certificate."""

    def __init__(self, context: ssl.SSLContext) -> None:
        # The parent would make a context of its own, of files alone.
        self.context = context

    def get_environ(self, sock: ssl.SSLSocket) -> dict[str, str]:  # type: ignore[override]
        """What a request is told of its connection: the certificate only if it was verified."""
        told = {"wsgi.url_scheme": "https", "HTTPS": "on"}
        certificate = sock.getpeercert(binary_form=True)
        if certificate:
            told[CERTIFICATE] = ssl.DER_cert_to_PEM_cert(certificate)
        return told


class _Request(HTTPRequest):
    """A request that is answered when it is its turn."""

    def respond(self) -> None:
        """Answer it; who has waited long goes on without a turn, and waits for nobody for good."""
        turns: threading.Semaphore = self.server.turns
        self._turns = turns if turns.acquire(timeout=_PATIENCE_S) else None
        try:
            super().respond()
        finally:
            self.end_turn()

    def end_turn(self) -> None:
        """Let the next one go on, if this one still has its turn."""
        if self._turns:
            self._turns.release()
        self._turns = None


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request


class _Gateway(wsgi.Gateway_10):
    """Between server and application: an answer that is on its way needs no turn."""

    def get_environ(self) -> dict[str, Any]:  # type: ignore[override]
        """What the application is told, and how it ends its turn before it waits."""
        environ: dict[str, Any] = super().get_environ()  # type: ignore[no-untyped-call]
        return {**environ, END_TURN: self.req.end_turn}

    def write(self, chunk: bytes) -> None:
        """Send a piece of the answer, which was made by now; who asked may read it slowly."""
        self.req.end_turn()
        super().write(chunk)


class _Listener(wsgi.Server):
    """A server that works on a few requests at a time, and whose own words stay out of the log.

    Threads of one interpreter that compute side by side take it from each other at every row of a
    query: four requests at once cost half as much again as one after the other. The library's words
    hold addresses, and what was sent.
    """

    ConnectionClass = _Connection

    def __init__(self, address: tuple[str, int], *, threads: int, at_once: int) -> None:
        super().__init__(address, _unset, numthreads=threads, timeout=30)
        self.request_queue_size, self.keep_alive_conn_limit = _WAITING, _KEPT
        self.gateway = _Gateway
        self.turns = threading.BoundedSemaphore(at_once)

    def error_log(
        self,
        msg: str = "",  # noqa: ARG002 - the library's signature
        level: int = logging.INFO,
        traceback: bool = False,  # noqa: ARG002
    ) -> None:
        """Tell that something was wrong with a connection; how bad, and no more."""
        tell(_log, level if level >= logging.WARNING else logging.DEBUG, "connection-failed")

    def clear_stats(self) -> None:
        """Keep them, and not for everybody: the library's own list keeps a server for good."""
        super().clear_stats()  # type: ignore[no-untyped-call]
        statistics: dict[str, object] = logging.statistics  # type: ignore[attr-defined]
        statistics.pop(f"Cheroot HTTPServer {id(self)}", None)


class Server:
    """A WSGI application on a port of its own; port 0 takes any free one.

    `at_once` requests are worked on at a time: more where they wait for another process.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        threads: int = 16,
        at_once: int = 1,
        tls: ServerTls | None = None,
    ) -> None:
        self._server = _Listener((host, port), threads=threads, at_once=at_once)
        self._scheme = "https" if tls else "http"
        if tls:
            self._server.ssl_adapter = Certified(server_context(tls))
        try:
            self._server.prepare()
        except OSError as error:
            raise SettingsError(
                f"Port {port} on {host} is taken or may not be used. Choose another with --port."
            ) from error
        self.host, self.port = host, int(self._server.bind_addr[1])
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The origin the server answers at."""
        return f"{self._scheme}://{self.host}:{self.port}"

    def is_full(self) -> bool:
        """Whether every turn is taken: a request that comes now has to wait."""
        free = self._server.turns.acquire(blocking=False)
        if free:
            self._server.turns.release()
        return not free

    def change(self, changes: Iterable[Callable[[wsgi.Server], None]]) -> None:
        """Change how it listens: defects are put in like this."""
        for change in changes:
            change(self._server)

    def start(self, app: Any) -> None:
        """Answer with an application, in a thread of its own."""
        self._server.wsgi_app = app
        self._thread = threading.Thread(target=self._server.serve, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Block until the server is stopped or interrupted."""
        while self._thread and self._thread.is_alive():
            self._thread.join(timeout=1)

    def stop(self) -> None:
        """Stop answering; returns when the threads have ended."""
        self._server.stop()
        if self._thread:
            self._thread.join(timeout=10)


def _unset(_environ: Any, start_response: Any) -> list[bytes]:
    start_response("503 Service Unavailable", [("Retry-After", "1")])
    return []


@contextmanager
def serving(server: Server, app: Any) -> Iterator[Server]:
    """The server answering with the application, stopped at the end."""
    server.start(app)
    try:
        yield server
    finally:
        server.stop()
