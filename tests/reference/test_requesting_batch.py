"""A batch of many members: matched in bulk, exported by Group, stored member by member."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from payer_exchange.reference.fhir import json
from payer_exchange.reference.intake.reading import SHARED
from payer_exchange.reference.requesting import batch_fetching, batch_making
from payer_exchange.reference.requesting.request import read_invoke
from payer_exchange.reference.store.repository import Selection
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.requesting_assembly import joiners, keep_joiners
from payer_exchange.simulators.responder_options import ResponderOptions

MEMBERS = 60


@pytest.fixture(scope="module")
def sixty(clock, tmp_path_factory):
    """A responding payer with sixty members."""
    folder = tmp_path_factory.mktemp("sixty")
    running = start_responder(ResponderOptions(members=MEMBERS, data_dir=folder), clock=clock)
    running.payer.jobs._pool = ThreadPoolExecutor(1)
    yield running
    running.close()


@pytest.fixture
def make_many(world, clock, sixty, tmp_path):
    """Requesting payers beside each other, each with a database of its own."""
    made = []

    def make():
        folder = tmp_path / f"many-{len(made)}"
        made.append(Many(type(world)(clock, sixty, sixty.truth(), folder)))
        return made[-1]

    yield make
    for each in made:
        each.world.close()


@pytest.fixture
def many(make_many):
    return make_many()


class Many:
    """A requesting payer whom members of the old plan join."""

    def __init__(self, world):
        self.world, self.payer, self.truth, self.clock = (
            world, world.payer, world.truth, world.clock,
        )  # fmt: skip
        self.joined = list(joiners(self.truth, self.clock.now().date()))
        keep_joiners(self.payer, self.joined)

    def request(self, joiner, payer=None, **card):
        """The request for one who joins; `card` changes what stands on the old plan's card."""
        payer = payer or self.payer
        event = replace(joiner.event, other_payer=replace(joiner.event.other_payer, **card))
        found, _ = payer.opt_in(event, start=False)
        return read_invoke(payer.parameters_for(found))

    def batch(self, requests, payer=None, **options):
        """The batch's Task, once it has ended."""
        payer = payer or self.payer
        return payer.wait(payer.invoke_bulk(requests, **options), 60)

    def tasks(self, batch, payer=None):
        found = (payer or self.payer).tasks.parts_of(
            batch.id, "completed", "failed", "cancelled", "requested", "in-progress"
        )
        return {task.local_patient: task for task in found}


def unknown(request):
    """The same request for somebody whom nobody knows."""
    patient = {**request.match.patient, "name": [{"family": "Nobody", "given": ["No"]}],
               "birthDate": "1901-01-01"}  # fmt: skip
    return replace(request, match=replace(request.match, patient=patient))


def expired(request):
    """The same request under a Consent that has ended."""
    consent = dict(request.match.consent)
    period = {"start": "2020-01-01", "end": "2020-12-31"}
    consent["provision"] = {**consent["provision"], "period": period}
    return replace(request, match=replace(request.match, consent=consent))


def test_everybody_ends_where_the_truth_table_says(many, monkeypatch):
    """Those whose consent has ended are let through here, so that the source payer judges them."""
    for module in (batch_fetching, batch_making):
        monkeypatch.setattr(module, "check_consent", lambda *_: None)
    requests = [many.request(joiner) for joiner in many.joined]
    strangers, late = requests[3:9], requests[9:14]
    asked = [*requests[:3], *map(unknown, strangers), *map(expired, late), *requests[14:]]

    batch = many.batch(asked)
    told = many.payer.batch_summary(batch.id)

    tasks = many.tasks(batch)
    assert batch.status == "completed"
    assert told["members"] == len(asked) == len(tasks)
    for request in strangers:
        assert tasks[request.local_patient].status == "failed"
        assert "no single member" in many.world.note(tasks[request.local_patient])
    for request in late:
        assert tasks[request.local_patient].status == "failed"
        assert "Consent" in many.world.note(tasks[request.local_patient])
    assert told["outcomes"]["consent-constrained"] == len(late)
    # Twins whose cards fit both, and nobody else, may be missing beside the strangers.
    assert told["outcomes"]["no-match"] >= len(strangers)
    assert told["outcomes"]["matched"] == len(asked) - sum(
        told["outcomes"][k] for k in ("no-match", "consent-constrained")
    )
    assert told["received"] == told["stored"]
    assert told["turned_away"] == {}
    kinds = [item.kind for item in many.payer.opt_ins.work_list()]
    assert kinds.count("consent-constrained") == len(late)
    for task, stored, archived in many.payer.batch_digests(batch.id):
        assert stored == archived, task


def test_a_batch_stores_what_single_exchanges_store(many, make_many):
    requests = [many.request(joiner) for joiner in many.joined[:8]]
    batch = many.batch(requests)
    assert many.payer.batch_summary(batch.id)["outcomes"]["matched"] == len(requests)

    other = make_many()
    for joiner in many.joined[:8]:
        found, _ = other.payer.opt_in(joiner.event, start=False)
        task = other.payer.invoke_export(other.payer.parameters_for(found))
        assert other.payer.wait(task["id"], 30).status == "completed"
    batched, single = bodies(many.payer), bodies(other.payer)
    # One by one, each member brings a Provenance of what all share; a batch brings one for all.
    of_shared = {
        key
        for key, body in single.items()
        if key[1].startswith("from-")
        and json.read(body)["target"][0]["reference"].split("/")[0] in SHARED
    }
    assert of_shared
    assert batched == {key: body for key, body in single.items() if key not in of_shared}


def bodies(payer):
    """What is stored of members, by type and id; the moment it was recorded left out.

    The source's own Provenance of the transmission differs, because its exports did.
    """
    found = {}
    for row in payer.repository.rows(Selection()):
        resource = json.read(row.body)
        sent = "tx-" in str(resource.get("identifier", resource.get("meta")))
        if row.compartment.startswith("imp-") and not sent:
            found[row.key] = re.sub(rb'"recorded":"[^"]*"', b'"recorded":""', row.body)
    return found
