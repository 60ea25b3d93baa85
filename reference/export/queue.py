"""Jobs done by worker processes, on as many machines as share the database and the data folder.

PostgreSQL is the queue, by procrastinate. A ticket in it says that some job waits; which one is
decided when it is taken up, so that clients take turns. The ticket of a worker that died is given
out again, and leads to the very job that the dead one had.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, text

from ..errors import SettingsError
from .jobs import ExportJobs

if TYPE_CHECKING:
    from procrastinate import App

QUEUE = "payer-exchange-jobs"
TASK = "payer_exchange.do_next"
HEARTBEAT_S = 5.0
# A worker that was silent for so many heartbeats is dead.
_SILENT = 4
_LOCK = 0x70617965  # any number, the same in all processes


def offers(engine: Engine, *, heartbeat_s: float = HEARTBEAT_S) -> Callable[[], bool] | None:
    """What gives a ticket to the workers and says whether there are any; None without PostgreSQL.

    Without a living worker no ticket is given: the process that asked does the job itself.
    """
    if engine.dialect.name != "postgresql":
        return None

    def offer() -> bool:
        if not _workers(engine, heartbeat_s * _SILENT):
            return False
        with app_of(engine).open() as app:
            app.configure_task(TASK, queue=QUEUE, allow_unknown=True).defer()
        return True

    return offer


def app_of(engine: Engine) -> App:
    """The procrastinate application on the engine's database, for use without an event loop.

    Raises SettingsError when procrastinate is not installed.
    """
    procrastinate = _procrastinate()
    connector = procrastinate.SyncPsycopgConnector(conninfo=_url(engine), min_size=1, max_size=1)
    app: App = procrastinate.App(connector=connector)
    return app


def work(
    jobs: ExportJobs, *, heartbeat_s: float = HEARTBEAT_S, ready: Callable[[], None] = lambda: None
) -> None:
    """Do jobs, one at a time, until SIGTERM or SIGINT; the job under way is ended first.

    `ready` is called once jobs can come.

    Raises SettingsError when procrastinate is not installed or the database is not PostgreSQL.
    """
    if jobs.engine.dialect.name != "postgresql":
        raise SettingsError("Workers share a PostgreSQL. Give --database postgresql://...")
    prepare(jobs.engine)
    ready()
    asyncio.run(_work(jobs, heartbeat_s))


def prepare(engine: Engine) -> None:
    """Make the tables of the queue unless they are there, whoever else is about to do so."""
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:n)"), {"n": _LOCK})
        try:
            if not _has_queue(connection):
                with app_of(engine).open() as app:
                    app.schema_manager.apply_schema()
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:n)"), {"n": _LOCK})


async def _work(jobs: ExportJobs, heartbeat_s: float) -> None:
    procrastinate = _procrastinate()
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_url(jobs.engine)))

    # A database that was away for a moment must not leave a job without its ticket.
    again = procrastinate.RetryStrategy(max_attempts=100, wait=1)

    @app.task(name=TASK, queue=QUEUE, pass_context=True, retry=again)  # type: ignore[untyped-decorator]
    def do_next(context: Any) -> None:
        jobs.do_next(str(context.job.id))

    async with app.open_async():
        rescue = asyncio.create_task(_rescue(app, heartbeat_s))
        try:
            await app.run_worker_async(
                queues=[QUEUE],
                concurrency=1,
                delete_jobs="always",
                fetch_job_polling_interval=heartbeat_s,
                update_heartbeat_interval=heartbeat_s,
                stalled_worker_timeout=heartbeat_s * _SILENT,
            )
        finally:
            rescue.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await rescue


async def _rescue(app: App, heartbeat_s: float) -> None:
    """Give out the tickets of dead workers again."""
    while True:
        for ticket in await app.job_manager.get_stalled_jobs(
            queue=QUEUE, seconds_since_heartbeat=heartbeat_s * _SILENT
        ):
            # Another worker may have been quicker.
            with contextlib.suppress(_procrastinate().exceptions.ConnectorException):
                await app.job_manager.retry_job(ticket)
        await asyncio.sleep(heartbeat_s)


def _workers(engine: Engine, silent_s: float) -> int:
    """How many workers have lately been heard of."""
    with engine.connect() as connection:
        if not _has_queue(connection):
            return 0
        statement = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - "
        found = connection.execute(text(f"{statement} make_interval(secs => :s)"), {"s": silent_s})
        return int(found.scalar() or 0)


def _has_queue(connection: Any) -> bool:
    found = connection.execute(text("SELECT to_regclass('procrastinate_workers')"))
    return found.scalar() is not None


def _url(engine: Engine) -> str:
    url = engine.url.set(drivername="postgresql")
    return url.render_as_string(hide_password=False)


def _procrastinate() -> Any:
    try:
        import procrastinate  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            "procrastinate is not installed. Install payer-exchange with its extra: "
            "pip install 'payer-exchange[postgresql]'."
        ) from error
    return procrastinate
