"""How the Tasks of a batch's members end without a record: with a reason, in portions."""

from __future__ import annotations

from collections.abc import Sequence

from ..tasks import FAILED, ExchangeTask
from . import batches as outcome
from .batches import Batches
from .run import Rooms

# What a person has to clear up; a failure that asking again may cure is not among it.
_FOR_THE_WORK_LIST = (outcome.NO_MATCH, outcome.CONSTRAINED, outcome.UNRECONCILED)


def fail(
    rooms: Rooms, batches: Batches, ended: Sequence[tuple[ExchangeTask, str]], kind: str
) -> None:
    """End Tasks with their sentences, write the outcome, and put it on the work list."""
    if not ended:
        return
    rooms.tasks.finish_many([rooms.tasks.noted(task, FAILED, text) for task, text in ended])
    batches.decide_many([task.id for task, _ in ended], kind)
    if kind in _FOR_THE_WORK_LIST:
        rooms.opt_ins.put_on_work_list(
            kind,
            [(t.local_patient, t.issuer, f"{text} See Task/{t.id}.") for t, text in ended],
        )
