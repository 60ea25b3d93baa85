"""`payer-exchange validate`: files in, findings and an exit status out."""

from __future__ import annotations

import gzip
import json

from click.testing import CliRunner
from payer_exchange.cli.main import cli

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
