"""How exactly, and how fast, the load generator starts journeys at a payer that costs nothing.

Two JSON lines. First the open model: starts of one process and of two against their plan; the
yardstick is a bare loop that sleeps until the same moments. Then the closed model: the journeys a
second of two processes, held against those of one, in turn. The payer is a canned one: its answers
are known beforehand, so that it takes about a tenth of a core. On two cores that is missing to the
two processes; what they would do with a core each, the payer being elsewhere, is told of the
processor time that they used.
Run: python benchmarks/generator.py [--rate 500] [--seconds 20] [--pairs 3]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import selectors
import socket
import statistics
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from payer_exchange.load.figures import LoadResults
from payer_exchange.load.running import LoadRequest, run_load
from payer_exchange.load.spreading import Spread
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.responder_options import ResponderOptions

JOURNEY = 'title = "Matches"\nkeeps = true\n[journeys]\nmatch = 1\n[arrivals]\n'
OPEN = JOURNEY + 'model = "open"\nspacing = "fixed"\nrate_per_s = {rate}\nduration_s = {seconds}\n'
CLOSED = JOURNEY + 'model = "closed"\nusers = {users}\nduration_s = 12\n'
# What the generator's own check lets a saturated process have, without the first and the last.
WHOLE = slice(1, 5)
LATE_S = 0.05


class CannedPayer:
    """Answers by the end of the path alone, with as little work as Python can do it."""

    def __init__(self) -> None:
        self.answers: dict[bytes, bytes] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ready, self._had = selectors.DefaultSelector(), dict[socket.socket, bytes]()
        self._ready.register(self._listener, selectors.EVENT_READ)

    @property
    def port(self) -> int:
        """The port it answers at."""
        return int(self._listener.getsockname()[1])

    def serve(self) -> None:
        """Answer for good."""
        while True:
            for key, _ in self._ready.select():
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.fileobj)  # type: ignore[arg-type]  # a socket of ours

    def _accept(self) -> None:
        came = self._listener.accept()[0]
        came.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ready.register(came, selectors.EVENT_READ)

    def _read(self, came: socket.socket) -> None:
        try:
            data = came.recv(1 << 16)
        except ConnectionResetError:  # a run that has ended leaves without a word
            data = b""
        if not data:
            self._had.pop(came, None)
            self._ready.unregister(came)
            came.close()
            return
        whole = self._had.pop(came, b"") + data
        if not is_whole(whole):
            self._had[came] = whole
            return
        path = whole.split(b" ", 2)[1]
        came.sendall(next(a for end, a in self.answers.items() if path.endswith(end)))


def is_whole(request: bytes) -> bool:
    """Whether a request has come to its end; a client here sends the next one after its answer."""
    head, _, body = request.partition(b"\r\n\r\n")
    found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return b"\r\n\r\n" in request and len(body) >= (int(found[1]) if found else 0)


def serve(answers: dict[str, Any], ready: Any) -> None:
    """Play the canned payer for good; its port is put into the queue."""
    payer = CannedPayer()
    for path, answer in answers.items():
        body = json.dumps(answer).replace("PORT", str(payer.port)).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        payer.answers[path.encode()] = head.encode() + b"\r\n\r\n" + body
    ready.put(payer.port)
    payer.serve()


def one_member(folder: Path) -> tuple[Path, str]:
    """Settings for a client whose truth table has one member, and that member's id."""
    payer, file = start_responder(ResponderOptions(members=17)), folder / "payer-exchange.toml"
    payer.write_config(file)
    payer.close()
    truth = json.loads((folder / "members.json").read_bytes())
    asked = next(r for r in truth["requests"] if r["expect"] == "match" and not r.get("needs"))
    row = next(m for m in truth["members"] if m["key"] == asked["member"])
    truth |= {"requests": [asked], "members": [row]}
    (folder / "members.json").write_text(json.dumps(truth), encoding="utf-8")
    return file, str(row["patient_id"])


