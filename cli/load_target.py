"""The target of a load run: the user's own, or a simulated payer in a process of its own.

In a process of its own, so that what is measured is the payer and not the two of them sharing one
interpreter, and so that its memory can be told from the generator's.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from ..reference.errors import PayerExchangeError
from ..reference.settings import FILE_NAME, find_settings

# What the payer says last, when it answers already.
_READY = "Stop with Ctrl-C."
_STOP_S = 20.0


@dataclass(frozen=True, slots=True)
class LoadTarget:
    """The settings file that leads to the target, and its process when we started it (else 0)."""

    config: Path
    pid: int = 0


@contextmanager
def load_target(config: Path | None, url: str, payer: Sequence[str]) -> Iterator[LoadTarget]:
    """The target that is named, or a simulated payer with these options for the time of the run.

    Raises click.UsageError for a URL without settings.
    """
    found = config or (find_settings(Path.cwd()) if url else None)
    if found:
        yield LoadTarget(found)
    elif url:
        raise click.UsageError(
            f"Give --config: {FILE_NAME} holds the key and the members to ask for."
        )
    else:
        with TemporaryDirectory(prefix="payer-exchange-load-") as folder:
            yield from _simulated(Path(folder), payer)


def _simulated(folder: Path, options: Sequence[str]) -> Iterator[LoadTarget]:
    file = folder / FILE_NAME
    # Its data lie in our folder, which goes with us however the payer ends.
    places = ["--port", "0", "--config-out", str(file), "--data-dir", str(folder / "payer")]
    command = ["simulate", "responding-payer", *places, *options]
    log = folder / "payer.log"
    with log.open("wb") as out:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "payer_exchange.cli", *command],
            stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
    try:
        _until_ready(child)
        yield LoadTarget(file, child.pid)
    finally:
        child.terminate()
        try:
            child.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            child.kill()


def _until_ready(child: subprocess.Popen[str]) -> None:
    said = []
    for line in child.stderr or ():
        said.append(line)
        if _READY in line:
            return
    raise PayerExchangeError(
        f"The simulated payer did not start. {' '.join(''.join(said).split())}"
    )
