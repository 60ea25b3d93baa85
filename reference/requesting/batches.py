"""What is kept of batches: their parts, their members, and when each member was last exported.

A part is what goes to one source payer in one bulk match; it goes through its stages alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    select,
)
from sqlalchemy import update as sql_update

from ..fhir import json
from ..store.database import put_rows

# What became of a member; an empty text while nothing has.
MATCHED, NO_MATCH, CONSTRAINED = "matched", "no-match", "consent-constrained"
UNRECONCILED, FAILED, CANCELLED = "unreconciled", "failed", "cancelled"
OUTCOMES = (MATCHED, NO_MATCH, CONSTRAINED, UNRECONCILED, FAILED, CANCELLED)
DONE = "done"
_PORTION = 500
_METADATA = MetaData()
_PART = Table(
    "batch_part",
    _METADATA,
    Column("batch_id", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("since", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("note", Text, nullable=False),
    Column("received", Text, nullable=False),
)
_MEMBER = Table(
    "batch_member",
    _METADATA,
    Column("task_id", String, primary_key=True),
    Column("batch_id", String, nullable=False, index=True),
    Column("part", Integer, nullable=False),
    Column("local_patient", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("group_id", String, nullable=False),
    Column("source_patient", String, nullable=False),
)
_LAST = Table(
    "last_export",
    _METADATA,
    Column("issuer", String, primary_key=True),
    Column("local_patient", String, primary_key=True),
    Column("transaction_time", String, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Part:
    """One bulk match and the exports that follow from it."""

    batch_id: str
    number: int
    issuer: str
    since: str = ""
    stage: str = ""
    note: str = ""
    received: Sequence[Mapping[str, Any]] = field(default=())
    """Of each exported Group: its id, its files, when they came and their transactionTime."""


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a batch, by the id of the Task."""

    task_id: str
    batch_id: str
    part: int
    local_patient: str
    outcome: str = ""
    group_id: str = ""
    source_patient: str = ""


class Batches:
    """The batches of one requesting payer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)

    def add(self, members: Sequence[Member]) -> None:
        """Store new members."""
        with self._engine.begin() as connection:
            connection.execute(insert(_MEMBER), [asdict(member) for member in members])

    def keep(self, part: Part) -> None:
        """Store how a part stands."""
        values = asdict(part) | {"received": json.write(part.received).decode()}
        with self._engine.begin() as connection:
            put_rows(connection, _PART, [values])

    def parts(self, batch_id: str) -> list[Part]:
        """The parts of a batch, in order."""
        statement = select(_PART).where(_PART.c.batch_id == batch_id).order_by(_PART.c.number)
        with self._engine.connect() as connection:
            return [_part(row) for row in connection.execute(statement).mappings()]

    def members(self, batch_id: str, part: int | None = None) -> Iterator[list[Member]]:
        """The members of a batch or of one part of it, in portions."""
        statement = select(_MEMBER).where(_MEMBER.c.batch_id == batch_id)
        if part is not None:
            statement = statement.where(_MEMBER.c.part == part)
        last = ""
        while True:
            some = statement.where(_MEMBER.c.task_id > last).order_by(_MEMBER.c.task_id)
            with self._engine.connect() as connection:
                rows = connection.execute(some.limit(_PORTION)).mappings()
                found = [Member(**row) for row in rows]
            if not found:
                return
            yield found
            last = found[-1].task_id

    def decide(self, members: Iterable[Member]) -> None:
        """Write what became of members."""
        names = ("outcome", "group_id", "source_patient")
        statement = (
            sql_update(_MEMBER)
            .where(_MEMBER.c.task_id == bindparam("of"))
            .values({name: bindparam(f"new_{name}") for name in names})
        )
        values = [
            {"of": m.task_id, **{f"new_{name}": getattr(m, name) for name in names}}
            for m in members
        ]
        for start in range(0, len(values), _PORTION):
            with self._engine.begin() as connection:
                connection.execute(statement, values[start : start + _PORTION])

    def decide_many(self, task_ids: Sequence[str], kind: str) -> None:
        """Write one outcome for several members."""
        for start in range(0, len(task_ids), _PORTION):
            some = _MEMBER.c.task_id.in_(task_ids[start : start + _PORTION])
            with self._engine.begin() as connection:
                connection.execute(sql_update(_MEMBER).where(some).values(outcome=kind))

    def outcomes(self, batch_id: str) -> dict[str, int]:
        """How many members of a batch have each outcome."""
        statement = (
            select(_MEMBER.c.outcome, func.count())
            .where(_MEMBER.c.batch_id == batch_id)
            .group_by(_MEMBER.c.outcome)
        )
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def keep_times(self, issuer: str, moment: str, local_patients: Sequence[str]) -> None:
        """Remember up to when members' records of a source are here: the next `_since`."""
        rows = [{"issuer": issuer, "local_patient": patient, "transaction_time": moment}
                for patient in local_patients]  # fmt: skip
        for start in range(0, len(rows), _PORTION):
            with self._engine.begin() as connection:
                put_rows(connection, _LAST, rows[start : start + _PORTION])

    def last_times(self, local_patients: Sequence[str]) -> dict[tuple[str, str], str]:
        """The last transactionTime of each (issuer, local Patient) of some members."""
        statement = select(_LAST).where(_LAST.c.local_patient.in_(local_patients))
        with self._engine.connect() as connection:
            rows = connection.execute(statement).mappings()
            return {(r["issuer"], r["local_patient"]): r["transaction_time"] for r in rows}


def _part(row: RowMapping) -> Part:
    return Part(**{**row, "received": json.read(row["received"])})
