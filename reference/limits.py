"""What a responding payer bears of a client before it asks it to wait."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, fields
from pathlib import Path

from .errors import SettingsError
from .toml_files import read_toml


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits on guessing and on running jobs; 0 switches one off.

    Those on guessing are made for strangers who try without end. A conformance run, which has some
    thirty bad assertions, and a batch of ten thousand members that has strangers in it, stay far
    below.
    """

    failed_authentications: int = 100
    """Failed authentications of one client id within the window, after which it has to wait."""
    authentication_window_s: int = 60
    """How long a failed authentication counts."""
    tries_an_hour: int = 5
    """Cards that fail for one person, or persons that fail for one card, within an hour (mm-7)."""
    tries_a_day: int = 20
    """The same within a day."""
    failed_matches_an_hour: int = 10_000
    """Persons whom a client asks for in vain within an hour."""
    running_jobs: int = 20
    """Bulk matches and exports of one client that run or wait at the same time."""


def read_limits(path: Path) -> Limits:
    """The limits in a TOML file, the others as they are; raises SettingsError naming file and key.

    The file names single fields of `Limits`; each is a whole number from 0.
    """
    content = read_toml(path, "The limits file")
    known = [f.name for f in fields(Limits)]
    for key, value in content.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f" Did you mean {near[0]}?" if near else ""
            raise SettingsError(
                f"{path}: there is no limit {key}.{hint} It has {', '.join(known)}."
            )
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise SettingsError(f"{path}: {key} must be a whole number from 0.")
    return Limits(**content)
