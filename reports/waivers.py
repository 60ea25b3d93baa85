"""Waivers: requirements that a team knows to be violated, by whom that is owned and until when.

A waiver is strict: one that has expired, or whose requirement is met by now, fails the run until it
is taken out of the file.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from ..reference.errors import SettingsError
from ..reference.toml_files import read_toml
from .catalogue import NORMATIVE, catalogue, requirement
from .results import Results, ScenarioResult, WaiverResult

IN_FORCE, EXPIRED, MET, NOT_JUDGED = "in force", "expired", "met", "not judged"


@dataclass(frozen=True, slots=True)
class Waiver:
    """One entry of a waivers file."""

    requirement: str
    reason: str
    owner: str
    expires: date


def read_waivers(path: Path) -> tuple[Waiver, ...]:
    """The waivers in a TOML file; raises SettingsError naming file, entry and key."""
    content = read_toml(path, "The waivers file")
    entries = content.pop("waiver", [])
    if content or not isinstance(entries, list):
        raise SettingsError(f"{path}: each waiver is a section [[waiver]], and nothing else is.")
    found = tuple(_waiver(entry, path, number) for number, entry in enumerate(entries, 1))
    named = [waiver.requirement for waiver in found]
    for ident in named:
        if named.count(ident) > 1:
            raise SettingsError(f"{path}: {ident} is waived twice. Keep one.")
    return found


def waived(results: Results, waivers: Iterable[Waiver], today: date) -> Results:
    """The results with waivers applied: who is covered says so, and how each waiver stands."""
    found = tuple(waivers)
    verdicts = {r.id: r.verdict for r in results.requirements}
    told = tuple(_state(waiver, verdicts.get(waiver.requirement, ""), today) for waiver in found)
    covered = {waiver.requirement: waiver for waiver in found if waiver.expires >= today}
    scenarios = tuple(_scenario(scenario, covered) for scenario in results.scenarios)
    return replace(results, scenarios=scenarios, waivers=told)


def _waiver(entry: Any, path: Path, number: int) -> Waiver:
    known = [field.name for field in fields(Waiver)]
    where = f"{path}, waiver {number}"
    if not isinstance(entry, Mapping):
        raise SettingsError(f"{where} must be a section [[waiver]].")
    for key in entry:
        if key not in known:
            raise SettingsError(f"{where} has no key {key}. It has {', '.join(known)}.")
    for key in known:
        kind = date if key == "expires" else str
        if not isinstance(entry.get(key), kind) or not entry[key]:
            form = "a date, as 2027-03-31" if kind is date else "text"
            raise SettingsError(f"{where}: {key} must be {form}.")
    if requirement(entry["requirement"]) is None:
        near = difflib.get_close_matches(entry["requirement"], [r.id for r in catalogue()], 1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise SettingsError(f"{where}: there is no requirement {entry['requirement']}.{hint}")
    return Waiver(**entry)


def _state(waiver: Waiver, verdict: str, today: date) -> WaiverResult:
    if waiver.expires < today:
        state = EXPIRED
    elif verdict in ("fail", "warn", "error"):
        state = IN_FORCE
    else:
        state = MET if verdict == "pass" else NOT_JUDGED
    return WaiverResult(waiver.requirement, waiver.reason, waiver.owner,
                        waiver.expires.isoformat(), state)  # fmt: skip


def _scenario(scenario: ScenarioResult, covered: Mapping[str, Waiver]) -> ScenarioResult:
    """A failed scenario is covered when each SHALL that it is about is waived."""
    rows = [row for row in map(requirement, scenario.requirements) if row]
    hard = [row.id for row in rows if row.strength in NORMATIVE]
    if scenario.verdict != "fail" or not hard or not all(ident in covered for ident in hard):
        return scenario
    return replace(scenario, waived=covered[hard[0]].reason)
