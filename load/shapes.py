"""When journeys start in an open model: rates over time, and arrivals drawn from them.

Arrivals do not wait for answers. They are drawn before the run, so that the moment at which one
was to start is known, whatever the target does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

SHAPES = ("hold", "ramp", "spike", "soak", "knee")
SPACINGS = ("poisson", "fixed")
# Of a spike: the middle tenth of the run. A knee is looked for in so many steps of equal length.
_SPIKE = (0.45, 0.55)
KNEE_STEPS = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """Starts a second over a run: hold and soak keep `rate`, the others go on to `peak`."""

    kind: str
    rate: float
    peak: float
    seconds: float

    def at(self, moment: float) -> float:
        """The starts a second at so many seconds after the beginning."""
        part = min(max(moment / self.seconds, 0.0), 1.0)
        if self.kind == "ramp":
            return self.rate + (self.peak - self.rate) * part
        if self.kind == "spike":
            return self.peak if _SPIKE[0] <= part < _SPIKE[1] else self.rate
        if self.kind == "knee":
            step = min(int(part * KNEE_STEPS), KNEE_STEPS - 1)
            return self.rate + (self.peak - self.rate) * step / (KNEE_STEPS - 1)
        return self.rate


def arrivals(shape: Shape, spacing: str, *, seed: int) -> Iterator[float]:
    """The seconds after the beginning at which journeys are to start, ascending.

    Poisson arrivals come of unit exponential gaps in the integral of the rate, fixed ones of gaps
    of one.
    """
    draw = random.Random(seed)
    moment, step = 0.0, 0.001
    while moment < shape.seconds:
        left = draw.expovariate(1.0) if spacing == "poisson" else 1.0
        while left > 0 and moment < shape.seconds:
            rate = max(shape.at(moment), 1e-9)
            # Never further than a small part of the run at once: the rate changes on the way.
            step = min(left / rate, shape.seconds / 1000)
            left -= step * rate
            moment += step
            if left < 1e-9:
                break
        if moment < shape.seconds:
            yield moment
