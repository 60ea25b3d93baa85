"""Whose each line is, where a file holds many members' resources."""

from __future__ import annotations

import re

import pytest
from payer_exchange.reference.fhir import json
from payer_exchange.reference.intake.crew import BLOCK, blocks
from payer_exchange.reference.intake.owners import (
    EVERYBODY,
    NOBODY,
    UNKNOWN,
    UNOWNED,
    Sorting,
    pointed_at,
    sort_line,
)

BASE = "https://old.test/fhir"
MEMBERS = {"p": 0, "q": 1}
FOREIGN = "A resource is about another member."


def line(kind, ident, **more):
    return json.write({"resourceType": kind, "id": ident, **more})


def ref(text):
    return {"reference": text}


def sort(*files):
    """The sorting of files, each (type, lines), with what points at what taken into account."""
    sorting = Sorting()
    for kind, bodies in files:
        sorting.begin()
        sorting.take([sort_line(body, kind, MEMBERS, BASE) for body in bodies])
    pattern, referrers = sorting.follow(), {}
    if pattern:
        for number, (_, bodies) in enumerate(files):
            for body, owner in zip(bodies, sorting.lines[number], strict=True):
                for key in pointed_at(body, pattern) if owner >= EVERYBODY else ():
                    referrers.setdefault(key, set()).add(owner)
        sorting.finish(referrers)
    return sorting


@pytest.mark.parametrize(
    ("kind", "body", "owner", "fault"),
    [
        ("Condition", line("Condition", "1", subject=ref("Patient/q")), 1, ""),
        ("Condition", line("Condition", "1", subject=ref(f"{BASE}/Patient/p")), 0, ""),
        ("Condition", line("Condition", "1", subject=ref("Patient/stranger")), NOBODY, FOREIGN),
        ("Patient", line("Patient", "stranger"), NOBODY, FOREIGN),
        ("Patient", line("Patient", "p"), 0, ""),
        ("Practitioner", line("Practitioner", "1"), EVERYBODY, ""),
        ("Condition", line("Observation", "1", subject=ref("Patient/p")), 0,
         "A line holds another type than its file."),
        ("Condition", line("Condition", "1", subject=ref("Patient/p"), meta=[]), 0,
         "A resource has not the shape of R4."),
        ("Condition", b"{", NOBODY, "A line is not JSON."),
        ("Condition", b"[]", NOBODY, "A line is not a JSON object."),
        ("Condition", b'{"resourceType":"Condition","id":"a b"}', NOBODY,
         "A Condition has no id of 1 to 64 letters, digits, hyphens and dots."),
        ("Condition", b'{"resourceType":"Condition","id":"1","a":' + b"[" * 70 + b"]" * 70 + b"}",
         NOBODY, "A line is nested deeper than 64 levels."),
        ("Condition", b'{"resourceType":"Condition","id":"1","a":"\\u0000"}', NOBODY,
         "A line holds the character NUL, which no text in FHIR may hold."),
    ],
)  # fmt: skip
def test_a_line_tells_whose_it_is_or_why_it_is_nobodys(kind, body, owner, fault):
    _, found, told, _ = sort_line(body, kind, MEMBERS, BASE)
    assert (found, told) == (owner, fault)


def test_deep_but_allowed_lines_pass():
    body = b'{"resourceType":"Condition","id":"1","subject":{"reference":"Patient/p"},"a":%b}'
    assert sort_line(body % (b"[" * 62 + b"]" * 62), "Condition", MEMBERS, BASE)[2] == ""


def test_what_names_nobody_is_found_by_what_it_points_at_or_what_points_at_it():
    sorting = sort(
        ("Binary", [line("Binary", "seen"), line("Binary", "both"), line("Binary", "lost")]),
        ("Provenance", [
            line("Provenance", "of-binary", target=[ref("Binary/seen")]),
            line("Provenance", "of-p", target=[ref("DocumentReference/1")]),
            line("Provenance", "of-both", target=[ref("Patient/p"), ref("Patient/q")]),
            line("Provenance", "of-nobody", target=[ref("Patient/stranger")]),
        ]),
        ("Patient", [line("Patient", "p"), line("Patient", "q")]),
        ("DocumentReference", [
            line("DocumentReference", "1", subject=ref("Patient/p"),
                 content=[{"attachment": {"url": "Binary/seen"}},
                          {"attachment": {"url": f"{BASE}/Binary/both"}}]),
            line("DocumentReference", "2", subject=ref("Patient/q"),
                 content=[{"attachment": {"url": "Binary/both"}}]),
        ]),
    )  # fmt: skip
    assert sorting.lines[0].tolist() == [0, EVERYBODY, UNKNOWN]
    assert sorting.lines[1].tolist() == [0, 0, EVERYBODY, UNKNOWN]
    assert sorting.faults == {(0, 2): (UNOWNED, NOBODY), (1, 3): (UNOWNED, NOBODY)}


def test_what_comes_twice_comes_once():
    body = line("Condition", "1", subject=ref("Patient/p"))
    other = line("Condition", "1", subject=ref("Patient/q"))
    sorting = sort(("Condition", [body, body]), ("Condition", [other]))
    assert sorting.faults == {
        (0, 1): ("A resource came twice.", 0),
        (1, 0): ("A resource came twice.", 1),
    }
    assert sorting.owners == {"Condition/1": 0}


@pytest.mark.parametrize("end", [b"\n", b"", b"\r\n\r\n \n"])
def test_blocks_hold_every_line_once_and_whole(tmp_path, end):
    lines = [b"%d%b" % (n, b"x" * (n * 7919 % 50_000)) for n in range(200)]
    path = tmp_path / "lines"
    path.write_bytes(b"\r\n".join(lines) + end)
    found = list(blocks(path))
    assert len(found) > path.stat().st_size // (BLOCK * 2)
    assert [x for block in found for x in block.lines()] == lines
    assert re.fullmatch(rb"\d+x*", lines[-1])
