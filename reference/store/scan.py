"""Reading many compartments straight through, in the order of the index, bodies and all."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, and_, case, false, func, literal, or_, select

from .tables import RESOURCE, Key, sortable

# Whether the bytes are the stored ones, those without amounts, or have still to be looked at.
AS_STORED, STRIPPED, UNDECIDED = 0, 1, 2
# Compartment, type, id, marks, date of service, one of the three above, the bytes.
Scanned = tuple[str, str, str, str, str | None, int, bytes]
_FETCHED = 500


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """Which resources of which compartments; None leaves a condition open."""

    compartments: Sequence[str]
    types: Sequence[str] | None = None
    but: Sequence[str] = ()
    """Types that are left out."""
    pairs: Collection[Key] | None = None
    """Types with the compartments to take them of."""
    since: datetime | None = None
    until: datetime | None = None
    bound: int | None = None
    """The number of the last resource to take: what was stored later is left out."""
    stripped: Sequence[str] = ()
    """The types that leave without amounts."""


def scan(engine: Engine, request: ScanRequest) -> Iterator[Scanned]:
    """The resources, by compartment and type, in the order they were stored."""
    # A cursor at the server, and so many rows at a time: the bodies of many members are big.
    statement = _statement(request).execution_options(yield_per=_FETCHED)
    with engine.connect() as connection, connection.execute(statement) as result:
        for part in result.partitions():
            yield from part


def last_seq(engine: Engine) -> int:
    """The number of the resource stored last: what is stored later has a higher one."""
    with engine.connect() as connection:
        return int(connection.scalar(select(func.max(RESOURCE.c.seq))) or 0)


def _statement(request: ScanRequest) -> Select[Any]:
    table = RESOURCE.c
    columns = (table.compartment, table.type, table.id, table.marks, table.service_date)
    statement = select(*columns, *leaving(request.stripped)).where(*conditions_of(request))
    return statement.order_by(table.compartment, table.type, table.seq)


def leaving(stripped: Sequence[str]) -> tuple[ColumnElement[int], ColumnElement[bytes]]:
    """Which bytes leave of a row, and how they came about."""
    released, body = RESOURCE.c.released, RESOURCE.c.body
    if not stripped:
        return literal(AS_STORED), body
    may_hold_money = RESOURCE.c.type.in_(stripped)
    differs = and_(may_hold_money, func.length(released) > 0)
    state = case(
        (differs, STRIPPED),
        (and_(may_hold_money, released.is_(None)), UNDECIDED),
        else_=AS_STORED,
    )
    return state, case((differs, released), else_=body)


def conditions_of(request: ScanRequest) -> list[ColumnElement[bool]]:
    """What a row has to be to be asked for."""
    table = RESOURCE.c
    found: list[ColumnElement[bool]] = [table.compartment.in_(request.compartments)]
    if request.types is not None:
        found.append(table.type.in_(request.types))
    if request.but:
        found.append(table.type.not_in(request.but))
    if request.pairs is not None:
        found.append(_pairs(request.pairs))
    if request.since is not None:
        found.append(table.last_updated > sortable(request.since))
    if request.until is not None:
        found.append(table.last_updated <= sortable(request.until))
    if request.bound is not None:
        found.append(table.seq <= request.bound)
    return found


def _pairs(wanted: Collection[Key]) -> ColumnElement[bool]:
    by_type: dict[str, list[str]] = {}
    for kind, compartment in sorted(wanted):
        by_type.setdefault(kind, []).append(compartment)
    table = RESOURCE.c
    return or_(
        false(),
        *(and_(table.type == k, table.compartment.in_(found)) for k, found in by_type.items()),
    )
