"""`payer-exchange simulate` and `exchange`, as a user runs them."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from payer_exchange.reference.asking import consent_period, coverage_to_link, hrex_consent
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.http import HttpClient
from payer_exchange.reference.parties import PayerIdentity


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def simulated(role: str, *arguments: str, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A payer in a process of its own, from when it says that it answers until interrupted."""
    command = [sys.executable, "-m", "payer_exchange.cli", "simulate", role, *arguments]
    process = subprocess.Popen(command, cwd=cwd, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if "Ctrl-C" in line:
            break
    assert told, "the payer said nothing"
    assert "Ctrl-C" in told[-1], "".join(told)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@pytest.mark.parametrize("server", ["cheroot", "granian"])
def test_a_simulated_payer_is_judged_by_its_config(command, server: str, tmp_path: Path) -> None:
    port = str(free_port())
    arguments = ["--port", port, "--members", "1", "--server", server,
                 "--config-out", "old/payer-exchange.toml"]  # fmt: skip
    with simulated("responding-payer", *arguments, cwd=tmp_path):
        done = command("verify", "responding-payer", "--config", "old/payer-exchange.toml",
                       "--tags", "hrex-mm-9 or bulk-man-09 or ev-01", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No requirement is violated" in done.stderr


def test_one_post_moves_a_record_between_two_processes(tmp_path: Path) -> None:
    """The seed page's operation, over HTTP, with nothing but the two commands."""
    ports = [str(free_port()), str(free_port())]
    with (
        simulated("responding-payer", "--port", ports[0], "--members", "1",
                  "--config-out", "old/payer-exchange.toml", cwd=tmp_path),
        simulated("requesting-payer", "--port", ports[1], "--config", "old/payer-exchange.toml",
                  "--config-out", "new.json", cwd=tmp_path),
    ):  # fmt: skip
        new = json.loads((tmp_path / "new.json").read_text())
        truth = json.loads((tmp_path / "old/members.json").read_text())
        task = invoke(new, truth, f"http://127.0.0.1:{ports[0]}/fhir")
    counts = next(m for m in truth["members"] if m["key"] == "A")["record"]["counts"]
    assert task["status"] == "completed"
    assert task["output"], "the archived originals are named"
    assert counts["Observation"] > 0


def invoke(new: dict, truth: dict, issuer: str) -> dict:
    """Post invoke-export as the vendor documents it, and ask for the Task until it has ended."""
    asked = next(r for r in truth["requests"] if r["name"] == "unique")
    old, own = (
        PayerIdentity(**truth[f"{role}_payer"]["identifier"])
        for role in ("responding", "requesting")
    )
    start, end = consent_period("current", datetime.now(UTC).date())
    member = asked["patient"]["id"]
    parts = {
        "MemberPatient": asked["patient"],
        "CoverageToMatch": asked["coverage_to_match"],
        "CoverageToLink": coverage_to_link(member, own, "NEW-1"),
        "Consent": hrex_consent(member, discloser=old, recipient=own, start=start, end=end),
    }
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "localPatient", "valueReference": {"reference": "Patient/member-1"}},
            {"name": "sourceIssuerUrl", "valueString": issuer},
            {"name": "memberMatch",
             "part": [{"name": n, "resource": r} for n, r in parts.items()]},
        ],
    }  # fmt: skip
    http = HttpClient(EgressRules(typed=new["fhir_base"]))
    headers = {"Authorization": f"Bearer {new['operator_token']}",
               "Content-Type": "application/fhir+json"}  # fmt: skip
    url = f"{new['fhir_base']}/Patient/$sdh.s2s.invoke-export"
    answer = http.request("POST", url, headers=headers, body=json.dumps(body).encode())
    assert answer.status == 200, answer.body
    location = answer.header("Content-Location")
    assert location.endswith(f"Task/{json.loads(answer.body)['id']}")
    task = f"{new['fhir_base']}/Task/{location.rsplit('/', 1)[-1]}"
    for _ in range(2000):  # each is a request, so that the wait is bounded without a clock
        found = json.loads(http.request("GET", task, headers=headers).body)
        if found["status"] not in ("requested", "in-progress"):
            break
    return found


@pytest.mark.parametrize(
    ("name", "shown"), [("old", "responding"), ("source", "responding"), ("client", "requesting")]
)
def test_a_payer_is_found_by_any_name_of_its_role(
    command, name: str, shown: str, tmp_path: Path
) -> None:
    done = command("simulate", name, "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert f"Play the {shown}" in done.stdout


def test_a_role_that_nobody_knows_is_wrong_usage(command, tmp_path: Path) -> None:
    done = command("simulate", "sauce", cwd=tmp_path)
    assert done.returncode == 2
    assert "Did you mean source?" in done.stderr


def test_exchange_moves_members_and_says_what_arrived(command, tmp_path: Path) -> None:
    done = command("exchange", "--members", "2", "--each", "--data-dir", "kept", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 completed" in done.stdout
    assert (tmp_path / "kept/requesting-payer/requesting-payer.sqlite").is_file()


def test_exchange_with_one_member_prints_the_seven_phases(command, tmp_path: Path) -> None:
    done = command("exchange", "--members", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if " done " in line]
    assert [line[0] for line in lines] == [
        "registration", "opt-in", "request", "authorization", "member-match", "export", "storage",
    ]  # fmt: skip


def test_exchange_moves_many_in_one_batch_and_proves_it(command, tmp_path: Path) -> None:
    done = command("exchange", "--members", "30", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "31; 30 matched, 1 no-match" in done.stdout
    assert "0 unequal" in done.stdout
    assert " 0 of another member" in done.stdout


def test_exchange_fails_loudly_when_nobody_is_matched(command, tmp_path: Path) -> None:
    done = command("exchange", "--members", "1", "--defect", "R23-none", cwd=tmp_path)
    assert done.returncode == 1
    assert "failed" in done.stdout
