"""What an exchange leaves behind: archive, imported copies, links, Provenance, and ways back."""

from __future__ import annotations

import base64
import hashlib

import pytest
from payer_exchange.reference.errors import BadRequest
from payer_exchange.reference.fhir import json
from payer_exchange.reference.intake.stages import STAGES
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.requesting import Interrupted
from payer_exchange.reference.store.repository import Selection
from payer_exchange.simulators.clients_assembly import RESPONDING

# The JSON sample of the seed page, byte for byte.
SAMPLE = (
    b'{"meta":{"tag":[{"system":"http://smilecdr.com/fhir/tags","code":"migrated",'
    b'"display":"Resource imported from external payer"}]}}'
)
OTHER_PAYER = PayerIdentity("https://example.org/payer-id", "THIRD-PAYER")


def documents(payer, task):
    return [json.read(payer.repository.get("DocumentReference", d).body) for d in task.documents()]


def imported(payer, task):
    keys = [e.key for e in payer.ledger.of(task.id)]
    return [json.read(row.body) for row in payer.repository.by_keys(keys)]


def imported_patient(payer, task):
    return payer.intake.origin(payer.retrieved(task.id)).imported_patient


def state(payer, papers=True):
    """Every stored resource with its version and bytes; all that a member's record can show."""
    rows = payer.repository.rows(Selection())
    return {
        r.key: (r.version, r.compartment, r.body)
        for r in rows
        if papers or not r.compartment.startswith("exchange.")
    }


def provenance_of(payer, task):
    patient = imported_patient(payer, task)
    rows = payer.repository.rows(Selection(patient, ["Provenance"]))
    made = [json.read(r.body) for r in rows]
    return [p for p in made if p["id"].startswith("from-")]


@pytest.mark.seed("SD-46", "SD-45", "SD-44", "SD-23")
@pytest.mark.parametrize("mode", ["seed", "binary"])
def test_the_archive_holds_the_downloaded_bytes(world, mode):
    payer = world.requester(archive_mode=mode)
    task = world.exchange(payer=payer)
    downloads = payer.retrieved(task.id).files
    found = documents(payer, task)
    assert len(found) == len(downloads) == len(task.documents())
    for document, file in zip(found, downloads, strict=True):
        assert document["status"] == "current"
        [content] = document["content"]
        attachment = content["attachment"]
        assert attachment["contentType"] == "application/fhir+ndjson"
        if mode == "seed":
            binary = json.read(base64.b64decode(attachment["data"], validate=True))
        else:
            binary = json.read(payer.repository.get(*attachment["url"].split("/")).body)
        assert (binary["resourceType"], binary["contentType"]) == (
            "Binary",
            "application/fhir+ndjson",
        )
        ndjson = base64.b64decode(binary["data"], validate=True)
        assert hashlib.sha256(ndjson).hexdigest() == file.sha256


def test_the_archive_holds_what_the_truth_table_says_was_sent(world):
    task = world.exchange()
    resources = world.member()["record"]["resources"]
    lines = b"\n".join(world.payer.archived_files(task.id).values()).split(b"\n")
    sent = {hashlib.sha256(line).hexdigest() for line in lines if line}
    wanted = {
        r["sha256"]
        for k, r in resources.items()
        if k.split("/")[0] in ("Condition", "DocumentReference") and r["expect"] == "sent"
    }
    assert wanted
    assert wanted <= sent


@pytest.mark.seed("SD-43")
def test_an_archive_is_dated_when_it_was_stored(world):
    task = world.exchange()
    manifest = next(
        json.read(x.body) for x in world.traffic if "export-status" in x.url and x.status == 200
    )
    for document in documents(world.payer, task):
        assert document["meta"]["lastUpdated"].endswith("Z")
        assert document["meta"]["lastUpdated"] >= manifest["transactionTime"]


@pytest.mark.seed("SD-47", "SD-48", "SD-49", "SD-52", "SD-23")
def test_every_imported_resource_has_its_provenance(world):
    task = world.exchange()
    payer = world.payer
    made = provenance_of(payer, task)
    targets = {p["target"][0]["reference"] for p in made}
    assert targets == {f"{r['resourceType']}/{r['id']}" for r in imported(payer, task)}
    received = payer.retrieved(task.id).received
    for provenance in made:
        agent = provenance["agent"][0]
        assert agent["onBehalfOf"]["reference"] == "Patient/local-a"
        organization = payer.repository.get(*agent["who"]["reference"].split("/"))
        assert json.read(organization.body)["identifier"][0]["value"] == RESPONDING.value
        assert provenance["recorded"] == received
        assert agent["type"]["coding"][0]["code"] == "transmitter"
        assert provenance["agent"][1]["who"]["reference"] == "Organization/new-payer"


def test_received_provenance_points_to_the_local_copies(world):
    task = world.exchange()
    received = [r for r in imported(world.payer, task) if r["resourceType"] == "Provenance"]
    local = {f"{r['resourceType']}/{r['id']}" for r in imported(world.payer, task)}
    targets = [t for p in received for t in p["target"]]
    literal = {t["reference"] for t in targets if "reference" in t}
    assert literal
    assert literal <= local
    # What was not received is referred to by its URL at the source.
    logical = [t["identifier"]["value"] for t in targets if "reference" not in t]
    assert all(url.startswith(world.responder.fhir_base) for url in logical)


