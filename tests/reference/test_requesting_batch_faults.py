"""What goes wrong in a batch: with one file, one line, one part, or the process itself."""

from __future__ import annotations

import re

import pytest
from payer_exchange.reference.asking import coverage_to_link
from payer_exchange.reference.errors import BadRequest
from payer_exchange.reference.fhir import json
from payer_exchange.reference.fhir.ndjson import lines_of
from payer_exchange.reference.intake.archive import file_pieces
from payer_exchange.reference.intake.staging import StagedFile
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.requesting import Interrupted
from payer_exchange.reference.requesting.request import read_invoke
from payer_exchange.reference.store.repository import Selection

FEW = (("_type", "Patient,Condition,Coverage,Encounter,Organization,Practitioner"),)
MEMBERS = ("A", "F", "G", "H")
CODES = "PdexMultiMemberMatchResultCS"
OWN = PayerIdentity("https://example.org/payer-id", "REQUESTING-PAYER")
STAGES = ["matched", "retrieved", "archived", "stored", "linked", "closed", "done"]


def called(app, environ):
    told = []
    body = b"".join(app(environ, lambda status, headers: told.extend((status, headers))))
    return told[0], dict(told[1]), body


def changing(fits, change, times=1000):
    """A layer that changes the bodies that fit, so many times."""
    left = [times]

    def layer(app, environ, start):
        status, headers, body = called(app, environ)
        if left[0] and status.startswith("200") and fits(body):
            left[0] -= 1
            body = change(body)
            headers["Content-Length"] = str(len(body))
        start(status, list(headers.items()))
        return [body]

    return layer


def is_file(kind):
    return lambda body: body.startswith(b'{"resourceType":"%b"' % kind.encode())


def is_manifest(body):
    return body.startswith(b"{") and b'"transactionTime"' in body[:200]


@pytest.fixture
def party(world):
    return Party(world)


class Party:
    """Four members of the old plan who ask in one batch."""

    def __init__(self, world):
        self.world, self.payer = world, world.payer
        matching = [r for r in world.truth["requests"] if r["expect"] == "match"]
        self.asked = {r["member"]: r for r in reversed(matching)}
        for key in MEMBERS:
            patient = {"resourceType": "Patient", "id": f"local-{key}",
                       "identifier": [{"system": world.payer.settings.patient_system,
                                       "value": f"NEW-{key}"}]}  # fmt: skip
            self.payer.keep_local([json.write(patient)])

    def request(self, key):
        world, asked = self.world, self.asked[key]
        parts = world.match_parts(asked["name"])
        link = coverage_to_link(asked["patient"]["id"], world.payer.settings.identity, "NEW")
        body = world.parameters({**parts, "CoverageToLink": link}, local=f"local-{key}", export=())
        return read_invoke(body)

    def requests(self):
        return [self.request(key) for key in MEMBERS]

    def batch(self, payer=None, export=FEW, requests=None, **options):
        payer = payer or self.payer
        ident = payer.invoke_bulk(requests or self.requests(), export, **options)
        return payer.wait(ident, 30)

    def tasks(self, batch, payer=None):
        every = ("completed", "failed", "cancelled", "requested", "in-progress", "entered-in-error")
        found = (payer or self.payer).tasks.parts_of(batch.id, *every)
        return {task.local_patient.removeprefix("local-"): task for task in found}

    def state(self, payer=None):
        """What is stored of members: key, bytes, version, whose."""
        return {
            row.key: (row.body, row.version, row.compartment)
            for row in (payer or self.payer).repository.rows(Selection())
            if row.type not in ("Consent", "DocumentReference", "Binary")
        }


def test_a_batch_twice_changes_nothing(party):
    first = party.batch()
    assert {t.status for t in party.tasks(first).values()} == {"completed"}
    before = party.state()
    second = party.batch()
    assert {t.status for t in party.tasks(second).values()} == {"completed"}
    assert party.state() == before
    assert len(before) > 40


@pytest.mark.parametrize("stage", STAGES)
def test_a_batch_that_is_stopped_at_any_stage_goes_on_to_the_same_end(party, world, stage):
    def kill(reached):
        if reached == stage:
            raise Interrupted

    party.payer.bulk.after_stage = kill
    batch = party.batch()
    assert batch.status == "in-progress"
    party.payer.close()
    again = world.requester()
    assert again.resume() == [batch.id]
    ended = again.wait(batch.id, 30)
    assert ended.status == "completed"
    assert {t.status for t in party.tasks(ended, again).values()} == {"completed"}
    stored = party.state(again)
    again_batch = party.batch(again)
    assert again_batch.status == "completed"
    assert party.state(again) == stored
    told = again.batch_summary(batch.id)
    assert told["outcomes"]["matched"] == len(MEMBERS)
    assert told["received"] == told["stored"]
    assert not list((world.folder / "q" / "staging").glob("*/*"))


