"""How fast another payer is asked: never more often than a set rate."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Pace:
    """Spreads requests: two never begin closer to each other than the rate allows.

    `most_per_s` is in requests a second; 0 is no bound. Threads may share one.
    """

    def __init__(
        self,
        most_per_s: float,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 1 / most_per_s if most_per_s else 0.0
        self._now, self._sleep = now, sleep
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when the next request may begin."""
        if not self._gap:
            return
        with self._lock:
            now = self._now()
            begin = max(now, self._next)
            self._next = begin + self._gap
        if begin > now:
            self._sleep(begin - now)
