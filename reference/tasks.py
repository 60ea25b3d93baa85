"""The Task of each exchange: what a person sees of it, and what a restart needs to go on.

Fields and codes are those of the seed's monitoring page (exchange facts, section 1.5).
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Engine, MetaData, RowMapping, String, Table, Text, insert, select
from sqlalchemy import update as sql_update

from .clock import Clock, instant
from .errors import BadRequest
from .fhir import json
from .fhir.hrex import HREX_TEMP
from .fhir.search import COMMON, TOKEN, Condition, SearchParameter

REQUESTED, IN_PROGRESS, COMPLETED = "requested", "in-progress", "completed"
CANCELLED, FAILED, TAKEN_BACK = "cancelled", "failed", "entered-in-error"
RUNNING = (REQUESTED, IN_PROGRESS)
CODE = {"system": HREX_TEMP, "code": "data-request", "display": "data request task"}
TAG = {
    "system": "http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes",
    "code": "CDR_MANAGED",
}
_OUTPUTS = "http://payer-to-payer-exchange/CodeSystem/task-output"
# What is left to do once this stage is reached can no longer be stopped half-way.
_STOPPABLE = ("", "retrieved", "archived")

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
            "focus": {"reference": f"Consent/{self.id}"},
            "for": {"reference": f"Patient/{self.local_patient}"},
            "authoredOn": self.authored,
            "lastModified": self.updated,
            "requester": self.requester,
            "owner": self.owner,
        }
        if self.notes:
            found["note"] = [dict(note) for note in self.notes]
        if self.outputs:
            found["output"] = [_output(kind, reference) for kind, reference in self.outputs]
        return found

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
        now = instant(self._clock.now())
        task = ExchangeTask(
            f"p2p-task-{secrets.token_hex(8)}", REQUESTED, "", local_patient, issuer, now, now,
            owner, requester, request,
        )  # fmt: skip
        row = {name: getattr(task, name) for name in _TASK.columns.keys()}  # noqa: SIM118
        with self._engine.begin() as connection:
            connection.execute(insert(_TASK).values(**_encoded(row)))
        return task

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

    def running(self, local_patient: str, issuer: str) -> ExchangeTask | None:
        """The unfinished exchange for a member with a source payer, or None."""
        wanted = (local_patient, issuer)
        running = self.all(*RUNNING)
        return next((t for t in running if (t.local_patient, t.issuer) == wanted), None)

    def search(self, pairs: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
        """The Task resources that meet `code`, `_tag`, `_id`, `status` and `patient`.

        Raises BadRequest for another parameter.
        """
        conditions = [_condition(name, value) for name, value in pairs]
        found = (task.resource() for task in self.all())
        return [task for task in found if all(c.holds(task) for c in conditions)]

    def start(self, task_id: str) -> None:
        """Set the Task in progress; raises ExchangeCancelled when it has been cancelled."""
        self._advance(task_id, status=IN_PROGRESS)

    def reach(self, task_id: str, stage: str, **changes: Any) -> None:
        """Record a stage; raises ExchangeCancelled when the Task has been cancelled meanwhile."""
        self._advance(task_id, stage=stage, **changes)

    def keep_retrieved(self, task_id: str, content: Mapping[str, Any]) -> None:
        """Write down what an exchange has brought so far."""
        self._update(task_id, None, retrieved=content)

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


_SEARCH = {
    "_id": COMMON["_id"],
    "_tag": COMMON["_tag"],
    "code": SearchParameter(TOKEN, ("code",)),
    "status": SearchParameter(TOKEN, ("status",)),
    "patient": SearchParameter("reference", ("for",)),
    "subject": SearchParameter("reference", ("for",)),
}


def _condition(name: str, value: str) -> Condition:
    if name not in _SEARCH or not value:
        raise BadRequest(
            f"Tasks are searched by {', '.join(sorted(_SEARCH))}, each with a value.",
            code="not-supported",
            expression=name if name in _SEARCH else "",
        )
    return Condition(name, _SEARCH[name], "", tuple(value.split(",")))


def _output(kind: str, reference: str) -> dict[str, Any]:
    return {
        "type": {"coding": [{"system": _OUTPUTS, "code": kind}]},
        "valueReference": {"reference": reference},
    }


def _encoded(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: json.write(v).decode() if k in _JSON else v for k, v in values.items()}


def _task(row: RowMapping) -> ExchangeTask:
    values = {k: json.read(v) if k in _JSON else v for k, v in row.items()}
    outputs = tuple((kind, reference) for kind, reference in values.pop("outputs"))
    return ExchangeTask(**values, outputs=outputs)
