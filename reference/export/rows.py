"""The rows of jobs: what is to be done, by whom it is being done, and about whom it is."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Engine,
    Index,
    Integer,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
    update,
)

from ..clock import instant
from ..fhir import json
from ..fhir.dates import parse_moment

ACCEPTED, RUNNING, COMPLETE, FAILED = "accepted", "running", "complete", "failed"
_BATCH = 5000

_METADATA = MetaData()
_JOB = Table(
    "export_job",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("client_id", String, nullable=False, index=True),
    Column("request", Text, nullable=False),
    Column("content", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("progress", String, nullable=False),
    Column("created", String, nullable=False),
    Column("transaction_time", String, nullable=False),
    Column("expires", String, nullable=False),
    Column("result", Text, nullable=False),
    # The number of the resource that was stored last when the job began.
    Column("bound", Integer),
    Column("has_members", Boolean, nullable=False),
    # In which order jobs came, and in which they were taken up.
    Column("number", Integer, nullable=False),
    Column("taken", Integer, nullable=False),
    # Who does it now: the run alone may write to the row; the ticket finds it after a crash.
    Column("run", String, nullable=False),
    Column("ticket", String, nullable=False),
    Index("export_job_state", "state"),
)
_MEMBER = Table(
    "export_member",
    _METADATA,
    Column("job_id", String, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("member", String, nullable=False),
)


@dataclass(frozen=True, slots=True)
class JobMembers:
    """Members of a job, in order, read from the database as they are asked for."""

    engine: Engine = field(repr=False, compare=False)
    job_id: str
    left_out: frozenset[str] = field(default=frozenset(), repr=False)
    """Those that are not told, whom the job was to be about and its files are not."""

    def __iter__(self) -> Iterator[str]:
        return (member for member in self.after(0) if member not in self.left_out)

    def __len__(self) -> int:
        statement = select(func.count()).where(_MEMBER.c.job_id == self.job_id)
        with self.engine.connect() as connection:
            return int(connection.scalar(statement) or 0) - len(self.left_out)

    def after(self, count: int) -> Iterator[str]:
        """All but the first so many, whoever is left out."""
        while found := self._part(count):
            yield from found
            count += len(found)

    def _part(self, start: int) -> list[str]:
        statement = (
            select(_MEMBER.c.member)
            .where(_MEMBER.c.job_id == self.job_id, _MEMBER.c.position >= start)
            .order_by(_MEMBER.c.position)
            .limit(_BATCH)
        )
        with self.engine.connect() as connection:
            return [member for (member,) in connection.execute(statement)]


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it stands in the database; `kind` says which work does it.

    `content` and `result` hold under `members`, when it is about any, whom it is to be about and
    whose records its files hold: as JobMembers, for they can be many.
    """

    id: str
    kind: str
    client_id: str
    request: str
    content: Mapping[str, Any]
    state: str
    progress: str
    created: datetime
    transaction_time: str
    expires: str
    result: Mapping[str, Any]
    bound: int | None = None
    """The number of the last resource that was stored when it began; None: no bound."""
    run: str = ""


