"""Reading many compartments a type at a time: SQLite joins the bodies, Python sees the whole.

A resource costs a fifth of what it costs as a row. What is decided alike for a whole group can be
passed on like this; the others are read one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, LargeBinary, String, case, cast, func, select

from .scan import STRIPPED, UNDECIDED, ScanRequest, conditions_of, leaving
from .tables import RESOURCE

# Joined in memory, a group must be small: big resources, and members with very many, are not.
BIG = ("Binary", "Bundle", "DocumentReference")
MOST = 2000
_BREAK = "\n"
# What no mark and no id holds: it counts as white space.
_BETWEEN = "\x1f"


@dataclass(frozen=True, slots=True)
class Group:
    """The resources of one type in one compartment; `body` has one on each line."""

    compartment: str
    type: str
    count: int
    ids: str
    marks: str
    stripped: int
    """How many leave without amounts."""
    undecided: int
    body: bytes

    def distinct_marks(self) -> set[str]:
        """The different marks that its resources bear."""
        return set(self.marks.split(_BETWEEN))

    def idents(self) -> list[str]:
        """The ids of its resources."""
        return self.ids.split(_BETWEEN)


def groups(engine: Engine, request: ScanRequest) -> Iterator[Group]:
    """The groups of the compartments, as SQLite joins them."""
    state, body = leaving(request.stripped)
    columns = (
        func.count(),
        func.group_concat(RESOURCE.c.id, _BETWEEN),
        func.group_concat(RESOURCE.c.marks, _BETWEEN),
        func.sum(case((state == STRIPPED, 1), else_=0)),
        func.sum(case((state == UNDECIDED, 1), else_=0)),
        cast(func.group_concat(cast(body, String), _BREAK), LargeBinary),
    )
    by = (RESOURCE.c.compartment, RESOURCE.c.type)
    statement = select(*by, *columns).where(*conditions_of(request)).group_by(*by)
    with engine.connect() as connection, connection.execute(statement) as result:
        for row in result:
            yield Group(*row)


def joinable(engine: Engine, compartments: Sequence[str]) -> list[str]:
    """Those of the compartments whose groups may be joined; none where the database is another."""
    if engine.dialect.name != "sqlite":
        return []
    statement = (
        select(RESOURCE.c.compartment)
        .where(RESOURCE.c.compartment.in_(compartments))
        .group_by(RESOURCE.c.compartment)
        .having(func.count() <= MOST)
    )
    with engine.connect() as connection:
        return [compartment for (compartment,) in connection.execute(statement)]
