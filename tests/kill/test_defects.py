"""The meta-test: a defect turns its requirements red, and no unrelated one.

The quick form, part of every run, plays as few defects as break each family of requirements once,
and of the scenarios those of the requirements that a defect names. With PAYER_EXCHANGE_KILL=each
(`tox -e kill`) every defect is played so; with full (`tox -e defects`) with every scenario.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from payer_exchange.cli.scenario_run import (
    RESPONDING,
    VerifyOptions,
    pytest_arguments,
    pytest_environment,
)
from payer_exchange.reports.results import Results
from payer_exchange.reports.writing import read_results
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.defects import DEFECTS, Defect
from payer_exchange.simulators.responder_options import ResponderOptions
from payer_exchange.steps.killing import cover, features_about, judge_apart, judge_kill

HOW = os.environ.get("PAYER_EXCHANGE_KILL", "")
FULL = HOW == "full"
CHOSEN = list(DEFECTS.values()) if HOW else cover(DEFECTS.values())


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the named members, filled once and copied for each defect."""
    folder = tmp_path_factory.mktemp("filled")
    start_responder(ResponderOptions(members=1, data_dir=folder, udap=True)).close()
    return folder


def play(filled: Path, folder: Path, tags: str, defect: Defect) -> Results:
    """What the scenarios say of a simulated payer with this defect."""
    copy = shutil.copytree(filled, folder / "payer")
    running = start_responder(
        ResponderOptions(
            members=1,
            data_dir=copy,
            tls="test",
            defects=(defect.id,),
            pdex_version=defect.version,
            udap=defect.udap,
        )
    )
    try:
        config = folder / "payer-exchange.toml"
        running.write_config(config)
        about = features_about(defect.violates, RESPONDING, folder / "features") if tags else None
        options = VerifyOptions(config, tags=tags, features=about, report_dir=folder / "report")
        judge_apart(pytest_arguments(options), pytest_environment(options))
        return read_results(options.report_dir)
    finally:
        running.close()


@pytest.mark.parametrize("defect", CHOSEN, ids=lambda d: d.id)
def test_a_defect_is_seen_and_no_other(defect: Defect, filled: Path, tmp_path: Path) -> None:
    tags = "" if FULL else " or ".join(defect.violates)
    kill = judge_kill(defect.id, defect.violates, defect.also, play(filled, tmp_path, tags, defect))
    assert kill.missed == (), "requirements the defect names that did not go red"
    assert kill.alarms == (), "requirements that went red though the defect does not name them"
