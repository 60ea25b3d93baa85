"""The way out of quarantine: a line that was set aside becomes part of the record after all."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from ..fhir import json
from .conformance import as_text, faults
from .ledger import Quarantined
from .quarantine import RELEASED, SET_ASIDE, Nonconforming
from .reading import NOT_CONFORMING
from .stages import Intake
from .staging import Retrieved

Place = tuple[str, int]


class Releases:
    """Releases lines of one requesting payer; `retrieved` tells what an exchange brought."""

    def __init__(self, intake: Intake, retrieved: Callable[[str, str], Retrieved]) -> None:
        self._intake = intake
        self._retrieved = retrieved

    def release(self, task_id: str, places: Collection[Place]) -> int:
        """Store what stands at some (file, line) as it is; returns how many lines there were."""
        return self._release(w for w in self._waiting(task_id) if (w[0].file, w[0].line) in places)

    def check_again(self, task_id: str) -> int:
        """Store what conforms by the tables in force now; returns how many lines that is.

        Of the others the findings are written anew.
        """
        fit = []
        for line, body in self._waiting(task_id):
            found = faults(self._intake.quarantine.packages, body.body)
            if found:
                self._intake.quarantine.keep(replace(line, findings=as_text(found)))
            else:
                fit.append((line, body))
        return self._release(fit)

    def _waiting(self, task_id: str) -> Iterable[tuple[Nonconforming, Quarantined]]:
        """Each line that was set aside, with its bytes."""
        for line in self._intake.quarantine.of(task_id, SET_ASIDE):
            yield line, self._intake.ledger.turned_away(line.task_id, line.file, line.line)

    def _release(self, lines: Iterable[tuple[Nonconforming, Quarantined]]) -> int:
        count = 0
        for line, held in lines:
            assert held.reason == NOT_CONFORMING, "nothing else is set aside"
            found = self._retrieved(line.task_id, line.file)
            self._intake.take_in(found, json.read_exact(held.body), line.exchange, line.file)
            self._intake.ledger.take_back_in(held)
            self._intake.quarantine.keep(replace(line, state=RELEASED))
            count += 1
        return count
