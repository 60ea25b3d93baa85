"""Resources as bytes, kept as they came, with the few facts that exports and searches need.

Each row knows its compartment (the id of the Patient it is about; empty for what members share,
such as a Practitioner) and the references that leave the compartment, so that an export can take
along whatever its resources point at without reading them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    UniqueConstraint,
    and_,
    delete,
    func,
    insert,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

METADATA = MetaData()

RESOURCE = Table(
    "resource",
    METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("compartment", String, nullable=False),
    Column("type", String, nullable=False),
    Column("id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("last_updated", String, nullable=False),
    Column("service_date", String),
    Column("marks", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("type", "id", name="resource_key"),
    Index("resource_compartment", "compartment", "type"),
)
# What a compartment points at outside itself, once a compartment.
OUTWARD = Table(
    "outward_reference",
    METADATA,
    Column("compartment", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("id", String, primary_key=True),
)
# What a shared resource points at.
SHARED_REFERENCE = Table(
    "shared_reference",
    METADATA,
    Column("from_type", String, primary_key=True),
    Column("from_id", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("id", String, primary_key=True),
)

Key = tuple[str, str]
# Types that belong to one member or to none, whoever points at them.
_NEVER_SHARED = frozenset({"Patient", "Provenance"})
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

    def __init__(self, engine: Engine, *, common: Iterable[Key] = ()) -> None:
        """`common` goes along with every compartment, as the payer's own Organization does."""
        self._engine = engine
        self._common = frozenset(common)
        self._writing = threading.Lock()
        METADATA.create_all(engine, tables=[RESOURCE, OUTWARD, SHARED_REFERENCE])

    def put_many(self, resources: Iterable[Stored]) -> int:
        """Store resources, replacing those of the same type and id; returns how many.

        Everything is stored, or, when one fails, nothing.
        """
        stored = 0
        with self._writing, self._engine.begin() as connection:
            for batch in _batches(resources, _BATCH):
                unique = list({(r.type, r.id): r for r in batch}.values())
                connection.execute(delete(RESOURCE).where(_keys([(r.type, r.id) for r in unique])))
                connection.execute(insert(RESOURCE), [_as_row(r) for r in unique])
                self._put_references(connection, unique)
                stored += len(unique)
        return stored

    def get(self, kind: str, ident: str) -> Row | None:
        """The resource with that type and id, or None."""
        statement = select(RESOURCE).where(RESOURCE.c.type == kind, RESOURCE.c.id == ident)
        with self._engine.connect() as connection:
            found = connection.execute(statement).mappings().first()
        return _row(found) if found else None

    def rows(self, selection: Selection, *, bodies: bool = True) -> Iterator[Row]:
        """The rows selected, in the order they were stored."""
        columns = [*_FACTS, RESOURCE.c.body] if bodies else _FACTS
        statement = select(*columns).where(*_conditions(selection)).order_by(RESOURCE.c.seq)
        with self._engine.connect() as connection:
            result = connection.execution_options(yield_per=_BATCH).execute(statement)
            for found in result.mappings():
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
        tainted: set[Key] = set()
        with self._engine.connect() as connection:
            found = {
                (kind, ident)
                for kind, ident in connection.execute(
                    select(OUTWARD.c.type, OUTWARD.c.id).where(OUTWARD.c.compartment == compartment)
                )
                if kind not in _NEVER_SHARED
            }
            found = (found - set(unless)) | self._common
            new = set(found)
            while new:
                step = set()
                for source, target in self._shared_step(connection, sorted(new)):
                    if target[0] == "Patient" and target[1] != compartment:
                        tainted.add(source)
                    step.add(target)
                new = {key for key in step - found if key[0] not in _NEVER_SHARED}
                found |= new
        return found - tainted

    @staticmethod
    def _shared_step(connection: Connection, keys: Sequence[Key]) -> Iterator[tuple[Key, Key]]:
        """Each reference of some shared resources, as (from, to)."""
        table = SHARED_REFERENCE.c
        for batch in _batches(keys, _BATCH):
            by_type: dict[str, list[str]] = {}
            for kind, ident in batch:
                by_type.setdefault(kind, []).append(ident)
            wanted = (
                and_(table.from_type == kind, table.from_id.in_(idents))
                for kind, idents in by_type.items()
            )
            statement = select(table.from_type, table.from_id, table.type, table.id)
            for row in connection.execute(statement.where(or_(*wanted))):
                yield (row[0], row[1]), (row[2], row[3])

    def compartments_of(self, keys: Iterable[Key]) -> dict[Key, str]:
        """The compartment of each of the resources that are stored."""
        found: dict[Key, str] = {}
        with self._engine.connect() as connection:
            for batch in _batches(sorted(set(keys)), _BATCH):
                columns = (RESOURCE.c.type, RESOURCE.c.id, RESOURCE.c.compartment)
                for kind, ident, owner in connection.execute(select(*columns).where(_keys(batch))):
                    found[kind, ident] = owner
        return found

    def assign(self, compartment: str, keys: Iterable[Key]) -> None:
        """Put shared resources into a compartment, as a Binary that a member's document names."""
        with self._writing, self._engine.begin() as connection:
            for batch in _batches(keys, _BATCH):
                connection.execute(
                    RESOURCE.update()
                    .where(_keys(batch), RESOURCE.c.compartment == "")
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
                removed += connection.execute(delete(RESOURCE).where(_keys(batch))).rowcount
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


def _keys(keys: Sequence[Key]) -> Any:
    """A condition for many keys, grouped by type so that the index serves it."""
    by_type: dict[str, list[str]] = {}
    for kind, ident in keys:
        by_type.setdefault(kind, []).append(ident)
    return or_(
        *(
            and_(RESOURCE.c.type == kind, RESOURCE.c.id.in_(idents))
            for kind, idents in by_type.items()
        )
    )


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
        found.append(_keys(selection.keys) if selection.keys else RESOURCE.c.seq < 0)
    return found


def sortable(moment: datetime) -> str:
    """A moment as text that sorts in the order of time: UTC to the microsecond."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


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
    )


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    batch: list[T] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
