"""What becomes of received resources that are not what they claim to be."""

from __future__ import annotations

import re

import pytest
from payer_exchange.reference.asking import coverage_to_link
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.fhir import json
from payer_exchange.reference.intake.reading import NOT_CONFORMING
from payer_exchange.reference.requesting.request import read_invoke
from payer_exchange.reference.store.repository import Selection
from payer_exchange.simulators.requesting import RequestingSimulator

FEW = (("_type", "Patient,Condition,Coverage,Encounter,Organization,Practitioner"),)
MEMBERS = ("A", "F", "G", "H")
BROKEN = ("Condition", "Practitioner", "Coverage")
MODIFIER = "https://own.test/StructureDefinition/modifier"


def called(app, environ):
    told = []
    body = b"".join(app(environ, lambda status, headers: told.extend((status, headers))))
    return told[0], dict(told[1]), body


def broken(line):
    """A line with an element that no type has: its type, its key and its member are as before."""
    return line[:-1] + b',"unheardOf":true}'


def breaking(kinds, lost, how=broken):
    """A layer that breaks the last line of some types' files, and keeps what it makes."""

    def layer(app, environ, start):
        status, headers, body = called(app, environ)
        kind = re.match(rb'\{"resourceType":"(\w+)"', body)
        if "export-files" in environ["PATH_INFO"] and kind and kind[1].decode() in kinds:
            lines = body.rstrip(b"\n").split(b"\n")
            lines[-1] = how(lines[-1])
            lost.append(lines[-1])
            body = b"\n".join(lines) + b"\n"
            headers["Content-Length"] = str(len(body))
        start(status, list(headers.items()))
        return [body]

    return layer


def exchanged(world, mode, kinds=BROKEN, how=broken):
    """(payer, Task, broken lines) of an exchange in which some lines were broken on the way."""
    lost = []
    payer = world.requester(profile_check=mode)
    with world.between(breaking(kinds, lost, how)):
        task = world.exchange(payer=payer)
    assert task.status == "completed"
    return payer, task, lost


def bodies(payer):
    return b"\n".join(row.body for row in payer.repository.rows(Selection()))


def test_nobody_looks_unless_told_to(world):
    payer, task, lost = exchanged(world, "off")
    assert len(lost) == len(BROKEN)
    assert payer.quarantine.of() == []
    assert payer.ledger.quarantined(task.id) == []
    assert bodies(payer).count(b"unheardOf") >= len(lost)


def test_what_does_not_conform_is_told_and_stored(world):
    payer, task, lost = exchanged(world, "report")
    found = payer.quarantine.of(task.id)
    assert [(line.type, line.state) for line in found] == [
        (kind, "reported") for kind in sorted(BROKEN)
    ]
    assert payer.ledger.quarantined(task.id) == []
    received = sum(file.lines for file in payer.retrieved(task.id).files)
    assert sum(payer.ledger.counts(task.id).values()) == received
    assert any(f"{len(lost)} received resources do not conform" in n["text"] for n in task.notes)


def test_exactly_what_does_not_conform_is_set_aside(world):
    payer, task, lost = exchanged(world, "quarantine")
    held = payer.ledger.quarantined(task.id)
    assert sorted(q.body for q in held) == sorted(lost)
    assert {q.reason for q in held} == {NOT_CONFORMING}
    received = sum(file.lines for file in payer.retrieved(task.id).files)
    assert sum(payer.ledger.counts(task.id).values()) == received - len(lost)
    assert b"unheardOf" not in b"".join(
        row.body for row in payer.repository.by_keys([e.key for e in payer.ledger.of(task.id)])
    )
    assert payer.quarantine.total(task.id) == {"set-aside": len(lost)}
    assert payer.stored_digest(task.id) == payer.archived_digest(task.id)


def test_a_reason_names_rules_and_places_and_nobody(world):
    payer, task, _ = exchanged(world, "quarantine")
    told = [line.as_json() for line in payer.quarantine.of(task.id)]
    assert {line["type"] for line in told} == set(BROKEN)
    for line in told:
        assert ("unknown", f"{line['type']}.unheardOf") in {
            (f["rule"], f["path"]) for f in line["findings"]
        }
    member = world.member()
    written = json.write([told, task.notes, payer.audit.records()])
    person, card = member["patient"], member["coverages"][0]["identifier"][0]
    values = (person["name"][0]["family"], person["birthDate"], card["value"], person["id"])
    assert not [value for value in values if value.encode() in written]


