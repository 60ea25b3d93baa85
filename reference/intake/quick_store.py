"""New rows into SQLite as fast as it takes them; everything else goes the usual way.

What is stored is what `Repository.put_many` and the ledger store. The statements are written once
and bound to plain tuples, a portion is one transaction, and the write-ahead log is moved into the
database seldom: its keys are hashes, so that each portion touches pages all over the indexes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Engine, Table, insert, select
from sqlalchemy.dialects import sqlite

from ..fhir import json
from ..store.tables import OUTWARD, RESOURCE, SHARED_REFERENCE, TOMBSTONE, Key
from .ledger import IMPORTED
from .rewriting import Packed

# The columns of a row of `Packed`, and how often it was stored before it was here.
_COLUMNS = ("compartment", "type", "id", "service_date", "marks", "body")
_KEY = itemgetter(1, 2)
_MOMENT = "{moment}"
Outward = tuple[str, str, str]
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

    def holds_any(self, keys: Iterable[Key]) -> bool:
        """Whether any of some resources is stored already."""
        by_type: dict[str, list[str]] = {}
        for kind, ident in keys:
            by_type.setdefault(kind, []).append(ident)
        try:
            return any(
                self._connection.exec_driver_sql(_HELD, (kind, json.write(idents).decode())).first()
                for kind, idents in by_type.items()
            )
        finally:
            self._connection.rollback()

    def put(self, made: Packed, outward: Sequence[Outward], moment: str) -> None:
        """Write down received lines and store new resources, all of it or nothing.

        `outward` is what compartments point at outside; what nobody owns is told beside.
        """
        # In the order of the index that names resources, so that its pages are met one by one.
        rows = sorted((*made.rows, *made.vouchers), key=_KEY)
        pairs = list(zip(made.rows, made.references, strict=True))
        own = {(row[0], *key) for row, keys in pairs if row[0] for key in keys}
        shared = {(row[1], row[2], *key) for row, keys in pairs if not row[0] for key in keys}
        with self._connection.begin():
            for statement, values in (
                (_LEDGER, made.entries), (_RESOURCE.replace(_MOMENT, moment), rows),
                (_OUTWARD, [*own, *outward]), (_SHARED, list(shared)),
            ):  # fmt: skip
                if values:
                    self._connection.exec_driver_sql(statement, values)


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


def _statement(table: Table) -> str:
    """The statement that writes whole rows and keeps those that are there."""
    statement: Any = insert(table).prefix_with("OR IGNORE")
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="qmark")))


_LEDGER = _statement(IMPORTED)
_HELD = (
    f"SELECT 1 FROM {RESOURCE.name} WHERE type = ? "  # noqa: S608
    "AND id IN (SELECT value FROM json_each(?)) LIMIT 1"
)
_RESOURCE = (
    f"INSERT INTO {RESOURCE.name} ({', '.join(_COLUMNS)}, version, last_updated) "  # noqa: S608
    f"VALUES ({', '.join('?' * len(_COLUMNS))}, 1, '{_MOMENT}')"
)
_OUTWARD = _statement(OUTWARD)
_SHARED = _statement(SHARED_REFERENCE)
