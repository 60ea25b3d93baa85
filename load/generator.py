"""Whether the generator itself was the bottleneck: then its figures would lie about the target."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

# Of one core, over so many samples of a second each; and of all planned starts.
_MOST_CPU, _SAMPLES = 0.85, 5
_MOST_LATE, _ENOUGH_STARTS = 0.01, 100


@dataclass(slots=True)
class SelfCheck:
    """The processor time of this process, sampled, and its late starts."""

    cpu: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))
    problem: str = ""

    def look(self, cpu: float, starts: Mapping[str, int], *, warming_up: bool = False) -> str:
        """What is wrong, kept from the first time on; empty while nothing is.

        `cpu` is the share of one core in the last second, which is in no figure while all warms up.
        """
        self.cpu.append(0.0 if warming_up else cpu)
        used = sum(self.cpu) / len(self.cpu)
        planned, late = starts.get("planned", 0), starts.get("late", 0)
        if not self.problem and len(self.cpu) == _SAMPLES and used > _MOST_CPU:
            self.problem = f"The generator used {used:.0%} of its core. Use fewer users or starts."
        elif not self.problem and planned >= _ENOUGH_STARTS and late > _MOST_LATE * planned:
            self.problem = (
                f"The generator was late with {late} of {planned} starts. Use a lower rate."
            )
        return self.problem
