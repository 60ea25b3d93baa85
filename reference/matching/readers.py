"""Reading by SQL with as little as possible between the caller and the driver."""

from __future__ import annotations

import os
import weakref
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from .strategy import RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Engine


class Readers:
    """Lends one driver connection to one query at a time; safe among threads.

    SQLAlchemy's checkout costs more than the query it would run, and a pool of fixed size would
    make server threads wait. A connection stays open between queries and holds no transaction.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # A database in memory is its one connection; another would see another, empty database.
        self._detaches = not isinstance(engine.pool, SingletonThreadPool | StaticPool)
        self._placeholder = "?" if engine.dialect.paramstyle == "qmark" else "%s"
        self._idle: deque[Any] = deque()
        self._process = os.getpid()
        self._finalizer = weakref.finalize(self, _close_all, self._idle)

    def sql(self, text: str) -> str:
        """Return the statement, written with `?`, in the driver's own style."""
        return text.replace("?", self._placeholder)

    def rows(self, sql: str, parameters: Sequence[str]) -> list[Any]:
        """Return all rows; a connection that has gone stale is replaced once."""
        connection = self._take()
        try:
            return self._fetched(connection, sql, parameters)
        except self._driver_error:
            _close(connection)
        fresh = self._open()
        try:
            return self._fetched(fresh, sql, parameters)
        except self._driver_error as error:
            _close(fresh)
            raise RegistryError(
                f"The member registry cannot be read: {type(error).__name__}."
            ) from error

    def close(self) -> None:
        """Close all idle connections; later queries open new ones."""
        _close_all(self._idle)

    @property
    def _driver_error(self) -> type[Exception]:
        error: type[Exception] = self._engine.dialect.loaded_dbapi.Error
        return error

    def _fetched(self, connection: Any, sql: str, parameters: Sequence[str]) -> list[Any]:
        cursor = connection.cursor()
        cursor.execute(sql, parameters)
        rows: list[Any] = cursor.fetchall()
        cursor.close()
        self._give_back(connection)
        return rows

    def _take(self) -> Any:
        if self._process != os.getpid():
            # A fork must not share its parent's connections, nor close them.
            self._finalizer.detach()
            self._idle, self._process = deque(), os.getpid()
            self._finalizer = weakref.finalize(self, _close_all, self._idle)
        try:
            return self._idle.pop()
        except IndexError:
            return self._open()

    def _open(self) -> Any:
        try:
            fairy = self._engine.raw_connection()
        except SQLAlchemyError as error:
            raise RegistryError("The member registry's database cannot be opened.") from error
        if not self._detaches:
            return fairy
        connection: Any = fairy.driver_connection
        fairy.detach()
        if self._placeholder != "?":
            connection.rollback()
            connection.autocommit = True
        return connection

    def _give_back(self, connection: Any) -> None:
        if self._detaches:
            self._idle.append(connection)
        else:
            connection.close()


def _close(connection: Any) -> None:
    # It is being thrown away, often because it is broken: closing it may fail in any way.
    with suppress(Exception):
        connection.close()


def _close_all(idle: deque[Any]) -> None:
    while idle:
        _close(idle.pop())
