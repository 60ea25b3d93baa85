"""The guard against guessing: who was asked for in vain, with which cards, how often (hrex-mm-7).

Counted are a client's failures alone: the cards tried for one person, and the persons tried on one
card. A person is a family name and a birth date here, so that other given names are no new start.
What is kept are digests, for a day. Who is over the limit is refused before anybody is looked up,
so that the card that would be right gains nothing either.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Float,
    Index,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    delete,
    select,
)

from ..limits import Limits
from ..store.database import put_rows
from .person import read_card, read_person
from .strategy import Outcome

HOUR_S, DAY_S = 3600.0, 86_400.0
REASON = "tried-too-often"
# Outcomes that tell somebody who guesses that the guess was wrong.
_FAILURES = (Outcome.NONE, Outcome.MULTIPLE)
# So many numbers are one card: its own, the subscriber's, and the one the Patient shows.
_NUMBERS_OF_A_CARD = 3
_ANYBODY = "anybody"
_FLUSH = 200

_METADATA = MetaData()
_TRIED = Table(
    "tried_match",
    _METADATA,
    Column("client", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("item", String, primary_key=True),
    Column("moment", Float, nullable=False, index=True),
    Index("tried_match_by_time", "client", "key", "moment"),
)

# Made once: both are run for every match.
_FAILED = select(_TRIED.c.key, _TRIED.c.item, _TRIED.c.moment).where(
    _TRIED.c.client == bindparam("client"), _TRIED.c.moment > bindparam("since")
)
_WITH_THESE = _FAILED.where(_TRIED.c.key.in_(bindparam("keys", expanding=True)))
_IN_ALL = (
    select(_TRIED.c.moment)
    .where(_TRIED.c.client == bindparam("client"), _TRIED.c.key == _ANYBODY)
    .where(_TRIED.c.moment > bindparam("since"))
    .order_by(_TRIED.c.moment.desc())
    .offset(bindparam("fewer"))
    .limit(1)
)

_Pairs = frozenset[tuple[str, str]]


@dataclass(slots=True)
class Tried:
    """One client's failures, as far as they bear on what it asks now."""

    guard: MatchGuard
    client_id: str
    _moments: dict[str, dict[str, float]] = field(default_factory=dict)
    _unwritten: list[dict[str, Any]] = field(default_factory=list)

    def wait_s(self, patient: Any, coverage: Any, now: datetime) -> float:
        """How many seconds to wait before this may be asked; 0 when it may be asked now.

        What failed before may be asked again: the answer tells nothing new.
        """
        if not self._moments:
            return 0.0
        pairs = pairs_of(patient, coverage)
        own = {key: {i for k, i in pairs if k == key} for key, _ in pairs}
        return max((self._wait(key, items, now.timestamp()) for key, items in own.items()),
                   default=0.0)  # fmt: skip

    def note(self, outcome: Outcome, patient: Any, coverage: Any, now: datetime) -> None:
        """Count what was asked if it failed; `write` makes it known to others."""
        if outcome not in _FAILURES:
            return
        moment = now.timestamp()
        pairs = pairs_of(patient, coverage)
        anybody = (_ANYBODY, _digest(*sorted(item for pair in pairs for item in pair)))
        for key, item in {*pairs, anybody}:
            self._moments.setdefault(key, {})[item] = moment
            row = {"client": self.client_id, "key": key, "item": item, "moment": moment}
            self._unwritten.append(row)
        if len(self._unwritten) >= _FLUSH:
            self.write(now)

    def write(self, now: datetime) -> None:
        """Write what was counted, for all processes on this database."""
        rows, self._unwritten = self._unwritten, []
        self.guard.keep(rows, now)

    def load(self, rows: Iterable[tuple[str, str, float]]) -> Tried:
        """Take failures from the database; returns itself."""
        for key, item, moment in rows:
            self._moments.setdefault(key, {})[item] = moment
        return self

    def _wait(self, key: str, own: set[str], now: float) -> float:
        tried = self._moments.get(key)
        if not tried:
            return 0.0
        others = sorted(moment for item, moment in tried.items() if item not in own)
        limits = self.guard.limits
        return max(_wait(others, HOUR_S, limits.tries_an_hour, now),
                   _wait(others, DAY_S, limits.tries_a_day, now))  # fmt: skip


