"""Resources as bytes, kept as they came, with the few facts that exports and searches need.

Each row knows its compartment (the id of the Patient it is about; empty for what members share,
such as a Practitioner) and the references that leave the compartment, so that an export can take
along whatever its resources point at without reading them.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Engine, Select, Table, bindparam, delete, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from ..clock import Clock, SystemClock
from .groups import Group, groups, joinable
from .scan import Scanned, ScanRequest, scan
from .sharing import Sharing
from .tables import (
    OUTWARD,
    RESOURCE,
    SHARED_REFERENCE,
    Key,
    create_tables,
    is_shared,
    key_condition,
    leads_on,
    sortable,
)
from .tombstones import REMEMBERED, Tombstone, deleted_since, forget_tombstones, put_tombstones

__all__ = ["Key", "Repository", "Row", "Selection", "Stored", "sortable"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stored:
    """One resource to store: bytes as they are, and the facts read from them once."""

    type: str
    id: str
    body: bytes
    compartment: str = ""
    last_updated: str = ""
    service_date: str | None = None
    marks: str = ""
    references: tuple[Key, ...] = ()
    version: int = 1
    released: bytes | None = None
    """The bytes that leave without amounts; empty: the same; None: not decided."""


class Row(NamedTuple):
    """One stored resource; `body` is empty when the caller asked for facts only."""

    seq: int
    compartment: str
    type: str
    id: str
    version: int
    last_updated: str
    service_date: str | None
    marks: frozenset[str]
    body: bytes = b""
    released: bytes | None = None

    @property
    def key(self) -> Key:
        return self.type, self.id


@dataclass(slots=True)
class Selection:
    """Which rows to read: all conditions hold together; None leaves one open."""

    compartment: str | None = None
    types: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None

    def given(self) -> dict[str, Any]:
        """The values of the conditions that are not left open, as the statement needs them."""
        found = {
            "compartment": self.compartment,
            "types": None if self.types is None else list(self.types),
            "since": self.since and sortable(self.since),
            "until": self.until and sortable(self.until),
        }
        return {name: value for name, value in found.items() if value is not None}


_FACTS = [
    RESOURCE.c[name]
    for name in (
        "seq",
        "compartment",
        "type",
        "id",
        "version",
        "last_updated",
        "service_date",
        "marks",
    )
]
_BATCH = 500
# Statements are made once: to make one for each request costs more than to run it.
_CONDITIONS: dict[str, Any] = {
    "compartment": RESOURCE.c.compartment == bindparam("compartment"),
    "types": RESOURCE.c.type.in_(bindparam("types", expanding=True)),
    "since": RESOURCE.c.last_updated > bindparam("since"),
    "until": RESOURCE.c.last_updated <= bindparam("until"),
    "ids": RESOURCE.c.id.in_(bindparam("ids", expanding=True)),
    "numbers": RESOURCE.c.seq.in_(bindparam("numbers", expanding=True)),
}
_OUTWARD_OF = select(OUTWARD).where(OUTWARD.c.compartment.in_(bindparam("among", expanding=True)))
_STORED_OUTWARD_OF = _OUTWARD_OF.where(or_(is_shared(OUTWARD), leads_on(OUTWARD)))
_MARKED = RESOURCE.c.compartment.in_(bindparam("among", expanding=True)), RESOURCE.c.marks != ""
_MARKS_OF = select(RESOURCE.c.compartment, RESOURCE.c.marks).distinct().where(*_MARKED)
_WITH_MARKS = select(*_FACTS).where(
    *_MARKED, RESOURCE.c.marks.in_(bindparam("marks", expanding=True))
)


class Repository:
    """The resources of one payer. Safe to share between threads."""

    def __init__(
        self, engine: Engine, *, common: Iterable[Key] = (), clock: Clock | None = None
    ) -> None:
        """`common` goes along with every compartment, as the payer's own Organization does.

        The clock tells when something was taken out.
        """
        self._engine = engine
        self._common = frozenset(common)
        self._clock = clock or SystemClock()
        self._writing = threading.Lock()
        create_tables(engine)

    def put_many(self, resources: Iterable[Stored]) -> int:
        """Store resources, replacing those of the same type and id; returns how many.

        Everything is stored, or, when one fails, nothing.
        """
        stored = 0
        with self._writing, self._engine.begin() as connection:
            for batch in _batches(resources, _BATCH):
                unique = list({(r.type, r.id): r for r in batch}.values())
                homes = {(r.type, r.id): r.compartment for r in unique}
                gone = delete(RESOURCE).where(key_condition(RESOURCE, list(homes)))
                replaced = connection.execute(gone.returning(*REMEMBERED)).all()
                connection.execute(insert(RESOURCE), [_as_row(r) for r in unique])
                forget_tombstones(connection, homes)
                moved = [row for row in replaced if row[2] != homes[row[0], row[1]]]
                put_tombstones(connection, moved, sortable(self._clock.now()))
                self._put_references(connection, unique)
                stored += len(unique)
        return stored

    def get(self, kind: str, ident: str) -> Row | None:
        """The resource with that type and id, or None."""
        return next(self.by_keys([(kind, ident)]), None)

    def rows(self, selection: Selection, *, bodies: bool = True) -> Generator[Row, None, None]:
        """The rows selected, in the order they were stored."""
        given = selection.given()
        streamed = _selected(bodies, *given).execution_options(yield_per=_BATCH)
        # Closed here, for a caller may have seen enough before the end.
        with self._engine.connect() as connection, connection.execute(streamed, given) as result:
            for part in result.partitions():
                yield from map(_row, part)

    def scan(self, request: ScanRequest) -> Iterator[Scanned]:
        """The resources of many compartments with what leaves of them, one compartment at a time.

        Memory does not grow with how many there are.
        """
        return scan(self._engine, request)

    def groups(self, request: ScanRequest) -> Iterator[Group]:
        """The same a type at a time, the bytes that leave joined; of `joinable` compartments."""
        return groups(self._engine, request)

    def joinable(self, compartments: Sequence[str]) -> list[str]:
        """The compartments that `groups` may be asked for; the others are read by `scan`."""
        return joinable(self._engine, compartments)

    def deleted(
        self, compartments: Sequence[str], since: datetime, until: datetime
    ) -> Iterator[Tombstone]:
        """What was taken out of compartments after a moment and up to another."""
        return deleted_since(self._engine, compartments, sortable(since), sortable(until))

    def marks_of(self, compartments: Sequence[str]) -> Iterator[tuple[str, str]]:
        """The different marks that the resources of each compartment bear."""
        with self._engine.connect() as connection:
            found = connection.execute(_MARKS_OF, {"among": list(compartments)})
            yield from ((row[0], row[1]) for row in found)

    def marked(self, compartments: Sequence[str], marks: Sequence[str]) -> Iterator[Row]:
        """The rows, without bodies, that bear one of some marks."""
        among = {"among": list(compartments), "marks": list(marks)}
        with self._engine.connect() as connection:
            for found in connection.execute(_WITH_MARKS, among):
                yield _row(found)

    def by_keys(self, keys: Sequence[Key], *, bodies: bool = True) -> Iterator[Row]:
        """The resources with these types and ids, in no particular order; missing ones left out."""
        # One statement for all types: to make and start one costs more than the keys that it tries
        # in vain, which the index answers.
        for part in map(frozenset, _batches(keys, _BATCH)):
            types, idents = ({key[place] for key in part} for place in (0, 1))
            found = self._found(bodies, {"types": sorted(types), "ids": sorted(idents)})
            yield from (row for row in found if row.key in part)

    def with_bodies(self, rows: Iterable[Row]) -> dict[Key, Row]:
        """Rows that were read without bodies, with them, by key; what is gone since is missing."""
        found: dict[Key, Row] = {}
        for part in _batches(rows, _BATCH):
            read = self._found(True, {"numbers": [row.seq for row in part]})
            found.update((row.key, row) for row in read)
            # What was replaced since has another number.
            moved = [row.key for row in part if row.key not in found]
            found.update((row.key, row) for row in self.by_keys(moved))
        return found

    def _found(self, bodies: bool, given: dict[str, Any]) -> list[Row]:
        with self._engine.connect() as connection:
            return list(map(_row, connection.execute(_selected(bodies, *given), given).all()))

    def shared_by(self, compartment: str, *, unless: Iterable[Key] = ()) -> set[Key]:
        """Keys of what a compartment needs from outside: its references, followed to the end.

        Only resources that belong to nobody are followed, so no other member is ever reached. One
        that names a Patient of another compartment is left out, and so is Provenance: what is
        about several members belongs to none of them. `unless` is left out of the references, but
        not where something else that is shared leads to it.
        """
        roots = self.outward_of([compartment], stored=False).get(compartment, set())
        return self.sharing().of({compartment: roots - set(unless)})[compartment]

    def sharing(self) -> Sharing:
        """What compartments share, remembering what was read; for one request or one job."""
        return Sharing(self._engine, self._common)

    def outward_of(
        self, compartments: Sequence[str], *, stored: bool = True
    ) -> dict[str, set[Key]]:
        """What each compartment points at; with `stored` only what is, or led on, outside all."""
        statement = _STORED_OUTWARD_OF if stored else _OUTWARD_OF
        found: dict[str, set[Key]] = {}
        with self._engine.connect() as connection:
            rows = connection.execute(statement, {"among": list(compartments)}).all()
            for compartment, kind, ident in rows:
                found.setdefault(compartment, set()).add((kind, ident))
        return found

    def only_of(self, compartments: Sequence[str]) -> set[Key]:
        """Keys of what these compartments point at outside themselves, and no other one does."""
        own = set().union(*self.outward_of(compartments).values())
        with self._engine.connect() as connection:
            for batch in _batches(sorted(own), _BATCH):
                statement = select(OUTWARD.c.type, OUTWARD.c.id).where(
                    key_condition(OUTWARD, batch), OUTWARD.c.compartment.not_in(compartments)
                )
                own -= {(kind, ident) for kind, ident in connection.execute(statement)}
        return own

    def compartments_of(self, keys: Iterable[Key]) -> dict[Key, str]:
        """The compartment of each of the resources that are stored."""
        found: dict[Key, str] = {}
        with self._engine.connect() as connection:
            for batch in _batches(sorted(set(keys)), _BATCH):
                columns = (RESOURCE.c.type, RESOURCE.c.id, RESOURCE.c.compartment)
                for kind, ident, owner in connection.execute(
                    select(*columns).where(key_condition(RESOURCE, batch))
                ):
                    found[kind, ident] = owner
        return found

    def assign(self, compartment: str, keys: Iterable[Key]) -> None:
        """Put shared resources into a compartment, as a Binary that a member's document names."""
        with self._writing, self._engine.begin() as connection:
            for batch in _batches(keys, _BATCH):
                connection.execute(
                    RESOURCE.update()
                    .where(key_condition(RESOURCE, batch), RESOURCE.c.compartment == "")
                    .values(compartment=compartment)
                )

    def outward(self, kind: str) -> Iterator[tuple[str, Key]]:
        """Which compartments point at resources of a type that are outside all of them."""
        statement = select(OUTWARD.c.compartment, OUTWARD.c.id).where(OUTWARD.c.type == kind)
        with self._engine.connect() as connection:
            for compartment, ident in connection.execute(statement):
                yield compartment, (kind, ident)

    def some_ids(self, kind: str, count: int) -> list[str]:
        """The ids of the first so many resources of a type."""
        statement = select(RESOURCE.c.id).where(RESOURCE.c.type == kind).order_by(RESOURCE.c.seq)
        with self._engine.connect() as connection:
            return [ident for (ident,) in connection.execute(statement.limit(count))]

    def counts(self) -> dict[str, int]:
        """How many resources of each type are stored."""
        statement = select(RESOURCE.c.type, func.count()).group_by(RESOURCE.c.type)
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def forget(self, keys: Sequence[Key]) -> int:
        """Take resources out; returns how many were there."""
        removed = 0
        with self._writing, self._engine.begin() as connection:
            for batch in _batches(keys, _BATCH):
                gone = delete(RESOURCE).where(key_condition(RESOURCE, batch))
                found = connection.execute(gone.returning(*REMEMBERED)).all()
                put_tombstones(connection, found, sortable(self._clock.now()))
                removed += len(found)
        return removed

    @staticmethod
    def _put_references(connection: Any, resources: list[Stored]) -> None:
        outward = {
            (r.compartment, *key) for r in resources if r.compartment for key in r.references
        }
        shared = {
            (r.type, r.id, *key) for r in resources if not r.compartment for key in r.references
        }
        _insert_new(connection, OUTWARD, outward)
        _insert_new(connection, SHARED_REFERENCE, shared)