class JobRows:
    """The jobs in one database; each taken up by one run at a time, the clients in turn."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)

    def add(
        self, ident: str, kind: str, client_id: str, request: str, content: Mapping[str, Any], *,
        created: datetime, bound: int | None,
    ) -> Job:  # fmt: skip
        """Write a job down; its `members`, which can be many, in a table of their own."""
        plain = {name: value for name, value in content.items() if name != "members"}
        number = select(func.coalesce(func.max(_JOB.c.number), 0) + 1).scalar_subquery()
        with self._engine.begin() as connection:
            for part in _member_rows(ident, content.get("members", ())):
                connection.execute(insert(_MEMBER), part)
            connection.execute(
                insert(_JOB).values(
                    id=ident, kind=kind, client_id=client_id, request=request,
                    content=json.write(plain).decode(), state=ACCEPTED, progress=ACCEPTED,
                    created=instant(created), transaction_time=instant(created), expires="",
                    result="{}", bound=bound, has_members="members" in content,
                    number=number, taken=0, run="", ticket="",
                )
            )  # fmt: skip
        return self._only(_JOB.c.id == ident)

    def take(self, ticket: str = "") -> Job | None:
        """The next job to do, now the caller's; None when there is none.

        First the one that the ticket was taken up with before, if that never ended. Else the
        oldest of the client that has waited longest, so that nobody queues behind another's many.
        """
        if ticket:
            begun = self.where(_JOB.c.ticket == ticket, _JOB.c.state == RUNNING)
            if begun:
                return self._take(begun[0], ticket)
        while found := self._next():
            taken = self._take(found, ticket)
            if taken:
                return taken
        return None

    def _next(self) -> Job | None:
        others = _JOB.alias()
        served = (
            select(func.max(others.c.taken))
            .where(others.c.client_id == _JOB.c.client_id)
            .scalar_subquery()
        )
        found = self.where(_JOB.c.state == ACCEPTED, order=(served, _JOB.c.number), limit=1)
        return found[0] if found else None

    def _take(self, job: Job, ticket: str) -> Job | None:
        run = secrets.token_hex(8)
        turn = select(func.max(_JOB.c.taken) + 1).scalar_subquery()
        mine = self._change(
            (_JOB.c.id == job.id, _JOB.c.state == job.state, _JOB.c.run == job.run),
            state=RUNNING, progress="in progress", run=run, ticket=ticket, taken=turn,
        )  # fmt: skip
        return self._only(_JOB.c.run == run) if mine else None

    def give_back(self) -> int:
        """Let what a stopped process left be taken up again; returns how many jobs wait now.

        What was taken up with a ticket is given back by whoever gives out the tickets.
        """
        self._change((_JOB.c.state == RUNNING, _JOB.c.ticket == ""), state=ACCEPTED, run="")
        return len(self.where(_JOB.c.state == ACCEPTED))

    def update(self, job: Job, **values: Any) -> bool:
        """Change the row of a job that the caller's run does; False when that run is over."""
        return self._change((_JOB.c.id == job.id, _JOB.c.run == job.run), **values)

    def is_mine(self, job: Job) -> bool:
        """Whether the job is still there and still the run's that asks."""
        return bool(self.where(_JOB.c.id == job.id, _JOB.c.run == job.run))

    def exists(self, job: Job) -> bool:
        """Whether the job is still there."""
        return bool(self.where(_JOB.c.id == job.id))

    def remove(self, job: Job) -> None:
        """Take a job out, and whom it is about."""
        with self._engine.begin() as connection:
            connection.execute(delete(_JOB).where(_JOB.c.id == job.id))
            connection.execute(delete(_MEMBER).where(_MEMBER.c.job_id == job.id))

    def expired(self, now: datetime) -> list[Job]:
        """The jobs whose results have expired."""
        return self.where(_JOB.c.expires != "", _JOB.c.expires <= instant(now))

    def of(self, client_id: str, job_id: str | None = None) -> list[Job]:
        """The jobs of a client, or the one with an id."""
        conditions = [_JOB.c.client_id == client_id]
        if job_id is not None:
            conditions.append(_JOB.c.id == job_id)
        return self.where(*conditions)

    def unfinished(self, client_id: str) -> int:
        """How many jobs of a client have not ended."""
        statement = select(func.count()).where(
            _JOB.c.client_id == client_id, _JOB.c.state.in_([ACCEPTED, RUNNING])
        )
        with self._engine.connect() as connection:
            return int(connection.scalar(statement) or 0)

    def where(self, *conditions: Any, order: Any = (), limit: int | None = None) -> list[Job]:
        """The jobs for which all conditions hold."""
        statement = select(_JOB).where(*conditions).order_by(*order).limit(limit)
        with self._engine.connect() as connection:
            return [self._job(row) for row in connection.execute(statement).mappings()]

    def _only(self, condition: Any) -> Job:
        [found] = self.where(condition)
        return found

    def _change(self, conditions: Any, **values: Any) -> bool:
        with self._engine.begin() as connection:
            changed = connection.execute(update(_JOB).where(*conditions).values(**values))
        return changed.rowcount > 0

    def _job(self, row: RowMapping) -> Job:
        created = parse_moment(row["created"])
        assert created is not None
        content, result = json.read(row["content"]), json.read(row["result"])
        if row["has_members"]:
            left_out = frozenset(result.get("left_out", ()))
            content["members"] = JobMembers(self._engine, row["id"])
            if row["state"] == COMPLETE:
                result["members"] = JobMembers(self._engine, row["id"], left_out)
        same = ("id", "kind", "client_id", "request", "state", "progress", "transaction_time",
                "expires", "bound", "run")  # fmt: skip
        return Job(
            created=created,
            content=content,
            result=result,
            **{name: row[name] for name in same},
        )


def _member_rows(ident: str, members: Iterable[str]) -> Iterator[list[dict[str, Any]]]:
    rows = (
        {"job_id": ident, "position": position, "member": member}
        for position, member in enumerate(members)
    )
    while part := list(islice(rows, _BATCH)):
        yield part
