"""When everybody is done: from the rates that were measured to the end of a large exchange.

A batch of members is matched, exported, downloaded and taken in, one stage after the other; while
one batch is taken in the next is matched already. So the batches go through as parts through a
line of machines: the slowest stage sets the pace.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..reference.errors import SettingsError

_EXPORTS = ("job", "bulk-export-job", "group-export-job")


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: the seconds that a batch takes there, and how many batches at once."""

    name: str
    seconds: float
    lanes: int = 1


@dataclass(frozen=True, slots=True)
class Rates:
    """What was measured, for one stream each."""

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
class Plan:
    """How long all of it takes, and which stage it waits for."""

    batches: int
    seconds: float
    slowest: str


def stages_of(rates: Rates, batch: int, resources: float, lanes: int) -> tuple[Stage, ...]:
    """The stages of a batch of members with so many resources each; raises SettingsError."""
    values = (rates.members_per_s, rates.resources_per_s, rates.download_per_s, rates.intake_per_s)
    if min(*values, batch, resources, lanes) <= 0:
        raise SettingsError("Rates, members of a batch, resources and jobs must be above 0.")
    amount = batch * resources
    return (
        Stage("match", batch / rates.members_per_s, lanes),
        Stage("export", amount / rates.resources_per_s, lanes),
        Stage("download", amount / rates.download_per_s, lanes),
        Stage("intake", amount / rates.intake_per_s),
    )


def plan(members: int, batch: int, stages: Sequence[Stage]) -> Plan:
    """The end of the last batch: one batch goes all the way, the others follow at the pace.

    The pace is that of the slowest stage, its seconds shared among its lanes.
    """
    batches = math.ceil(members / batch)
    slowest = max(stages, key=lambda stage: stage.seconds / stage.lanes)
    rounds = math.ceil(batches / slowest.lanes) - 1
    return Plan(batches, sum(s.seconds for s in stages) + rounds * slowest.seconds, slowest.name)
