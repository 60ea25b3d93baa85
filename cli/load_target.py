"""The payers of a load run: the user's own, or simulated ones in processes of their own.

In a process of its own, so that what is measured is the payer and not the two of them sharing one
interpreter, and so that its memory can be told from the generator's.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
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
    restart: Callable[[], int] | None = None
    """Kills a process that we started and starts it anew; returns the new one's id."""


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
    with _payer("responding-payer", folder, folder / FILE_NAME, options) as payer:
        yield LoadTarget(payer.file, payer.pid, payer.restart)


@contextmanager
def requesting_payer(config: Path) -> Iterator[Path]:
    """The file of a simulated requesting payer, for the time of the run.

    It knows the payer of the settings file, and the members of its truth table have joined.
    """
    with TemporaryDirectory(prefix="payer-exchange-load-") as folder:
        file, options = Path(folder) / "requesting-payer.json", ("--config", str(config))
        with _payer("requesting-payer", Path(folder), file, options) as payer:
            yield payer.file


@contextmanager
def _payer(role: str, folder: Path, file: Path, options: Sequence[str]) -> Iterator[_Payer]:
    payer = _Payer(role, folder, file, options)
    try:
        payer.start()
        yield payer
    finally:
        payer.stop()


class _Payer:
    """A simulated payer in a process of its own, with all its data in our folder."""

    def __init__(self, role: str, folder: Path, file: Path, options: Sequence[str]) -> None:
        self.file, self._role, self._folder, self._options = file, role, folder, options
        # One of our choice: where the system chooses, it may not be taken again for a minute.
        self._port = _free_port()
        self._child: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        return self._child.pid if self._child else 0

    def start(self) -> None:
        """Start it and wait until it answers."""
        # Its data lie in our folder, which goes with us however the payer ends.
        places = ["--config-out", str(self.file), "--data-dir", str(self._folder / "payer")]
        command = ["simulate", self._role, "--port", str(self._port), *places]
        with (self._folder / "payer.log").open("ab") as out:
            self._child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "payer_exchange.cli", *command, *self._options],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE, text=True,
                start_new_session=True,
            )  # fmt: skip
        _until_ready(self._child)

    def restart(self) -> int:
        """Kill it, as a machine that goes down does, and start it anew; returns its new id."""
        if self._child:
            self._child.kill()
            self._child.communicate()
        self.start()
        return self.pid

    def stop(self) -> None:
        """Stop it, by force if it takes too long."""
        if not self._child:
            return
        self._child.terminate()
        try:
            self._child.communicate(timeout=_STOP_S)
        except subprocess.TimeoutExpired:
            self._child.kill()


def _free_port() -> int:
    with socket.socket() as passing:
        passing.bind(("127.0.0.1", 0))
        return int(passing.getsockname()[1])


def _until_ready(child: subprocess.Popen[str]) -> None:
    said = []
    for line in child.stderr or ():
        said.append(line)
        if _READY in line:
            return
    raise PayerExchangeError(
        f"The simulated payer did not start. {' '.join(''.join(said).split())}"
    )
