"""Asking on time: what the regulation's clocks make due is asked for in batches.

A member whose opt-in was never asked for is asked for at once. Concurrent coverage is asked for
again before each quarter ends, for what changed since the last export: what was sent already is
left out, by the `_since` of the last manifest (cms0057-concurrent-quarterly).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..duties import Duty, is_repeat_due, requester_duties
from ..errors import BadRequest
from ..opt_in import OptIn
from ..schedule import Clocks
from .batch_summary import opt_in_requests
from .request import InvokeRequest, read_invoke

if TYPE_CHECKING:
    from .payer import RequestingPayer

# So many days before a quarter ends it is asked for, so that a weekend makes nobody late.
LEAD_DAYS = 7


class Calendar:
    """What one requesting payer has to ask for, and by when it did."""

    def __init__(self, payer: RequestingPayer) -> None:
        self._payer = payer
        self.clocks = Clocks(payer.settings.time_zone)

    def ask(self) -> list[str]:
        """Ask for all that is due; returns the ids of the batches that were started.

        A member who has withdrawn is not asked for: the next request is not made.
        """
        batches = []
        for requests, since_last in ((opt_in_requests(self._payer), False),
                                     (self._repeats(), True)):  # fmt: skip
            due = list(requests)
            if due:
                batches.append(self._payer.invoke_bulk(due, since_last=since_last))
        return batches

    def duties(self) -> Iterator[Duty]:
        """Every duty of every opt-in, with its deadline and its evidence."""
        opt_ins = self._payer.opt_ins.of()
        patients = sorted({found.event.local_patient for found in opt_ins})
        made = self._payer.tasks.requests(patients)
        return requester_duties(opt_ins, made, self.clocks, self._payer.clock.now())

    def _repeats(self) -> Iterator[InvokeRequest]:
        for some in self._payer.opt_ins.to_ask():
            concurrent = [o for o in some if o.event.other_payer.coverage == "concurrent"]
            made = self._payer.tasks.requests([o.event.local_patient for o in concurrent])
            for found in concurrent:
                asked = made.get((found.event.local_patient, found.issuer), ())
                if is_repeat_due(asked, self.clocks, self._payer.clock.now(), LEAD_DAYS):
                    yield from self._request(found)

    def _request(self, found: OptIn) -> Iterator[InvokeRequest]:
        try:
            yield read_invoke(self._payer.parameters_for(found))
        except BadRequest as error:
            entry = (found.event.local_patient, found.issuer, str(error))
            self._payer.opt_ins.put_on_work_list("incomplete", [entry])
