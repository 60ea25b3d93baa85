"""A payer behind a reverse proxy: what it hands out follows the public address."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from payer_exchange.simulators.assembly import RunningResponder, start_responder
from payer_exchange.simulators.responder_options import ResponderOptions
from payer_exchange.simulators.serving import Server

# Scenarios that together are told, and go to, every kind of address the payer hands out.
EVERY_ADDRESS = (
    "smart-disc-03 or smart-disc-13 or smart-rsp-01 or intro-02 or hrex-mm-9 or pdex-98 or "
    "bulk-kickoff-12 or bulk-man-20 or bulk-out-01 or bulk-del-01 or search-01 or ev-01 or "
    "pdex-99 or pdex-138a or pdex-163 or pdex-157 or atr-export-instance"
)


class Proxy:
    """Takes its own path off and passes the rest on, as many proxies are set up to do."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.backend = ""
        self.seen: list[str] = []

    def __call__(self, environ, start_response):
        self.seen.append(environ["PATH_INFO"])
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {k[5:].replace("_", "-"): v for k, v in environ.items() if k.startswith("HTTP_")}
        if environ.get("CONTENT_TYPE"):
            headers["Content-Type"] = environ["CONTENT_TYPE"]
        headers["Host"] = "internal.example"
        query = f"?{environ['QUERY_STRING']}" if environ.get("QUERY_STRING") else ""
        answer = requests.request(
            environ["REQUEST_METHOD"],
            self.backend + environ["PATH_INFO"].removeprefix(self.path) + query,
            headers=headers, data=body, allow_redirects=False, timeout=30,
        )  # fmt: skip
        kept = [
            (k, v) for k, v in answer.headers.items()
            if k.lower() not in ("transfer-encoding", "connection", "content-length", "date",
                                 "server", "content-encoding")
        ]  # fmt: skip
        start_response(f"{answer.status_code} {answer.reason}",
                       [*kept, ("Content-Length", str(len(answer.content)))])  # fmt: skip
        return [answer.content]


@pytest.fixture(scope="module")
def proxied() -> Iterator[tuple[Proxy, RunningResponder]]:
    proxy, front = Proxy("/old"), Server()
    responder = start_responder(ResponderOptions(members=1, public_url=f"{front.url}/old"))
    proxy.backend = responder.server.url
    front.start(proxy)
    yield proxy, responder
    front.stop()
    responder.close()


def test_a_payer_behind_a_proxy_is_green(
    command, proxied: tuple[Proxy, RunningResponder], tmp_path: Path
) -> None:
    proxy, responder = proxied
    responder.write_config(tmp_path / "payer-exchange.toml")
    done = command("verify", "responding-payer", "--config", "payer-exchange.toml",
                   "--tags", EVERY_ADDRESS, cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "payer-exchange-report/results.json").read_text())
    assert results["counts"]["pass"] > 15
    assert results["target"].endswith("/old/fhir")
    assert all(path.startswith("/old/") for path in proxy.seen)
    har = json.loads((tmp_path / "payer-exchange-report/exchange.har").read_text())
    internal = [
        e for e in har["log"]["entries"] if responder.server.url in json.dumps(e["response"])
    ]
    assert internal == [], "an address inside the proxy was handed out"
