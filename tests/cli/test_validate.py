"""`payer-exchange validate`: files in, findings and an exit status out."""

from __future__ import annotations

import csv
import gzip
import json

import pytest
from click.testing import CliRunner
from payer_exchange.cli.main import cli
from payer_exchange.reference.validation.validator import Validator

GOOD = {"resourceType": "Patient", "gender": "male"}
BAD = {"resourceType": "Patient", "gender": "M"}


def run(*arguments):
    made = CliRunner().invoke(cli, ["validate", *map(str, arguments)])
    return made.exit_code, made.output


def lines(*resources):
    return "".join(json.dumps(r) + "\n" for r in resources).encode()


def test_what_is_right_ends_with_0(tmp_path):
    (tmp_path / "a.ndjson").write_bytes(lines(GOOD, GOOD))
    assert run(tmp_path) == (0, "2 resources, 0 with errors.\n")


def test_the_same_defect_is_one_finding_with_a_count_and_ten_places(tmp_path):
    (tmp_path / "a.ndjson.gz").write_bytes(gzip.compress(lines(GOOD, *[BAD] * 25)))
    status, output = run(tmp_path, "--json")
    (found,) = json.loads(output)["findings"]
    assert status == 1
    assert (found["count"], len(found["places"]), found["path"]) == (25, 10, "Patient.gender")


def test_two_processes_find_what_one_finds(tmp_path):
    for name in "ab":
        (tmp_path / f"{name}.ndjson").write_bytes(lines(GOOD, BAD))
    assert run(tmp_path, "--json") == run(tmp_path, "--json", "--workers", "2")


def test_a_profile_can_be_given(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(GOOD))
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0"
    assert run(file)[0] == 0
    assert run(file, "--profile", url)[0] == 1


def written(tmp_path, *resources):
    (tmp_path / "=a.ndjson").write_bytes(lines(*resources))
    folder = tmp_path / "report"
    run(tmp_path / "=a.ndjson", "--report-dir", folder)
    return folder


def test_the_report_is_written_in_each_form(tmp_path):
    folder = written(tmp_path, GOOD, BAD, BAD)
    told = json.loads((folder / "findings.json").read_text())
    assert [f["count"] for f in told["findings"]] == [2]
    (row,) = csv.DictReader((folder / "findings.csv").read_text().splitlines())
    assert (row["path"], row["count"]) == ("Patient.gender", "2")
    assert row["first_place"].startswith("'=a.ndjson")
    page = (folder / "validation.html").read_text()
    assert "2 of 3 resources have errors." in page
    assert told["findings"][0]["id"] in page
    assert all(about in page for about in told["packages"].values())


@pytest.mark.parametrize("resources", [[GOOD], [GOOD, BAD]])
def test_the_outcome_is_valid_r4(tmp_path, resources):
    outcome = (written(tmp_path, *resources) / "operation-outcome.json").read_bytes()
    assert [f for f in Validator().validate_bytes(outcome) if f.severity == "error"] == []
    expected = ["Patient.gender"] if BAD in resources else None
    assert json.loads(outcome)["issue"][0].get("expression") == expected


def test_a_bar_is_shown_on_a_terminal_alone(tmp_path, command, monkeypatch):
    (tmp_path / "a.ndjson").write_bytes(lines(GOOD))
    quiet = command("validate", "a.ndjson", cwd=tmp_path)
    assert quiet.stderr == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = command("validate", "a.ndjson", cwd=tmp_path)
    assert "validated" in shown.stderr
    assert shown.stdout == quiet.stdout == "1 resources, 0 with errors.\n"


def test_a_file_that_is_not_there_is_told(tmp_path):
    status, output = run(tmp_path / "nowhere.json")
    assert status == 2
    assert "There is no file or folder" in output


def test_a_report_directory_that_is_a_file_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "a.ndjson").write_bytes(lines(GOOD))
    status, output = run(tmp_path, "--report-dir", tmp_path / "a.ndjson")
    assert status == 2
    assert "is a file" in output
