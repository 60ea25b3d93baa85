"""NDJSON as bytes: lines in, lines out, nothing re-encoded."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import RecordRejected

# One line longer than this is refused: 16 MiB is four times the largest note in the population.
MAX_LINE = 16 * 1024 * 1024


def lines_of(chunks: Iterable[bytes], *, max_line: int = MAX_LINE) -> Iterator[bytes]:
    """The lines of a byte stream without their line ends; blank lines are left out.

    Chunks may end anywhere, inside a character too. Raises RecordRejected on a line over the
    limit, so that memory stays bounded whatever is sent.
    """
    rest = b""
    for chunk in chunks:
        parts = (rest + chunk).split(b"\n") if rest else chunk.split(b"\n")
        rest = parts.pop()
        for part in parts:
            if len(part) > max_line:
                raise RecordRejected(f"A line is longer than {max_line} bytes.")
            line = part.rstrip(b"\r")
            if line.strip():
                yield line
        if len(rest) > max_line:
            raise RecordRejected(f"A line is longer than {max_line} bytes.")
    if rest.strip():
        yield rest.rstrip(b"\r")


def file_lines(path: Path) -> Iterator[bytes]:
    """The lines of an NDJSON file, plain or gzip (by its first bytes, not by its name)."""
    with path.open("rb") as raw:
        gzipped = raw.peek(2)[:2] == b"\x1f\x8b"
        source: BinaryIO = gzip.GzipFile(fileobj=raw) if gzipped else raw  # type: ignore[assignment]
        yield from lines_of(iter(lambda: source.read(1 << 16), b""))
