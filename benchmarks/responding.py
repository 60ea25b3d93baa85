"""JSON lines: how fast a responding payer exports, matches, grants tokens and pages a record.

Each figure has a ratio to a yardstick of the same run, so that it can be compared between machines:
copying the exported bytes from file to file, or an empty answer of the same server.
Run: python benchmarks/responding.py [members] [folder to load]
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from payer_exchange.reference.asking import (
    consent_period,
    coverage_to_link,
    hrex_consent,
    member_match_parameters,
)
from payer_exchange.reference.credentials import Credentials
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.http import HttpClient
from payer_exchange.reference.target import Target
from payer_exchange.simulators.assembly import RunningResponder, start_responder
from payer_exchange.simulators.clients_assembly import CLIENT_ID, REQUESTING, RESPONDING
from payer_exchange.simulators.responder_options import ResponderOptions

SECONDS = 3.0
MATCHED = 100


def rate(work: Callable[[int], Any]) -> tuple[float, float]:
    """How often a second, and the median time of one in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        work(len(times))
        times.append(time.perf_counter() - start)
    return len(times) / sum(times), statistics.median(times) * 1000


def match_bodies(running: RunningResponder) -> list[bytes]:
    """A good request for each member who can be found, as many as are matched."""
    truth, bodies = running.truth(), []
    for asked in [r for r in truth["requests"] if r["expect"] == "match"][:MATCHED]:
        ident = asked["patient"]["id"]
        start, end = consent_period("current", running.payer.clock.now().date())
        consent = hrex_consent(ident, discloser=RESPONDING, recipient=REQUESTING,
                               start=start, end=end)  # fmt: skip
        bodies.append(
            json.dumps(
                member_match_parameters(
                    asked["patient"],
                    asked["coverage_to_match"],
                    consent,
                    coverage_to_link(ident, REQUESTING, "NEW-1"),
                )
            ).encode()
        )
    return bodies


def export(running: RunningResponder, target: Target, folder: Path) -> dict[str, Any]:
    """An export of all matched members, store to files, and the copy of its files."""
    payer, token = running.payer, target.token("system/*.rs")
    start = time.perf_counter()
    exchange = target.kick_off("Patient/$export", token)
    job_id = exchange.header("Content-Location").rpartition("/")[2]
    while (job := payer.jobs.find(job_id, CLIENT_ID)) and job.state in ("accepted", "running"):
        time.sleep(0.05)  # seldom enough not to take the time that is measured
    took = time.perf_counter() - start
    assert job is not None
    assert job.state == "complete"
    count = sum(f["count"] for f in job.result["files"])
    files = payer.settings.data_dir / "exports" / job_id
    size = sum(path.stat().st_size for path in files.iterdir())
    copies = []
    for number in range(3):
        start = time.perf_counter()
        shutil.copytree(files, folder / f"copy-{number}")
        copies.append(time.perf_counter() - start)
    return {
        "benchmark": "responding.export",
        "resources": count,
        "megabytes": round(size / 1e6, 1),
        "per_s": round(count / took),
        "yardstick": "the same files copied",
        "yardstick_per_s": round(count / min(copies)),
        "ratio": round(min(copies) / took, 4),
    }


def measure(members: int, load: Path | None) -> list[dict[str, Any]]:
    """Every figure, of one payer in one run."""
    with TemporaryDirectory() as name:
        options = ResponderOptions(
            members=members, data_dir=Path(name) / "payer", load=(load,) if load else ()
        )
        running = start_responder(options)
        try:
            http = HttpClient(EgressRules(typed=running.fhir_base))
            target = Target(running.fhir_base, http, Credentials(CLIENT_ID, running.client_key))
            running.simulator.app.add_url_rule("/empty", "empty", lambda: "")
            return list(figures(running, target, Path(name)))
        finally:
            running.close()


def figures(running: RunningResponder, target: Target, folder: Path) -> Any:
    """The figures one by one."""
    root = running.fhir_base.removesuffix("/fhir")
    empty, empty_ms = rate(lambda _n: target.get(f"{root}/empty"))

    def line(name: str, per_s: float, median_ms: float) -> dict[str, Any]:
        return {
            "benchmark": f"responding.{name}",
            "per_s": round(per_s, 1),
            "p50_ms": round(median_ms, 2),
            "yardstick": "an empty answer of the same server",
            "yardstick_per_s": round(empty, 1),
            "ratio": round(empty_ms / median_ms, 4),
        }

    def ask_token(_n: int) -> None:
        target.forget_tokens()
        target.token("system/*.rs")

    yield line("token", *rate(ask_token))
    bodies, matching = match_bodies(running), target.token(MEMBER_MATCH)
    found: set[str] = set()

    def match(number: int) -> None:
        answer = target.post("Patient/$member-match", bodies[number % len(bodies)], matching)
        found.add(json.loads(answer.body)["parameter"][1]["valueReference"]["reference"])

    # Each once first: what follows needs them all.
    for number in range(len(bodies)):
        match(number)
    yield line("member_match", *rate(match))
    yield export(running, target, folder)
    records, token = sorted(found), target.token("system/*.rs")
    yield line(
        "everything",
        *rate(lambda n: target.get(f"{records[n % len(records)]}/$everything", token)),
    )


def main() -> int:
    """Measure and print."""
    members = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    load = Path(sys.argv[2]) if len(sys.argv) > 2 else None
    for found in measure(members, load):
        print(json.dumps(found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