def test_a_record_keeps_its_patient(world):
    payer, task, lost = exchanged(world, "quarantine", ("Patient",))
    [line] = payer.quarantine.of(task.id)
    assert (line.type, line.state, len(lost)) == ("Patient", "reported", 1)
    assert payer.ledger.counts(task.id)["Patient"] == 1


def test_what_was_turned_away_for_another_reason_is_told_once(world):
    def doubled(app, environ, start):
        status, headers, body = called(app, environ)
        if "export-files" in environ["PATH_INFO"] and b'{"resourceType":"Condition"' in body[:40]:
            lines = body.rstrip(b"\n").split(b"\n")
            body = b"\n".join([*lines[:-1], lines[0][:-1] + b',"unheardOf":1}']) + b"\n"
            headers["Content-Length"] = str(len(body))
        start(status, list(headers.items()))
        return [body]

    payer = world.requester(profile_check="quarantine")
    with world.between(doubled):
        task = world.exchange(payer=payer)
    [held] = payer.ledger.quarantined(task.id)
    assert held.reason == "A resource came twice."
    assert payer.quarantine.of(task.id) == []


def test_what_was_set_aside_is_released_as_it_came(world):
    payer, task, lost = exchanged(world, "quarantine")
    first, *others = payer.quarantine.of(task.id)
    assert payer.releases.release(task.id, {(first.file, first.line)}) == 1
    assert len(payer.ledger.quarantined(task.id)) == len(others)
    [kept] = [e for e in payer.ledger.of(task.id)
              if b"unheardOf" in payer.repository.get(*e.key).body]  # fmt: skip
    assert kept.type == first.type
    assert payer.quarantine.total(task.id) == {"set-aside": len(others), "released": 1}
    assert payer.releases.release(task.id, {(one.file, one.line) for one in others}) == len(others)
    assert sum(payer.ledger.counts(task.id).values()) == sum(
        file.lines for file in payer.retrieved(task.id).files
    )
    targets = bodies(payer)
    for entry in payer.ledger.of(task.id):
        assert f'"target":[{{"reference":"{entry.type}/{entry.local_id}"}}]'.encode() in targets
    assert payer.stored_digest(task.id) == payer.archived_digest(task.id)
    assert len(lost) == len(others) + 1


def test_a_second_look_releases_what_conforms_by_now(world, tmp_path):
    unknown = b',"modifierExtension":[{"url":"%b","valueBoolean":true}]}' % MODIFIER.encode()
    payer, task, lost = exchanged(
        world, "quarantine", ("Condition",), lambda line: line[:-1] + unknown
    )
    assert payer.releases.check_again(task.id) == 0
    assert payer.quarantine.total(task.id) == {"set-aside": len(lost)}
    again = world.requester(profile_check="quarantine", profile_packages=(package(tmp_path),))
    assert again.releases.check_again(task.id) == len(lost) == 1
    assert again.quarantine.total(task.id) == {"released": 1}
    assert again.ledger.quarantined(task.id) == []


def package(folder):
    """A package that defines a modifier extension."""
    elements = [
        {"id": "Extension", "path": "Extension", "min": 0, "max": "*"},
        {"id": "Extension.url", "path": "Extension.url", "min": 1, "max": "1",
         "type": [{"code": "uri"}], "fixedUri": MODIFIER},
        {"id": "Extension.value[x]", "path": "Extension.value[x]", "min": 0, "max": "1",
         "type": [{"code": "boolean"}]},
    ]  # fmt: skip
    definition = {"resourceType": "StructureDefinition", "url": MODIFIER, "version": "1.0.0",
                  "name": "Modifier", "kind": "complex-type", "abstract": False,
                  "type": "Extension", "derivation": "constraint",
                  "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Extension",
                  "snapshot": {"element": elements}}  # fmt: skip
    (folder / "package.json").write_bytes(json.write({"name": "own", "version": "1.0.0"}))
    (folder / "StructureDefinition-modifier.json").write_bytes(json.write(definition))
    return str(folder)


