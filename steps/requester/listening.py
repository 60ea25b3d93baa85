"""Where the played payer listens: two hosts on loopback, its own and another that holds files.

By https where the script says so, with a certificate that is good or is not; each knock is counted,
so that a client that turns away from a bad certificate is told from one that never came.
"""

from __future__ import annotations

import ssl
import tempfile
import threading
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ...reference.clock import SystemClock
from ...reference.trust import pki
from ...reference.trust.pki import Issued, TestAuthority
from .calls import Answer, refusal
from .key_set import fetch
from .played import Visit
from .script import Script
from .udap import Community, PlayedUdap

_HANDSHAKE_S = 10.0
_DAY = timedelta(days=1)
_HERE: dict[str, Any] = {"names": ["localhost"], "addresses": ["127.0.0.1", "::1"]}


class Certificates:
    """The authorities of a run's https: of servers, and of the client's certificate."""

    def __init__(self, folder: Path) -> None:
        clock = SystemClock()
        self._folder, self._clock = folder, clock
        self._authority = TestAuthority.create(clock, name="played TLS")
        self._stranger = TestAuthority.create(clock, name="nobody knows it")
        self._server = self._authority.localhost().write(folder, "tls-key-set")
        client = self._authority.issue(uris=["https://asking-payer.example.org/mtls"])
        self.client = client.write(folder, "tls-client")
        self.authorities = folder / "tls-authorities.pem"
        self.authorities.write_bytes(self._authority.anchor_pem())

    def context(self, kind: str) -> ssl.SSLContext:
        """A listener's, with a certificate of that kind; a client's certificate may be shown."""
        chain, key = self._made(kind)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(chain, key)
        context.load_verify_locations(self.authorities)
        context.verify_mode = ssl.CERT_OPTIONAL
        return context

    def told(self) -> dict[str, str]:
        """The files as a trigger is told them."""
        certificate, key = map(str, self.client)
        return {"TLS_AUTHORITIES": str(self.authorities), "TLS_CERTIFICATE": certificate,
                "TLS_KEY": key}  # fmt: skip

    def told_for_key_set(self) -> dict[str, str]:
        """A certificate for this machine, to publish a key set with, as a trigger is told it."""
        certificate, key = map(str, self._server)
        return {"KEY_SET_CERTIFICATE": certificate, "KEY_SET_KEY": key}

    def _made(self, kind: str) -> tuple[Path, Path]:
        chain, key = self._folder / f"tls-{kind}.pem", self._folder / f"tls-{kind}.key.pem"
        return (chain, key) if chain.is_file() else self._issued(kind).write(
            self._folder, f"tls-{kind}"
        )  # fmt: skip

    def _issued(self, kind: str) -> Issued:
        made: dict[str, Callable[[], Issued]] = {
            "good": self._authority.localhost,
            "expired": lambda: self._authority.issue(**_HERE, starts=-2 * _DAY, lasts=_DAY),
            "other-host": lambda: self._authority.issue(names=["another.example"]),
            "self-signed": lambda: pki.self_signed(self._clock, **_HERE),
            "unknown-authority": lambda: self._stranger.issue(**_HERE),
        }
        return made[kind]()


class PlayedPayer:
    """Two hosts on loopback: the payer's own, and another that only holds files."""

    def __init__(self, port: int = 0, version: str = "2.2.0") -> None:
        self.visit: Visit | None = None
        self._version = version
        self._folder = tempfile.TemporaryDirectory(prefix="payer-exchange-")
        self._servers = [self._serve(port), self._serve(0)]
        self._secure: dict[str, _Server] = {}
        self._community: Community | None = None
        self._certificates: Certificates | None = None

    @property
    def certificates(self) -> Certificates:
        """What its https shows, made when it is first asked for."""
        if self._certificates is None:
            self._certificates = Certificates(Path(self._folder.name))
        return self._certificates

    @property
    def community(self) -> Community:
        """Its UDAP community, made when it is first asked for."""
        if self._community is None:
            self._community = Community.create()
        return self._community

    def begin(self, script: Script) -> Visit:
        """Start an exchange: from now on every call belongs to it."""
        main, files = self._servers
        if script.tls:
            main = self._by_https(script.tls)
        visit = Visit(script, main.origin, files.origin, self._version)
        if script.udap:
            visit.udap = PlayedUdap(self.community, script.udap, visit.fhir_base, visit.token_url)
        if script.key_set:
            visit.fetch_keys = partial(fetch, authorities=self.certificates.authorities)
        self.visit = visit
        return visit

    def close(self) -> None:
        """Stop answering."""
        for server in (*self._servers, *self._secure.values()):
            server.shutdown()
            server.server_close()
        self._folder.cleanup()

    def _by_https(self, kind: str) -> _Server:
        if kind not in self._secure:
            self._secure[kind] = self._serve(0, self.certificates.context(kind))
        return self._secure[kind]

    def _serve(self, port: int, context: ssl.SSLContext | None = None) -> _Server:
        server = _Server(("127.0.0.1", port), _Handler)
        server.played, server.context = self, context
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    played: PlayedPayer
    context: ssl.SSLContext | None = None

    @property
    def origin(self) -> str:
        """Its address; always the number, so that each name in a certificate counts."""
        scheme = "https" if self.context else "http"
        return f"{scheme}://127.0.0.1:{self.server_address[1]}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Shake hands in the thread of the connection, so that nobody else waits for it."""
        if self.context is None:
            super().finish_request(request, client_address)
            return
        if self.played.visit:
            self.played.visit.knocks += 1
        request.settimeout(_HANDSHAKE_S)
        with self.context.wrap_socket(request, server_side=True) as secure:
            super().finish_request(secure, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: that a client turns away is what some scripts are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = self._answer(body)
        self.send_response(found.status)
        for name, value in found.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(found.body)))
        self.end_headers()
        self.wfile.write(found.body)

    do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _any  # noqa: N815 - the library's

    def _answer(self, body: bytes) -> Answer:
        visit = self.server.played.visit
        if visit is None:
            return refusal(404, "not-found")
        shown = bool(self.server.context and self.connection.getpeercert(True))
        url = self.server.origin + self.path
        return visit.answer(self.command, url, dict(self.headers), body, with_certificate=shown)

    def log_message(self, *_arguments: Any) -> None:
        """Nothing: addresses hold ids."""