def answers_for(patient: str) -> dict[str, Any]:
    """What is answered to discovery, to a token request and to a match."""
    found = {"name": "MemberId", "valueReference": {"reference": f"Patient/{patient}"}}
    return {
        "smart-configuration": {"token_endpoint": "http://127.0.0.1:PORT/token"},
        "token": {"access_token": "t", "token_type": "bearer", "expires_in": 3600},
        "$member-match": {"resourceType": "Parameters", "parameter": [found]},
    }


class Bench:
    """Runs of one scenario after the other against the canned payer."""

    def __init__(self, folder: Path, config: Path, url: str) -> None:
        self._folder, self._config, self._url = folder, config, url

    def run(self, text: str, processes: int) -> LoadResults:
        """One run by so many processes."""
        scenario = self._folder / "own.toml"
        scenario.write_text(text, encoding="utf-8")
        request = LoadRequest(str(scenario), self._config, self._url, report_dir=self._folder)
        return run_load(replace(request, spread=Spread(processes)))

    def opened(self, rate: float, seconds: float, processes: int) -> dict[str, Any]:
        """How far the starts of the planned seconds are from the plan, and how many came late.

        `cores_each` is what each process used of a core in the middle one of these seconds.
        """
        found = self.run(OPEN.format(rate=rate, seconds=seconds), processes).figures
        rows = [row for row in found.timeline if row["second"] < seconds]
        starts, cores = found.starts, [row.get("generator_cores", 0.0) for row in rows]
        return {
            "rate_per_s": rate,
            "off_plan": round(abs(sum(row["planned"] for row in rows) / (rate * seconds) - 1), 5),
            "late": round(starts["late"] / starts["planned"], 5) if starts["planned"] else None,
            "dropped": starts["dropped"],
            "cores_each": round(statistics.median(cores) / processes, 2),
            "problem": found.generator_problem,
        }

    def closed(self, processes: int) -> tuple[float, float]:
        """The journeys a second of processes that have no time left, and those of a whole core."""
        found = self.run(CLOSED.format(users=8 * processes), processes).figures
        rows = found.timeline[WHOLE]
        every = statistics.median(float(row["journeys"]) for row in rows)
        cores = sum(float(row["generator_cores"]) for row in rows)
        return every, sum(row["journeys"] for row in rows) / cores


def bare(rate: float, seconds: float) -> float:
    """The share of late starts of a loop that does nothing else."""
    begun, late, count = time.perf_counter(), 0, int(rate * seconds)
    for number in range(1, count + 1):
        intended = begun + number / rate
        time.sleep(max(0.0, intended - time.perf_counter()))
        late += time.perf_counter() - intended > LATE_S
    return late / count


def measure(bench: Bench, options: argparse.Namespace) -> None:
    """Run and print both lines."""
    rate, seconds = options.rate, options.seconds
    told = {
        "benchmark": "generator, open",
        "one_process": bench.opened(rate, seconds, 1),
        "two_processes": bench.opened(2 * rate, seconds, 2),
        "yardstick": "late starts of a loop that only sleeps",
        "yardstick_late": bare(rate, seconds),
    }
    print(json.dumps(told))
    pairs = [(bench.closed(1), bench.closed(2)) for _ in range(options.pairs)]
    ratio = statistics.median(two[0] / one[0] for one, two in pairs)
    whole = statistics.median(2 * two[1] / one[1] for one, two in pairs)
    told = {
        "benchmark": "generator, closed",
        "journeys_per_s": [(one[0], two[0]) for one, two in pairs],
        "ratio": round(ratio, 2),
        "ratio_with_a_core_each": round(whole, 2),
        "yardstick": "the journeys a second of one process",
    }
    print(json.dumps(told))


def main() -> int:
    """Start the canned payer, measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    with TemporaryDirectory() as passing:
        config, patient = one_member(Path(passing))
        spawn = multiprocessing.get_context("spawn")
        ready = spawn.Queue()
        payer = spawn.Process(target=serve, args=(answers_for(patient), ready), daemon=True)
        payer.start()
        try:
            url = f"http://127.0.0.1:{ready.get(timeout=30)}/fhir"
            measure(Bench(Path(passing), config, url), options)
        finally:
            payer.terminate()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
