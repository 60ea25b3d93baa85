"""The phases of one exchange as they pass: to the audit log, and to whoever watches."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ..audit import AuditLog
from ..clock import Clock
from ..errors import PayerExchangeError


@dataclass(frozen=True, slots=True)
class PhaseEvent:
    """One thing that happened in a phase: it started, went on, ended or failed."""

    exchange: str
    phase: str
    state: str
    text: str
    counts: Mapping[str, int]
    at: datetime


@dataclass(slots=True)
class Phase:
    """A phase under way; what is put in here ends up in the audit record."""

    progress: Callable[[str, Mapping[str, int]], None]
    outcome: str = "done"
    text: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    def tell(self, text: str, **counts: int) -> None:
        """Show how far the phase is."""
        self.progress(text, counts)


class Trace:
    """The phase records of one exchange."""

    def __init__(
        self,
        audit: AuditLog,
        clock: Clock,
        exchange: str,
        client: str,
        watcher: Callable[[PhaseEvent], None] | None,
    ) -> None:
        self._audit = audit
        self._clock = clock
        self._exchange = exchange
        self._client = client
        self._watcher = watcher

    @contextmanager
    def phase(self, name: str, text: str) -> Iterator[Phase]:
        """A phase: recorded with start, end and outcome when it is over.

        Only an end that the exchange itself knows of is recorded: a process that is stopped
        writes nothing either.
        """
        started = self._clock.now()
        phase = Phase(lambda said, counts: self._tell(name, "progress", said, counts))
        self._tell(name, "started", text, {})
        try:
            yield phase
        except PayerExchangeError as error:
            self._record(name, "failed", started, phase, reason=_code(error))
            self._tell(name, "failed", str(error), {})
            raise
        self._record(name, phase.outcome, started, phase)
        self._tell(name, "done", phase.text or text, phase.details.get("counts", {}))

    def event(self, phase: str, event: str, outcome: str, **details: Any) -> None:
        """A record beside the phases, such as each side of a member match."""
        self._audit.record(phase, event, outcome, exchange=self._exchange, client=self._client,
                           details=details)  # fmt: skip

    def _record(
        self, name: str, outcome: str, started: datetime, phase: Phase, *, reason: str = ""
    ) -> None:
        self._audit.record(
            name,
            "phase",
            outcome,
            exchange=self._exchange,
            client=self._client,
            reason=reason,
            started=started,
            details=phase.details,
        )

    def _tell(self, phase: str, state: str, text: str, counts: Mapping[str, int]) -> None:
        if self._watcher:
            self._watcher(
                PhaseEvent(self._exchange, phase, state, text, dict(counts), self._clock.now())
            )


def _code(error: PayerExchangeError) -> str:
    """The kind of an error as a stable code: `NoMatch` is `no-match`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(error).__name__).lower()
