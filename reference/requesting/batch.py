"""A batch under way: part after part matched, exported and stored, each member with its own end.

While one part is stored the next one is fetched. Each part tells its stages, so that a batch that
was stopped anywhere goes on; a part that fails fails its own members and no others.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

from ..errors import PayerExchangeError
from ..event_log import tell
from ..http import Exchange
from ..intake.archive import papers
from ..store.repository import Selection
from ..tasks import COMPLETED, FAILED, IN_PROGRESS, RUNNING, ExchangeCancelled
from . import batches as outcome
from .batch_fetching import PartFetcher
from .batch_making import BATCH, COLLECTED
from .batch_storing import PartStore
from .batches import DONE, Batches, Part
from .run import Interrupted, Rooms
from .trace import PhaseEvent

_log = logging.getLogger(__name__)
_BROKEN_OFF = "The process stopped before the whole batch was taken in. Send it again."


class BatchExchanges:
    """The batches of one payer, each in a thread of its own."""

    def __init__(
        self,
        rooms: Rooms,
        batches: Batches,
        *,
        sleep: Callable[[float], None] | None = None,
        on_phase: Callable[[PhaseEvent], None] | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
    ) -> None:
        self._rooms = rooms
        self._tasks = rooms.tasks
        self.batches = batches
        self._closing = threading.Event()
        self._wake: dict[str, threading.Event] = {}
        self._futures: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(2, thread_name_prefix="batch")
        self.after_stage: Callable[[str], None] = lambda _stage: None
        self.store = PartStore(rooms, batches, self._reached, on_phase)
        self._fetcher = PartFetcher(rooms, batches, self._check, self._reached, self._sleep(sleep),
                                    on_phase, on_exchange)  # fmt: skip

    def submit(self, batch_id: str) -> None:
        """Let a thread do what is left of a batch."""
        self._wake[batch_id] = threading.Event()
        self._futures[batch_id] = self._pool.submit(self._run, batch_id)

    def wait(self, batch_id: str, timeout_s: float | None) -> None:
        """Return when the batch has ended; raises TimeoutError when it takes longer."""
        if batch_id in self._futures:
            self._futures[batch_id].result(timeout_s)

    def cancel(self, batch_id: str) -> None:
        """Stop what of a batch is not being stored yet."""
        self._tasks.cancel_parts(batch_id)
        if batch_id in self._wake:
            self._wake[batch_id].set()

    def resume(self) -> list[str]:
        """Go on with the batches that a stopped process left; returns their ids."""
        found = [b for b in self._tasks.unfinished(BATCH) if b not in self._futures]
        for batch_id in found:
            if self._tasks.get(batch_id).stage == COLLECTED:
                self.submit(batch_id)
            else:
                left = self._tasks.parts_of(batch_id, *RUNNING)
                ended = (self._tasks.noted(t, FAILED, _BROKEN_OFF) for t in left)
                self._tasks.finish_many(ended)
                self._tasks.finish(batch_id, FAILED, _BROKEN_OFF)
        return found

    def close(self) -> None:
        """Stop; batches end where they are and go on with `resume`."""
        self._closing.set()
        for event in self._wake.values():
            event.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.store.close()

    # How it goes and how it ends

    def _run(self, batch_id: str) -> None:
        try:
            self._tasks.start(batch_id)
            self._do_parts([p for p in self.batches.parts(batch_id) if p.stage != DONE])
            self._end(batch_id)
        except Interrupted:
            return
        except ExchangeCancelled:
            self._note_cancelled(batch_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the Task must tell of it
            # The type alone: a message could hold what was received.
            tell(_log, logging.ERROR, "batch-failed", batch=batch_id, error=type(error).__name__)
            self._tasks.finish(batch_id, FAILED, f"The batch broke ({type(error).__name__}).")

    def _do_parts(self, parts: list[Part]) -> None:
        with ThreadPoolExecutor(1, thread_name_prefix="fetching") as ahead:
            waiting = [ahead.submit(self._try, self._fetcher.fetch, part) for part in parts[:1]]
            for following in (*parts[1:], None):
                if not waiting:
                    return
                fetched = waiting.pop().result()
                if following:
                    waiting.append(ahead.submit(self._try, self._fetcher.fetch, following))
                if fetched.stage != DONE:
                    self._try(self.store.store, fetched)

    def _try(self, work: Callable[[Part], Part], part: Part) -> Part:
        """The part as the work left it; when the work fails, its members fail with the reason."""
        try:
            self._check(part.batch_id)
            return work(part)
        except (Interrupted, ExchangeCancelled):
            raise
        except PayerExchangeError as error:
            return self.store.fail(part, str(error))
        except Exception as error:  # noqa: BLE001 - one part must not stop the others
            tell(_log, logging.ERROR, "part-failed", batch=part.batch_id, part=part.number,
                 error=type(error).__name__)  # fmt: skip
            return self.store.fail(part, f"The exchange broke ({type(error).__name__}).")

    def _end(self, batch_id: str) -> None:
        parts = self.batches.parts(batch_id)
        documents = Selection(papers(batch_id), ["DocumentReference"])
        rows = self._rooms.repository.rows(documents, bodies=False)
        self._tasks.set_outputs(
            batch_id, [("documentreference", f"DocumentReference/{row.id}") for row in rows]
        )
        for note in dict.fromkeys(p.note for p in parts if p.note):
            self._tasks.note(batch_id, note)
        counts = self.batches.outcomes(batch_id)
        told = ", ".join(f"{counts[name]} {name}" for name in outcome.OUTCOMES if name in counts)
        broken = bool(parts) and all(p.note and not p.received for p in parts)
        self._tasks.finish(batch_id, FAILED if broken else COMPLETED,
                           f"The batch has ended. Members: {told or 'none'}.")  # fmt: skip

    def _note_cancelled(self, batch_id: str) -> None:
        """Write which members were stopped; those that were stored already stay."""
        stopped = {t.id for t in self._tasks.parts_of(batch_id, "cancelled")}
        for some in self.batches.members(batch_id):
            self.batches.decide(replace(m, outcome=outcome.CANCELLED)
                                for m in some if m.task_id in stopped)  # fmt: skip
        for part in self.batches.parts(batch_id):
            self.store.drop(part)

    # Parts

    def _check(self, batch_id: str) -> None:
        """Raise when the batch is to stop: it is cancelled, or this payer closes."""
        if self._closing.is_set():
            raise Interrupted
        if self._tasks.get(batch_id).status not in (IN_PROGRESS, *RUNNING):
            raise ExchangeCancelled

    def _reached(self, stage: str) -> None:
        self.after_stage(stage)
        if self._closing.is_set():
            raise Interrupted

    def _sleep(self, sleep: Callable[[float], None] | None) -> Callable[[str, float], None]:
        def wait(batch_id: str, seconds: float) -> None:
            (sleep or self._wake[batch_id].wait)(seconds)
            self._check(batch_id)

        return wait