def test_a_member_is_taken_back_alone(party):
    batch = party.batch()
    before, tasks = party.state(), party.tasks(batch)
    gone = f"imp-{tasks['F'].outputs[0][1].removeprefix('Patient/imp-')}"
    removed = party.payer.take_back(tasks["F"].id)
    left = party.state()
    assert removed == sum(1 for k, v in before.items() if v[2] == gone and k[1].startswith("imp-"))
    assert not [key for key, value in left.items() if value[2] == gone]
    patients = ("Patient", "local-F")
    kept = {k: v for k, v in before.items() if v[2] != gone and k != patients}
    assert {k: v for k, v in left.items() if k != patients} == kept
    assert b'"link"' not in left[patients][0]
    assert party.tasks(batch)["F"].status == "entered-in-error"


def test_a_line_about_somebody_who_was_not_matched_is_turned_away(party, world):
    def add(body):
        patient = world.member("B")["patient_id"].encode()
        foreign = (
            b'{"resourceType":"Condition","id":"foreign","subject":{"reference":"Patient/%b"}}'
        )
        return body + foreign % patient + b"\n"

    with (
        world.between(changing(is_file("Condition"), add)),
        world.between(changing(is_manifest, _counted_up)),
    ):
        batch = party.batch()
    told = party.payer.batch_summary(batch.id)
    assert told["turned_away"] == {"A resource is about another member.": 1}
    assert told["received"] == told["stored"] + 1
    assert ("Condition", "foreign") not in {
        (e.type, e.source_id) for t in party.tasks(batch).values()
        for e in party.payer.ledger.of(t.id)
    }  # fmt: skip


def _counted_up(body):
    manifest = json.read(body)
    for entry in manifest["output"]:
        if entry["type"] == "Condition":
            entry["count"] += 1
    return json.write(manifest)


def test_a_file_that_breaks_off_once_is_fetched_again(party, world):
    with world.between(changing(is_file("Condition"), lambda body: body[:-30], times=1)):
        batch = party.batch()
    assert batch.status == "completed"
    assert party.payer.batch_summary(batch.id)["outcomes"]["matched"] == len(MEMBERS)


def test_a_file_that_always_breaks_off_fails_its_part_with_a_sentence(party, world):
    with world.between(changing(is_file("Condition"), lambda body: body[:-30])):
        batch = party.batch()
    assert batch.status == "failed"
    for task in party.tasks(batch).values():
        assert task.status == "failed"
        assert "breaks off in its last line" in world.note(task)
    assert party.payer.batch_summary(batch.id)["outcomes"]["failed"] == len(MEMBERS)
    assert not [k for k, v in party.state().items() if v[2].startswith("imp-")]


def test_one_part_that_fails_fails_no_other(party, world):
    again = world.requester(batch_size=2)
    once = changing(is_file("Group"), lambda body: body.replace(b"#m-", b"#x-"), times=1)
    with world.between(once):
        batch = party.batch(again)
    told = again.batch_summary(batch.id)
    assert told["parts"] == 2
    assert told["outcomes"]["unreconciled"] == 2
    assert told["outcomes"]["matched"] == 2
    assert batch.status == "completed"
    kinds = [item.kind for item in again.opt_ins.work_list()]
    assert kinds == ["unreconciled", "unreconciled"]


def test_what_the_source_deleted_is_removed(party, world):
    party.batch()
    gone = next(k for k, v in party.state().items()
                if k[0] == "Condition" and v[2].startswith("imp-"))  # fmt: skip
    source = next(e.source_id for t in party.payer.tasks.all() for e in party.payer.ledger.of(t.id)
                  if e.key == gone)  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [
        {"request": {"method": "DELETE", "url": f"Condition/{source}"}},
        {"request": {"method": "DELETE", "url": "Condition/of-nobody-here"}},
    ]}  # fmt: skip

    def deleting(body):
        manifest = json.read(body)
        patients = [e for e in manifest["output"] if e["type"] == "Patient"]
        if not patients:
            return body
        return json.write({**manifest, "output": patients, "deleted": [
            {"type": "Bundle", "url": f"{world.issuer}/fhir/deleted-bundle"}]})  # fmt: skip

    def layer(app, environ, start):
        if environ["PATH_INFO"].endswith("deleted-bundle"):
            start("200 OK", [("Content-Type", "application/fhir+ndjson")])
            return [json.write(bundle) + b"\n"]
        return changing(is_manifest, deleting)(app, environ, start)

    with world.between(layer):
        batch = party.batch()
    assert batch.status == "completed"
    assert gone not in party.state()


def test_reported_problems_are_archived_and_noted(party, world):
    problem = json.write({"resourceType": "OperationOutcome", "issue": []}) + b"\n"

    def failing(body):
        manifest = json.read(body)
        error = {"type": "OperationOutcome", "url": f"{world.issuer}/fhir/problems"}
        return json.write({**manifest, "error": [error]})

    def layer(app, environ, start):
        if environ["PATH_INFO"].endswith("problems"):
            start("200 OK", [("Content-Type", "application/fhir+ndjson")])
            return [problem]
        return changing(is_manifest, failing)(app, environ, start)

    with world.between(layer):
        batch = party.batch()
    assert all("1 problems" in str(t.notes) for t in party.tasks(batch).values())
    [part] = party.payer.batches.parts(batch.id)
    [file] = [StagedFile(**f) for f in part.received[0]["files"] if f["role"] == "error"]
    pieces = file_pieces(party.payer.repository, batch.id, file)
    assert list(lines_of(pieces)) == [problem.rstrip(b"\n")]


