"""The tables of the resource repository, and the conditions that several of its parts use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    and_,
    exists,
    inspect,
    or_,
)

from ..errors import SettingsError

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
    # What leaves without amounts. Empty: the body itself; NULL: nobody has looked yet.
    Column("released", LargeBinary),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("type", "id", name="resource_key"),
    Index("resource_compartment", "compartment", "type", "seq"),
    # A number is never given twice, so that an export can leave out what came after it began.
    sqlite_autoincrement=True,
)
Index(
    "resource_marked",
    RESOURCE.c.compartment,
    RESOURCE.c.marks,
    sqlite_where=RESOURCE.c.marks != "",
    postgresql_where=RESOURCE.c.marks != "",
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
# What was taken out of a compartment, with the facts that say whether it would have left.
TOMBSTONE = Table(
    "tombstone",
    METADATA,
    Column("compartment", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("id", String, primary_key=True),
    Column("service_date", String),
    Column("marks", String, nullable=False),
    Column("deleted_at", String, nullable=False),
    Index("tombstone_key", "type", "id"),
)

Key = tuple[str, str]


def create_tables(engine: Engine) -> None:
    """Make the tables that are missing.

    Raises SettingsError for a database of an earlier version, whose tables have not all columns.
    """
    METADATA.create_all(engine)
    found = {column["name"] for column in inspect(engine).get_columns(RESOURCE.name)}
    if not found >= {column.name for column in RESOURCE.columns}:
        raise SettingsError(
            "The database was filled by an earlier version. Fill a new one: give another "
            "--data-dir or --database."
        )


def key_condition(table: Table, keys: Sequence[Key]) -> Any:
    """A condition for many keys, grouped by type so that the index serves it."""
    by_type: dict[str, list[str]] = {}
    for kind, ident in keys:
        by_type.setdefault(kind, []).append(ident)
    return or_(
        *(and_(table.c.type == kind, table.c.id.in_(idents)) for kind, idents in by_type.items())
    )


def is_shared(pointing: Table) -> ColumnElement[bool]:
    """That what a row points at is stored and belongs to nobody."""
    return exists().where(
        RESOURCE.c.type == pointing.c.type,
        RESOURCE.c.id == pointing.c.id,
        RESOURCE.c.compartment == "",
    )


def leads_on(pointing: Table) -> ColumnElement[bool]:
    """That what a row points at points at something itself, as what belongs to nobody."""
    return exists().where(
        SHARED_REFERENCE.c.from_type == pointing.c.type,
        SHARED_REFERENCE.c.from_id == pointing.c.id,
    )


def sortable(moment: datetime) -> str:
    """A moment as text that sorts in the order of time: UTC to the microsecond."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"
