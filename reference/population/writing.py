"""A population on disk: one NDJSON file for each resource type, and members.json."""

from __future__ import annotations

from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import orjson

from .named import SPECIAL
from .people import PAYER_IDENTIFIER, PAYER_NAME
from .requests import match_requests
from .truth import MemberTruth, table_head

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .population import Population

RESPONDING_PAYER = {"identifier": PAYER_IDENTIFIER, "name": PAYER_NAME}
REQUESTING_PAYER = {
    "identifier": {"system": PAYER_IDENTIFIER["system"], "value": "REQUESTING-PAYER"},
    "name": "Requesting Payer Health Plan (test)",
}


def write_population(
    directory: Path,
    population: Population,
    *,
    responding_payer: dict[str, Any] = RESPONDING_PAYER,
    requesting_payer: dict[str, Any] = REQUESTING_PAYER,
    detail: int = 100,
    progress: Callable[[int], None] | None = None,
) -> None:
    """Write the population; memory stays flat, whatever its size.

    `progress` is called with the number of members written so far.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with ExitStack() as files:
        writer = _Writer(directory, files)
        table = files.enter_context((directory / "members.json").open("wb"))
        head = table_head(population, responding_payer, requesting_payer)
        table.write(orjson.dumps(head)[:-1] + b',"members":[')
        for kind, _, body in population.shared():
            writer.write(kind, body)
        told = max(SPECIAL, detail)
        for index in range(population.members):
            member = MemberTruth(told=index < told)
            for entry in population.entries(index):
                writer.write(entry.kind, entry.body)
                member.see(entry)
            row = member.told_of(population.person(index))
            table.write((b",\n" if index else b"\n") + orjson.dumps(row))
            if progress:
                progress(index + 1)
        requests = match_requests(population, responding_payer)
        table.write(b'],\n"requests":' + orjson.dumps(requests) + b"}\n")


class _Writer:
    """Opens each type's file at its first resource and keeps it open until the end."""

    def __init__(self, directory: Path, files: ExitStack) -> None:
        self._directory = directory
        self._files = files
        self._open: dict[str, IO[bytes]] = {}

    def write(self, kind: str, body: bytes) -> None:
        file = self._open.get(kind)
        if file is None:
            path = self._directory / f"{kind}.ndjson"
            file = self._open[kind] = self._files.enter_context(path.open("wb"))
        file.write(body + b"\n")
