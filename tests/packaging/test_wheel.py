"""The wheel holds what git holds of the product, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("reference", "simulators", "features", "steps", "load", "reports", "cli")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        return {name for name in wheel.namelist() if ".dist-info/" not in name}


def test_the_wheel_holds_every_file_of_the_product(names: set[str]) -> None:
    listed = subprocess.run(
        ["git", "ls-files", *PARTS], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    expected = {f"payer_exchange/{name}" for name in listed}
    assert expected <= names
    assert {name for name in names if name.endswith(".py")} <= expected


def test_the_wheel_holds_no_tests_and_no_links(names: set[str]) -> None:
    assert not [name for name in names if name.startswith(("tests/", ".editable"))]
