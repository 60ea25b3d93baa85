"""Load from several processes: on this machine, or on others that hear one master.

What master and workers tell each other is neither encrypted nor does it ask who is there, so a
master listens on loopback unless it is told another address, which belongs into a closed network.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

from ..reference.errors import SettingsError

_HERE = "127.0.0.1"
# So long a master waits for its workers to be there.
WAIT_FOR_WORKERS_S = 120


@dataclass(frozen=True, slots=True)
class Spread:
    """Which processes make the load of a run."""

    processes: int = 1
    """How many make load in all."""
    listen: str = ""
    """HOST:PORT where this master waits for workers that others start."""
    join: str = ""
    """HOST:PORT of the master that this worker works for."""

    def options(self) -> dict[str, object]:
        """Locust's own options; raises SettingsError for an address that is none."""
        if self.join:
            host, port = _address(self.join)
            return {"--worker": None, "--master-host": host, "--master-port": port}
        if self.listen:
            host, port = _address(self.listen)
            return {
                "--master": None,
                "--expect-workers": self.processes,
                "--expect-workers-max-wait": WAIT_FOR_WORKERS_S,
                "--master-bind-host": host,
                "--master-bind-port": port,
            }
        return _here(self.processes) if self.processes > 1 else {}

    @property
    def waits_s(self) -> float:
        """How much longer a run may take because of workers that are waited for."""
        return WAIT_FOR_WORKERS_S if self.listen or self.join else 0.0


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(f"{text} is no address. Write HOST:PORT, as 127.0.0.1:5557.")
    return host.strip("[]"), int(port)


def _here(processes: int) -> dict[str, object]:
    """A master and workers on this machine, which nobody else hears."""
    with socket.socket() as passing:
        passing.bind((_HERE, 0))
        port = passing.getsockname()[1]
    return {
        "--processes": processes,
        "--master-bind-host": _HERE,
        "--master-bind-port": port,
        "--master-host": _HERE,
        "--master-port": port,
    }
