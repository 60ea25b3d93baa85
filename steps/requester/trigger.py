"""Calling the requesting payer's command, once an exchange, and reading what it believes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from ..verdicts import CannotTell
from .script import Told

_LIMIT_S = 120


def run_trigger(command: str, environment: Mapping[str, str]) -> Told:
    """Run the command and return how it ended, with the last JSON line it printed.

    Raises CannotTell when it cannot be started, or does not end in two minutes.
    """
    try:
        done = subprocess.run(  # noqa: S603 - the user's own command
            shlex.split(command),
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_LIMIT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise CannotTell("The command of --trigger cannot be found.") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotTell(
            f"The command of --trigger did not end within {_LIMIT_S} seconds."
        ) from error
    told = _last_object(done.stdout)
    counts = told.get("resources")
    return Told(
        done.returncode,
        str(told.get("outcome", "")),
        {str(k): v for k, v in counts.items() if isinstance(v, int)}
        if isinstance(counts, dict)
        else {},
    )


def _last_object(output: bytes) -> dict[str, Any]:
    for line in reversed(output.splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            return found
    return {}
