"""Loading members from files that anybody made."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from datetime import UTC, datetime

import pytest
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.holdings import fill, read_paths
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.responding import RespondingPayer
from payer_exchange.reference.responding_settings import RespondingSettings
from payer_exchange.reference.store.database import open_data_dir

OWN = PayerIdentity("s", "OLD", "Old", "payer")
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "A", "given": ["B"]}],
           "birthDate": "1980-01-01", "gender": "male"}  # fmt: skip
GOAL = b'{"resourceType":"Goal","id":"g1","subject":{"reference":"Patient/p1"},"x":72.50}'


@pytest.fixture
def payer(tmp_path):
    settings = RespondingSettings("http://o.test/fhir", "http://o.test/token", OWN, tmp_path)
    engine = open_data_dir(tmp_path, "payer")
    made = RespondingPayer(settings, engine, clock=MovableClock(datetime(2027, 1, 15, tzinfo=UTC)))
    yield made
    made.close()
    engine.dispose()


def dump(*resources):
    return [r if isinstance(r, bytes) else json.dumps(r).encode() for r in resources]


def load(payer, path):
    return fill(payer, read_paths([path]))


def test_a_bundle_is_opened_and_points_at_itself(payer, tmp_path):
    file = tmp_path / "bundle.json"
    file.write_text("""{"resourceType":"Bundle","type":"transaction","entry":[
      {"fullUrl":"urn:uuid:aa-1","resource":{"resourceType":"Patient","id":"p1",
       "name":[{"family":"A","given":["B"]}],"birthDate":"1980-01-01"}},
      {"fullUrl":"urn:uuid:bb-2","resource":{"resourceType":"Observation","valueQuantity":
       {"value":72.50},"big":12345678901234567890,"subject":{"reference":"urn:uuid:aa-1"}}},
      {"fullUrl":"http://x/Goal/g","resource":{"resourceType":"Goal","id":"g",
       "subject":{"reference":"Patient/p1"},"note":[{"text":"urn:uuid:aa-1"}]}},
      {"fullUrl":"urn:uuid:cc-3"}, 5, null, {"resource": "x"}]}""")
    filled = load(payer, file)
    assert filled.refused == {}
    assert filled.resources == {"Patient": 1, "Observation": 1, "Goal": 1, "Organization": 1}
    found = payer.repository.get("Observation", "bb-2")
    assert found.compartment == "p1"
    assert b'"value":72.50' in found.body
    assert b'"big":12345678901234567890' in found.body
    # Only references are made to point elsewhere.
    assert b"urn:uuid:aa-1" in payer.repository.get("Goal", "g").body


@pytest.mark.parametrize("name", ["a.ndjson", "a.ndjson.gz", "a.jsonl", "a.jsonl.gz"])
def test_ndjson_plain_or_gzip_is_kept_byte_for_byte(payer, tmp_path, name):
    stream = b"\n".join([*dump(PATIENT, GOAL), b""])
    (tmp_path / name).write_bytes(gzip.compress(stream) if name.endswith("gz") else stream)
    filled = load(payer, tmp_path / name)
    assert (filled.members, filled.coverages_made) == (1, 1)
    assert payer.repository.get("Goal", "g1").body == GOAL


def package(file, **entries):
    with tarfile.open(file, "w:gz") as made:
        for name, body in entries.items():
            info = tarfile.TarInfo(f"package/{name.replace('__', '/')}.json")
            info.size = len(body)
            made.addfile(info, io.BytesIO(body))
    return file


def test_an_ig_packages_examples_are_read_and_its_definitions_are_not(payer, tmp_path):
    file = package(
        tmp_path / "ig.tgz",
        package=b'{"name":"ig"}',
        StructureDefinition_x=b'{"resourceType":"StructureDefinition","id":"x"}',
        example__Patient=json.dumps(PATIENT, indent=2).encode(),
        example__Goal=GOAL,
        example__Bundle=b'{"resourceType":"Bundle","id":"b","entry":[{"resource":{"resourceType":'
        b'"Task","id":"t"}}]}',
    )
    filled = load(payer, file)
    assert filled.resources == {"Patient": 1, "Goal": 1, "Task": 1, "Organization": 1}
    # A resource laid out over lines is stored on one, so that it can leave as NDJSON.
    assert b"\n" not in payer.repository.get("Patient", "p1").body


def test_a_folder_is_read_whole(payer, tmp_path):
    folder = tmp_path / "members"
    (folder / "deep").mkdir(parents=True)
    (folder / "p.json").write_bytes(dump(PATIENT)[0])
    (folder / "deep" / "g.ndjson").write_bytes(GOAL)
    (folder / "README.md").write_text("not data")
    assert load(payer, folder).resources == {"Patient": 1, "Goal": 1, "Organization": 1}


def test_what_cannot_be_kept_is_counted_with_its_reason(payer, tmp_path):
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"\n".join([
        *dump(PATIENT), b"not json", b"[]", b'{"id":"1"}', b'{"resourceType":"Goal"}',
        b'{"resourceType":"Goal","id":"a/b"}', b'{"resourceType":"Goal","id":"c","x":\xff}',
        b'{"resourceType":"Goal","id":"d","x":' + b"[" * 99 + b"]" * 99 + b"}", GOAL,
    ]))  # fmt: skip
    filled = load(payer, file)
    assert filled.resources == {"Patient": 1, "Goal": 1, "Organization": 1}
    assert filled.refused == {
        "A line is not JSON.": 2,
        "A line is not a JSON object.": 1,
        "A resource has no resourceType.": 1,
        "A Goal has no id of 1 to 64 letters, digits, hyphens and dots.": 2,
        "A line is nested deeper than 64 levels.": 1,
    }


@pytest.mark.parametrize(
    "body", [b"[]", b"[1]", b"5", b'"x"', b"{}", b"not json", b"[" * 100_000, b""]
)
def test_a_json_file_that_is_no_resource_is_counted_too(payer, tmp_path, body):
    (tmp_path / "a.json").write_bytes(body)
    assert load(payer, tmp_path / "a.json").refused.total() == 1


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.ndjson", gzip.compress(GOAL * 1000, mtime=0)[:-20]),
        ("a.ndjson.gz", b"\x1f\x8b\x08garbage"),
        ("a.tgz", b"no archive"),
        ("a.tgz", gzip.compress(b"no archive", mtime=0)),
        ("a.ndjson", b"x" * (16 * 1024 * 1024 + 1)),
        ("a.xml", b"<Patient/>"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(payer, tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingsError, match=name):
        load(payer, tmp_path / name)


def test_a_path_that_is_not_there_is_named(payer, tmp_path):
    with pytest.raises(SettingsError, match="nowhere"):
        load(payer, tmp_path / "nowhere")


def test_provenance_joins_the_one_it_is_about(payer):
    second = {**PATIENT, "id": "p2"}
    targets = {
        "of-one": ["Patient/p1"], "of-ones-goal": ["Goal/g1"], "of-both": ["Patient/p1",
                                                                           "Patient/p2"],
        "of-two-records": ["Goal/g1", "Goal/g2"], "of-nobody": ["Goal/none"],
        "of-one-and-a-doctor": ["Goal/g1", "Practitioner/d"],
    }  # fmt: skip
    provenance = [
        {"resourceType": "Provenance", "id": ident, "target": [{"reference": t} for t in found]}
        for ident, found in targets.items()
    ]
    goal = {"resourceType": "Goal", "id": "g2", "subject": {"reference": "Patient/p2"},
            "extension": [{"valueReference": {"reference": "Provenance/of-both"}}]}  # fmt: skip
    doctor = {"resourceType": "Practitioner", "id": "d"}
    # Provenance first: what it is about may come later.
    fill(payer, dump(*provenance, PATIENT, second, GOAL, goal, doctor))
    homes = {i: payer.repository.get("Provenance", i).compartment for i in targets}
    assert homes == {
        "of-one": "p1", "of-ones-goal": "p1", "of-both": "", "of-two-records": "",
        "of-nobody": "", "of-one-and-a-doctor": "p1",
    }  # fmt: skip
    # Not even when a record of somebody points at it.
    assert not any(kind == "Provenance" for kind, _ in payer.repository.shared_by("p2"))


def test_a_made_coverage_can_be_matched_and_says_whose_it_is(payer):
    fill(payer, dump(PATIENT))
    made = json.loads(payer.repository.get("Coverage", "made-p1").body)
    assert made["beneficiary"] == {"reference": "Patient/p1"}
    assert made["identifier"][0]["value"] == "p1"
    assert payer.repository.get("Coverage", "made-p1").compartment == "p1"
    assert json.loads(payer.repository.get("Organization", "payer").body)["name"] == "Old"


@pytest.mark.parametrize(
    "odd",
    [
        {"identifier": {}}, {"identifier": [5]}, {"identifier": [{"type": None}]},
        {"identifier": [{"type": {"coding": [{"code": "MB"}]}, "system": "s"}]},
        {"name": "x"}, {"name": [None]}, {"birthDate": 5}, {"telecom": [[[]]]}, {"gender": []},
    ],
)  # fmt: skip
def test_an_odd_patient_is_kept_and_hurts_nobody(payer, odd):
    filled = fill(payer, dump({**PATIENT, **odd}, {**PATIENT, "id": "p2"}))
    assert filled.members == 2
    assert payer.repository.get("Patient", "p1") is not None


def observation(ident, doctor, **content):
    return {"resourceType": "Observation", "id": ident, "subject": {"reference": "Patient/p1"},
            "performer": [{"reference": f"Practitioner/{doctor}"}], **content}  # fmt: skip


@pytest.mark.parametrize(("policy", "told"), [("regular", False), ("sensitive", True)])
def test_whom_only_a_sensitive_record_names_stays_with_it(payer, policy, told):
    label = {"meta": {"security": [{"code": "SUD"}]}}
    clinic = {"resourceType": "PractitionerRole", "id": "r",
              "organization": {"reference": "Organization/clinic"},
              "practitioner": {"reference": "Practitioner/both"}}  # fmt: skip
    fill(
        payer,
        dump(
            PATIENT,
            observation("open", "both"),
            observation("hidden", "both", **label),
            observation("hidden-2", "addiction", **label,
                        focus=[{"reference": "PractitionerRole/r"}]),
            *({"resourceType": "Practitioner", "id": i} for i in ("both", "addiction")),
            clinic,
            {"resourceType": "Organization", "id": "clinic"},
        ),
    )  # fmt: skip
    found = payer.releases.shared_by("p1", policy, payer.clock.now().date())
    assert ("Practitioner", "both") in found
    # The payer's own Organization goes along with every record: Provenance names it.
    assert ("Organization", "payer") in found
    hidden = {("Practitioner", "addiction"), ("PractitionerRole", "r"), ("Organization", "clinic")}
    assert hidden & found == (hidden if told else set())


def test_the_payers_own_organization_goes_along_with_a_loaded_coverage(payer):
    coverage = {"resourceType": "Coverage", "id": "c", "beneficiary": {"reference": "Patient/p1"},
                "payor": [{"display": "somebody"}]}  # fmt: skip
    fill(payer, dump(PATIENT, coverage))
    found = payer.releases.shared_by("p1", "regular", payer.clock.now().date())
    assert ("Organization", "payer") in found
