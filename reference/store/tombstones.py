"""What was taken out of members' compartments: told to whoever asks what changed since."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, select

from .database import put_rows
from .tables import RESOURCE, TOMBSTONE, Key, key_condition

# What is read of a resource when it goes.
REMEMBERED = tuple(RESOURCE.c[n] for n in ("type", "id", "compartment", "service_date", "marks"))


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One resource that was in a compartment."""

    compartment: str
    type: str
    id: str
    service_date: str | None
    marks: frozenset[str]


def put_tombstones(connection: Connection, gone: Iterable[Sequence[Any]], moment: str) -> None:
    """Remember rows of REMEMBERED that went; what belonged to nobody is not missed by anybody."""
    rows = [
        {"type": kind, "id": ident, "compartment": compartment, "service_date": served,
         "marks": marks, "deleted_at": moment}
        for kind, ident, compartment, served, marks in gone
        if compartment
    ]  # fmt: skip
    put_rows(connection, TOMBSTONE, rows)


def forget_tombstones(connection: Connection, homes: dict[Key, str]) -> None:
    """What is stored again in the compartment it went from is not missing there any more."""
    condition = key_condition(TOMBSTONE, list(homes))
    found = connection.execute(select(TOMBSTONE).where(condition)).all()
    back = [row for row in found if homes[row.type, row.id] == row.compartment]
    for row in back:
        connection.execute(
            delete(TOMBSTONE).where(
                TOMBSTONE.c.compartment == row.compartment,
                TOMBSTONE.c.type == row.type,
                TOMBSTONE.c.id == row.id,
            )
        )


def deleted_since(
    engine: Engine, compartments: Sequence[str], since: str, until: str
) -> Iterator[Tombstone]:
    """What was taken out after a moment and up to another, by compartment."""
    columns = (TOMBSTONE.c[n] for n in ("compartment", "type", "id", "service_date", "marks"))
    statement = (
        select(*columns)
        .where(
            TOMBSTONE.c.compartment.in_(compartments),
            TOMBSTONE.c.deleted_at > since,
            TOMBSTONE.c.deleted_at <= until,
        )
        .order_by(TOMBSTONE.c.compartment, TOMBSTONE.c.type, TOMBSTONE.c.id)
    )
    with engine.connect() as connection:
        for compartment, kind, ident, served, marks in connection.execute(statement):
            yield Tombstone(compartment, kind, ident, served, frozenset(marks.split()))
