"""One JSON line for each run, and whether a run is slower than the last ones on the same machine.

A figure is held against the median of the last five runs of the same scenario, against the same
kind of target and on the same kind of machine: one slow run among them moves that little.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..reference.errors import SettingsError
from ..reference.fhir import json
from .figures import Drop, LoadResults
from .timeline import is_whole

SCHEMA = "payer-exchange/load-history/1"
LAST, MOST_DROP = 5, 0.10
# What has to agree for two runs to be compared.
_SAME = ("scenario", "machine", "flavour", "processes", "seconds")
_RATES = ("resources_per_s", "end_to_end_resources_per_s", "intake_resources_per_s",
          "megabytes_per_s", "download_megabytes_per_s")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a run was made with."""

    flavour: str
    processes: int
    seconds: float
    commit: str
    seed: int
    data_digest: str
    """SHA-256 of the members file; empty without one."""


def line_of(results: LoadResults, made: Circumstances) -> dict[str, Any]:
    """The run as one line of the history."""
    machine = results.machine
    kind = [str(machine[k]) for k in ("processors", "architecture", "system") if k in machine]
    python = str(machine.get("python", "")).rpartition(".")[0]
    return {
        "schema": SCHEMA,
        "started": results.started,
        "scenario": results.scenario,
        "machine": " ".join([*kind, "python", python]),
        "flavour": made.flavour,
        "processes": made.processes,
        "seconds": made.seconds,
        "commit": made.commit,
        "seed": made.seed,
        "data_digest": made.data_digest,
        "verdict": results.verdict,
        "figures": _figures(results),
    }


def _figures(results: LoadResults) -> dict[str, float]:
    """What is compared: rates, and the median time of each whole journey."""
    figures = results.figures
    found = {name: getattr(figures, name) for name in _RATES}
    found["knee_per_s"] = results.knee_per_s
    for measure in figures.timed:
        if is_whole(measure.name):
            found[f"{measure.name} p50_ms"] = measure.p50
    return {name: round(value, 3) for name, value in found.items() if value}


def read_history(file: Path) -> list[dict[str, Any]]:
    """The lines of a history file, oldest first; none when there is no file yet.

    Raises SettingsError naming the line that is none.
    """
    if not file.is_file():
        return []
    lines = []
    for number, text in enumerate(file.read_bytes().splitlines(), 1):
        try:
            lines.append(dict(json.read(text)))
        except (ValueError, TypeError) as error:
            raise SettingsError(f"{file}: line {number} is no JSON object. Remove it.") from error
    return lines


def append(file: Path, line: Mapping[str, Any]) -> None:
    """Add one run to a history file, which is made when it is not there."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as out:
        out.write(json.write(line) + b"\n")


def drops(line: Mapping[str, Any], earlier: Iterable[Mapping[str, Any]]) -> tuple[Drop, ...]:
    """Each figure that is more than a tenth worse than the median of the last runs like it."""
    like = [e for e in earlier if all(e.get(k) == line[k] for k in _SAME)]
    found = (_drop(name, value, like) for name, value in line["figures"].items())
    return tuple(d for d in found if d and d.share > MOST_DROP)


def _drop(name: str, value: float, like: Sequence[Mapping[str, Any]]) -> Drop | None:
    values = [e["figures"][name] for e in like if name in e.get("figures", {})][-LAST:]
    if not values:
        return None
    usual = statistics.median(values)
    # Of a time that grew: how much fewer of them go into a second.
    share = 1 - (usual / value if name.endswith("_ms") else value / usual)
    return Drop(name, value, usual, len(values), share)
