"""Every exchange of a run, numbered, so that a verdict can point at the one that shows it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from ..reference.http import Exchange


@dataclass
class Recorder:
    """The exchanges of a run in order, each with an id such as e0012."""

    exchanges: list[tuple[str, Exchange]] = field(default_factory=list)
    earlier: int = 0
    """How many an interrupted run before this one recorded: numbers go on from there."""
    _ids: dict[int, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, exchange: Exchange) -> None:
        with self._lock:
            ident = f"e{self.earlier + len(self.exchanges) + 1:04d}"
            self.exchanges.append((ident, exchange))
            self._ids[id(exchange)] = ident

    def id_of(self, exchange: Exchange) -> str:
        """The id of an exchange that was recorded; empty for any other."""
        return self._ids.get(id(exchange), "")
