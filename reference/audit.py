"""The record of what a payer did for whom: phases, decisions and their reasons, no member data.

Each record holds only fields from a fixed list, so that nothing of a member can get in by
accident. It is what the trace of an exchange and the report on withheld data are read from.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Engine, Integer, MetaData, String, Table, Text, insert, select

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
     "operation", "strategy", "version", "consent", "polls", "education", "attestation"}
)  # fmt: skip
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
    ) -> None:
        """Write one record; raises ValueError for a detail that is not on the list."""
        unknown = set(details or ()) - _DETAILS
        if unknown or phase not in PHASES:
            raise ValueError(f"not an audit field or phase: {sorted(unknown) or phase}")
        now = self._clock.now()
        with self._engine.begin() as connection:
            connection.execute(
                insert(_RECORD).values(
                    exchange=exchange,
                    phase=phase,
                    actor=self._actor,
                    event=event,
                    outcome=outcome,
                    reason=reason,
                    client=client,
                    started=instant(started or now),
                    ended=instant(now),
                    details=json.write(dict(details or {})).decode(),
                )
            )

    def records(self, exchange: str | None = None) -> list[dict[str, Any]]:
        """The records, of one exchange or all, in order."""
        statement = select(_RECORD).order_by(_RECORD.c.seq)
        if exchange is not None:
            statement = statement.where(_RECORD.c.exchange == exchange)
        with self._engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        # The database's names are a kind of str that JSON writers do not take for keys.
        plain = [{str(name): value for name, value in row.items()} for row in rows]
        return [{**row, "details": json.read(row["details"])} for row in plain]
