"""A delivery as a whole: who points at nothing, and files that cannot be read to their end."""

from __future__ import annotations

import gzip
import json

import pytest
from payer_exchange.reference.validation.delivery import LONGEST, validate_files

MEMBER = {"resourceType": "Patient", "id": "m1"}
OBSERVED = {
    "resourceType": "Observation", "id": "o1", "status": "final", "code": {"text": "x"},
    "subject": {"reference": "Patient/m1"},
}  # fmt: skip
NAMED = "urn:uuid:b8d3fd1e-5c0a-4b0f-8f0a-3d9e4d0c0a10"


def observed(reference, name="o1"):
    return {**OBSERVED, "id": name, "subject": {"reference": reference}}


def deliver(folder, *files):
    for number, resources in enumerate(files):
        lines = "".join(json.dumps(r) + "\n" for r in resources)
        (folder / f"{number}.ndjson").write_text(lines)
    return folder


def told(path, workers=1):
    return [(g.finding.severity, g.finding.rule, g.finding.path, g.count, g.places)
            for g in validate_files([path], [], workers=workers).tally.sorted()]  # fmt: skip


def test_what_another_file_holds_is_found_there(tmp_path):
    assert told(deliver(tmp_path, [OBSERVED], [MEMBER])) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_who_points_at_nothing_is_told_once_with_a_count_and_places(tmp_path, workers):
    deliver(tmp_path, [MEMBER, observed("Patient/gone", "o1")], [observed("Patient/gone", "o2")])
    long = len(json.dumps(MEMBER)) + 1
    places = [f"0.ndjson@{long}#/subject", "1.ndjson@0#/subject"]
    assert told(tmp_path, workers) == [
        ("warning", "points-at-nothing", "Observation.subject", 2, places)
    ]


@pytest.mark.parametrize(
    "reference", ["Patient/m1/_history/2", "https://other.example/fhir/Patient/9"]
)
def test_a_version_or_another_server_is_no_nothing(tmp_path, reference):
    assert told(deliver(tmp_path, [MEMBER, observed(reference)])) == []


@pytest.mark.parametrize(("reference", "count"), [(NAMED, 0), ("Patient/m1", 0), ("Patient/2", 1)])
def test_what_stands_in_a_bundle_is_found_there(tmp_path, reference, count):
    bundle = {
        "resourceType": "Bundle", "type": "collection",
        "entry": [{"fullUrl": NAMED, "resource": MEMBER},
                  {"fullUrl": "urn:uuid:b8d3fd1e-5c0a-4b0f-8f0a-3d9e4d0c0a11",
                   "resource": observed(reference)}],
    }  # fmt: skip
    found = told(deliver(tmp_path, [bundle, {"resourceType": "Patient", "id": "other"}]))
    assert [one[1:4] for one in found] == [
        ("points-at-nothing", "Bundle.entry[1].resource.subject", 1)
    ] * count


@pytest.mark.parametrize(("reference", "count"), [("Patient/m1", 0), ("Patient/2", 1)])
def test_what_stands_in_parameters_is_found_there(tmp_path, reference, count):
    parts = [{"name": "a", "resource": MEMBER}, {"name": "b", "resource": observed(reference)}]
    parameters = {"resourceType": "Parameters", "parameter": [{"name": "x", "part": parts}]}
    found = told(deliver(tmp_path, [parameters, {"resourceType": "Patient", "id": "other"}]))
    assert [one[1] for one in found] == ["points-at-nothing"] * count


def test_one_resource_alone_is_no_delivery(tmp_path):
    assert told(deliver(tmp_path, [observed("Patient/gone")])) == []


def test_the_ids_of_findings_are_the_same_in_another_run_and_for_another_resource(tmp_path):
    ids = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        deliver(folder, [MEMBER, {**MEMBER, "id": name, "gender": name}])
        ids.append([g.finding.id for g in validate_files([folder], []).tally.sorted()])
    assert ids[0] == ids[1]
    assert len(ids[0]) == 1


def test_a_line_longer_than_is_read_is_told_and_the_next_one_read(tmp_path):
    file = tmp_path / "a.ndjson"
    with file.open("wb") as out:
        out.write(json.dumps(MEMBER).encode() + b"\n")
        out.seek(LONGEST + 5_000_000, 1)
        out.write(b"\n" + json.dumps({**MEMBER, "gender": "M"}).encode() + b"\n")
    judged = validate_files([file], [])
    rules = [(g.finding.rule, g.count) for g in judged.tally.sorted()]
    assert (judged.resources, rules) == (3, [("binding", 1), ("json", 1)])
    assert "64 MB" in judged.tally.sorted()[1].finding.sentence


def test_a_file_longer_than_is_read_is_told(tmp_path):
    file = tmp_path / "a.json"
    with file.open("wb") as out:
        out.truncate(LONGEST + 1)
    (found,) = validate_files([file], []).tally.sorted()
    assert "64 MB" in found.finding.sentence


@pytest.mark.parametrize("cut", [5, 20, -4])
def test_gzip_that_ends_early_is_told_and_other_files_are_read(tmp_path, cut):
    whole = gzip.compress(b"".join(json.dumps(MEMBER | {"id": f"m{i}"}).encode() + b"\n"
                                   for i in range(50)))  # fmt: skip
    (tmp_path / "a.ndjson.gz").write_bytes(whole[:cut])
    (tmp_path / "b.ndjson").write_text(json.dumps(MEMBER))
    found = [g.finding for g in validate_files([tmp_path], []).tally.sorted()]
    assert [(f.severity, f.rule) for f in found] == [("error", "json")]
    assert "gzip" in found[0].sentence


def test_bytes_that_are_no_gzip_are_told(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(b"\x1f\x8b\x08\x00 nothing that unpacks, really")
    (found,) = validate_files([tmp_path], []).tally.sorted()
    assert found.finding.rule == "json"
