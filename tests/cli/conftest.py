"""The command line as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def command() -> Command:
    """Run `payer-exchange` with arguments in a folder, and give back how it ended."""

    def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "payer_exchange.cli", *arguments],
            cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    return run
