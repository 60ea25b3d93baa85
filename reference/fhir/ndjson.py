"""NDJSON as bytes: lines in, lines out, nothing re-encoded."""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from ..errors import RecordRejected

# One line longer than this is refused: 16 MiB is four times the largest note in the population.
MAX_LINE = 16 * 1024 * 1024
# A line that does not begin as a resource does, and may be blank.
_ODD_LINE = re.compile(rb"\n[^{]")


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


def count_lines(chunks: Iterable[bytes]) -> int:
    """How many lines `lines_of` has of these chunks, without cutting them; long ones count too.

    Where every line begins with a brace, as those of resources do, none of them is blank.
    """
    found, begun = 0, False  # begun: whether the line that a chunk leaves open is not blank
    for chunk in chunks:
        ended = chunk.count(b"\n")
        if ended and not _ODD_LINE.search(chunk):
            found += ended - 1 + (begun or not _is_blank(chunk[: chunk.index(b"\n")]))
            begun = not chunk.endswith(b"\n")
            continue
        *lines, rest = chunk.split(b"\n")
        for line in lines:
            found += begun or not _is_blank(line)
            begun = False
        begun = begun or not _is_blank(rest)
    return found + begun


def _is_blank(line: bytes) -> bool:
    return not line or line.isspace()


def file_lines(path: Path) -> Iterator[bytes]:
    """The lines of an NDJSON file, plain or gzip (by its first bytes, not by its name)."""
    with path.open("rb") as raw:
        gzipped = raw.peek(2)[:2] == b"\x1f\x8b"
        source: BinaryIO = gzip.GzipFile(fileobj=raw) if gzipped else raw  # type: ignore[assignment]
        yield from lines_of(iter(lambda: source.read(1 << 16), b""))
