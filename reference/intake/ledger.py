"""What each exchange brought: which resource became which, and which lines were turned away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import (
    Column,
    ColumnElement,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
)

from ..store.repository import Key

_METADATA = MetaData()
IMPORTED = Table(
    "imported_resource",
    _METADATA,
    Column("task_id", String, primary_key=True),
    Column("type", String, primary_key=True),
    Column("local_id", String, primary_key=True, index=True),
    Column("source_id", String, nullable=False),
    Column("issuer", String, nullable=False),
    Column("compartment", String, nullable=False, index=True),
    Column("local_patient", String, nullable=False),
    Column("document", String, nullable=False),
)
QUARANTINE = Table(
    "quarantined_line",
    _METADATA,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("task_id", String, nullable=False, index=True),
    Column("file", String, nullable=False),
    Column("line", Integer, nullable=False),
    Column("reason", String, nullable=False),
    Column("body", LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Imported:
    """One resource that one exchange brought."""

    task_id: str
    type: str
    local_id: str
    source_id: str
    issuer: str
    compartment: str
    local_patient: str
    document: str

    @property
    def key(self) -> Key:
        """Type and local id."""
        return self.type, self.local_id


@dataclass(frozen=True, slots=True)
class Quarantined:
    """One line that was not imported, kept for a person to look at."""

    task_id: str
    file: str
    line: int
    reason: str
    body: bytes


class Ledger:
    """The imports of one requesting payer."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)
        # A database that is older than an index gets it now.
        for index in (*IMPORTED.indexes, *QUARANTINE.indexes):
            index.create(engine, checkfirst=True)

    def begin(self, task_id: str) -> None:
        """Forget what was written of an exchange, as before its transformation is done again."""
        with self._engine.begin() as connection:
            for table in (IMPORTED, QUARANTINE):
                connection.execute(delete(table).where(table.c.task_id == task_id))

    def add(self, entries: Iterable[Imported], turned_away: Iterable[Quarantined] = ()) -> None:
        """Write down what became of received lines."""
        with self._engine.begin() as connection:
            for table, rows in ((IMPORTED, entries), (QUARANTINE, turned_away)):
                values = [asdict(row) for row in rows]
                if values:
                    connection.execute(insert(table), values)

    def of(self, task_id: str) -> Iterator[Imported]:
        """What an exchange brought, by type and id."""
        columns = IMPORTED.c
        statement = (
            select(IMPORTED)
            .where(columns.task_id == task_id)
            .order_by(columns.type, columns.local_id)
        )
        with self._engine.connect() as connection:
            result = connection.execution_options(yield_per=500).execute(statement)
            for row in result.mappings():
                yield Imported(**row)

    def counts(self, task_id: str) -> dict[str, int]:
        """How many resources of each type an exchange brought."""
        statement = (
            select(IMPORTED.c.type, func.count())
            .where(IMPORTED.c.task_id == task_id)
            .group_by(IMPORTED.c.type)
            .order_by(IMPORTED.c.type)
        )
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def known(self, issuer: str, imported_patient: str) -> set[Key]:
        """(type, source id) of all that this member's resources of a source may refer to."""
        columns = IMPORTED.c
        statement = (
            select(columns.type, columns.source_id)
            .distinct()
            .where(columns.issuer == issuer, columns.compartment.in_(["", imported_patient]))
        )
        with self._engine.connect() as connection:
            return {(kind, ident) for kind, ident in connection.execute(statement)}

    def source_ids(self, issuer: str, imported_patient: str) -> dict[Key, str]:
        """The source id of each local (type, id), for what `known` tells."""
        columns = IMPORTED.c
        statement = select(columns.type, columns.local_id, columns.source_id).where(
            columns.issuer == issuer, columns.compartment.in_(["", imported_patient])
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement)
            return {(kind, local): source for kind, local, source in rows}

    def owners(self, keys: Sequence[Key]) -> dict[Key, str]:
        """The compartment of each imported (type, local id) there is; empty for what is shared."""
        found: dict[Key, str] = {}
        columns = IMPORTED.c
        with self._engine.connect() as connection:
            for start in range(0, len(keys), 500):
                idents = [ident for _, ident in keys[start : start + 500]]
                statement = select(columns.type, columns.local_id, columns.compartment).where(
                    columns.local_id.in_(idents)
                )
                for kind, ident, owner in connection.execute(statement):
                    found[kind, ident] = owner
        return found

    def drop(self, keys: Sequence[Key]) -> None:
        """Forget resources, whichever exchange brought them."""
        with self._engine.begin() as connection:
            for kind, ident in keys:
                connection.execute(
                    delete(IMPORTED).where(IMPORTED.c.type == kind, IMPORTED.c.local_id == ident)
                )

    def local_patients(self, imported_patient: str) -> set[str]:
        """The local Patients that an imported one has been received for."""
        statement = select(IMPORTED.c.local_patient).where(
            IMPORTED.c.type == "Patient", IMPORTED.c.local_id == imported_patient
        )
        with self._engine.connect() as connection:
            return set(connection.execute(statement).scalars())

    def imported_patients(self, local_patient: str) -> dict[str, str]:
        """The imported Patients of a local one, each with the issuer it came from."""
        statement = select(IMPORTED.c.local_id, IMPORTED.c.issuer).where(
            IMPORTED.c.type == "Patient", IMPORTED.c.local_patient == local_patient
        )
        with self._engine.connect() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def only_of(self, task_id: str) -> list[Key]:
        """What no other exchange brought as well."""
        other = IMPORTED.alias()
        brought = select(other.c.task_id).where(
            other.c.local_id == IMPORTED.c.local_id, other.c.task_id != task_id
        )
        statement = select(IMPORTED.c.type, IMPORTED.c.local_id).where(
            IMPORTED.c.task_id == task_id, ~brought.exists()
        )
        with self._engine.connect() as connection:
            return [(kind, ident) for kind, ident in connection.execute(statement)]

    def quarantined(self, task_id: str) -> list[Quarantined]:
        """The lines of an exchange that were turned away."""
        return self._turned_away(QUARANTINE.c.task_id == task_id)

    def turned_away(self, task_id: str, file: str, line: int) -> Quarantined:
        """One line of an exchange that was turned away, with its bytes."""
        [found] = self._turned_away(*_place(task_id, file, line))
        return found

    def take_back_in(self, line: Quarantined) -> None:
        """Forget that a line was turned away."""
        with self._engine.begin() as connection:
            place = _place(line.task_id, line.file, line.line)
            connection.execute(delete(QUARANTINE).where(*place))

    def _turned_away(self, *where: ColumnElement[bool]) -> list[Quarantined]:
        columns = [c for c in QUARANTINE.columns if c.name != "seq"]
        with self._engine.connect() as connection:
            rows = connection.execute(select(*columns).where(*where)).mappings()
            return [Quarantined(**row) for row in rows]

    def reasons(self, task_id: str) -> dict[str, int]:
        """How many lines of an exchange were turned away, by reason."""
        return dict(sorted(Counter(q.reason for q in self.quarantined(task_id)).items()))


def _place(task_id: str, file: str, line: int) -> tuple[ColumnElement[bool], ...]:
    columns = QUARANTINE.c
    return columns.task_id == task_id, columns.file == file, columns.line == line
