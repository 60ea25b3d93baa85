"""Opening the database of a payer: SQLite by default, PostgreSQL by URL."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, make_url
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from ..errors import SettingsError

# WAL lets readers go on while one writer writes; NORMAL loses at most the last transactions of a
# power cut, never consistency; five seconds is how long a writer waits for another.
_SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=NORMAL",
    "PRAGMA busy_timeout=5000",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-65536",
)


def open_database(url: str) -> Engine:
    """Return an engine for the URL, a SQLAlchemy URL or the plain `postgresql://` form.

    Raises SettingsError when the URL cannot be read or its driver is not installed.
    """
    if url.startswith(("postgresql://", "postgres://")):
        url = "postgresql+psycopg://" + url.split("://", 1)[1]
    try:
        parsed = make_url(url)
        engine = create_engine(parsed, **_pooling(parsed))
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(
            "The database URL cannot be read. Give sqlite:///FILE or postgresql://USER@HOST/NAME."
        ) from error
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"The database driver {error.name} is missing. "
            "Install payer-exchange with its extra: pip install 'payer-exchange[postgresql]'."
        ) from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_pragmas)
    return engine


def _pooling(url: URL) -> dict[str, Any]:
    embedded = url.get_backend_name() == "sqlite"
    if embedded and url.database in (None, "", ":memory:"):
        return {}  # one connection, or each would have a database of its own
    # The connection used last comes first, so that not every one of them fills its cache.
    return {"pool_use_lifo": True, "pool_pre_ping": not embedded}


def open_data_dir(data_dir: Path, name: str) -> Engine:
    """Return an engine for the SQLite file `name`.sqlite in a folder, which is made if missing."""
    data_dir.mkdir(parents=True, exist_ok=True)
    return open_database(f"sqlite:///{data_dir / name}.sqlite")


def put_row(connection: Connection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert a row, or change the one with the same primary key."""
    put_rows(connection, table, [values])


def put_rows(connection: Connection, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Insert rows, all of the same columns, or change those with the same primary key.

    One statement, so that two writers of the same row cannot fail each other.
    """
    values = list(rows)
    if not values:
        return
    connection.execute(_upsert(connection.dialect.name, table, *values[0]), values)


@lru_cache(maxsize=64)
def _upsert(dialect: str, table: Table, *names: str) -> Any:
    """Made once for each table: to make it costs more than to run it."""
    insert: Any = sqlite_insert if dialect == "sqlite" else postgresql_insert
    keys = [column.name for column in table.primary_key]
    statement = insert(table)
    changed = {name: statement.excluded[name] for name in names if name not in keys}
    return statement.on_conflict_do_update(index_elements=keys, set_=changed)


def _set_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in _SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
