"""The key set of a simulated requesting payer, published by https while it makes one exchange."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ..reference.fhir import media
from ..reference.tls import ServerTls, server_context
from ..reference.trust import keys

_PATH = "/.well-known/jwks.json"
CACHE_CONTROL = "max-age=300"


def key_set(private: Path) -> dict[str, Any]:
    """What is published of a private JWK in a file."""
    return keys.public_set(keys.read_private(private))


@contextmanager
def published(private: Path, certificate: str, key: str) -> Iterator[str]:
    """The URL at which the key set can be fetched, with no authentication, until the end."""
    body = json.dumps(key_set(private)).encode()

    class Handler(BaseHTTPRequestHandler):
        timeout = 10  # a caller that says nothing is hung up on

        def do_GET(self) -> None:
            found = self.path == _PATH
            self.send_response(200 if found else 404)
            if CACHE_CONTROL:
                self.send_header("Cache-Control", CACHE_CONTROL)
            self.send_header("Content-Type", media.JSON)
            self.end_headers()
            self.wfile.write(body if found else b"")

        def log_message(self, *_: object) -> None:
            """Nothing is written to the terminal."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = listening(server_context(ServerTls(certificate, key)), server.socket)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        scheme = "https" if isinstance(server.socket, ssl.SSLSocket) else "http"
        yield f"{scheme}://127.0.0.1:{server.server_address[1]}{_PATH}"
    finally:
        server.shutdown()
        server.server_close()


def listening(context: ssl.SSLContext, socket: Any) -> Any:
    """The socket that is listened at: by TLS alone."""
    return context.wrap_socket(socket, server_side=True)
