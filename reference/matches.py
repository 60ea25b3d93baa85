"""Whom each client has matched, under which consent: what later requests are allowed by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    MetaData,
    RowMapping,
    Select,
    String,
    Table,
    bindparam,
    or_,
    select,
    update,
)

from .clock import instant
from .consent import ConsentDecision, in_force
from .store.database import put_rows

_BATCH = 500
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
# Made once: one of them is run for every request.
_OF_CLIENT = select(_MATCH).where(_MATCH.c.client_id == bindparam("client"))
_AMONG = _OF_CLIENT.where(_MATCH.c.member.in_(bindparam("members", expanding=True)))


@dataclass(frozen=True, slots=True)
class Match:
    """One member that a client has matched, with the consent it did so under."""

    client_id: str
    member: str
    system: str
    value: str
    consent: ConsentDecision
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class NewMatch:
    """A match to keep: the member, the identifier told of it, the consent."""

    member: str
    identifier: tuple[str, str]
    consent: ConsentDecision


class Matches:
    """The matches of one responding payer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)

    def keep_many(self, client_id: str, found: Iterable[NewMatch], now: datetime) -> None:
        """Store matches; a newer one for the same client and member takes the older one's place."""
        rows = (
            {
                "client_id": client_id,
                "member": match.member,
                "system": match.identifier[0],
                "value": match.identifier[1],
                "policy": match.consent.policy,
                "consent_start": match.consent.start,
                "consent_end": match.consent.end,
                "matched": instant(now),
                "withdrawn": "",
            }
            for match in found
        )
        with self._engine.begin() as connection:
            put_rows(connection, _MATCH, rows)

    def of(self, client_id: str, now: datetime) -> dict[str, Match]:
        """The members a client may reach now, by id: matched, consent in force, not withdrawn."""
        return self._in_force(_OF_CLIENT, {"client": client_id}, now)

    def among(self, client_id: str, members: Iterable[str], now: datetime) -> dict[str, Match]:
        """The same as `of`, for some members only."""
        found: dict[str, Match] = {}
        asked = iter(members)
        while part := list(islice(asked, _BATCH)):
            found |= self._in_force(_AMONG, {"client": client_id, "members": part}, now)
        return found

    def ended(self, client_id: str, now: datetime) -> set[str]:
        """The members whom a client has matched and whose consent has ended: few, as a rule.

        A match is kept under a consent in force, so that none of them is yet to begin.
        """
        day = now.astimezone(UTC).date()
        # Text of dates sorts as dates do; two days more are for times and time zones.
        doubtful = or_(
            _MATCH.c.withdrawn != "",
            _MATCH.c.consent_end <= (day + timedelta(days=2)).isoformat(),
        )
        statement = select(_MATCH).where(_MATCH.c.client_id == client_id, doubtful)
        with self._engine.connect() as connection:
            found = [_match(row) for row in connection.execute(statement).mappings()]
        return {m.member for m in found if m.withdrawn or not in_force(m.consent, now)}

    def _in_force(
        self, statement: Select[Any], given: Mapping[str, object], now: datetime
    ) -> dict[str, Match]:
        with self._engine.connect() as connection:
            found = [_match(row) for row in connection.execute(statement, given).mappings()]
        return {m.member: m for m in found if not m.withdrawn and in_force(m.consent, now)}

    def withdraw(self, member: str, now: datetime) -> int:
        """End every client's access to a member; returns how many matches that ended."""
        with self._engine.begin() as connection:
            return connection.execute(
                update(_MATCH)
                .where(_MATCH.c.member == member, _MATCH.c.withdrawn == "")
                .values(withdrawn=instant(now))
            ).rowcount


def _match(row: RowMapping) -> Match:
    return Match(
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
