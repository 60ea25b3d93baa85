"""The meta-test for requesting payers: a defect turns its requirements red, and no other.

The quick form plays only the scenarios of the requirements a defect names. With
PAYER_EXCHANGE_KILL=full every scenario is played for every defect.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from payer_exchange.cli.scenario_run import (
    REQUESTING,
    VerifyOptions,
    pytest_arguments,
    pytest_environment,
)
from payer_exchange.cli.verify import OWN_TRIGGER
from payer_exchange.reports.results import Results
from payer_exchange.reports.writing import read_results
from payer_exchange.simulators.requesting_defects import REQUESTING_DEFECTS, RequestingDefect
from payer_exchange.steps.killing import cover, features_about, judge_apart, judge_kill

HOW = os.environ.get("PAYER_EXCHANGE_KILL", "")
FULL = HOW == "full"
CHOSEN = list(REQUESTING_DEFECTS.values()) if HOW else cover(REQUESTING_DEFECTS.values())


def play(
    folder: Path, tags: str, trigger: str, version: str = "2.2.0", about: tuple[str, ...] = ()
) -> Results:
    """What the scenarios say of a requesting payer that is started by a command.

    `about` some requirements alone, where it names some.
    """
    features = features_about(about, REQUESTING, folder.parent / "features") if about else None
    options = VerifyOptions(tags=tags, report_dir=folder, role=REQUESTING, trigger=trigger,
                            pdex_version=version, features=features)  # fmt: skip
    judge_apart(pytest_arguments(options), pytest_environment(options))
    return read_results(folder)


@pytest.mark.parametrize("defect", CHOSEN, ids=lambda d: d.id)
def test_a_defect_is_seen_and_no_other(defect: RequestingDefect, tmp_path: Path) -> None:
    tags = "" if FULL else " or ".join(defect.violates)
    results = play(tmp_path / "report", tags, f"{OWN_TRIGGER} --defect {defect.id}",
                   defect.version, () if FULL else defect.violates)  # fmt: skip
    kill = judge_kill(defect.id, defect.violates, defect.also, results)
    assert kill.missed == (), "requirements the defect names that did not go red"
    assert kill.alarms == (), "requirements that went red though the defect does not name them"
