"""The matched Groups a payer keeps: the handles of later exports, each its requester's alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
)

from ..clock import instant
from ..fhir import json
from ..store.database import put_row

_BATCH = 5_000
_METADATA = MetaData()
_GROUP = Table(
    "match_group",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("client_id", String, nullable=False, index=True),
    Column("created", String, nullable=False),
    Column("head", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
_MEMBER = Table(
    "match_group_member",
    _METADATA,
    Column("group_id", String, primary_key=True),
    Column("member", String, primary_key=True),
)


@dataclass(frozen=True, slots=True)
class StoredGroup:
    """One matched Group: `head` is what it says of itself, `body` the whole resource."""

    id: str
    created: str
    head: Mapping[str, Any]
    body: bytes


class MatchGroups:
    """The matched Groups of one responding payer; a client finds its own and no other."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _METADATA.create_all(engine)

    def keep(
        self,
        client_id: str,
        head: Mapping[str, Any],
        body: bytes,
        members: Iterable[str],
        now: datetime,
    ) -> None:
        """Store a Group and whom it holds, all or nothing; the same one twice changes nothing."""
        ident = head["id"]
        values = {
            "id": ident,
            "client_id": client_id,
            "created": instant(now),
            "head": json.write(head).decode(),
            "body": body,
        }
        rows = [{"group_id": ident, "member": m} for m in sorted(set(members))]
        with self._engine.begin() as connection:
            put_row(connection, _GROUP, values)
            connection.execute(delete(_MEMBER).where(_MEMBER.c.group_id == ident))
            for start in range(0, len(rows), _BATCH):
                connection.execute(insert(_MEMBER), rows[start : start + _BATCH])

    def find(self, client_id: str, ident: str) -> StoredGroup | None:
        """The client's Group with that id, or None."""
        statement = select(_GROUP).where(_GROUP.c.id == ident, _GROUP.c.client_id == client_id)
        with self._engine.connect() as connection:
            row = connection.execute(statement).mappings().first()
        return _group(row) if row else None

    def of(self, client_id: str) -> Iterator[StoredGroup]:
        """The client's Groups, oldest first."""
        statement = select(_GROUP).where(_GROUP.c.client_id == client_id)
        with self._engine.connect() as connection:
            ordered = statement.order_by(_GROUP.c.created, _GROUP.c.id)
            for row in connection.execute(ordered).mappings():
                yield _group(row)

    def members(self, ident: str) -> list[str]:
        """This payer's Patients in a Group, by id."""
        statement = select(_MEMBER.c.member).where(_MEMBER.c.group_id == ident)
        with self._engine.connect() as connection:
            return list(connection.execute(statement.order_by(_MEMBER.c.member)).scalars())


def _group(row: RowMapping) -> StoredGroup:
    return StoredGroup(row["id"], row["created"], json.read(row["head"]), bytes(row["body"]))
