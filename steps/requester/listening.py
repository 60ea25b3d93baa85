"""Where the played payer listens: two hosts on loopback, its own and another that holds files."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from .calls import refusal
from .played import Visit
from .script import Script


class PlayedPayer:
    """Two hosts on loopback: the payer's own, and another that only holds files."""

    def __init__(self, port: int = 0, version: str = "2.2.0") -> None:
        self.visit: Visit | None = None
        self._version = version
        self._servers = [self._serve(port), self._serve(0)]

    def begin(self, script: Script) -> Visit:
        """Start an exchange: from now on every call belongs to it."""
        main, files = (f"http://127.0.0.1:{s.server_address[1]}" for s in self._servers)
        self.visit = Visit(script, main, files, self._version)
        return self.visit

    def close(self) -> None:
        """Stop answering."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _serve(self, port: int) -> ThreadingHTTPServer:
        played = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                host = f"http://127.0.0.1:{self.server.server_address[1]}"  # type: ignore[index]
                visit = played.visit
                found = (
                    visit.answer(self.command, host + self.path, dict(self.headers), body)
                    if visit
                    else refusal(404, "not-found")
                )
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body)

            do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _any  # noqa: N815 - the library's

            def log_message(self, *_arguments: Any) -> None:
                """Nothing: addresses hold ids."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server
