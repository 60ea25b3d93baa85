"""Whom each client has matched, under which consent: what later requests are allowed by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Column, Engine, MetaData, String, Table, select, update

from .clock import instant
from .consent import ConsentDecision, in_force
from .store.database import put_row

_METADATA = MetaData()
_MATCH = Table(
    "member_match",
    _METADATA,
    Column("client_id", String, primary_key=True),
    Column("member", String, primary_key=True),
    Column("system", String, nullable=False),
    Column("value", String, nullable=False),
    Column("policy", String, nullable=False),
    Column("consent_start", String, nullable=False),
    Column("consent_end", String, nullable=False),
    Column("matched", String, nullable=False),
    Column("withdrawn", String, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Match:
    """One member that a client has matched, with the consent it did so under."""

    client_id: str
    member: str
    system: str
    value: str
    consent: ConsentDecision
    withdrawn: bool


class Matches:
    """The matches of one responding payer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)

    def keep(
        self,
        client_id: str,
        member: str,
        identifier: tuple[str, str],
        consent: ConsentDecision,
        now: datetime,
    ) -> None:
        """Store a match; a newer one for the same client and member takes the older one's place."""
        values = {
            "client_id": client_id,
            "member": member,
            "system": identifier[0],
            "value": identifier[1],
            "policy": consent.policy,
            "consent_start": consent.start,
            "consent_end": consent.end,
            "matched": instant(now),
            "withdrawn": "",
        }
        with self._engine.begin() as connection:
            put_row(connection, _MATCH, values)

    def of(self, client_id: str, now: datetime) -> dict[str, Match]:
        """The members a client may reach now, by id: matched, consent in force, not withdrawn."""
        statement = select(_MATCH).where(_MATCH.c.client_id == client_id)
        with self._engine.connect() as connection:
            rows = connection.execute(statement).mappings().all()
        found = (
            Match(
                row["client_id"],
                row["member"],
                row["system"],
                row["value"],
                ConsentDecision(
                    granted=True,
                    policy=row["policy"],
                    start=row["consent_start"],
                    end=row["consent_end"],
                ),
                bool(row["withdrawn"]),
            )
            for row in rows
        )
        return {m.member: m for m in found if not m.withdrawn and in_force(m.consent, now)}

    def withdraw(self, member: str, now: datetime) -> int:
        """End every client's access to a member; returns how many matches that ended."""
        with self._engine.begin() as connection:
            return connection.execute(
                update(_MATCH)
                .where(_MATCH.c.member == member, _MATCH.c.withdrawn == "")
                .values(withdrawn=instant(now))
            ).rowcount
