"""Failed authentications, counted for each client id by all processes on one database.

Who fails too often waits before anything else is looked at, so that a secret cannot be guessed and
forged assertions cost no signature checks. Ids are counted whether they are registered or not: the
limit does not tell which are.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime

from sqlalchemy import Column, Engine, Float, MetaData, String, Table, delete, insert, select

from ..limits import Limits

_METADATA = MetaData()
_FAILED = Table(
    "failed_authentication",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("client", String, nullable=False, index=True),
    Column("moment", Float, nullable=False, index=True),
)


class FailedAttempts:
    """The failed authentications of a payer's clients, real and pretended."""

    def __init__(self, engine: Engine, limits: Limits | None = None) -> None:
        self._engine = engine
        self._limits = limits or Limits()
        _METADATA.create_all(engine)

    def wait_s(self, client_id: str, now: datetime) -> float:
        """How many seconds the client has to wait before it may try again; 0 when it need not."""
        most, window = self._limits.failed_authentications, self._limits.authentication_window_s
        if not most:
            return 0.0
        moment = now.timestamp()
        statement = (
            select(_FAILED.c.moment)
            .where(_FAILED.c.client == _digest(client_id), _FAILED.c.moment > moment - window)
            .order_by(_FAILED.c.moment.desc())
            .limit(most)
        )
        with self._engine.connect() as connection:
            found = connection.execute(statement).scalars().all()
        return found[-1] + window - moment if len(found) == most else 0.0

    def add(self, client_id: str, now: datetime) -> None:
        """Count one failure; those that no longer count are swept."""
        moment = now.timestamp()
        ended = moment - self._limits.authentication_window_s
        row = {"id": uuid.uuid4().hex, "client": _digest(client_id), "moment": moment}
        with self._engine.begin() as connection:
            connection.execute(delete(_FAILED).where(_FAILED.c.moment <= ended))
            connection.execute(insert(_FAILED).values(row))


def _digest(client_id: str) -> str:
    # What strangers send as an id may be long, and is none of ours to keep.
    return hashlib.sha256(client_id.encode("utf-8", "surrogatepass")).hexdigest()
