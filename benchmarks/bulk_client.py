"""How fast any Bulk Data server exports, and how fast our client takes what it exports.

Prints one JSON line: time to kick-off and to the manifest, MB/s, resources/s, end to end and peak
memory of a whole export written to disk; beside it the yardstick, the same bytes sent by nginx (or
by a plain sendfile server where nginx is not installed) and copied to disk by curl (or by a bare
socket). Run against any server:

    python benchmarks/bulk_client.py https://payer.example/fhir --config payer-exchange.toml
    python benchmarks/bulk_client.py http://localhost:9443/fhir --operation 'Group/1/$export'
    python benchmarks/bulk_client.py URL --token-url URL --client-id ID --key FILE.jwk.json

or let it start a payer of ours by granian, with a folder of NDJSON: --serve FOLDER.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from payer_exchange.reference.credentials import Credentials
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.http import HttpClient
from payer_exchange.reference.secret import Secret, SecretKey
from payer_exchange.reference.settings import read_settings
from payer_exchange.reference.target import AccessToken, Target

_CHUNK = 1 << 20
_CLIENT = "requesting-payer"


@dataclass(slots=True)
class Asked:
    """Which server, as whom, and what of it."""

    url: str
    operation: str
    credentials: Credentials | None
    scope: str
    token_url: str = ""
    pid: int = 0


def export(asked: Asked, out: Path) -> dict[str, Any]:
    """One whole export to files in a folder, with the times of its steps."""
    target, none = None, AccessToken(Secret(""), "", 0)
    http = HttpClient(EgressRules(typed=asked.url), timeout_s=120)
    target = Target(asked.url, http, asked.credentials or Credentials("none"),
                    token_url=asked.token_url)  # fmt: skip
    token = target.token(asked.scope) if asked.credentials else none
    cpu, start = _cpu(asked.pid), time.perf_counter()
    begun = target.kick_off(asked.operation, token)
    if begun.status != 202:
        raise SystemExit(f"The kick-off was answered {begun.status}, not 202.")
    kicked = time.perf_counter()
    result = target.await_export(begun.header("Content-Location"), lambda: token)
    there, cpu = time.perf_counter(), _cpu(asked.pid) - cpu
    urls = [entry["url"] for entry in result.manifest["output"]]
    needs = bool(asked.credentials) and bool(result.manifest.get("requiresAccessToken"))
    size = lines = 0
    for number, url in enumerate(urls):
        got = _take(target, url, token if needs else None, out / f"{number}.ndjson")
        size, lines = size + got[0], lines + got[1]
    done = time.perf_counter()
    http.close()
    return {
        "kick_off_ms": (kicked - start) * 1000, "manifest_s": there - start,
        "server_cpu_ms": cpu * 1000, "polls": result.polls, "download_s": done - there,
        "end_to_end_s": done - start, "bytes": size, "resources": lines, "urls": urls,
        "token": token.value.reveal() if needs else "", "status_url": result.status_url,
        "peak_mb": _peak_mb(),
    }  # fmt: skip


def _take(target: Target, url: str, token: AccessToken | None, path: Path) -> tuple[int, int]:
    """Write one file, counting bytes and resources as they pass."""
    size = lines = 0
    last = b"\n"
    with path.open("wb", buffering=0) as stream:
        for chunk in target.download(url, token)[1]:
            stream.write(chunk)
            size, lines, last = size + len(chunk), lines + chunk.count(b"\n"), chunk[-1:]
    # A last line may lack its end.
    return size, lines + (last != b"\n")


def _cpu(pid: int) -> float:
    """The processor seconds that a process and its children have used; 0 without one."""
    total = 0.0
    for found in _family(pid) if pid else ():
        fields = Path(f"/proc/{found}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


def _peak_mb() -> int:
    status = Path("/proc/self/status")
    if status.is_file():
        [line] = [x for x in status.read_text().splitlines() if x.startswith("VmHWM")]
        return int(line.split()[1]) // 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


# The yardstick: the same bytes by nginx or sendfile, copied by curl or a bare socket.


def copy(urls: Sequence[str], out: Path, token: str = "") -> float:
    """The seconds in which curl, or a bare socket, copies files to disk."""
    curl = shutil.which("curl")
    start = time.perf_counter()
    if curl is None:
        for number, url in enumerate(urls):
            _fetch(url, out / str(number), token)
    else:
        command = [curl, "-sSf"]
        if token:
            command += ["-H", f"Authorization: Bearer {token}"]
        for number, url in enumerate(urls):
            command += ["-o", str(out / str(number)), url]
        subprocess.run(command, check=True)
    return time.perf_counter() - start


def _fetch(url: str, path: Path, token: str) -> None:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    link = (HTTPSConnection if secure else HTTPConnection)(parts.netloc)
    with closing(link), path.open("wb", buffering=0) as stream:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        link.request("GET", parts.path, headers=headers)
        answer = link.getresponse()
        while chunk := answer.read(_CHUNK):
            stream.write(chunk)


@contextmanager
def yardstick(folder: Path) -> Iterator[tuple[str, str]]:
    """The root URL of a server of a folder, and what the server is."""
    nginx = shutil.which("nginx")
    with _nginx(nginx, folder) if nginx else _sendfile(folder) as root:
        yield root, "nginx" if nginx else "sendfile"


@contextmanager
def _nginx(nginx: str, folder: Path) -> Iterator[str]:
    port = _free_port()
    with TemporaryDirectory() as place:
        config = Path(place) / "nginx.conf"
        config.write_text(
            f"daemon off; pid {place}/pid; error_log stderr; worker_processes 1;\n"
            "events {}\n"
            f"http {{ access_log off; sendfile on; client_body_temp_path {place}; "
            f"server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
        )
        process = subprocess.Popen([nginx, "-c", str(config), "-p", place])
        try:
            _await_port(port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def _sendfile(folder: Path) -> Iterator[str]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        threading.Thread(target=_serve, args=(server, folder), daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def _serve(server: socket.socket, folder: Path) -> None:
    while True:
        try:
            link, _ = server.accept()
        except OSError:  # closed: the measure is over
            return
        threading.Thread(target=_answer, args=(link, folder), daemon=True).start()


def _answer(link: socket.socket, folder: Path) -> None:
    """Answer requests of one connection by the kernel's sendfile."""
    with link, link.makefile("rb") as reader:
        while line := reader.readline():
            while reader.readline().strip():
                pass
            with (folder / line.split()[1].decode().strip("/")).open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                link.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode())
                link.sendfile(stream)