@pytest.mark.seed("SD-53", "SD-54")
def test_the_migrated_tag_finds_exactly_what_was_imported(world):
    task = world.exchange()
    tagged = world.payer.records.search("", [("_tag", "http://smilecdr.com/fhir/tags|migrated")])
    assert {row.key for row in tagged} == {e.key for e in world.payer.ledger.of(task.id)}
    wanted = json.read(SAMPLE)["meta"]["tag"]
    for row in tagged:
        tags = [t for t in json.read(row.body)["meta"]["tag"] if t["code"] == "migrated"]
        assert json.write({"meta": {"tag": tags}}) == SAMPLE
        assert tags == wanted


@pytest.mark.seed("SD-53")
def test_the_tags_system_can_be_chosen(world):
    payer = world.requester(tag_system="https://elsewhere.test/tags")
    world.exchange(payer=payer)
    assert payer.records.search("Patient", [("_tag", "https://elsewhere.test/tags|migrated")])
    assert not payer.records.search("Patient", [("_tag", "http://smilecdr.com/fhir/tags|")])


def test_ids_are_new_and_source_ids_are_kept(world):
    task = world.exchange()
    entries = {e.key: e.source_id for e in world.payer.ledger.of(task.id)}
    for resource in imported(world.payer, task):
        source = entries[resource["resourceType"], resource["id"]]
        assert resource["id"] != source
        kept = {"system": world.responder.fhir_base, "value": source}
        if resource["resourceType"] == "Provenance":
            assert kept in [e.get("valueIdentifier") for e in resource["meta"]["extension"]]
        else:
            assert kept in resource["identifier"]


@pytest.mark.seed("SD-41")
def test_the_local_record_stays_as_it_was_but_for_its_link(world):
    payer = world.payer
    before = {r.key: r.body for r in payer.records.everything("local-a")}
    task = world.exchange()
    after = {r.key: r.body for r in payer.records.everything("local-a")}
    assert set(after) == set(before)
    changed = {k for k in before if before[k] != after[k]}
    assert changed == {("Patient", "local-a")}
    link = {"other": {"reference": f"Patient/{imported_patient(payer, task)}"}, "type": "seealso"}
    assert json.read(after["Patient", "local-a"]) == {
        **json.read(before["Patient", "local-a"]),
        "link": [link],
    }
    theirs = json.read(payer.repository.get("Patient", imported_patient(payer, task)).body)
    assert {"other": {"reference": "Patient/local-a"}, "type": "seealso"} in theirs["link"]


@pytest.mark.seed("SD-42")
def test_both_records_are_collated_for_a_third_payer_and_not_for_the_source(world):
    payer = world.payer
    task = world.exchange()
    release = payer.records.compartments_to_release
    theirs = imported_patient(payer, task)
    assert release("local-a", collated=False) == ["local-a"]
    assert release("local-a", collated=True, recipient=OTHER_PAYER) == ["local-a", theirs]
    assert release("local-a", collated=True, recipient=RESPONDING) == ["local-a"]
    assert release("local-a", collated=True, recipient=RESPONDING, omission_agreed=False) == [
        "local-a",
        theirs,
    ]
    rows = list(payer.records.of_compartments(["local-a", theirs]))
    kinds = {r.key for r in rows}
    assert {("Observation", "local-observation"), ("Patient", theirs)} <= kinds
    assert {e.key for e in payer.ledger.of(task.id)} <= kinds
    assert len(provenance_of(payer, task)) == len(list(payer.ledger.of(task.id)))


def test_what_is_stored_says_what_was_received(world):
    task = world.exchange(world.whole())
    assert world.payer.stored_digest(task.id) == world.payer.archived_digest(task.id)
    kind, ident = next(e.key for e in world.payer.ledger.of(task.id) if e.type == "Condition")
    row = world.payer.repository.get(kind, ident)
    world.payer.keep_local([json.write({**json.read(row.body), "onsetDateTime": "1999"})])
    assert world.payer.stored_digest(task.id) != world.payer.archived_digest(task.id)


def test_importing_twice_changes_nothing(world):
    first = world.exchange()
    before = state(world.payer, papers=False)
    world.payer.exchanges._sleep = lambda _s: None
    again = world.exchange()
    after = state(world.payer, papers=False)
    assert set(after) == set(before)
    # The responder dates its own Provenance anew at every export.
    changed = {k for k in before if before[k] != after[k]}
    assert {k[0] for k in changed} <= {"Provenance"}
    assert len(changed) <= 2
    assert {e.key for e in world.payer.ledger.of(again.id)} == {
        e.key for e in world.payer.ledger.of(first.id)
    }


