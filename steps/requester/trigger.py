"""Calling the requesting payer's command, once an exchange, and reading what it believes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from ..verdicts import CannotTell
from .forked import module_of, run_forked
from .script import Told

_LIMIT_S = 120
# As test harnesses have it: what a command ends with that cannot do what it is asked for.
_UNABLE = 77


def run_trigger(command: str, environment: Mapping[str, str]) -> Told:
    """Run the command and return how it ended, with the last JSON line it printed.

    Raises CannotTell when it cannot be started, does not end in two minutes, or says by its exit
    status that it cannot make this exchange.
    """
    try:
        status, output = _run(shlex.split(command), {**os.environ, **environment})
    except FileNotFoundError as error:
        raise CannotTell("The command of --trigger cannot be found.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotTell(
            f"The command of --trigger did not end within {_LIMIT_S} seconds."
        ) from error
    told = _last_object(output)
    if status == _UNABLE:
        raise CannotTell(
            f"The command of --trigger ended with status {_UNABLE}: it cannot make this exchange."
        )
    return Told(
        status,
        str(told.get("outcome", "")),
        _map(told.get("resources"), int),
        _map(told.get("members"), str),
        told.get("problems") if isinstance(told.get("problems"), int) else None,
    )


def _run(words: list[str], environment: dict[str, str]) -> tuple[int, bytes]:
    if module_of(words):
        return run_forked(words, environment, _LIMIT_S)
    done = subprocess.run(  # noqa: S603 - the user's own command
        words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=_LIMIT_S,
        check=False,
    )
    return done.returncode, done.stdout


def _map(found: Any, kind: type) -> dict[str, Any]:
    pairs = found.items() if isinstance(found, dict) else ()
    return {str(name): value for name, value in pairs if isinstance(value, kind)}


def _last_object(output: bytes) -> dict[str, Any]:
    for line in reversed(output.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}
