import json
from dataclasses import replace

import pytest
from payer_exchange.reference.http import Exchange
from payer_exchange.reports.har import write_har
from payer_exchange.reports.masking import Masker
from payer_exchange.reports.writing import read_results, write_results

FORMS = {"results.json", "results.xml", "summary.md", "report.html", "badge.svg",
         "test-report.json"}  # fmt: skip
MEMBERS = {
    "members": [
        {
            "patient_id": "m0000042",
            "patient": {
                "name": [{"family": "Quillfeather", "given": ["Ottoline"]}],
                "birthDate": "1961-07-12",
            },
            "coverages": [{"subscriberId": "SUB778899"}],
        }
    ]
}
SECRETS = ("m0000042", "Quillfeather", "Ottoline", "1961-07-12", "SUB778899", "tok_3n-secret")


def exchange():
    body = json.dumps(
        {"resourceType": "Patient", "id": "m0000042", "name": [{"family": "Quillfeather"}]}
    ).encode()
    return Exchange(
        "GET",
        "https://payer.example/fhir/Patient/m0000042",
        {"Authorization": "Bearer tok_3n-secret"},
        b"",
        0.0,
        200,
        {"Content-Type": "application/fhir+json"},
        body,
    )


def test_every_form_is_written_and_names_no_member_and_no_secret(tmp_path, found):
    masker = Masker.of(MEMBERS)
    told = "Patient/m0000042 Ottoline Quillfeather 1961-07-12 SUB778899 Bearer tok_3n-secret"
    failed = replace(found.scenarios[2], message=told, actual=told)
    results = replace(found, scenarios=(failed, *found.scenarios[:2]), notes=(told,))
    write_har(tmp_path / "exchange.har", [("e0002", exchange())], masker)
    write_results(tmp_path, results, masker)
    assert {f.name for f in tmp_path.iterdir()} == FORMS | {"exchange.har"}
    for file in tmp_path.iterdir():
        text = file.read_text(encoding="utf-8")
        assert [s for s in SECRETS if s in text] == []
    assert "Patient/$MEMBER" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_what_was_written_is_read_back(tmp_path, found):
    write_results(tmp_path, found, Masker())
    assert read_results(tmp_path) == found


def test_a_folder_without_results_is_told(tmp_path):
    with pytest.raises(ValueError, match=r"results\.json cannot be read"):
        read_results(tmp_path)
