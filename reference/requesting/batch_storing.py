"""The part of a batch that is this payer's own: what came of each matched Group becomes records."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..fhir.dates import parse_moment
from ..intake.bulk import BulkIntake, BulkMember, BulkRetrieved
from ..intake.bulk_digest import Digests
from ..intake.bulk_ledger import BulkLedger, portions
from ..intake.quarantine import notes
from ..intake.staging import Retrieved, StagedFile
from ..intake.transform import local_id
from ..tasks import COMPLETED, IN_PROGRESS, RUNNING, ExchangeTask
from . import batches as outcome
from . import tasks_end
from .batch_fetching import folder_of
from .batches import DONE, Batches, Member, Part
from .run import Rooms
from .trace import PhaseEvent, Trace

CLOSED = "closed"
# What is written to a Task before its record is stored: it cannot be cancelled from then on.
_STORING = "transformed"
_PROBLEMS = (
    "The source payer reported {} problems with the export: what was stored may be incomplete. "
    "Its reports are in the archive."
)


class PartStore:
    """Stores what parts brought, member by member in the ledger, and ends the Tasks."""

    def __init__(
        self,
        rooms: Rooms,
        batches: Batches,
        reached: Callable[[str], None],
        on_phase: Callable[[PhaseEvent], None] | None,
    ) -> None:
        self._rooms = rooms
        self._batches = batches
        self._reached = reached
        self._on_phase = on_phase
        self.ledger = BulkLedger(rooms.engine)
        self.intake = BulkIntake(rooms.repository, rooms.ledger, self.ledger,
                                 rooms.intake.quarantine, rooms.clock, rooms.intake.settings,
                                 workers=rooms.settings.intake_workers)  # fmt: skip

    def close(self) -> None:
        """Let the worker processes go."""
        self.intake.close()

    def store(self, part: Part) -> Part:
        """The part, done: every member's record stored, or the Task failed with the reason."""
        client = self._client(part)
        trace = Trace(self._rooms.audit, self._rooms.clock, part.batch_id, client, self._on_phase)
        for number in range(len(part.received)):
            if part.received[number]["stage"] == CLOSED:
                continue
            with trace.phase("storage", "records were stored") as phase:
                part, stored = self._store_group(part, number)
                phase.details["counts"] = {"resources": stored}
        shutil.rmtree(folder_of(self._rooms, part), ignore_errors=True)
        return self._keep(replace(part, stage=DONE))

    def fail(self, part: Part, why: str) -> Part:
        """The part, done: nothing of it is kept but an archive of what had come."""
        part = next((p for p in self._batches.parts(part.batch_id) if p.number == part.number),
                    part)  # fmt: skip
        for number, group in enumerate(part.received):
            found = self.found(part, number)
            for member in found.members if group["stage"] != CLOSED else ():
                self._rooms.intake.take_back(found.of(member))
        self._archive_partial(part)
        for some in self._batches.members(part.batch_id, part.number):
            tasks = self._rooms.tasks.of([m.task_id for m in some], *RUNNING)
            tasks_end.fail(self._rooms, self._batches, [(t, why) for t in tasks], outcome.FAILED)
        self.drop(part)
        part = replace(part, stage=DONE, note=why, received=())
        self._batches.keep(part)
        return part

    def drop(self, part: Part) -> None:
        """Leave nothing in the staging folder."""
        shutil.rmtree(folder_of(self._rooms, part), ignore_errors=True)

    def found(self, part: Part, number: int) -> BulkRetrieved:
        """What came of one Group of a part, for the members whose Task goes on or has ended so."""
        group, server = part.received[number], self._rooms.servers.find(part.issuer)
        assert server is not None, "a part is fetched from a registered source payer"
        base = server.fhir_base.rstrip("/")
        going, gone = self._members(part, str(group["group"]))
        return BulkRetrieved(
            part.batch_id,
            part.issuer,
            base,
            server.organization.organization_id,
            self._rooms.settings.responder_identifier_system or base,
            str(group["received"]),
            tuple(BulkMember(m.task_id, m.source_patient, m.local_patient) for m in going),
            tuple(StagedFile(**file) for file in group["files"]),
            tuple(m.source_patient for m in gone),
        )

    def digests(self, batch_id: str) -> Iterator[tuple[str, str, str]]:
        """(Task, digest of what is stored, digest of what the archive holds) of each member."""
        for part in self._batches.parts(batch_id):
            for number in range(len(part.received)):
                digests = Digests(self._rooms.repository, self._rooms.ledger, self.intake)
                yield from digests.of(self.found(part, number))

    def source_of(self, batch_id: str, file: str) -> Retrieved:
        """Where a file of a batch came from, as for what its members share."""
        for part in self._batches.parts(batch_id):
            for number, group in enumerate(part.received):
                if file in {f["name"] for f in group["files"]}:
                    return self.found(part, number).papers
        raise KeyError(file)

    # Parts

    def _store_group(self, part: Part, number: int) -> tuple[Part, int]:
        self._begin(part, str(part.received[number]["group"]))
        found, state = self.found(part, number), [part]

        def reached(stage: str) -> None:
            state[0] = _at(state[0], number, stage)
            self._keep(state[0], stage)

        stage = str(part.received[number]["stage"])
        refuse = self._refuse
        self.intake.run(found, folder_of(self._rooms, part), stage, reached, refuse)
        stored = self._end(found, part.received[number])
        part = _at(state[0], number, CLOSED)
        return self._keep(part, CLOSED), stored

    def _begin(self, part: Part, group: str) -> None:
        """From here on it is too late to cancel a member."""
        for some in self._batches.members(part.batch_id, part.number):
            ids = [m.task_id for m in some if _is_in(m, group)]
            tasks = self._rooms.tasks.of(ids, *RUNNING)
            going = [replace(t, status=IN_PROGRESS, stage=_STORING) for t in tasks]
            self._rooms.tasks.finish_many(going)

    def _members(self, part: Part, group: str) -> tuple[list[Member], list[Member]]:
        """The members of a Group whose exchange goes on, and those whose was stopped."""
        going: list[Member] = []
        gone: list[Member] = []
        for some in self._batches.members(part.batch_id, part.number):
            inside = [m for m in some if _is_in(m, group)]
            tasks = self._rooms.tasks.of([m.task_id for m in inside], *RUNNING, COMPLETED)
            kept = {task.id for task in tasks}
            going += [m for m in inside if m.task_id in kept]
            gone += [m for m in inside if m.task_id not in kept]
        return going, gone

    def _refuse(self, refused: Mapping[str, str]) -> None:
        for some in portions(refused):
            tasks = self._rooms.tasks.of(some, *RUNNING)
            tasks_end.fail(self._rooms, self._batches, [(t, refused[t.id]) for t in tasks],
                           outcome.FAILED)  # fmt: skip

    def _end(self, found: BulkRetrieved, group: Mapping[str, Any]) -> int:
        """Complete the Tasks of a Group; returns how many resources were stored."""
        members, total = {m.task_id: m for m in found.members}, 0
        for some in portions(members):
            counts, reasons = self.ledger.stored(some), self.ledger.turned_away(some)
            unfit = self._rooms.intake.quarantine.counts(some)
            tasks = self._rooms.tasks.of(some, *RUNNING)
            ended = [
                self._ended(task, found, members[task.id], counts[task.id],
                            reasons.get(task.id, {}), notes(unfit.get(task.id)))
                for task in tasks
            ]  # fmt: skip
            self._rooms.tasks.finish_many(ended)
            self._keep_time(found, group, tasks)
            total += sum(counts.values())
        return total

    def _ended(
        self,
        task: ExchangeTask,
        found: BulkRetrieved,
        member: BulkMember,
        stored: int,
        reasons: Mapping[str, int],
        also: Iterable[str],
    ) -> ExchangeTask:
        imported = local_id(found.issuer, "Patient", member.source_patient)
        problems = sum(file.lines for file in found.files if file.role == "error")
        texts = [_PROBLEMS.format(problems)] if problems else []
        texts += [f"{count} received lines were not stored. {why}" for why, count in
                  reasons.items()]  # fmt: skip
        texts += also
        texts.append(f"{stored} resources were received and stored.")
        return self._rooms.tasks.noted(
            task, COMPLETED, *texts, outputs=[("patient", f"Patient/{imported}")],
            retrieved=found.of(member).as_json(),
        )  # fmt: skip

    def _keep_time(
        self, found: BulkRetrieved, group: Mapping[str, Any], tasks: Sequence[ExchangeTask]
    ) -> None:
        """The manifest's own moment, not this payer's: the source's clock says what is new."""
        moment = str(group["transaction_time"])
        if parse_moment(moment):
            self._batches.keep_times(found.issuer, moment, [t.local_patient for t in tasks])

    def _archive_partial(self, part: Part) -> None:
        """Keep what had arrived of an export that failed, marked as partial."""
        folder = folder_of(self._rooms, part)
        for number in range(len(part.received)):
            found = self.found(part, number)
            files = tuple(f for f in found.files if (folder / f.name).is_file())
            self.intake.archive(replace(found, files=files), folder, partial=True)

    def _keep(self, part: Part, stage: str = "") -> Part:
        self._batches.keep(part)
        self._reached(stage or part.stage)
        return part

    def _client(self, part: Part) -> str:
        server = self._rooms.servers.find(part.issuer)
        return server.client_id if server else ""


def _at(part: Part, number: int, stage: str) -> Part:
    """The part with one of its Groups at a stage."""
    received = list(part.received)
    received[number] = {**received[number], "stage": stage}
    return replace(part, received=received)


def _is_in(member: Member, group: str) -> bool:
    return member.outcome == outcome.MATCHED and member.group_id == group
