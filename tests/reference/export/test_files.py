"""The files of a job: whole or not there, several of a type where one grows long, continued."""

from __future__ import annotations

import json

import pytest
from payer_exchange.reference.export.files import (
    DELETED,
    ERROR,
    OUTPUT,
    FileLimits,
    JobCancelled,
    NdjsonWriter,
)


def line(number, kind="Goal"):
    return json.dumps({"resourceType": kind, "id": str(number)}).encode()


def writer(folder, run="run", *, gone=lambda: False, **limits):
    return NdjsonWriter(folder / "job", run, gone, FileLimits(**limits))


def ids(folder, files, role=OUTPUT):
    """The ids in each file of a role, file by file, as written."""
    return [
        [json.loads(x)["id"] for x in (folder / "job" / f.name).read_bytes().splitlines()]
        for f in files
        if f.role == role
    ]


def test_a_type_that_grows_long_goes_on_in_the_next_file(tmp_path):
    made = writer(tmp_path, lines=3)
    for number in range(7):
        made.write("Goal", line(number))
    made.write("Patient", line("p", "Patient"))
    files = made.finish()
    assert [(f.type, f.count) for f in files] == [
        ("Goal", 3), ("Goal", 3), ("Goal", 1), ("Patient", 1),
    ]  # fmt: skip
    assert ids(tmp_path, files) == [["0", "1", "2"], ["3", "4", "5"], ["6"], ["p"]]


def test_a_file_ends_once_it_is_big(tmp_path):
    made = writer(tmp_path, size=300_000)
    big = b'{"resourceType":"Goal","id":"1","x":"' + b"y" * 200_000 + b'"}'
    for _ in range(4):
        made.write("Goal", big)
    # What is gathered before it goes to a file is two of them; a file past its limit ends.
    assert [f.count for f in made.finish()] == [2, 2]


def test_what_went_wrong_and_what_was_deleted_are_files_of_their_own(tmp_path):
    made = writer(tmp_path)
    made.write("OperationOutcome", b'{"resourceType":"OperationOutcome","id":"o"}')
    made.write("Bundle", b'{"resourceType":"Bundle","id":"gone"}', DELETED)
    made.write("Bundle", b'{"resourceType":"Bundle","id":"kept"}')
    files = made.finish()
    assert ids(tmp_path, files, ERROR) == [["o"]]
    assert ids(tmp_path, files, DELETED) == [["gone"]]
    assert ids(tmp_path, files) == [["kept"]]


def test_line_breaks_and_decimals(tmp_path):
    made = writer(tmp_path)
    for body in (b'{"resourceType":"Goal",\n "x":1.50}', b'{"resourceType":"Goal","y":2.00}'):
        made.write("Goal", body)
    [file] = made.finish()
    content = (tmp_path / "job" / file.name).read_bytes()
    assert content == b'{"resourceType":"Goal","x":1.50}\n{"resourceType":"Goal","y":2.00}\n'


def test_a_job_that_is_gone_writes_no_more(tmp_path):
    gone = []
    made = writer(tmp_path, gone=lambda: bool(gone))
    made.write("Goal", line(1))
    made.checkpoint({})
    gone.append(True)
    made.write("Goal", line(2))
    with pytest.raises(JobCancelled):
        made.finish()
    assert not list(tmp_path.rglob("*.ndjson"))


def test_a_later_run_goes_on_from_the_checkpoint(tmp_path):
    dead = writer(tmp_path, "dead")
    for number in range(3):
        dead.write("Goal", line(number))
    dead.write("Patient", line("p", "Patient"))
    dead.checkpoint({"done": 3})
    for number in range(100, 20_000):
        dead.write("Goal", line(number))
    # Here it dies, or seems to: it may still write where it wrote.
    after = writer(tmp_path, "after")
    assert after.resumed == {"done": 3}
    dead.write("Goal", line("ghost"))
    for number in (3, 4):
        after.write("Goal", line(number))
    files = after.finish()
    dead.close()
    assert sorted(ids(tmp_path, files)) == [["0", "1", "2"], ["3", "4"], ["p"]]
    assert sorted(p.name for p in (tmp_path / "job").iterdir()) == sorted(f.name for f in files)


def test_without_a_checkpoint_a_later_run_begins_anew(tmp_path):
    dead = writer(tmp_path, "dead")
    for number in range(20_000):
        dead.write("Goal", line(number))
    after = writer(tmp_path, "after")
    dead.close()
    assert after.resumed is None
    after.write("Goal", line(1))
    assert ids(tmp_path, after.finish()) == [["1"]]


def test_a_file_shorter_than_its_checkpoint_says_is_not_gone_on_with(tmp_path):
    dead = writer(tmp_path, "dead")
    dead.write("Goal", line(1))
    dead.checkpoint({})
    dead.close()
    [part] = (tmp_path / "job" / "dead").glob("0.part")
    part.write_bytes(part.read_bytes()[:-5])
    with pytest.raises(OSError, match="shorter"):
        writer(tmp_path, "after")