def _free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def _await_port(port: int) -> None:
    def answers() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    _await(answers, "answer")


def _await(ready: Callable[[], Any], what: str) -> None:
    for _ in range(3000):
        if ready():
            return
        time.sleep(0.1)
    raise SystemExit(f"The server did not {what} within five minutes.")


# A payer of ours to measure.


@contextmanager
def own_payer(load: Path, folder: Path, server: str) -> Iterator[Asked]:
    """A responding payer with the members of a folder, each of them matched by the client."""
    port, config = _free_port(), folder / "payer-exchange.toml"
    command = [
        sys.executable, "-m", "payer_exchange.cli", "simulate", "responding-payer", "--server",
        server, "--load", str(load), "--data-dir", str(folder), "--config-out", str(config),
        "--port", str(port),
    ]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        _await(lambda: config.is_file() and config.stat().st_size, "start")
        _await_port(port)
        _match_all(folder)
        yield from_config(config, Asked("", "Patient/$export", None, "system/*.rs",
                                        pid=process.pid))  # fmt: skip
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _match_all(folder: Path) -> None:
    """Let the client have matched everybody, as a bulk match would."""
    from payer_exchange.reference.clock import SystemClock  # noqa: PLC0415 - only for our own
    from payer_exchange.reference.consent import ConsentDecision  # noqa: PLC0415
    from payer_exchange.reference.matches import Matches, NewMatch  # noqa: PLC0415
    from payer_exchange.reference.store.database import open_data_dir  # noqa: PLC0415
    from payer_exchange.reference.store.repository import Repository  # noqa: PLC0415

    engine = open_data_dir(folder, "responding-payer")
    granted = ConsentDecision(granted=True, policy="regular", start="2000-01-01T00:00:00Z",
                              end="2100-01-01T00:00:00Z")  # fmt: skip
    names = Repository(engine).some_ids("Patient", 1_000_000)
    found = [NewMatch(name, ("s", name), granted) for name in names]
    Matches(engine).keep_many(_CLIENT, found, SystemClock().now())
    engine.dispose()