@pytest.mark.seed("SD-40")
@pytest.mark.parametrize("stage", STAGES)
def test_an_exchange_killed_after_any_stage_goes_on_to_the_same_end(world, stage):
    """Killed: nothing is written after the stage, and another process takes over."""
    seen = []

    def kill(reached):
        seen.append(reached)
        if reached == stage:
            raise Interrupted

    world.payer.exchanges.after_stage = kill
    stopped = world.exchange()
    assert stopped.status == "in-progress"
    assert stopped.stage == stage
    assert seen == list(STAGES[: STAGES.index(stage) + 1])

    _taken_over(world, stopped)
    assert len([x for x in world.traffic if x.url.endswith("$member-match")]) == 1


@pytest.mark.seed("SD-40")
@pytest.mark.parametrize("stage", STAGES[1:])
def test_an_exchange_killed_before_a_stage_is_written_down_does_it_again(world, stage):
    write = world.payer.tasks.reach

    def kill(task_id, reached):
        if reached == stage:
            raise Interrupted
        write(task_id, reached)

    world.payer.tasks.reach = kill
    stopped = world.exchange()
    assert stopped.stage == STAGES[STAGES.index(stage) - 1]
    _taken_over(world, stopped)


def _taken_over(world, stopped):
    """Another process goes on with a stopped exchange, and it all ends as if nothing had been."""
    restarted = world.requester()
    assert restarted.resume() == [stopped.id]
    task = restarted.wait(stopped.id, 20)
    assert task.status == "completed", world.note(task)
    assert restarted.stored_digest(task.id) == restarted.archived_digest(task.id)
    keys = {e.key for e in restarted.ledger.of(task.id)}
    tagged = restarted.records.search("", [("_tag", "migrated")])
    assert {r.key for r in tagged} == keys
    assert len(provenance_of(restarted, task)) == len(keys)
    assert len(documents(restarted, task)) == len(restarted.retrieved(task.id).files)
    link = json.read(restarted.repository.get("Patient", "local-a").body)["link"]
    assert len(link) == 1


def test_an_import_is_taken_back_whole(world):
    before = state(world.payer)
    task = world.exchange()
    stored = world.payer.trace(task.id)[-1]["details"]["counts"]
    assert world.payer.take_back(task.id) == sum(stored.values())
    after = state(world.payer)
    consent = ("Consent", task.id)
    assert set(after) - {consent} == set(before)
    same = {k: v[2] for k, v in after.items() if k != consent}
    assert same == {k: v[2] for k, v in before.items()}
    assert world.payer.tasks.get(task.id).status == "entered-in-error"


def test_taking_back_one_of_two_imports_leaves_the_other(world):
    first, second = world.exchange(), world.exchange()
    world.payer.take_back(second.id)
    assert world.payer.tasks.get(first.id).status == "completed"
    keys = {e.key for e in world.payer.ledger.of(first.id)}
    assert {r.key for r in world.payer.repository.by_keys(list(keys))} == keys
    assert json.read(world.payer.repository.get("Patient", "local-a").body)["link"]


def test_a_source_member_is_linked_to_one_local_member_only(world):
    world.exchange()
    world.payer.keep_local(
        [
            json.write(
                {
                    "resourceType": "Patient",
                    "id": "local-b",
                    "identifier": [
                        {"system": world.payer.settings.patient_system, "value": "NEW-2"}
                    ],
                }
            )
        ]
    )
    task = world.exchange(world.parameters(local="local-b"))
    assert task.status == "failed"
    assert "another local member" in world.note(task)
    assert "link" not in json.read(world.payer.repository.get("Patient", "local-b").body)


def test_an_archive_that_is_there_stays_as_it_was_dated(world):
    def kill(_task_id, reached):
        assert reached in STAGES
        if reached == "archived":
            raise Interrupted

    write = world.payer.tasks.reach
    world.payer.tasks.reach = lambda task_id, reached: (
        kill(task_id, reached),
        write(task_id, reached),
    )
    stopped = world.exchange()

    def archive(payer):
        rows = payer.repository.rows(Selection(types=["DocumentReference"]))
        return {r.id: r.body for r in rows if r.compartment == f"exchange.{stopped.id}"}

    before = archive(world.payer)
    world.clock.advance(60)
    restarted = world.requester()
    restarted.resume()
    restarted.wait(stopped.id, 20)
    assert before
    assert archive(restarted) == before


def test_what_is_being_stored_is_not_cancelled_but_taken_back(world):
    refused = []

    def cancel(stage):
        if stage == "transformed":
            with pytest.raises(BadRequest) as caught:
                world.payer.cancel(world.payer.tasks.all()[-1].id)
            refused.append(caught.value.status)

    world.payer.exchanges.after_stage = cancel
    task = world.exchange()
    assert refused == [409]
    assert task.status == "completed"


@pytest.mark.parametrize("stage", ["retrieved", "archived"])
def test_what_is_cancelled_before_it_is_stored_leaves_nothing(world, stage):
    before = state(world.payer)
    world.payer.exchanges.after_stage = lambda reached: (
        world.payer.cancel(world.payer.tasks.all()[-1].id) if reached == stage else None
    )
    task = world.exchange()
    assert task.status == "cancelled"
    assert set(state(world.payer)) - {("Consent", task.id)} == set(before)