def test_the_envelope_of_2_1_0_is_read_from_its_file_or_inline(party, world):
    names = {"match": "MatchedMembers", "nomatch": "NonMatchedMembers"}

    def enveloped(body):
        groups = [json.read(line) for line in lines_of([body])]
        entries = [
            {"name": names[g["code"]["coding"][0]["code"]], "resource": g}
            for g in groups
            if g["code"]["coding"][0]["code"] in names
        ]
        return json.write({"resourceType": "Parameters", "parameter": entries}) + b"\n"

    def as_parameters(body):
        return re.sub(rb'"type":"Group"', b'"type":"Parameters"', body)

    def only_envelope(body):
        manifest = json.read(body)
        for entry in manifest["output"]:
            entry.pop("count", None)
        return as_parameters(json.write(manifest))

    with (
        world.between(changing(is_file("Group"), enveloped)),
        world.between(changing(is_manifest, only_envelope)),
    ):
        batch = party.batch()
    assert party.payer.batch_summary(batch.id)["outcomes"]["matched"] == len(MEMBERS)


def test_the_next_batch_asks_for_what_changed_since_the_last_manifest(party, world):
    moments = []

    def note(body):
        moments.append(json.read(body)["transactionTime"])
        return body

    with world.between(changing(is_manifest, note)):
        party.batch()
    last = moments[-1]
    world.clock.advance(3600)
    world.traffic.clear()
    second = party.batch(since_last=True)
    [asked] = [json.read(x.request_body) for x in world.traffic if "data-export" in x.url]
    since = [p["valueInstant"] for p in asked["parameter"] if p["name"] == "_since"]
    assert since == [last]
    assert {t.status for t in party.tasks(second).values()} == {"completed"}
    # What the source did not touch is not sent again, and nothing is lost for that.
    assert party.payer.batch_summary(second.id)["stored"] < 10


def test_a_group_is_exported_by_either_operation(party, world):
    again = world.requester(bulk_export_method="export")
    batch = party.batch(again)
    assert again.batch_summary(batch.id)["outcomes"]["matched"] == len(MEMBERS)
    assert [x for x in world.traffic if x.url.endswith("/$export") and "/Group/" in x.url]


def test_a_cancelled_batch_leaves_its_tasks_and_nothing_else(party):
    before = party.state()

    def cancel(stage):
        if stage == "retrieved":
            party.payer.cancel(party.payer.tasks.unfinished("p2p-batch-")[0])

    party.payer.bulk.after_stage = cancel
    batch = party.batch()
    assert batch.status == "cancelled"
    assert {t.status for t in party.tasks(batch).values()} == {"cancelled"}
    assert party.payer.batch_summary(batch.id)["outcomes"]["cancelled"] == len(MEMBERS)
    assert party.state() == before


def test_a_cancelled_member_is_left_out_of_what_is_stored(party):
    def cancel(stage):
        if stage == "retrieved":
            [task] = [t for t in party.payer.tasks.all() if t.local_patient == "local-F"]
            party.payer.cancel(task.id)

    party.payer.bulk.after_stage = cancel
    batch = party.batch()
    tasks = party.tasks(batch)
    assert tasks["F"].status == "cancelled"
    assert {tasks[k].status for k in ("A", "G", "H")} == {"completed"}
    assert not list(party.payer.ledger.of(tasks["F"].id))
    assert party.payer.ledger.quarantined(batch.id) == []


def test_what_is_wrong_with_one_member_is_that_members_affair(party):
    requests = party.requests()
    bad = [
        requests[0].__class__("nobody", requests[0].issuer, requests[0].match),
        requests[1].__class__("local-F", "https://unknown.test", requests[1].match),
        requests[2],
        requests[2],
    ]
    batch = party.batch(requests=bad)
    tasks = party.payer.tasks.parts_of(batch.id, "failed")
    notes = sorted(t.notes[-1]["text"][:30] for t in tasks)
    assert notes == ["An exchange for this member wi", "No server is registered under ",
                     "There is no such local Patient"]  # fmt: skip
    assert party.payer.batch_summary(batch.id)["outcomes"] == {
        "matched": 1, "no-match": 0, "consent-constrained": 0, "unreconciled": 0, "failed": 3,
        "cancelled": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("parameters", "status"),
    [
        ([], 400),
        ([{"name": "export", "part": [{"name": "_type", "valueString": "Patient"}]}], 422),
        ([{"name": "optIns", "valueBoolean": False}], 422),
        ([{"name": "optIns", "valueBoolean": True}, {"name": "member", "part": []}], 422),
        ([{"name": "other", "valueBoolean": True}], 400),
        ([{"name": "member", "part": [{"name": "localPatient", "valueString": "x"}]}], 400),
    ],
)
def test_a_body_that_is_no_batch_is_refused(party, parameters, status):
    with pytest.raises(BadRequest) as caught:
        party.payer.invoke_bulk_export({"resourceType": "Parameters", "parameter": parameters})
    assert caught.value.status == status
