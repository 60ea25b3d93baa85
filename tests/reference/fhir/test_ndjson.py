"""Lines out of chunks, wherever the chunks end."""

from __future__ import annotations

import gzip
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payer_exchange.reference.errors import RecordRejected
from payer_exchange.reference.fhir.ndjson import count_lines, file_lines, lines_of

LINES = ['{"a":"ü€😀"}'.encode(), b'{"b":1}', '{"c":"\u2028\u0085"}'.encode()]
STREAM = b"\n".join(LINES) + b"\n"


@pytest.mark.parametrize("place", range(len(STREAM) + 1))
def test_a_chunk_may_end_at_any_byte(place):
    assert list(lines_of([STREAM[:place], STREAM[place:]])) == LINES


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_chunks_may_be_any(places):
    places = [0, *sorted(places), len(STREAM)]
    chunks = [STREAM[a:b] for a, b in itertools.pairwise(places)]
    assert list(lines_of(chunks)) == LINES


@pytest.mark.parametrize(
    ("stream", "lines"),
    [
        (b"", []),
        (b"\n\n\n", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\r\n\r\nb\r", [b"a", b"b"]),
        (b" \n\t\na", [b"a"]),
    ],
)
def test_line_ends_and_blank_lines(stream, lines):
    for size in (1, 2, 100):
        chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
        assert list(lines_of(chunks)) == lines


@given(st.lists(st.sampled_from([b"{", b"\n", b"\r\n", b" ", b"x", b'{"a":1}\n', b""])),
       st.lists(st.integers(0, 40), max_size=9))  # fmt: skip
def test_lines_that_are_only_counted_are_as_many(pieces, places):
    stream = b"".join(pieces)
    places = [0, *sorted(places), len(stream)]
    chunks = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert count_lines(chunks) == len(list(lines_of(chunks)))
    assert count_lines(pieces) == len(list(lines_of(pieces)))


@pytest.mark.parametrize("size", [1, 7, 10, 11, 1000])
def test_a_line_over_the_limit_is_refused(size):
    stream = b"x" * 10 + b"\n" + b"y" * 11 + b"\n"
    chunks = [stream[i : i + size] for i in range(0, len(stream), size)]
    found = lines_of(chunks, max_line=10)
    assert next(found) == b"x" * 10
    with pytest.raises(RecordRejected, match="longer than 10 bytes"):
        next(found)


def test_a_line_without_end_is_refused_before_memory_is_full():
    taken = []

    def endless():
        while True:
            taken.append(1)
            yield b"x" * 1000

    with pytest.raises(RecordRejected):
        list(lines_of(endless(), max_line=10_000))
    assert len(taken) <= 12


def test_a_file_may_be_gzip_whatever_its_name(tmp_path):
    plain, packed = tmp_path / "a.ndjson", tmp_path / "b.ndjson"
    plain.write_bytes(STREAM)
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb") as stream:
        stream.write(STREAM)
    packed.write_bytes(buffer.getvalue())
    assert list(file_lines(plain)) == list(file_lines(packed)) == LINES
