"""When everybody is done: from the rates that were measured to the end of a large exchange.

A batch of members is a job: matched, exported and downloaded, one step after the other. Several
jobs may go at once; what they bring is taken in one batch after the other, while the next jobs are
under way. So either the jobs set the pace or the intake does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..reference.errors import SettingsError

_EXPORTS = ("job", "bulk-export-job", "group-export-job")


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured, for one job each while as many went as shall go at once."""

    members_per_s: float
    """Of the bulk match."""
    resources_per_s: float
    """Of the export, from its kick-off to the manifest."""
    download_per_s: float
    """Resources a second while downloading."""
    intake_per_s: float
    """Resources a second while taking in."""


def measured_rates(told: Mapping[str, Any]) -> dict[str, float]:
    """The fields of Rates that the content of a load-results.json tells of.

    The wait for a manifest is that of bulk matches as well as of exports, so that the rate of
    exports is rather too low than too high. Raises SettingsError for another content.
    """
    try:
        rows = {m["name"]: m for m in told["measures"]}
        waits, matches = rows.get("time-to-manifest"), rows.get("bulk-match-job")
        delivered = sum(rows[name]["resources"] for name in _EXPORTS if name in rows)
        found = {
            "members_per_s": matches and _rate(matches, matches["count"] * told["bulk_members"]),
            "resources_per_s": waits and _rate(waits, delivered),
            "download_per_s": told["resources_per_s"],
            "intake_per_s": told.get("intake_resources_per_s"),
        }
    except (KeyError, TypeError) as error:
        raise SettingsError("The file is no load-results.json of a load run.") from error
    return {name: rate for name, rate in found.items() if rate}


def _rate(row: Mapping[str, Any], amount: float) -> float:
    return amount / row["seconds"] if row["seconds"] else 0.0


@dataclass(frozen=True, slots=True)
class Steps:
    """The seconds that one batch takes, step by step."""

    match: float
    export: float
    download: float
    intake: float

    @property
    def job(self) -> float:
        """The steps that the two payers go together."""
        return self.match + self.export + self.download


@dataclass(frozen=True, slots=True)
class Plan:
    """How long all of it takes, and what it waits for: `jobs` or `intake`."""

    batches: int
    seconds: float
    pace: str


def steps_of(rates: Rates, batch: int, resources: float) -> Steps:
    """The steps of a batch of members with so many resources each; raises SettingsError."""
    values = (rates.members_per_s, rates.resources_per_s, rates.download_per_s, rates.intake_per_s)
    if min(*values, batch, resources) <= 0:
        raise SettingsError("Rates, members of a batch and resources must be above 0.")
    amount = batch * resources
    return Steps(
        match=batch / rates.members_per_s,
        export=amount / rates.resources_per_s,
        download=amount / rates.download_per_s,
        intake=amount / rates.intake_per_s,
    )


def plan(members: int, batch: int, steps: Steps, jobs: int = 1) -> Plan:
    """The end of the last batch, `jobs` of them at once.

    Where the jobs set the pace, the last of them leave only their own intake; where the intake
    does, it begins with the first job's end and does not rest.
    """
    batches = math.ceil(members / batch)
    if steps.intake * jobs > steps.job:
        return Plan(batches, steps.job + batches * steps.intake, "intake")
    rounds = math.ceil(batches / jobs)
    last = batches - (rounds - 1) * jobs
    return Plan(batches, rounds * steps.job + last * steps.intake, "jobs")
