"""New rows into SQLite as fast as it takes them; everything else goes the usual way.

What is stored is what `Repository.put_many` and the ledger store. The statements are written once
and bound to plain tuples, a portion is one transaction, and the write-ahead log is moved into the
database seldom: its keys are hashes, so that each portion touches pages all over the indexes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select
from sqlalchemy.dialects import sqlite

from ..store.repository import Stored
from ..store.tables import OUTWARD, RESOURCE, SHARED_REFERENCE, TOMBSTONE
from .ledger import IMPORTED

_COLUMNS = ("compartment", "type", "id", "version", "last_updated", "service_date", "marks", "body")
_FIELDS = attrgetter(*_COLUMNS)
# Pages of 4 KiB in the write-ahead log before it is moved: 128 MiB, instead of 4.
_SELDOM, _USUAL = 32_768, 1_000


class QuickStore:
    """A connection that takes new rows; `writes` is False where only the usual way is right."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # What was taken out is told to whoever asks what changed; the usual way sees to that.
        gone = connection.execute(select(TOMBSTONE.c.id).limit(1)).first()
        connection.rollback()
        self.writes = connection.dialect.name == "sqlite" and gone is None

    def put(self, entries: Sequence[tuple[str, ...]], new: Sequence[Stored]) -> None:
        """Write down received lines and store new resources, all of it or nothing."""
        outward = {(r.compartment, *k) for r in new if r.compartment for k in r.references}
        shared = {(r.type, r.id, *k) for r in new if not r.compartment for k in r.references}
        rows = sorted(map(_FIELDS, new))
        with self._connection.begin():
            for statement, values in (
                (_LEDGER, entries), (_RESOURCE, rows), (_OUTWARD, sorted(outward)),
                (_SHARED, sorted(shared)),
            ):  # fmt: skip
                if values:
                    self._connection.exec_driver_sql(statement, list(values))


@contextmanager
def quick_store(engine: Engine) -> Iterator[QuickStore]:
    """A store for the length of one part."""
    with engine.connect() as connection:
        found = QuickStore(connection)
        if not found.writes:
            yield found
            return
        _checkpoint_at(connection, _SELDOM)
        try:
            yield found
        finally:
            _checkpoint_at(connection, _USUAL)


def _checkpoint_at(connection: Connection, pages: int) -> None:
    connection.exec_driver_sql(f"PRAGMA wal_autocheckpoint={pages}")
    connection.rollback()


def _statement(table: Table, columns: Sequence[str], *, keep: bool) -> str:
    statement: Any = insert(table)
    if keep:
        statement = statement.prefix_with("OR IGNORE")
    dialect = sqlite.dialect(paramstyle="qmark")
    return str(statement.compile(dialect=dialect, column_keys=list(columns)))


def _all(table: Table) -> list[str]:
    return [column.name for column in table.columns]


_LEDGER = _statement(IMPORTED, _all(IMPORTED), keep=True)
_RESOURCE = _statement(RESOURCE, _COLUMNS, keep=False)
_OUTWARD = _statement(OUTWARD, _all(OUTWARD), keep=True)
_SHARED = _statement(SHARED_REFERENCE, _all(SHARED_REFERENCE), keep=True)