def _insert_new(connection: Any, table: Table, rows: AbstractSet[tuple[str, ...]]) -> None:
    if not rows:
        return
    names = [column.name for column in table.columns]
    if connection.dialect.name == "sqlite":
        statement: Any = insert(table).prefix_with("OR IGNORE")
    else:
        statement = postgresql_insert(table).on_conflict_do_nothing()
    connection.execute(statement, [dict(zip(names, row, strict=True)) for row in sorted(rows)])


@lru_cache(maxsize=64)
def _selected(bodies: bool, *given: str) -> Select[Any]:
    """The rows for which the named conditions hold, in the order they were stored."""
    columns = [*_FACTS, RESOURCE.c.body, RESOURCE.c.released] if bodies else _FACTS
    return select(*columns).where(*(_CONDITIONS[name] for name in given)).order_by(RESOURCE.c.seq)


def _as_row(resource: Stored) -> dict[str, Any]:
    return {
        "compartment": resource.compartment,
        "type": resource.type,
        "id": resource.id,
        "version": resource.version,
        "last_updated": resource.last_updated,
        "service_date": resource.service_date,
        "marks": resource.marks,
        "body": resource.body,
        "released": resource.released,
    }


def _row(found: Any) -> Row:
    """A row of its columns: the facts, and body and released where they were read."""
    seq, compartment, kind, ident, version, updated, served, marks, *bodies = found
    return Row(seq, compartment, kind, ident, version, updated, served, _marks(marks), *bodies)


@lru_cache(maxsize=4096)
def _marks(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
