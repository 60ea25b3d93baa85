"""Received lines that do not conform: which, why, and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from ..fhir import json
from .bulk_ledger import portions
from .conformance import OFF, QUARANTINE, Packages, check_block, may_be_set_aside
from .crew import Crew, blocks
from .staging import StagedFile

REPORTED, SET_ASIDE, RELEASED = "reported", "set-aside", "released"
_METADATA = MetaData()
_LINE = Table(
    "nonconforming_line",
    _METADATA,
    # The exchange or the batch that the file came in; the Task is that of the member it is about.
    Column("exchange", String, primary_key=True),
    Column("file", String, primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("task_id", String, nullable=False, index=True),
    Column("type", String, nullable=False),
    Column("state", String, nullable=False),
    Column("findings", String, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Nonconforming:
    """One line with errors: where it came, whose Task it is, and what was found, as JSON."""

    exchange: str
    file: str
    line: int
    task_id: str
    type: str
    state: str
    findings: str

    def as_json(self) -> dict[str, Any]:
        """As the admin API tells it: no word of what the line says."""
        return {"task": self.task_id, "file": self.file, "line": self.line, "type": self.type,
                "state": self.state, "findings": json.read(self.findings.encode())}  # fmt: skip


class Quarantine:
    """What one requesting payer knows of lines that do not conform.

    `mode` says what becomes of them: off (nobody looks), report, or quarantine.
    """

    def __init__(self, engine: Engine, mode: str = OFF, packages: Packages = ()) -> None:
        self._engine = engine
        self.mode = mode
        self.packages = packages
        _METADATA.create_all(engine)

    def check(self, exchange: str, files: Sequence[StagedFile], folder: Path, crew: Crew) -> None:
        """Check every line of staged files anew and write down those with errors."""
        for some in portions(files):
            self._forget(_LINE.c.exchange == exchange, _LINE.c.file.in_([f.name for f in some]))
        for file in files if self.mode != OFF else ():
            for rows in portions(self._unfit(exchange, file, folder, crew)):
                with self._engine.begin() as connection:
                    connection.execute(insert(_LINE), rows)

    def set_aside(self, exchange: str, file: str) -> set[int]:
        """The numbers of the lines of a file that are kept out of the record."""
        return self._lines(exchange, file, SET_ASIDE)

    def settle(self, exchange: str, file: str, task_of: Callable[[int], str | None]) -> None:
        """Say whose Task each line of a file is; what has none is forgotten."""
        for line in self._lines(exchange, file, REPORTED) | self.set_aside(exchange, file):
            task = task_of(line)
            place = (_LINE.c.exchange == exchange, _LINE.c.file == file, _LINE.c.line == line)
            if task is None:
                self._forget(*place)
            elif task != exchange:
                with self._engine.begin() as connection:
                    connection.execute(update(_LINE).where(*place).values(task_id=task))

    def of(self, task_id: str = "", state: str = "") -> list[Nonconforming]:
        """The lines of a Task, or of all of them, by place; only those in a state, if one is given.

        A batch's own Task names the lines of its members as well.
        """
        statement = select(_LINE).order_by(_LINE.c.exchange, _LINE.c.file, _LINE.c.line)
        if task_id:
            statement = statement.where((_LINE.c.task_id == task_id)
                                        | (_LINE.c.exchange == task_id))  # fmt: skip
        if state:
            statement = statement.where(_LINE.c.state == state)
        with self._engine.connect() as connection:
            return [Nonconforming(**row) for row in connection.execute(statement).mappings()]

    def counts(self, task_ids: Sequence[str]) -> dict[str, Counter[str]]:
        """How many lines of each Task are in which state."""
        found: dict[str, Counter[str]] = {}
        columns = (_LINE.c.task_id, _LINE.c.state)
        with self._engine.connect() as connection:
            for some in portions(task_ids):
                statement = (
                    select(*columns, func.count()).where(_LINE.c.task_id.in_(some))
                    .group_by(*columns)
                )  # fmt: skip
                for task, state, count in connection.execute(statement):
                    found.setdefault(task, Counter())[state] += count
        return found

    def total(self, exchange: str) -> Counter[str]:
        """How many lines of an exchange or a whole batch are in which state."""
        statement = (
            select(_LINE.c.state, func.count()).where(_LINE.c.exchange == exchange)
            .group_by(_LINE.c.state)
        )  # fmt: skip
        with self._engine.connect() as connection:
            return Counter({row[0]: row[1] for row in connection.execute(statement)})

    def keep(self, line: Nonconforming) -> None:
        """Write down what became of a line."""
        place = (_LINE.c.exchange == line.exchange, _LINE.c.file == line.file,
                 _LINE.c.line == line.line)  # fmt: skip
        with self._engine.begin() as connection:
            connection.execute(update(_LINE).where(*place).values(**asdict(line)))

    def forget(self, task_id: str) -> None:
        """Forget the lines of a Task, as when its import is taken back."""
        self._forget(_LINE.c.task_id == task_id)

    def _unfit(
        self, exchange: str, file: StagedFile, folder: Path, crew: Crew
    ) -> Iterator[dict[str, Any]]:
        aside = self.mode == QUARANTINE and may_be_set_aside(file.kind)
        before, jobs = 1, ((self.packages, block) for block in blocks(folder / file.name))
        for checked in crew.each(check_block, jobs):
            for one in checked.unfit:
                yield asdict(Nonconforming(
                    exchange, file.name, before + one.before, exchange, file.kind,
                    SET_ASIDE if aside else REPORTED, one.findings,
                ))  # fmt: skip
            before += checked.lines

    def _lines(self, exchange: str, file: str, state: str) -> set[int]:
        statement = select(_LINE.c.line).where(
            _LINE.c.exchange == exchange, _LINE.c.file == file, _LINE.c.state == state
        )
        with self._engine.connect() as connection:
            return set(connection.execute(statement).scalars())

    def _forget(self, *where: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(_LINE).where(*where))


def notes(counts: Counter[str] | None) -> Iterable[str]:
    """What a Task says of lines that were stored although they do not conform."""
    told = (counts or Counter())[REPORTED]
    if told:
        yield (f"{told} received resources do not conform to their profile; they were stored. "
               "The list of what does not conform says why.")  # fmt: skip
