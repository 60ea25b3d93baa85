"""Our steps in a repository of somebody's own, with features and steps of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from payer_exchange.simulators.assembly import RunningResponder, start_responder
from payer_exchange.simulators.responder_options import ResponderOptions

FEATURE = """\
Feature: Our own payer
  @ours
  Scenario: Our payer is found and says who it is
    Given the target's CapabilityStatement
    Then the answer is a "CapabilityStatement" resource
    And our own check holds

  Scenario: Our payer refuses strangers
    Given the match of the request "unknown"
    Then the match is refused and holds no member
"""
TESTS = """\
from pytest_bdd import scenarios, then

scenarios("own.feature")


@then("our own check holds")
def own_check(seen):
    assert seen.json()["kind"] == "instance"


def test_the_run_is_a_fixture(payer_run):
    assert payer_run.request("unique")["expect"] == "match"
"""


@pytest.fixture(scope="module")
def responder() -> Iterator[RunningResponder]:
    running = start_responder(ResponderOptions(members=1))
    yield running
    running.close()


@pytest.fixture
def repository(tmp_path: Path, responder: RunningResponder) -> Path:
    (tmp_path / "steps").mkdir()  # a folder that is named as one of ours
    (tmp_path / "own.feature").write_text(FEATURE)
    (tmp_path / "test_own.py").write_text(TESTS)
    responder.write_config(tmp_path / "payer-exchange.toml")
    return tmp_path


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_our_steps_work_in_a_users_features(repository: Path) -> None:
    done = pytest_in(repository, "--target-config", "payer-exchange.toml",
                     "--payer-report-dir", "report")  # fmt: skip
    assert "3 passed" in done.stdout, done.stdout
    assert (repository / "report/results.json").is_file()


def test_a_violation_fails_in_a_users_run(repository: Path) -> None:
    feature = (repository / "own.feature").read_text().replace('"unknown"', '"unique"')
    (repository / "own.feature").write_text(feature)
    done = pytest_in(repository, "--target-config", "payer-exchange.toml")
    assert "1 failed, 2 passed" in done.stdout, done.stdout
    assert "CheckFailed" in done.stdout


def test_without_a_target_the_plugin_leaves_others_alone(tmp_path: Path) -> None:
    (tmp_path / "test_plain.py").write_text(
        "import sys\n\n\ndef test_plain():\n"
        "    assert 'payer_exchange.steps.run' not in sys.modules\n"
        # The one of ours that imports requests; other plugins may import it as well.
        "    assert 'payer_exchange.reference.http' not in sys.modules\n"
    )
    done = pytest_in(tmp_path)
    assert "1 passed" in done.stdout, done.stdout
