"""The Task of each exchange: what a person sees of it, and what a restart needs to go on.

Fields and codes are those of the seed's monitoring page (exchange facts, section 1.5).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    bindparam,
    insert,
    or_,
    select,
)
from sqlalchemy import update as sql_update

from .clock import Clock, instant
from .errors import BadRequest
from .fhir import json
from .fhir.dates import parse_moment
from .fhir.hrex import HREX_TEMP
from .task_search import task_condition

REQUESTED, IN_PROGRESS, COMPLETED = "requested", "in-progress", "completed"
CANCELLED, FAILED, TAKEN_BACK = "cancelled", "failed", "entered-in-error"
RUNNING = (REQUESTED, IN_PROGRESS)
CODE = {"system": HREX_TEMP, "code": "data-request", "display": "data request task"}
TAG = {
    "system": "http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes",
    "code": "CDR_MANAGED",
}
# Between the id of a batch and the number of a member in it.
PART = "."
_SINGLE = "p2p-task-"
_PORTION = 500
_OUTPUTS = "http://payer-to-payer-exchange/CodeSystem/task-output"
# What is left to do once this stage is reached can no longer be stopped half-way.
_STOPPABLE = ("", "collected", "retrieved", "archived")

# When a source payer was asked, and by which Task.
Request = tuple[datetime, str]

_METADATA = MetaData()
_TASK = Table(
    "exchange_task",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("status", String, nullable=False, index=True),
    Column("stage", String, nullable=False),
    Column("local_patient", String, nullable=False, index=True),
    Column("issuer", String, nullable=False),
    Column("authored", String, nullable=False),
    Column("updated", String, nullable=False),
    Column("owner", Text, nullable=False),
    Column("requester", Text, nullable=False),
    Column("request", Text, nullable=False),
    Column("notes", Text, nullable=False),
    Column("outputs", Text, nullable=False),
    Column("retrieved", Text, nullable=False),
)
_NAMES = tuple(column.name for column in _TASK.columns)
_JSON = ("owner", "requester", "request", "notes", "outputs", "retrieved")


class ExchangeCancelled(Exception):
    """The Task was cancelled while the exchange was under way."""


@dataclass(frozen=True, slots=True)
class ExchangeTask:
    """One exchange as it stands in the database."""

    id: str
    status: str
    stage: str
    local_patient: str
    issuer: str
    authored: str
    updated: str
    owner: Mapping[str, Any] = field(repr=False)
    requester: Mapping[str, Any] = field(repr=False)
    request: Mapping[str, Any] = field(repr=False)
    notes: Sequence[Mapping[str, str]] = ()
    outputs: Sequence[tuple[str, str]] = ()
    retrieved: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def resource(self) -> dict[str, Any]:
        """The Task resource."""
        found: dict[str, Any] = {
            "resourceType": "Task",
            "id": self.id,
            "meta": {"lastUpdated": self.updated, "tag": [TAG]},
            "status": self.status,
            "intent": "order",
            "code": {"coding": [CODE]},
            **self._whose(),
            "authoredOn": self.authored,
            "lastModified": self.updated,
            "requester": self.requester,
        }
        if self.owner:
            found["owner"] = self.owner
        if self.part_of:
            found["partOf"] = [{"reference": f"Task/{self.part_of}"}]
        if self.notes:
            found["note"] = [dict(note) for note in self.notes]
        if self.outputs:
            found["output"] = [_output(kind, reference) for kind, reference in self.outputs]
        return found

    @property
    def part_of(self) -> str:
        """The batch that the Task is a part of, or an empty text."""
        return self.id.rpartition(PART)[0]

    def _whose(self) -> dict[str, Any]:
        """The Consent and the member; a batch is about no single one."""
        if not self.local_patient:
            return {}
        return {
            "focus": {"reference": f"Consent/{self.id}"},
            "for": {"reference": f"Patient/{self.local_patient}"},
        }

    def documents(self) -> list[str]:
        """The ids of the archived originals, in the order the files came."""
        return [
            reference.partition("/")[2]
            for kind, reference in self.outputs
            if kind == "documentreference"
        ]


class Tasks:
    """The Tasks of one requesting payer."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        _METADATA.create_all(engine)

    def create(
        self,
        local_patient: str,
        issuer: str,
        *,
        owner: Mapping[str, Any],
        requester: Mapping[str, Any],
        request: Mapping[str, Any],
    ) -> ExchangeTask:
        """A new Task, requested."""
        ident = f"{_SINGLE}{secrets.token_hex(8)}"
        task = self._new(ident, local_patient, issuer, owner, requester, request)
        self.create_many([task])
        return task

    def create_many(self, tasks: Iterable[ExchangeTask]) -> None:
        """Store new Tasks, all or none."""
        rows = [_encoded({n: getattr(task, n) for n in _NAMES}) for task in tasks]
        with self._engine.begin() as connection:
            connection.execute(insert(_TASK), rows)

    def new(
        self,
        ident: str,
        local_patient: str,
        issuer: str,
        *,
        owner: Mapping[str, Any],
        requester: Mapping[str, Any],
        request: Mapping[str, Any],
        fault: str = "",
    ) -> ExchangeTask:
        """A Task that is not stored yet: requested, or, with a fault, failed with that note."""
        task = self._new(ident, local_patient, issuer, owner, requester, request)
        notes = ({"time": task.authored, "text": fault},) if fault else ()
        return replace(task, status=FAILED if fault else REQUESTED, notes=notes)

    def _new(self, ident: str, local_patient: str, issuer: str, *others: Any) -> ExchangeTask:
        now = instant(self._clock.now())
        return ExchangeTask(ident, REQUESTED, "", local_patient, issuer, now, now, *others)

    def find(self, task_id: str) -> ExchangeTask | None:
        """The Task with that id, or None."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_TASK).where(_TASK.c.id == task_id)).mappings().first()
        return _task(row) if row else None

    def get(self, task_id: str) -> ExchangeTask:
        """The Task with that id; raises BadRequest 404 when there is none."""
        found = self.find(task_id)
        if found is None:
            raise BadRequest("There is no such Task.", status=404, code="not-found")
        return found

    def all(self, *statuses: str) -> list[ExchangeTask]:
        """The Tasks in any of the statuses, or all, oldest first."""
        statement = select(_TASK).order_by(_TASK.c.authored, _TASK.c.id)
        if statuses:
            statement = statement.where(_TASK.c.status.in_(statuses))
        with self._engine.connect() as connection:
            return [_task(row) for row in connection.execute(statement).mappings()]

    def of(self, ids: Sequence[str], *statuses: str) -> list[ExchangeTask]:
        """Some Tasks, in the order of their ids; of any of the statuses, if some are given."""
        found: list[ExchangeTask] = []
        with self._engine.connect() as connection:
            for start in range(0, len(ids), _PORTION):
                statement = select(_TASK).where(_TASK.c.id.in_(ids[start : start + _PORTION]))
                if statuses:
                    statement = statement.where(_TASK.c.status.in_(statuses))
                found += map(_task, connection.execute(statement.order_by(_TASK.c.id)).mappings())
        return found

    def unfinished(self, kind: str = _SINGLE) -> list[str]:
        """The ids of what has not ended, oldest first: single exchanges, or another kind."""
        statement = (
            select(_TASK.c.id)
            .where(_TASK.c.status.in_(RUNNING), _TASK.c.id.startswith(kind))
            .where(_TASK.c.id.not_like(f"%{PART}%"))
            .order_by(_TASK.c.authored, _TASK.c.id)
        )
        with self._engine.connect() as connection:
            return list(connection.execute(statement).scalars())

    def running(self, local_patient: str, issuer: str) -> ExchangeTask | None:
        """The unfinished exchange for a member with a source payer, or None."""
        statement = select(_TASK).where(
            _TASK.c.local_patient == local_patient,
            _TASK.c.issuer == issuer,
            _TASK.c.status.in_(RUNNING),
        )
        with self._engine.connect() as connection:
            row = connection.execute(statement).mappings().first()
        return _task(row) if row else None

    def asked(self, local_patients: Sequence[str], *statuses: str) -> set[tuple[str, str]]:
        """(local Patient, issuer) of the exchanges there are for some members."""
        statement = select(_TASK.c.local_patient, _TASK.c.issuer).where(
            _TASK.c.local_patient.in_(local_patients)
        )
        if statuses:
            statement = statement.where(_TASK.c.status.in_(statuses))
        with self._engine.connect() as connection:
            return {(patient, issuer) for patient, issuer in connection.execute(statement)}

    def requests(self, local_patients: Sequence[str]) -> dict[tuple[str, str], list[Request]]:
        """When each source payer was asked for some members, and by which Task, oldest first.

        By (local Patient, issuer); what was cancelled before it was sent is left out.
        """
        found: dict[tuple[str, str], list[Request]] = {}
        columns = (_TASK.c.local_patient, _TASK.c.issuer, _TASK.c.authored, _TASK.c.id)
        for start in range(0, len(local_patients), _PORTION):
            some = _TASK.c.local_patient.in_(local_patients[start : start + _PORTION])
            statement = select(*columns).where(some, _TASK.c.status != CANCELLED)
            with self._engine.connect() as connection:
                rows = connection.execute(statement.order_by(_TASK.c.authored, _TASK.c.id)).all()
            for patient, issuer, authored, ident in rows:
                moment = parse_moment(authored)
                assert moment is not None
                found.setdefault((patient, issuer), []).append((moment, ident))
        return found

    def search(self, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """The Task resources that meet `code`, `_tag`, `_id`, `status`, `patient` and `part-of`.

        Raises BadRequest for another parameter.
        """
        conditions = [task_condition(name, value) for name, value in pairs]
        return [task for task in self._resources() if all(c.holds(task) for c in conditions)]

    def _resources(self) -> Iterator[dict[str, Any]]:
        """Every Task as a resource, oldest first; what it was asked with stays where it is."""
        left = ("request", "retrieved")
        columns = [c for c in _TASK.columns if c.name not in left]
        statement = select(*columns).order_by(_TASK.c.authored, _TASK.c.id)
        with self._engine.connect() as connection:
            rows = connection.execution_options(yield_per=_PORTION).execute(statement)
            for row in rows.mappings():
                yield _task({**row, "request": "{}", "retrieved": "{}"}).resource()

    def start(self, task_id: str) -> None:
        """Set the Task in progress; raises ExchangeCancelled when it has been cancelled."""
        self._advance(task_id, status=IN_PROGRESS)

    def reach(self, task_id: str, stage: str, **changes: Any) -> None:
        """Record a stage; raises ExchangeCancelled when the Task has been cancelled meanwhile."""
        self._advance(task_id, stage=stage, **changes)

    def keep_retrieved(self, task_id: str, content: Mapping[str, Any]) -> None:
        """Write down what an exchange has brought so far."""
        self._update(task_id, None, retrieved=content)

    def finish_many(self, tasks: Iterable[ExchangeTask], statuses: Sequence[str] = RUNNING) -> None:
        """Write how Tasks stand now, a portion a transaction; what has ended meanwhile stays."""
        names = ("status", "stage", "notes", "outputs", "retrieved")
        statement = (
            sql_update(_TASK)
            .where(_TASK.c.id == bindparam("of"), or_(*(_TASK.c.status == s for s in statuses)))
            .values({name: bindparam(f"new_{name}") for name in (*names, "updated")})
        )
        now = instant(self._clock.now())
        values = [
            {f"new_{n}": v for n, v in _encoded({m: getattr(t, m) for m in names}).items()}
            | {"of": t.id, "new_updated": now}
            for t in tasks
        ]
        for start in range(0, len(values), _PORTION):
            with self._engine.begin() as connection:
                connection.execute(statement, values[start : start + _PORTION])

    def noted(self, task: ExchangeTask, status: str, *texts: str, **changes: Any) -> ExchangeTask:
        """The Task with another status and more sentences in its log; nothing is stored."""
        now = instant(self._clock.now())
        notes = (*task.notes, *({"time": now, "text": text} for text in texts))
        return replace(task, status=status, notes=notes, **changes)

    def finish(self, task_id: str, status: str, note: str) -> None:
        """End the Task with a sentence that says how, unless it was cancelled before."""
        self.note(task_id, note)
        self._update(task_id, (*RUNNING, COMPLETED), status=status)

    def cancel(self, task_id: str) -> bool:
        """Cancel a Task that is not finished; False when it is too late for that."""
        task = self.get(task_id)
        if task.status not in RUNNING:
            return False
        statement = _TASK.c.stage.in_(_STOPPABLE)
        if not self._update(task_id, RUNNING, statement, status=CANCELLED):
            return False
        self.note(task_id, "The exchange was cancelled.")
        return True

    def cancel_parts(self, batch_id: str) -> None:
        """Cancel what of a batch has not ended and is not being stored."""
        found = self.parts_of(batch_id, *RUNNING)
        left = [t for t in found if t.stage in _STOPPABLE]
        self.finish_many(self.noted(t, CANCELLED, "The batch was cancelled.") for t in left)

    def parts_of(self, batch_id: str, *statuses: str) -> list[ExchangeTask]:
        """The Tasks of the members of a batch, without what each was asked with."""
        columns = [c for c in _TASK.columns if c.name != "request"]
        statement = select(*columns).where(
            _TASK.c.id.startswith(f"{batch_id}{PART}"), _TASK.c.status.in_(statuses)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement.order_by(_TASK.c.id)).mappings()
            return [_task({**row, "request": "{}"}) for row in rows]

    def note(self, task_id: str, text: str) -> None:
        """Add a sentence to the Task's log."""
        notes = [*self.get(task_id).notes, {"time": instant(self._clock.now()), "text": text}]
        self._update(task_id, None, notes=notes)

    def set_outputs(self, task_id: str, outputs: Sequence[tuple[str, str]]) -> None:
        """Name what the exchange brought, as (kind, reference)."""
        self._update(task_id, None, outputs=list(outputs))

    def _advance(self, task_id: str, **values: Any) -> None:
        if not self._update(task_id, RUNNING, **values):
            raise ExchangeCancelled

    def _update(
        self, task_id: str, statuses: Sequence[str] | None, *conditions: Any, **values: Any
    ) -> bool:
        wanted = [_TASK.c.id == task_id, *conditions]
        if statuses is not None:
            wanted.append(_TASK.c.status.in_(statuses))
        values = {**_encoded(values), "updated": instant(self._clock.now())}
        statement = sql_update(_TASK).where(*wanted).values(**values)
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount > 0


def _output(kind: str, reference: str) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": _OUTPUTS, "code": kind}]},
        "valueReference": {"reference": reference},
    }


def _encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: json.write(v).decode() if k in _JSON else v for k, v in values.items()}


def _task(row: RowMapping | Mapping[str, Any]) -> ExchangeTask:
    values = {k: json.read(v) if k in _JSON else v for k, v in row.items()}
    outputs = tuple((kind, reference) for kind, reference in values.pop("outputs"))
    return ExchangeTask(**values, outputs=outputs)
