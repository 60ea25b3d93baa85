"""The record of what a payer did for whom: phases, decisions and their reasons, no member data.

Each record holds only fields from a fixed list, so that nothing of a member can get in by
accident. It is what the trace of an exchange, the report on withheld data and the AuditEvents are
read from. Whose records left is kept beside it, as references to this payer's own resources.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    insert,
    select,
    tuple_,
)

from .clock import Clock, instant
from .fhir import json

# The phases of the exchange in their order (seed page; SD-11).
PHASES = (
    "registration",
    "opt-in",
    "request",
    "authorization",
    "member-match",
    "export",
    "storage",
)
_DETAILS = frozenset(
    {"counts", "released", "stripped", "withheld", "bytes", "files", "status", "route", "direction",
     "operation", "strategy", "version", "consent", "polls", "education", "attestation",
     "interaction", "offered", "nonconforming", "waited_s"}
)  # fmt: skip
# Subjects written at once, so that memory does not grow with an export.
_AT_ONCE = 5000
_METADATA = MetaData()
_RECORD = Table(
    "audit_record",
    _METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("exchange", String, nullable=False, index=True),
    Column("phase", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("event", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("client", String, nullable=False),
    Column("started", String, nullable=False),
    Column("ended", String, nullable=False),
    Column("details", Text, nullable=False),
)
_SUBJECT = Table(
    "audit_subject",
    _METADATA,
    Column("seq", Integer, primary_key=True),
    Column("reference", String, primary_key=True, index=True),
)


class AuditLog:
    """The audit records of one payer, in the order they were made."""

    def __init__(self, engine: Engine, actor: str, clock: Clock) -> None:
        self._engine = engine
        self._actor = actor
        self._clock = clock
        _METADATA.create_all(engine)

    def record(
        self,
        phase: str,
        event: str,
        outcome: str,
        *,
        exchange: str = "",
        reason: str = "",
        client: str = "",
        started: datetime | None = None,
        details: Mapping[str, Any] | None = None,
        subjects: Iterable[str] = (),
    ) -> None:
        """Write one record; raises ValueError for a detail that is not on the list.

        `subjects` are references to what it was about, as Patient/1. All of it is on the disk, or
        an error raised, when this returns.
        """
        unknown = set(details or ()) - _DETAILS
        if unknown or phase not in PHASES:
            raise ValueError(f"not an audit field or phase: {sorted(unknown) or phase}")
        now = self._clock.now()
        with self._engine.begin() as connection:
            row = {
                "exchange": exchange,
                "phase": phase,
                "actor": self._actor,
                "event": event,
                "outcome": outcome,
                "reason": reason,
                "client": client,
                "started": instant(started or now),
                "ended": instant(now),
                "details": json.write(dict(details or {})).decode(),
            }
            added = connection.execute(insert(_RECORD), row)
            [seq] = added.inserted_primary_key or [0]
            waiting = iter(subjects)
            while some := dict.fromkeys(islice(waiting, _AT_ONCE)):
                rows = [{"seq": seq, "reference": reference} for reference in some]
                connection.execute(insert(_SUBJECT), rows)

    def records(self, exchange: str | None = None) -> list[dict[str, Any]]:
        """The records, of one exchange or all, in order."""
        statement = select(_RECORD).order_by(_RECORD.c.seq)
        if exchange is not None:
            statement = statement.where(_RECORD.c.exchange == exchange)
        with self._engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        return [_plain(row) for row in rows]

    def told(
        self,
        kinds: Collection[tuple[str, str]],
        *,
        subject: str = "",
        exchange: str = "",
        count: int = 100,
        start: int = 0,
    ) -> tuple[list[dict[str, Any]], int]:
        """Records of these (phase, event), newest first, and how many there are in all.

        They may be narrowed to one subject or one exchange; each has its `subjects`.
        """
        wanted: ColumnElement[bool] = tuple_(_RECORD.c.phase, _RECORD.c.event).in_(list(kinds))
        if exchange:
            wanted = wanted & (_RECORD.c.exchange == exchange)
        if subject:
            about = select(_SUBJECT.c.seq).where(_SUBJECT.c.reference == subject)
            wanted = wanted & _RECORD.c.seq.in_(about)
        page = select(_RECORD).where(wanted).order_by(_RECORD.c.seq.desc())
        with self._engine.connect() as connection:
            total = connection.execute(
                select(func.count()).select_from(_RECORD).where(wanted)
            ).scalar_one()
            rows = connection.execute(page.limit(count).offset(start)).mappings().all()
            found = [_plain(row) for row in rows]
            about = select(_SUBJECT).where(_SUBJECT.c.seq.in_([row["seq"] for row in found]))
            subjects: dict[int, list[str]] = {}
            for seq, reference in connection.execute(about.order_by(_SUBJECT.c.reference)):
                subjects.setdefault(seq, []).append(str(reference))
        return [{**row, "subjects": subjects.get(row["seq"], [])} for row in found], total


def _plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    # The database's names are a kind of str that JSON writers do not take for keys.
    plain = {str(name): value for name, value in row.items()}
    return {**plain, "details": json.read(plain["details"])}
