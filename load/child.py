"""The Locust process of a run: started, followed each second, stopped when asked.

Its input is a pipe that nothing is written to. Where it ends, because the run is to stop or because
this process is gone, the child stops its journeys and deletes their jobs at the target.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..reference.errors import PayerExchangeError

# So long the child may delete the jobs it began and write its figures, once it is told to stop.
_LAST_WORDS_S = 45.0


class NothingMeasured(PayerExchangeError):
    """The target cannot be reached, gives no token, or the run came to no figures."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How the child ended: stopped by an interrupt or not, and its exit status."""

    stopped: bool
    status: int


def follow(
    command: Sequence[str], log: Path, limit_s: float, each_second: Callable[[], None]
) -> Ended:
    """Run the child to its end; an interrupt asks it to stop.

    Raises NothingMeasured when it does not end within `limit_s` seconds.
    """
    with log.open("wb") as out:
        # A group of its own: Ctrl-C reaches it through us alone, and finds it able to clean up.
        child = subprocess.Popen(  # noqa: S603 - our own interpreter; the options are the caller's
            command, stdin=subprocess.PIPE, stdout=out, stderr=out, start_new_session=True
        )
    try:
        _watched(child, limit_s, each_second)
        stopped = False
    except KeyboardInterrupt:
        stopped = True
    finally:
        _stop(child)
    return Ended(stopped, child.returncode)


def _watched(
    child: subprocess.Popen[bytes], limit_s: float, each_second: Callable[[], None]
) -> None:
    end = time.monotonic() + limit_s
    while not _ended(child, 1.0):
        each_second()
        if time.monotonic() > end:
            raise NothingMeasured(f"The load run did not end within {limit_s:.0f} seconds.")


def _ended(child: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _stop(child: subprocess.Popen[bytes]) -> None:
    """End the child's input, which asks one that runs to stop; what does not obey is killed."""
    if child.stdin:
        child.stdin.close()
    try:
        if not _ended(child, _LAST_WORDS_S):
            child.kill()
    except KeyboardInterrupt:  # asked twice: at once, and jobs may stay behind at the target
        child.kill()
        raise
