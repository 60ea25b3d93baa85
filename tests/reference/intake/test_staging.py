"""Files that arrive whole or not at all."""

from __future__ import annotations

import gzip

import pytest
from payer_exchange.reference.errors import ExportFailed
from payer_exchange.reference.fhir import json
from payer_exchange.reference.intake.reading import read_lines
from payer_exchange.reference.intake.staging import LineFiles, Staging

LINES = b'{"resourceType":"Goal","id":"1"}\n{"resourceType":"Goal","id":"2"}\n'


@pytest.mark.parametrize(
    "body",
    [LINES, LINES[:-1], gzip.compress(LINES), LINES.replace(b"\n", b"\r\n")],
    ids=["plain", "no-last-line-end", "gzip", "crlf"],
)
def test_a_whole_file_is_kept_as_it_came(tmp_path, body):
    staging = Staging(tmp_path / "s")
    file = staging.take("Goal", [body[:7], body[7:]], count=2)
    assert (file.lines, file.kind) == (2, "Goal")
    assert staging.path(file).read_bytes() == body


@pytest.mark.parametrize("count", [None, 0])
def test_an_empty_file_is_whole(tmp_path, count):
    assert Staging(tmp_path / "s").take("Goal", [], count=count).lines == 0


@pytest.mark.parametrize(
    ("body", "count"),
    [(LINES[:-5], None), (LINES, 3), (gzip.compress(LINES)[:-12], None)],
    ids=["cut-line", "too-few", "cut-gzip"],
)
def test_a_cut_file_leaves_nothing(tmp_path, body, count):
    staging = Staging(tmp_path / "s")
    with pytest.raises(ExportFailed):
        staging.take("Goal", [body], count=count)
    assert not list((tmp_path / "s").iterdir())
    assert not staging.files


def test_a_transfer_that_breaks_leaves_nothing(tmp_path):
    def broken():
        yield LINES
        raise ExportFailed("broke")

    staging = Staging(tmp_path / "s")
    with pytest.raises(ExportFailed):
        staging.take("Goal", broken(), count=None)
    assert not list((tmp_path / "s").iterdir())


def test_gathered_resources_make_one_file_a_type(tmp_path):
    staging = Staging(tmp_path / "s")
    files = LineFiles(staging)
    for body in (b'{"resourceType":"Goal","id":"1","x":1.50}', b'{"resourceType":"Task","id":"1"}'):
        files.add(json.read_exact(body))
    files.finish()
    assert [(f.kind, f.lines) for f in staging.files] == [("Goal", 1), ("Task", 1)]
    assert b"1.50" in staging.path(staging.files[0]).read_bytes()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"[]", "not a JSON object"),
        (b'{"id":"1"}', "no resourceType"),
        (b'{"resourceType":"Goal","id":"a b"}', "no id"),
        (b'{"resourceType":"Goal","id":"1","x":NaN}', "not JSON"),
        (b'{"resourceType":"Goal","id":"1","identifier":{}}', "shape"),
        (b'{"resourceType":"Goal","id":"1","x":' + b"[" * 120 + b"]" * 120 + b"}", "nested"),
        (b'{"resourceType":"Goal","id":"seen"}', "twice"),
    ],
)
def test_a_bad_line_has_its_reason(line, reason):
    [found] = read_lines([line], "Goal", "7", {("Goal", "seen")})
    assert reason in found.fault
