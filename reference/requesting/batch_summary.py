"""What a batch came to, and which opt-ins wait to be asked in one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import BadRequest
from ..intake.bulk_ledger import BulkLedger
from ..intake.quarantine import Quarantine
from . import batches as outcome
from .batches import Batches
from .request import InvokeRequest, read_invoke

if TYPE_CHECKING:
    from .payer import RequestingPayer

_INCOMPLETE = "incomplete"


def summary(
    batches: Batches, ledger: BulkLedger, quarantine: Quarantine, batch_id: str
) -> dict[str, Any]:
    """Counts of members by outcome and of lines received, stored and turned away by reason."""
    counts = batches.outcomes(batch_id)
    stored, reasons = _lines(batches, ledger, batch_id)
    parts = batches.parts(batch_id)
    files = [file for p in parts for group in p.received for file in group["files"]]
    return {
        "members": sum(counts.values()),
        "outcomes": {name: counts.get(name, 0) for name in outcome.OUTCOMES},
        "running": counts.get("", 0),
        "parts": len(parts),
        "received": sum(file["lines"] for file in files if file["role"] == "output"),
        "problems": sum(file["lines"] for file in files if file["role"] == "error"),
        "stored": stored,
        "turned_away": dict(sorted(reasons.items())),
        "nonconforming": dict(sorted(quarantine.total(batch_id).items())),
    }


def opt_in_requests(payer: RequestingPayer) -> Iterator[InvokeRequest]:
    """A request for each active opt-in whose source payer is known and was not asked yet.

    An opt-in that no request can be made of comes on the work list.
    """
    for some in payer.opt_ins.to_ask():
        asked = payer.tasks.asked([found.event.local_patient for found in some])
        for found in some:
            pair = (found.event.local_patient, found.issuer)
            if pair in asked:
                continue
            asked.add(pair)
            try:
                yield read_invoke(payer.parameters_for(found))
            except (BadRequest, ValueError) as error:
                text = str(error) if isinstance(error, BadRequest) else (
                    "The local Patient must carry exactly one identifier of this payer."
                )  # fmt: skip
                payer.opt_ins.put_on_work_list(_INCOMPLETE, [(*pair, text)])


def _lines(batches: Batches, ledger: BulkLedger, batch_id: str) -> tuple[int, Counter[str]]:
    """How many resources are stored of a batch, and how many lines were turned away and why."""
    stored, reasons = 0, Counter[str]()
    for some in batches.members(batch_id):
        ids = [member.task_id for member in some]
        stored += sum(ledger.stored(ids).values())
        for found in ledger.turned_away(ids).values():
            reasons += found
    shared = ledger.stored([batch_id])[batch_id]
    return stored + shared, reasons + ledger.turned_away([batch_id]).get(batch_id, Counter())