def from_config(config: Path, asked: Asked) -> Asked:
    """The server and the credentials of a payer-exchange.toml."""
    settings = read_settings(config)
    auth = settings.target.auth
    key = json.loads(settings.path(str(auth.private_key)).read_bytes())
    asked.url = asked.url or settings.target.fhir_base
    asked.credentials = Credentials(auth.client_id, SecretKey(key))
    return asked


def figures(asked: Asked, folder: Path, rounds: int) -> dict[str, Any]:
    """Ours and the yardstick in turn, so many times; the best of each, with their ratios."""
    ours, copies, by_curl = [], [], []
    out, again = folder / "out", folder / "again"
    out.mkdir()
    again.mkdir()
    with yardstick(out) as (root, name):
        for _ in range(rounds):
            found = export(asked, out)
            ours.append(found)
            same = [f"{root}/{number}.ndjson" for number in range(len(found["urls"]))]
            copies.append(copy(same, again))
            by_curl.append(copy(found["urls"], again, found["token"]))
            copies.append(copy(same, again))
    best = min(ours, key=lambda found: found["end_to_end_s"])
    megabytes = best["bytes"] / 1e6
    return {
        "benchmark": "bulk_client",
        "resources": best["resources"],
        "megabytes": round(megabytes, 1),
        "kick_off_ms": round(min(f["kick_off_ms"] for f in ours), 1),
        "manifest_s": round(min(f["manifest_s"] for f in ours), 3),
        "server_cpu_ms": round(min(f["server_cpu_ms"] for f in ours)) if asked.pid else None,
        "download_mb_per_s": round(megabytes / min(f["download_s"] for f in ours)),
        "end_to_end_s": round(best["end_to_end_s"], 3),
        "resources_per_s": round(best["resources"] / best["end_to_end_s"]),
        "polls": best["polls"],
        "peak_mb": best["peak_mb"],
        "yardstick": f"{name}, copied by {'curl' if shutil.which('curl') else 'a socket'}",
        "yardstick_s": round(min(copies), 3),
        "server_to_yardstick": round(min(copies) / min(by_curl), 3),
        "download_to_yardstick": round(min(f["download_s"] for f in ours) / min(copies), 2),
        "end_to_end_to_yardstick": round(best["end_to_end_s"] / min(copies), 2),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure a Bulk Data server and our client.")
    option: Callable[..., Any] = parser.add_argument
    option("url", nargs="?", default="", help="The FHIR base; else the one of --config.")
    option("--operation", default="Patient/$export", help="Or $export, Group/ID/$export.")
    option("--config", type=Path, help="A payer-exchange.toml with client id and key.")
    option("--token-url", default="", help="Else the one that SMART discovery tells.")
    option("--client-id", default="")
    option("--key", type=Path, help="The client's private key, a JWK.")
    option("--scope", default="system/*.rs")
    option("--pid", type=int, default=0, help="The server's process, to read its CPU time.")
    option("--serve", type=Path, help="Start a payer of ours with the NDJSON of this folder.")
    option("--server", default="granian", choices=["granian", "cheroot"])
    option("--rounds", type=int, default=3)
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    given = _options()
    asked = Asked(given.url, given.operation, None, given.scope, given.token_url, given.pid)
    if given.key:
        asked.credentials = Credentials(
            given.client_id, SecretKey(json.loads(given.key.read_bytes()))
        )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        if given.serve:
            asked = stack.enter_context(own_payer(given.serve, folder / "payer", given.server))
        elif given.config:
            asked = from_config(given.config, asked)
        elif not given.url:
            raise SystemExit("Give the URL of a server, --config or --serve FOLDER.")
        print(json.dumps(figures(asked, folder, given.rounds)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
