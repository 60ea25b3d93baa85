"""Files of a finished export without the members whose consent has ended since (pdex-156).

A batch is not thrown away for one of its members: what is about them is left out line by line,
while the file is sent, and what nobody else refers to. What others share with them stays.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from ..fhir import json
from ..fhir.ndjson import file_lines
from ..fhir.references import references_in, split_reference
from ..store.repository import Key, Repository

_BATCH = 500


def lines_without(path: Path, gone: Collection[str], repository: Repository) -> Iterator[bytes]:
    """The lines of a file that are about none of the members, in blocks that end with a break."""
    theirs = repository.only_of(sorted(gone))
    lines = file_lines(path)
    while batch := list(islice(lines, _BATCH)):
        about = [list(_about(json.read(line))) for line in batch]
        owners = repository.compartments_of(key for keys in about for key in keys)
        kept = [
            line
            for line, keys in zip(batch, about, strict=True)
            if not any(_owner(key, owners) in gone or key in theirs for key in keys)
        ]
        yield b"".join(line + b"\n" for line in kept)


def _about(resource: dict[str, Any]) -> Iterator[Key]:
    """What a line is about: itself, or what a Provenance or a deletion names."""
    kind = str(resource.get("resourceType"))
    if kind == "Provenance":
        found = map(split_reference, references_in({"target": resource.get("target")}))
        yield from (key for key in found if key)
    elif kind != "Bundle":
        yield kind, str(resource.get("id"))


def _owner(key: Key, owners: dict[Key, str]) -> str:
    return key[1] if key[0] == "Patient" else owners.get(key, "")
