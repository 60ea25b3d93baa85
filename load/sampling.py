"""What a sampled delivery is held to besides the truth table: checks of the judge.

A payer that answers fast by leaving out what costs time must not look fast. These are the checks
that a few hundred resources pass in some milliseconds; profiles are for `payer-exchange verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..steps.checks import payload, provenance
from ..steps.verdicts import CheckFailed
from .meter import Meter

Key = tuple[str, str]
Resources = Mapping[Key, Mapping[str, Any]]
# Resources of a larger delivery are not kept: memory stays flat.
MOST_JUDGED = 5_000
_CHECKS: tuple[tuple[str, Callable[[Resources], object]], ...] = (
    ("no-amounts-of-money", payload.no_money),
    ("references-lead-to-what-came", payload.references_resolve),
    ("transmitter-is-named", provenance.transmitter_is_named),
    ("agents-are-complete", provenance.agents_are_complete),
)


def judge(resources: Resources, meter: Meter) -> None:
    """Tell the meter the verdict of each check; what a failed one says names no member."""
    for name, check in _CHECKS:
        try:
            check(resources)
        except CheckFailed as failed:
            meter.check(name, str(failed))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            kind = type(error).__name__
            meter.check(name, f"A resource has not the shape that the guides say ({kind}).")
        else:
            meter.check(name, "")
