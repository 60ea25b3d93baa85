"""Resources as bytes, kept as they came, with the few facts that exports and searches need.

Each row knows its compartment (the id of the Patient it is about; empty for what members share,
such as a Practitioner) and the references that leave the compartment, so that an export can take
along whatever its resources point at without reading them.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Engine, RowMapping, Table, delete, func, insert, or_, select
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


@dataclass(frozen=True, slots=True)
class Row:
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
    keys: Sequence[Key] | None = field(default=None)


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
        statement = select(RESOURCE).where(RESOURCE.c.type == kind, RESOURCE.c.id == ident)
        with self._engine.connect() as connection:
            found = connection.execute(statement).mappings().first()
        return _row(found) if found else None

    def rows(self, selection: Selection, *, bodies: bool = True) -> Generator[Row, None, None]:
        """The rows selected, in the order they were stored."""
        columns = [*_FACTS, RESOURCE.c.body, RESOURCE.c.released] if bodies else _FACTS
        statement = select(*columns).where(*_conditions(selection)).order_by(RESOURCE.c.seq)
        streamed = statement.execution_options(yield_per=_BATCH)
        # Closed here, for a caller may have seen enough before the end.
        with self._engine.connect() as connection, connection.execute(streamed) as result:
            for found in result.mappings():
                yield _row(found)

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
        among = (RESOURCE.c.compartment.in_(compartments), RESOURCE.c.marks != "")
        statement = select(RESOURCE.c.compartment, RESOURCE.c.marks).distinct().where(*among)
        with self._engine.connect() as connection:
            yield from ((row[0], row[1]) for row in connection.execute(statement))

    def marked(self, compartments: Sequence[str], marks: Sequence[str]) -> Iterator[Row]:
        """The rows, without bodies, that bear one of some marks."""
        among = RESOURCE.c.compartment.in_(compartments)
        statement = select(*_FACTS).where(among, RESOURCE.c.marks.in_(marks))
        with self._engine.connect() as connection:
            for found in connection.execute(statement.where(RESOURCE.c.marks != "")).mappings():
                yield _row(found)

    def by_keys(self, keys: Sequence[Key], *, bodies: bool = True) -> Iterator[Row]:
        """The resources with these types and ids, in no particular order; missing ones left out."""
        for start in range(0, len(keys), _BATCH):
            yield from self.rows(Selection(keys=keys[start : start + _BATCH]), bodies=bodies)

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
        statement = select(OUTWARD).where(OUTWARD.c.compartment.in_(compartments))
        if stored:
            statement = statement.where(or_(is_shared(OUTWARD), leads_on(OUTWARD)))
        found: dict[str, set[Key]] = {}
        with self._engine.connect() as connection:
            for compartment, kind, ident in connection.execute(statement):
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


def _conditions(selection: Selection) -> list[Any]:
    found: list[Any] = []
    if selection.compartment is not None:
        found.append(RESOURCE.c.compartment == selection.compartment)
    if selection.types is not None:
        found.append(RESOURCE.c.type.in_(list(selection.types)))
    if selection.since is not None:
        found.append(RESOURCE.c.last_updated > sortable(selection.since))
    if selection.until is not None:
        found.append(RESOURCE.c.last_updated <= sortable(selection.until))
    if selection.keys is not None:
        found.append(
            key_condition(RESOURCE, selection.keys) if selection.keys else RESOURCE.c.seq < 0
        )
    return found


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


def _row(found: RowMapping) -> Row:
    return Row(
        seq=found["seq"],
        compartment=found["compartment"],
        type=found["type"],
        id=found["id"],
        version=found["version"],
        last_updated=found["last_updated"],
        service_date=found["service_date"],
        marks=frozenset(found["marks"].split()),
        body=bytes(found["body"]) if "body" in found else b"",
        released=_bytes(found["released"]) if "released" in found else None,
    )


def _bytes(found: Any) -> bytes | None:
    return None if found is None else bytes(found)


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
