"""The ledger for many members at once: the same rows, written and read in portions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Engine, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert

from ..store.repository import Key
from .ledger import IMPORTED, QUARANTINE

_PORTION = 500
T = TypeVar("T")


class BulkLedger:
    """What `Ledger` keeps of one exchange, kept of a part of a batch."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def begin(self, task_ids: Sequence[str], batch_id: str, files: Sequence[str]) -> None:
        """Forget what was written of some members and of some files of their batch."""
        columns = QUARANTINE.c
        with self.engine.begin() as connection:
            for ids in portions(task_ids):
                for table in (IMPORTED, QUARANTINE):
                    connection.execute(delete(table).where(table.c.task_id.in_(ids)))
            shared = (columns.task_id == batch_id, columns.file.in_(files))
            connection.execute(delete(QUARANTINE).where(*shared))

    def add(
        self, entries: Sequence[tuple[str, ...]], turned_away: Sequence[Mapping[str, Any]] = ()
    ) -> None:
        """Write down what became of received lines; what is written already stays."""
        new: Any = insert(IMPORTED).prefix_with("OR IGNORE", dialect="sqlite")
        if self.engine.dialect.name != "sqlite":
            new = postgresql_insert(IMPORTED).on_conflict_do_nothing()
        with self.engine.begin() as connection:
            if entries:
                names = [column.name for column in IMPORTED.columns]
                connection.execute(new, [dict(zip(names, e, strict=True)) for e in entries])
            if turned_away:
                connection.execute(insert(QUARANTINE), turned_away)

    def known(self, issuer: str, compartments: Sequence[str]) -> Iterator[tuple[Key, str]]:
        """(type, source id) and compartment of all that came before, of members or of nobody."""
        columns = IMPORTED.c
        for some in portions(["", *compartments]):
            statement = (
                select(columns.type, columns.source_id, columns.compartment)
                .distinct()
                .where(columns.issuer == issuer, columns.compartment.in_(some))
            )
            with self.engine.connect() as connection:
                rows = connection.execution_options(yield_per=_PORTION).execute(statement)
                for kind, ident, compartment in rows:
                    yield (kind, ident), compartment

    def linked(self, imported_patients: Sequence[str]) -> dict[str, set[str]]:
        """The local Patients that each imported one has been received for."""
        found: dict[str, set[str]] = {}
        columns = (IMPORTED.c.local_id, IMPORTED.c.local_patient)
        with self.engine.connect() as connection:
            for some in portions(imported_patients):
                statement = select(*columns).where(
                    IMPORTED.c.type == "Patient", IMPORTED.c.local_id.in_(some)
                )
                for imported, local in connection.execute(statement):
                    found.setdefault(imported, set()).add(local)
        return found

    def stored(self, task_ids: Sequence[str]) -> Counter[str]:
        """How many resources each Task brought."""
        return self._count(IMPORTED, task_ids)

    def turned_away(self, task_ids: Sequence[str]) -> dict[str, Counter[str]]:
        """How many lines of each Task were turned away, by reason."""
        found: dict[str, Counter[str]] = {}
        columns = QUARANTINE.c
        with self.engine.connect() as connection:
            for some in portions(task_ids):
                statement = (
                    select(columns.task_id, columns.reason, func.count())
                    .where(columns.task_id.in_(some))
                    .group_by(columns.task_id, columns.reason)
                )
                for task, reason, count in connection.execute(statement):
                    found.setdefault(task, Counter())[reason] += count
        return found

    def _count(self, table: Any, task_ids: Sequence[str]) -> Counter[str]:
        found: Counter[str] = Counter()
        with self.engine.connect() as connection:
            for some in portions(task_ids):
                statement = (
                    select(table.c.task_id, func.count())
                    .where(table.c.task_id.in_(some))
                    .group_by(table.c.task_id)
                )
                for task, count in connection.execute(statement):
                    found[task] = count
        return found


def portions(items: Iterable[T], size: int = _PORTION) -> Iterator[list[T]]:
    """The items in lists of at most so many."""
    found: list[T] = []
    for item in items:
        found.append(item)
        if len(found) == size:
            yield found
            found = []
    if found:
        yield found
