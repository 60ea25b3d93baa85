"""`payer-exchange report` and `attestations`, and verify with waivers, answers and interrupts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.responder_options import ResponderOptions

_WAIVER = """
[[waiver]]
requirement = "bulk-man-10"
reason = "The list comes with release 4."
owner = "The export team"
expires = 2999-01-01
"""


def test_a_waived_violation_leaves_the_exit_status_at_0(command, tmp_path: Path) -> None:
    (tmp_path / "waivers.toml").write_text(_WAIVER, encoding="utf-8")
    arguments = ("verify", "responding-payer", "--members", "1", "--defect", "R80-error",
                 "--tags", "bulk-man-10 or bulk-man-05")  # fmt: skip
    assert command(*arguments, "--report-dir", "red", cwd=tmp_path).returncode == 1
    done = command(*arguments, "--waivers", "waivers.toml", "--report-dir", "waived", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "waiver bulk-man-10: in force, until 2999-01-01" in done.stderr
    compared = command("report", "--compare", "red", "waived", cwd=tmp_path)
    assert compared.returncode == 0, compared.stderr


def test_a_wrong_waivers_file_is_told_before_anybody_is_asked(command, tmp_path: Path) -> None:
    (tmp_path / "waivers.toml").write_text("[[waiver]]\nowner = 1\n", encoding="utf-8")
    done = command("verify", "responding-payer", "--waivers", "waivers.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "waivers.toml, waiver 1" in done.stderr


def test_questions_are_written_and_answers_are_attested(command, tmp_path: Path) -> None:
    assert command("attestations", "answers.toml", cwd=tmp_path).returncode == 0
    path = tmp_path / "answers.toml"
    assert "met = true" in path.read_text(encoding="utf-8")
    assert command("attestations", "answers.toml", cwd=tmp_path).returncode == 2
    path.write_text('["cms0057-education"]\nmet = true\nevidence = "A leaflet"\nby = "Members"\n'
                    "on = 2026-11-20\n", encoding="utf-8")  # fmt: skip
    done = command("verify", "responding-payer", "--members", "1", "--tags", "smart-disc-05",
                   "--attestations", "answers.toml", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "payer-exchange-report/results.json").read_text())
    [row] = [r for r in results["requirements"] if r["id"] == "cms0057-education"]
    assert row["verdict"] == "attested"


def test_an_interrupted_run_writes_what_it_knows(command, tmp_path: Path) -> None:
    arguments = ["verify", "responding-payer", "--members", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "payer_exchange.cli", *arguments, "-v"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"},
    ) as running:  # fmt: skip
        assert running.stderr is not None
        # As a CI server that gives up would, once the first scenario was judged.
        told = next(line for line in running.stderr if line.startswith("e0001 "))
        running.send_signal(signal.SIGTERM)
        said = running.stderr.read()
    assert running.returncode == 3, said
    assert " GET https://" in told
    assert "was interrupted" in said
    report = tmp_path / "payer-exchange-report"
    first = json.loads((report / "results.json").read_text())
    assert any("was interrupted" in note for note in first["notes"])


def test_a_run_goes_on_with_what_was_not_judged(command, tmp_path: Path) -> None:
    responder = start_responder(ResponderOptions(members=1))
    try:
        responder.write_config(tmp_path / "payer-exchange.toml")
        arguments = ("verify", "responding-payer", "--config", "payer-exchange.toml", "--tags")
        assert command(*arguments, "smart-disc-05", cwd=tmp_path).returncode == 0
        first = _report(tmp_path)
        done = command(*arguments, "smart-disc-05 or hrex-mm-9", "--resume", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    finally:
        responder.close()
    second = _report(tmp_path)
    assert second["scenarios"][: len(first["scenarios"])] == first["scenarios"]
    assert {"smart-disc-05", "hrex-mm-9"} <= {r for s in second["scenarios"]
                                              for r in s["requirements"]}  # fmt: skip
    archive = json.loads((tmp_path / "payer-exchange-report/exchange.har").read_text())
    numbers = [entry["comment"] for entry in archive["log"]["entries"]]
    assert len(set(numbers)) == len(numbers)
    assert {e for s in second["scenarios"] for e in s["evidence"]} <= set(numbers)


def test_a_run_of_another_payer_is_not_gone_on_with(command, tmp_path: Path) -> None:
    arguments = ("verify", "responding-payer", "--members", "1", "--tags", "smart-disc-05")
    assert command(*arguments, "--resume", cwd=tmp_path).returncode == 3
    assert command(*arguments, cwd=tmp_path).returncode == 0
    # A payer of our own is another one each time.
    done = command(*arguments, "--resume", cwd=tmp_path)
    assert "another payer" in done.stderr
    assert done.returncode == 3


def _report(folder: Path) -> dict[str, Any]:
    text = (folder / "payer-exchange-report/results.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found
