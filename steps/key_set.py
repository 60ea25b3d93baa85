"""A key set that the judge publishes and changes, for a client registered by its URL."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from ..reference.clock import SystemClock
from ..reference.http import Exchange
from ..reference.trust import keys
from ..reference.trust.signing import ASSERTION_TYPE, client_assertion
from .recorder import Recorder
from .verdicts import CannotTell

if TYPE_CHECKING:
    from .run import TargetRun

PATH = "/jwks.json"
NOT_TO_BE_KEPT = "no-store"
_NONE = (
    "A client is needed whose keys the verifier publishes: register one at the target by the URL "
    f"of {PATH} at the address of [target.key_set] listen, and set client_id and listen there."
)
# What a reader of RFC 7517, 5 has to pass over: members, key types and uses it does not know.
_UNKNOWN_KEYS = (
    {"kty": "XYZ", "kid": "of-no-type-known", "value": "AQAB"},
    {"kty": "OKP", "crv": "Ed25519", "kid": "of-another-curve",
     "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty": "oct", "kid": "a-secret-for-nothing", "use": "of-no-use-known", "k": "AQAB"},
    {"kid": "without-a-type"},
)  # fmt: skip


class KeySetHost:
    """Answers with a JWK set, and keeps every request for it; `close` ends it.

    Raises CannotTell when the address cannot be listened at.
    """

    def __init__(self, address: str, recorder: Recorder) -> None:
        self.fetches: list[Exchange] = []
        self._recorder = recorder
        self._answer = (b'{"keys": []}', NOT_TO_BE_KEPT)
        host, _, port = address.rpartition(":")
        try:
            self._server = ThreadingHTTPServer((host, int(port)), _handler(self))
        except (OSError, ValueError, OverflowError) as error:
            raise CannotTell(
                f"[target.key_set] listen cannot be listened at: {address}. "
                "Write host:port, of a port that is free."
            ) from error
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def publish(self, jwks: Mapping[str, Any], cache_control: str) -> None:
        """Answer with this set from now on."""
        self._answer = (json.dumps(jwks).encode(), cache_control)

    def answer(self, exchange: Exchange) -> Exchange:
        """The answer to a request, which is kept."""
        body, control = self._answer
        found = exchange.url.split("?", 1)[0].endswith(PATH) and exchange.method == "GET"
        exchange.status, exchange.body = (200, body) if found else (404, b"")
        exchange.headers = {"Content-Type": "application/json", "Cache-Control": control}
        self.fetches.append(exchange)
        self._recorder(exchange)
        return exchange

    def close(self) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()


class KeySetRun:
    """The client of the target whose keys are published here."""

    def __init__(self, run: TargetRun) -> None:
        self._run = run
        self.settings = run.settings.target.key_set
        if not (self.settings.client_id and self.settings.listen):
            raise CannotTell(_NONE)
        self.host = KeySetHost(self.settings.listen, run.recorder)
        self.key: dict[str, Any] = {}

    @property
    def url(self) -> str:
        """The URL that the target registered."""
        return self.settings.url or f"http://{self.settings.listen}{PATH}"

    def publish(self, cache_control: str, *, with_unknown: bool = False) -> None:
        """Publish a new key, and the old one no more."""
        self.key = keys.generate()
        jwks: dict[str, Any] = keys.public_set(self.key)
        if with_unknown:
            jwks = {"keys": [*_UNKNOWN_KEYS, *jwks["keys"]], "of-no-meaning": {"known": False}}
        self.host.publish(jwks, cache_control)

    def ask_token(
        self, key: Mapping[str, Any], headers: Mapping[str, Any] | None = None
    ) -> Exchange:
        """The answer to a token request that is signed by a key.

        Raises CannotTell when it was refused and no key set was ever asked for.
        """
        target = self._run.target
        signed = client_assertion(self.settings.client_id, target.token_url(), key,
                                  SystemClock().now(), headers=headers)  # fmt: skip
        answer = target.request_token({
            "grant_type": "client_credentials",
            "scope": self._run.settings.target.auth.match_scope,
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": signed,
        })  # fmt: skip
        if answer.status != 200 and not self.host.fetches:
            raise CannotTell(f"The target asked for no key set. Is {self.url} the URL that it "
                             "registered, and can it reach that?")  # fmt: skip
        return answer


def _handler(host: KeySetHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 10  # a caller that says nothing is hung up on

        def _reply(self) -> None:
            found = host.answer(Exchange(self.command, self.path, dict(self.headers), b"", 0.0))
            self.send_response(found.status)
            for name, value in found.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        do_GET = do_POST = do_PUT = do_HEAD = _reply  # noqa: N815 - the library's

        def log_message(self, *_: object) -> None:
            """Nothing is written to the terminal."""

    return Handler
