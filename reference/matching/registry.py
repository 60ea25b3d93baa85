"""The members a payer can be asked about, found by their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from threading import Lock
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from .member_rows import (
    decode,
    encode,
    family_of,
    given_of,
    member_ids,
    members,
    subscriber_ids,
    tables,
)
from .normalise import date, identifier, tokens
from .person import Member, read_member
from .readers import Readers
from .strategy import RegistryError

Enrolment = tuple[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]

_CHUNK = 5000
# Few enough parameters for every database's limit on one statement.
_KEYS_AT_ONCE = 500
_FOUND_BY = (
    "SELECT m.member_key, m.profile FROM {table} i"
    " JOIN matching_member m ON m.member_key = i.member_key WHERE i.value = ?"
)
_COUNT_BEARERS = text(
    "INSERT INTO matching_given_name (given, bearers) VALUES (:given, :bearers)"
    " ON CONFLICT (given)"
    " DO UPDATE SET bearers = matching_given_name.bearers + excluded.bearers"
)


class MemberRegistry:
    """The registry of one payer, in SQLite or PostgreSQL; threads and processes may share it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # SQLite has one writer: threads take turns here rather than wait for its busy timeout.
        self._writing = Lock()
        self._readers = Readers(engine)
        sql = self._readers.sql
        self._by_member_id = sql(_FOUND_BY.format(table="matching_member_id"))
        self._by_subscriber_id = sql(_FOUND_BY.format(table="matching_subscriber_id"))
        self._by_key = sql("SELECT member_key, profile FROM matching_member WHERE member_key = ?")
        self._block = sql("SELECT member_key, profile FROM matching_member WHERE birth_date = ?")
        self._bearers = sql("SELECT bearers FROM matching_given_name WHERE given = ?")
        try:
            tables.create_all(engine)
        except SQLAlchemyError as error:
            raise RegistryError("The member registry cannot be created.") from error

    def by_member_id(self, system: str | None, value: str) -> list[Member]:
        """Return the members who own this number; with a system, in that system only."""
        wanted = identifier(value)
        found = self._found(self._by_member_id, wanted) if wanted else []
        if not system:
            return found
        return [member for member in found if (system, wanted) in member.member_ids]

    def by_subscriber_id(self, payer: str | None, value: str) -> list[Member]:
        """Return the household insured under this number, of this payor unless it is None."""
        wanted = identifier(value)
        found = self._found(self._by_subscriber_id, wanted) if wanted else []
        if payer is None:
            return found
        name = identifier(payer)
        return [member for member in found if _is_insured(member, wanted, name)]

    def household(self, member_key: str) -> list[Member]:
        """Return all who share a subscriber id with the member, and the member; or nobody."""
        together = {member.key: member for member in self._found(self._by_key, member_key)}
        for member in list(together.values()):
            for value in member.subscriber_ids:
                together |= {m.key: m for m in self._found(self._by_subscriber_id, value)}
        return list(together.values())

    def block(self, **keys: str) -> list[Member]:
        """Return the members with this `birth_date`, and this folded `family` if given."""
        born = date(keys.get("birth_date"))
        found = self._found(self._block, born) if born else []
        if "family" not in keys:
            return found
        family = "".join(tokens(keys["family"]))
        return [member for member in found if family_of(member) == family]

    def bearers(self, given: str) -> int:
        """Return how many members bear this folded given name."""
        rows = self._readers.rows(self._bearers, (given,))
        return int(rows[0][0]) if rows else 0

    def count(self) -> int:
        """Return how many members are enrolled."""
        with self._engine.connect() as connection:
            return int(connection.scalar(select(func.count()).select_from(members)) or 0)

    def enrol(
        self, member_key: str, patient: Mapping[str, Any], coverages: Sequence[Mapping[str, Any]]
    ) -> None:
        """Enrol a member, or replace what is known of one."""
        self.enrol_many([(member_key, patient, coverages)])

    def enrol_many(self, enrolments: Iterable[Enrolment]) -> None:
        """Enrol or replace members, a few thousand to a transaction; the last of a key counts."""
        for chunk in _chunks(read_member(*enrolment) for enrolment in enrolments):
            latest = {member.key: member for member in chunk}
            with self._writing, self._transaction() as connection:
                _remove(connection, list(latest))
                _add(connection, list(latest.values()))

    def withdraw(self, member_key: str) -> None:
        """Forget a member; one who is not enrolled is already forgotten."""
        with self._writing, self._transaction() as connection:
            _remove(connection, [member_key])

    def close(self) -> None:
        """Close the connections kept for reading; the engine stays the caller's."""
        self._readers.close()

    def _found(self, sql: str, value: str) -> list[Member]:
        return [decode(key, bytes(profile)) for key, profile in self._readers.rows(sql, (value,))]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """Open a transaction; its failure is the registry's error, without values in the text."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise RegistryError(
                f"The member registry cannot be written: {type(error).__name__}."
            ) from None


def _is_insured(member: Member, subscriber_id: str, payer: str) -> bool:
    return any(
        card.subscriber_id == subscriber_id and payer in [value for _, value in card.payors]
        for card in member.coverages
    )


def _chunks(enrolled: Iterator[Member]) -> Iterator[list[Member]]:
    while chunk := list(islice(enrolled, _CHUNK)):
        yield chunk


def _add(connection: Connection, added: Sequence[Member]) -> None:
    rows = [
        {
            "member_key": member.key,
            "birth_date": member.person.birth_date,
            "family": family_of(member),
            "profile": encode(member),
        }
        for member in added
    ]
    connection.execute(insert(members), rows)
    _insert_ids(connection, member_ids, {(v, m.key) for m in added for _, v in m.member_ids})
    _insert_ids(connection, subscriber_ids, {(v, m.key) for m in added for v in m.subscriber_ids})
    _count_bearers(connection, added, 1)


def _insert_ids(connection: Connection, table: Any, pairs: set[tuple[str, str]]) -> None:
    if pairs:
        rows = [{"value": value, "member_key": key} for value, key in sorted(pairs)]
        connection.execute(insert(table), rows)


def _remove(connection: Connection, keys: Sequence[str]) -> None:
    enrolled = [
        decode(key, bytes(profile))
        for start in range(0, len(keys), _KEYS_AT_ONCE)
        for key, profile in connection.execute(
            select(members.c.member_key, members.c.profile).where(
                members.c.member_key.in_(keys[start : start + _KEYS_AT_ONCE])
            )
        )
    ]
    if not enrolled:
        return
    _delete_ids(connection, member_ids, {(v, m.key) for m in enrolled for _, v in m.member_ids})
    _delete_ids(
        connection, subscriber_ids, {(v, m.key) for m in enrolled for v in m.subscriber_ids}
    )
    connection.execute(
        delete(members).where(members.c.member_key == bindparam("gone")),
        [{"gone": member.key} for member in enrolled],
    )
    _count_bearers(connection, enrolled, -1)


def _delete_ids(connection: Connection, table: Any, pairs: set[tuple[str, str]]) -> None:
    if pairs:
        statement = delete(table).where(
            table.c.value == bindparam("old_value"), table.c.member_key == bindparam("old_key")
        )
        rows = [{"old_value": value, "old_key": key} for value, key in sorted(pairs)]
        connection.execute(statement, rows)


def _count_bearers(connection: Connection, counted: Sequence[Member], each: int) -> None:
    bearers = Counter(given for member in counted for given in given_of(member))
    if bearers:
        # In one order everywhere, so that two writers cannot wait for each other.
        rows = [{"given": given, "bearers": n * each} for given, n in sorted(bearers.items())]
        connection.execute(_COUNT_BEARERS, rows)