def test_the_admin_api_tells_and_releases(world):
    payer, task, lost = exchanged(world, "quarantine", ("Condition",))
    client = RequestingSimulator(payer).app.test_client()
    token = {"Authorization": f"Bearer {payer.settings.admin_token.reveal()}"}
    where = f"/admin/nonconforming/{task.id}"
    assert client.get("/admin/nonconforming").status_code == 401
    [told] = client.get(f"/admin/nonconforming?task={task.id}", headers=token).json
    assert (told["type"], told["state"]) == ("Condition", "set-aside")
    held = client.get(f"{where}/{told['file']}/{told['line']}", headers=token)
    assert held.data == lost[0]
    assert client.get(f"{where}/{told['file']}/9999", headers=token).status_code == 404
    place = {"file": told["file"], "line": told["line"]}
    for body in ({"lines": "all"}, {"lines": [{"file": 1, "line": 1}]}, {"other": []}):
        assert client.post(f"{where}/release", json=body, headers=token).status_code == 400
    assert client.post(f"{where}/release", json={}, headers=token).json == {"released": 0}
    asked = {"lines": [place]}
    assert client.post(f"{where}/release", json=asked, headers=token).json == {"released": 1}
    assert client.post(f"{where}/release", json=asked, headers=token).json == {"released": 0}
    [told] = client.get("/admin/nonconforming?state=released", headers=token).json
    assert told["line"] == place["line"]
    assert client.get(f"{where}/{told['file']}/{told['line']}", headers=token).status_code == 404


def test_an_import_that_is_taken_back_leaves_no_reasons(world):
    payer, task, _ = exchanged(world, "quarantine")
    payer.take_back(task.id)
    assert payer.quarantine.of() == []
    assert payer.ledger.quarantined(task.id) == []


def test_a_mode_that_does_not_exist_is_refused(world):
    with pytest.raises(SettingsError, match="profile_check is one of off, report, quarantine"):
        world.requester(profile_check="maybe")


@pytest.mark.parametrize("workers", [0, 2])
def test_a_batch_sets_aside_the_same(world, workers):
    lost = []
    payer = world.requester(profile_check="quarantine", intake_workers=workers)
    with world.between(breaking(BROKEN, lost)):
        batch = payer.wait(payer.invoke_bulk(requests(world, payer), FEW), 30)
    told = payer.batch_summary(batch.id)
    assert told["outcomes"]["matched"] == len(MEMBERS)
    assert told["turned_away"] == {NOT_CONFORMING: len(lost)}
    assert told["nonconforming"] == {"set-aside": len(lost)}
    assert told["stored"] == told["received"] - len(lost)
    found = payer.quarantine.of(batch.id)
    held = [q for task in {f.task_id for f in found} for q in payer.ledger.quarantined(task)]
    assert sorted(q.body for q in held) == sorted(lost)
    # What members share stands under the batch, what one member has under the member's Task.
    assert {f.type: f.task_id == batch.id for f in found} == {
        "Condition": False, "Coverage": False, "Practitioner": True,
    }  # fmt: skip
    assert all(stored == kept for _, stored, kept in payer.batch_digests(batch.id))
    for line in found:
        assert payer.releases.release(line.task_id, {(line.file, line.line)}) == 1
    after = payer.batch_summary(batch.id)
    assert after["stored"] == told["received"]
    assert all(stored == kept for _, stored, kept in payer.batch_digests(batch.id))
    shared = [row for row in payer.repository.rows(Selection())
              if row.type == "Practitioner" and b"unheardOf" in row.body]  # fmt: skip
    assert [row.compartment for row in shared] == [""]


def requests(world, payer):
    matching = [r for r in world.truth["requests"] if r["expect"] == "match"]
    asked = {r["member"]: r for r in reversed(matching)}
    for key in MEMBERS:
        patient = {"resourceType": "Patient", "id": f"local-{key}",
                   "identifier": [{"system": payer.settings.patient_system,
                                   "value": f"NEW-{key}"}]}  # fmt: skip
        payer.keep_local([json.write(patient)])
        link = coverage_to_link(asked[key]["patient"]["id"], payer.settings.identity, "NEW")
        parts = {**world.match_parts(asked[key]["name"]), "CoverageToLink": link}
        yield read_invoke(world.parameters(parts, local=f"local-{key}", export=()))
