"""Packages in, tables of facts out: the same bytes each time, no prose, no restricted code."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zipfile

import pytest
from click.testing import CliRunner
from payer_exchange.cli.main import cli
from payer_exchange.reference.validation.packages import (
    SHIPPED,
    UnreadablePackage,
    read_package,
)
from payer_exchange.reference.validation.tables import (
    Tables,
    UnreadableTables,
    shipped,
    standard,
    write,
)
from payer_exchange.reference.validation.validator import Validator

from .official import FOLDER, needed

OWN = "http://plan.example/StructureDefinition/basic"
PROSE = "The plan says so at length"
DEFINED = {
    "resourceType": "StructureDefinition", "url": OWN, "version": "1.0.0", "type": "Basic",
    "kind": "resource", "derivation": "constraint", "description": PROSE,
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Basic",
    "snapshot": {"element": [
        {"id": "Basic", "path": "Basic", "definition": PROSE, "constraint": [
            {"key": "own-1", "severity": "error", "human": PROSE, "expression": "id.exists()"}]},
        {"id": "Basic.id", "path": "Basic.id", "max": "1", "type": [{"code": "id"}]},
        {"id": "Basic.code", "path": "Basic.code", "min": 1, "max": "1", "short": PROSE,
         "type": [{"code": "CodeableConcept"}]},
    ]},
}  # fmt: skip
RESTRICTED = {
    "resourceType": "ValueSet", "url": "http://plan.example/ValueSet/v", "version": "1.0.0",
    "compose": {"include": [
        {"system": "http://www.ama-assn.org/go/cpt", "concept": [{"code": "99999"}]},
        {"system": "http://plan.example/codes", "concept": [{"code": "mine"}]},
    ]},
}  # fmt: skip
ABOUT = {"name": "example.plan", "version": "1.0.0"}
FILES = {"package.json": ABOUT, "a.json": DEFINED, "b.json": RESTRICTED}


@pytest.fixture
def folder(tmp_path):
    inner = tmp_path / "cache" / "package"
    inner.mkdir(parents=True)
    for name, content in FILES.items():
        (inner / name).write_text(json.dumps(content))
    return inner.parent


@pytest.fixture
def packed(tmp_path):
    file = tmp_path / "plan.tgz"
    with tarfile.open(file, "w:gz") as archive:
        for name, content in FILES.items():
            body = json.dumps(content).encode()
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return file


def run(*arguments):
    made = CliRunner().invoke(cli, [*map(str, arguments)])
    return made.exit_code, made.output


def errors(validator, resource):
    return [f.rule for f in validator.validate(resource, [OWN]) if f.severity == "error"]


def test_folder_and_archive_of_a_package_say_the_same(folder, packed):
    for path in (folder, packed):
        validator = Validator(standard((path,)))
        assert errors(validator, {"resourceType": "Basic", "code": {"text": "x"}}) == ["own-1"]
        assert errors(validator, {"resourceType": "Basic", "id": "a"}) == ["min"]


def test_the_same_packages_give_the_same_bytes(folder):
    assert write([read_package(folder)]) == write([read_package(folder)])


def test_no_prose_and_no_restricted_code_gets_into_the_tables(folder):
    with zipfile.ZipFile(io.BytesIO(write([read_package(folder)]))) as archive:
        all_of_it = " ".join(archive.read(name).decode() for name in archive.namelist())
    assert PROSE not in all_of_it
    assert "99999" not in all_of_it
    assert "mine" in all_of_it


def test_a_package_of_the_user_stands_before_what_is_shipped(folder):
    url = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
    looser = DEFINED | {"url": url, "version": "6.1.0", "type": "Patient", "snapshot": {
        "element": [{"id": "Patient", "path": "Patient"}]}}  # fmt: skip
    (folder / "package" / "a.json").write_text(json.dumps(looser))
    patient, claim = {"resourceType": "Patient"}, [f"{url}|6.1.0"]
    assert [f.rule for f in Validator().validate(patient, claim) if f.severity == "error"]
    own = Validator(standard((folder,))).validate(patient, claim)
    assert [f for f in own if f.severity == "error"] == []


def test_the_report_names_the_package_and_its_sha256(packed, tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps({"resourceType": "Basic", "code": {"text": "x"}}))
    status, output = run("validate", file, "--profile", OWN, "--package", packed, "--json")
    assert status == 1
    digest = hashlib.sha256(packed.read_bytes()).hexdigest()
    assert json.loads(output)["packages"]["example.plan#1.0.0"] == digest


def test_compile_says_the_sha256_of_each_package_and_of_the_tables(packed, tmp_path):
    out = tmp_path / "tables.zip"
    status, output = run("profiles", "compile", packed, "--out", out)
    assert status == 0
    assert hashlib.sha256(packed.read_bytes()).hexdigest() in output
    assert hashlib.sha256(out.read_bytes()).hexdigest() in output
    tables = Tables()
    tables.add_file(out.read_bytes())
    assert tables.versions(OWN) == ["1.0.0"]


def test_compile_without_packages_says_what_to_name():
    status, output = run("profiles", "compile")
    assert status == 2
    assert "--shipped" in output


@pytest.mark.parametrize("content", [b"", b"nothing", b"\x1f\x8b\x08\x00cut"])
def test_a_file_that_is_no_package_is_refused_by_name(tmp_path, content):
    file = tmp_path / "plan.tgz"
    file.write_bytes(content)
    with pytest.raises(UnreadablePackage, match=r"plan\.tgz is not a FHIR package"):
        read_package(file)


@pytest.mark.parametrize("content", [b"", b"nothing", b"PK\x05\x06" + b"\0" * 18])
def test_a_file_that_holds_no_tables_is_refused(content):
    with pytest.raises(UnreadableTables, match="profiles compile"):
        Tables().add_file(content)


def test_the_shipped_tables_are_of_the_named_packages():
    assert {label.replace("#", "-") for label in standard().packages} == set(SHIPPED)


@needed
def test_the_shipped_tables_are_what_the_packages_give(tmp_path):
    out = tmp_path / "tables.zip"
    status, output = run("profiles", "compile", "--shipped", FOLDER, "--out", out)
    assert status == 0
    assert output.count("definitions") == len(SHIPPED)
    assert out.read_bytes() == shipped()
