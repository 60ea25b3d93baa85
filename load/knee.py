"""The knee: the highest rate of a rising run that the target still kept up with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .shapes import KNEE_STEPS, Shape

_KEPT = 0.9


def knee_of(timeline: Sequence[Mapping[str, Any]], shape: Shape) -> float | None:
    """The rate of the last step at which journeys ended as fast as they were to start.

    A step is kept when nine tenths of its starts, or all but one, ended within it and none was
    dropped. None when not even the first step was kept, or the shape looks for no knee.
    """
    if shape.kind != "knee":
        return None
    found, length = None, shape.seconds / KNEE_STEPS
    for step in range(KNEE_STEPS):
        first, last = step * length, (step + 1) * length
        rows = [r for r in timeline if first <= r["second"] < last]
        rate = shape.at(first + length / 2)
        started, ended = (sum(r[key] for r in rows) for key in ("planned", "journeys"))
        # What starts last in a step ends in the next: of few starts that is over a tenth.
        kept = started and ended >= min(_KEPT * started, started - 1)
        if not kept or any(r["dropped"] for r in rows):
            break
        found = rate
    return found
