"""The same work on many parts: here, in processes, or at the workers of a dask scheduler."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from ..errors import SettingsError

# So many parts are on their way for each worker: none waits, and few results are held.
_WAITING = 3
_CONNECT_S = 20
Part = TypeVar("Part")
Answer = TypeVar("Answer")


def spread(
    work: Callable[[Part], Answer], parts: Sequence[Part], workers: int, scheduler: str = ""
) -> Iterator[Answer]:
    """The answers in the order of the parts.

    With a scheduler's address its workers do the work; they must see the same files under the same
    paths. Raises SettingsError when dask is not installed or the scheduler does not answer.
    """
    if scheduler:
        yield from _by_dask(work, parts, scheduler)
    elif workers < 2 or len(parts) < 2:
        yield from map(work, parts)
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(min(workers, len(parts)), context) as pool:
            yield from pool.map(work, parts)


def _by_dask(
    work: Callable[[Part], Answer], parts: Sequence[Part], scheduler: str
) -> Iterator[Answer]:
    with _client(scheduler) as client:
        most = max(1, len(client.scheduler_info()["workers"])) * _WAITING
        left = iter(parts)
        # Not pure: the same path may hold other bytes than in an earlier run.
        waiting = deque(client.submit(work, one, pure=False) for one in islice(left, most))
        while waiting:
            yield waiting.popleft().result()
            waiting += [client.submit(work, one, pure=False) for one in islice(left, 1)]


def _client(scheduler: str) -> Any:
    try:
        from distributed import Client  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise SettingsError(
            "dask is not installed. Install payer-exchange with its extra: "
            "pip install 'payer-exchange[dask]'."
        ) from error
    connect: Any = Client  # the library tells no types
    try:
        return connect(scheduler, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise SettingsError(
            "No dask scheduler answers at the address given. Give one as tcp://HOST:PORT, as "
            "`dask scheduler` prints it."
        ) from error
