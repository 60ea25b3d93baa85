"""A file as RFC 9110 has it: whole, in part (section 14), or compressed (section 8.4)."""

from __future__ import annotations

import gzip

import pytest
from flask import Flask
from payer_exchange.simulators.file_answers import file_answer

CONTENT = b'{"resourceType":"Patient"}\n' * 40_000
SIZE = len(CONTENT)


@pytest.fixture
def ask(tmp_path):
    """Ask for the file with some headers, of a payer that may compress or not."""
    path, app = tmp_path / "a1b2.ndjson", Flask(__name__)
    path.write_bytes(CONTENT)
    app.add_url_rule("/plain", "plain", lambda: file_answer(path, may_pack=False))
    app.add_url_rule("/packed", "packed", lambda: file_answer(path, may_pack=True))
    client = app.test_client()
    return lambda where="/plain", **headers: client.get(
        where,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        buffered=True,
    )


def test_the_whole_file_says_how_long_it_is_and_that_parts_can_be_had(ask):
    answer = ask()
    assert (answer.status_code, answer.data) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(SIZE)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"] == '"a1b2"'
    assert answer.mimetype == "application/fhir+ndjson"


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-99", 0, 99),
        ("bytes=500000-", 500_000, SIZE - 1),
        ("bytes=-100", SIZE - 100, SIZE - 1),
        (f"bytes=10-{SIZE * 2}", 10, SIZE - 1),
    ],
)
def test_one_range_is_sent_as_that_part(ask, asked, first, last):
    answer = ask(Range=asked)
    assert (answer.status_code, answer.data) == (206, CONTENT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{SIZE}"
    assert answer.headers["Content-Length"] == str(last + 1 - first)


@pytest.mark.parametrize("asked", ["lines=0-9", "bytes=0-9,20-29", "bytes=a-b", "0-9"])
def test_other_ranges_are_answered_with_the_whole(ask, asked):
    answer = ask(Range=asked)
    assert (answer.status_code, answer.data) == (200, CONTENT)


def test_a_part_that_is_not_there_is_refused(ask):
    answer = ask(Range=f"bytes={SIZE}-")
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(("tag", "status"), [('"a1b2"', 206), ('"other"', 200), ('W/"a1b2"', 200)])
def test_a_part_of_another_file_is_not_sent_for_a_part_of_this(ask, tag, status):
    assert ask(Range="bytes=10-", If_Range=tag).status_code == status


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("deflate, gzip;q=0.5", True), ("gzip;q=0", False), ("identity", False),
     ("br", False)],
)  # fmt: skip
def test_a_file_is_compressed_for_who_takes_gzip_and_says_so(ask, accepted, packed):
    answer = ask("/packed", Accept_Encoding=accepted)
    assert answer.headers.get("Content-Encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(answer.data) if packed else answer.data) == CONTENT
    assert answer.headers["Vary"] == "Accept-Encoding"
    assert (answer.headers["ETag"] == '"a1b2"') is not packed


def test_a_payer_that_does_not_compress_compresses_for_nobody(ask):
    answer = ask(Accept_Encoding="gzip")
    assert "Content-Encoding" not in answer.headers
    assert answer.data == CONTENT
