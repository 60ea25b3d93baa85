"""`payer-exchange verify`, as a user runs it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Response, request
from payer_exchange.reference.settings import read_settings
from payer_exchange.simulators.assembly import RunningResponder, start_responder
from payer_exchange.simulators.responder_options import ResponderOptions
from payer_exchange.steps.recorder import Recorder
from payer_exchange.steps.run import TargetRun


@pytest.fixture(scope="module")
def responder() -> Iterator[RunningResponder]:
    running = start_responder(ResponderOptions(members=1))
    yield running
    running.close()


def test_without_a_target_a_simulated_payer_is_judged_and_is_green(command, tmp_path: Path) -> None:
    # All of the scenarios are played by `tox -e bdd`.
    done = command("verify", "responding-payer", "--members", "1",
                   "--tags", "hrex-mm-9 or smart-disc-05 or pdex-163", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "payer-exchange-report/results.json").read_text())
    assert results["verdict"] == "pass"
    assert results["counts"]["fail"] == results["counts"]["error"] == 0
    assert results["counts"]["pass"] > 2
    judged = {r["id"]: r["verdict"] for r in results["requirements"]}
    assert judged["hrex-mm-9"] == "pass"
    assert judged["cms0057-education"] == "not_tested"


def test_a_defect_turns_the_run_red(command, tmp_path: Path) -> None:
    done = command("verify", "responding-payer", "--members", "1", "--defect", "R23-404",
               "--tags", "hrex-mm-9", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 1
    results = json.loads((tmp_path / "payer-exchange-report/results.json").read_text())
    failed = [s for s in results["scenarios"] if s["verdict"] == "fail"]
    assert failed
    assert {s["expected"] for s in failed} == {"422"}
    assert {s["actual"] for s in failed} == {"404"}
    assert all(s["evidence"] for s in failed)


def test_a_settings_file_names_the_target(
    command, responder: RunningResponder, tmp_path: Path
) -> None:
    responder.write_config(tmp_path / "old" / "payer-exchange.toml")
    done = command("verify", "responding-payer", "--config", "old/payer-exchange.toml",
               "--tags", "smart-disc-05 or hrex-mm-9", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "No requirement is violated" in done.stderr


def test_a_payer_that_cannot_be_reached_is_no_verdict(
    command, responder: RunningResponder, tmp_path: Path
) -> None:
    responder.write_config(tmp_path / "payer-exchange.toml")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/fhir"
        done = command("verify", "responding-payer", url, "--config", "payer-exchange.toml",
                   "--tags", "smart-disc-05", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--nonsense"], "No such option"),
        (["--tags", "(a or"], "tag expression"),
        (["--config", "missing.toml"], "missing.toml"),
        (["http://127.0.0.1:1/fhir"], "a settings file is needed"),
        (["--defect", "R2"], "There is no defect R2"),
        (["--load", "no-such-folder"], "no file or folder"),
    ],
)
def test_wrong_usage_says_what_to_do(
    command, arguments: list[str], words: str, tmp_path: Path
) -> None:
    done = command("verify", "responding-payer", *arguments, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert words in done.stderr


def test_a_group_that_the_settings_name_is_exported_without_a_match(
    command, responder: RunningResponder, tmp_path: Path
) -> None:
    """As a Bulk Data server is judged that knows nothing of payers."""
    config = tmp_path / "payer-exchange.toml"
    responder.write_config(config)
    group = _matched_group(config)
    told = config.read_text().replace("[target]", f'[target]\ngroup = "{group}"', 1)
    config.write_text(told)
    done = command("verify", "responding-payer", "--config", config.name,
               "--tags", "bulk-kickoff-11 or bulk-man-20 or hrex-mm-9 or bulk-param-14",
               cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "payer-exchange-report/results.json").read_text())
    judged = {r["id"]: r["verdict"] for r in results["requirements"]}
    assert [judged[i] for i in ("bulk-kickoff-11", "bulk-man-20", "bulk-param-14")] == ["pass"] * 3
    told = {s["message"] for s in results["scenarios"] if "hrex-mm-9" in s["requirements"]}
    assert told == {"It is no requirement of a Bulk Data server."}
    har = json.loads((tmp_path / "payer-exchange-report/exchange.har").read_text())
    asked = [entry["request"]["url"] for entry in har["log"]["entries"]]
    assert any(url.endswith(f"/Group/{group}/$export") for url in asked)
    assert not any("member-match" in url for url in asked)


def _matched_group(config: Path) -> str:
    run = TargetRun(read_settings(config), Recorder())
    return str(run.bulk.match("matched members").matched()["id"])


def test_a_payer_that_starts_exports_by_get_alone_is_green(command, tmp_path: Path) -> None:
    running = start_responder(ResponderOptions(members=1, bulk=False))
    running.simulator.app.before_request(_no_kick_off_by_post)
    try:
        running.write_config(tmp_path / "payer-exchange.toml")
        done = command("verify", "responding-payer", "--config", "payer-exchange.toml",
                   "--tags", "bulk-kickoff-11 or bulk-param-04 or bulk-man-20 or pdex-186",
                   cwd=tmp_path)  # fmt: skip
    finally:
        running.close()
    assert done.returncode == 0, done.stderr
    assert "No requirement is violated" in done.stderr


def _no_kick_off_by_post() -> Response | None:
    if request.method == "POST" and request.path.endswith("/$export"):
        return Response("by GET", 405, {"Allow": "GET"})
    return None
