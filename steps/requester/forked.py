"""A module of this package as a command, without the second that an interpreter takes to load it.

A run of the judge starts our own requesting payer some eighty times. It is forked from a process
that has loaded it and done nothing else, with the environment, the arguments and the standard
output that a command of the shell would have.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

_PACKAGE = __name__.partition(".")[0]


def module_of(words: Sequence[str]) -> str:
    """The module of this package that a command runs by this interpreter; empty for any other.

    Empty, too, on a platform that forks no processes: there it is run like any other command.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return ""
    if len(words) < 3 or (words[0], words[1]) != (sys.executable, "-m"):
        return ""
    return words[2] if words[2].startswith(f"{_PACKAGE}.") else ""


def run_forked(
    words: Sequence[str], environment: Mapping[str, str], limit_s: float
) -> tuple[int, bytes]:
    """Run such a command; its exit status and its standard output.

    Raises TimeoutExpired when it has not ended within the seconds, after which it is ended.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([module_of(words)])
    with tempfile.NamedTemporaryFile(prefix="payer-exchange-") as output:
        child = context.Process(target=_command, args=(list(words), dict(environment), output.name))
        child.start()
        child.join(limit_s)
        if child.exitcode is None:
            child.kill()
            child.join()
            raise TimeoutExpired(list(words), limit_s)
        return child.exitcode, Path(output.name).read_bytes()


def _command(words: list[str], environment: dict[str, str], output: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for stream, name in ((sys.stdout, output), (sys.stderr, os.devnull)):
        file = os.open(name, os.O_WRONLY)
        os.dup2(file, stream.fileno())
        os.close(file)
    sys.argv = words[2:]
    runpy.run_module(words[2], run_name="__main__", alter_sys=True)