class MatchGuard:
    """Remembers failed matches for all processes on one database."""

    def __init__(self, engine: Engine, limits: Limits | None = None) -> None:
        self._engine = engine
        self.limits = limits or Limits()
        _METADATA.create_all(engine)

    def for_one(self, client_id: str, patient: Any, coverage: Any, now: datetime) -> Tried:
        """The client's failures with this person and this card."""
        keys = {key for key, _ in pairs_of(patient, coverage)}
        given = {**_of(client_id, now), "keys": sorted(keys)}
        return Tried(self, client_id).load(self._rows(_WITH_THESE, given))

    def for_many(self, client_id: str, now: datetime) -> Tried:
        """All of the client's failures that count: one question for a whole batch."""
        statement = _FAILED.where(_TRIED.c.key != _ANYBODY)
        return Tried(self, client_id).load(self._rows(statement, _of(client_id, now)))

    def client_wait_s(self, client_id: str, now: datetime) -> float:
        """How many seconds a client waits that asked for too many in vain; 0 when it need not."""
        most = self.limits.failed_matches_an_hour
        if not most:
            return 0.0
        moment = now.timestamp()
        given = {"client": client_id, "since": moment - HOUR_S, "fewer": most - 1}
        with self._engine.connect() as connection:
            found = connection.execute(_IN_ALL, given).scalar()
        return 0.0 if found is None else float(found) + HOUR_S - moment

    def keep(self, rows: list[dict[str, Any]], now: datetime) -> None:
        """Write failures; those of more than a day ago are swept."""
        if not rows:
            return
        # Each once and sorted, so that two writers of the same rows cannot wait for each other.
        found = {(row["key"], row["item"]): row for row in rows}
        ordered = [found[name] for name in sorted(found)]
        with self._engine.begin() as connection:
            connection.execute(delete(_TRIED).where(_TRIED.c.moment <= now.timestamp() - DAY_S))
            put_rows(connection, _TRIED, ordered)

    def _rows(
        self, statement: Select[Any], given: Mapping[str, object]
    ) -> list[tuple[str, str, float]]:
        with self._engine.connect() as connection:
            return [(row[0], row[1], row[2]) for row in connection.execute(statement, given)]


def _of(client_id: str, now: datetime) -> dict[str, object]:
    """A client's failures that still count."""
    return {"client": client_id, "since": now.timestamp() - DAY_S}


def pairs_of(patient: Mapping[str, Any], coverage: Mapping[str, Any]) -> _Pairs:
    """What is counted of one request: each person with each card, and the other way round."""
    person, card = read_person(patient), read_card(coverage)
    ids = {value for _, value in (*person.member_ids, *card.member_ids)} | {card.subscriber_id}
    numbers = sorted(ids - {""})
    step = _NUMBERS_OF_A_CARD
    cards = [_digest("card", *numbers[i : i + step]) for i in range(0, len(numbers), step)]
    whole = _digest("whole", repr(person.names), person.birth_date)
    persons = {_digest("person", *name.family, person.birth_date) for name in person.names}
    tried = {(named, card_) for named in persons for card_ in cards}
    return frozenset(tried | {(_digest("number", number), whole) for number in numbers})


def _wait(moments: list[float], window: float, most: int, now: float) -> float:
    """How long until fewer than `most` of the moments lie within the window."""
    counted = [moment for moment in moments if moment > now - window]
    return counted[-most] + window - now if most and len(counted) >= most else 0.0


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]
