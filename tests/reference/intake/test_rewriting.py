"""Lines made local in their bytes are what the walk makes of them, to the byte."""

from __future__ import annotations

import pytest
from payer_exchange.reference.fhir import json
from payer_exchange.reference.intake.reading import SHARED
from payer_exchange.reference.intake.rewriting import Part, Rewriter
from payer_exchange.reference.intake.transform import TAG_SYSTEM, Origin, transform
from payer_exchange.reference.intake.vouching import import_provenance
from payer_exchange.reference.population import Population

BASE = "https://old.test/fhir"
MINE, OTHERS = 0, 1
OWNERS = {
    "Patient/p": MINE,
    "Patient/q": OTHERS,
    "Encounter/e": MINE,
    "Encounter/x": OTHERS,
    "Binary/b": MINE,
    "Organization/o": -1,
    "Observation/1": MINE,
}


def part(owners=OWNERS, members=(("p", "local-p"), ("q", "local-q"))):
    tasks = (*(f"task-{source}" for source, _ in members), "batch")
    return Part(BASE, BASE, "urn:ids", TAG_SYSTEM, members, tasks, owners, "old", "new",
                "2027-01-15T12:00:00.000Z")  # fmt: skip


def walked(body, owner=MINE, found=None):
    """What the exchange of one member stores."""
    found = found or part()
    source, local = found.members[owner]
    origin = Origin(BASE, BASE, "urn:ids", TAG_SYSTEM, source, local)
    held = {key for key, of in found.owners.items() if of in (owner, -1)}
    return json.write(transform(json.read_exact(body), origin, lambda k: "/".join(k) in held))


def observation(**more):
    return {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/p"}, **more}


@pytest.mark.parametrize(
    "body",
    [
        json.write(observation()),
        json.write(observation(encounter={"reference": "Encounter/e"})),
        json.write(observation(encounter={"reference": "Encounter/never-received"})),
        json.write(observation(focus=[{"reference": "Encounter/x"}])),
        json.write(observation(focus=[{"reference": "Patient/q", "display": "another"}])),
        json.write(observation(performer=[{"reference": f"{BASE}/Organization/o"}])),
        json.write(observation(performer=[{"reference": "https://else.test/Organization/o"}])),
        json.write(observation(performer=[{"reference": "#inside"}])),
        json.write(observation(identifier=[{"system": "urn:ids", "value": "1"}])),
        json.write(observation(meta={"tag": [{"system": TAG_SYSTEM, "code": "migrated"}]})),
        json.write(observation(code={"text": "reference"})),
        json.write(observation(code={"text": 'a "reference":"Patient/p" in words'})),
        json.write(observation(reference={"reference": "Patient/p"})),
        json.write({**observation(), 'odd "reference': "Patient/p"}),
        json.write(observation(valueAttachment={"contentType": "text/plain",
                                                "url": "Binary/b"})),
        b'{"resourceType":"Observation","id":"1","valueQuantity":{"value":72.50}}',
        b'{"resourceType":"Observation","id":"1","valueQuantity":{"value":1e3}}',
        b'{"resourceType":"Observation","id":"1","valueQuantity":{"value":0.1}}',
        b'{"resourceType":"Observation","id":"1","n":[1, 2.0 ,-0,-0.0,12345678901234567890123]}',
        b'{ "resourceType" : "Observation" , "id" : "1", "a": {"reference" : "Patient\\/p"} }',
        b'{"resourceType":"Observation","id":"1","subject":{"refer\\u0065nce":"Patient/p"}}',
        b'{"resourceType":"Observation","id":"1","subject":{"reference":"Patient\\u002fp"}}',
        b'{"resourceType":"Observation","id":"1","a":{"url":"\\u0042inary/b","contentType":"x"}}',
        b'{"resourceType":"Observation","id":"1","note":[{"text":"\xc3\xa9 \\u00e9 72.50, 3.0]"}]}',
        b'{"resourceType":"Observation","id":"1","a":{"reference":"Patient/q","reference":"Patient/p"}}',
        json.write({"resourceType": "Patient", "id": "p", "link": [{"type": "seealso"}]}),
        json.write({"resourceType": "Provenance", "id": "v",
                    "target": [{"reference": "Observation/1"}]}),
        json.write({"resourceType": "QuestionnaireResponse", "id": "r",
                    "identifier": {"value": "own"}}),
    ],
)  # fmt: skip
def test_what_is_made_of_the_bytes_is_what_is_made_of_the_tree(body):
    assert Rewriter(part()).local(body, MINE).body == walked(body)


def test_whole_records_are_made_the_same():
    population = Population(seed=3, members=4)
    records = [list(population.record(index).entries) for index in range(4)]
    patients = [next(e.id for e in record if e.kind == "Patient") for record in records]
    owners = {f"{e.kind}/{e.id}": n for n, record in enumerate(records) for e in record}
    owners |= {f"{kind}/{ident}": -1 for kind, ident, _ in population.shared()}
    found = part(owners, tuple((ident, f"local-{ident}") for ident in patients))
    rewriter = Rewriter(found)
    made = 0
    for number, record in enumerate(records):
        for entry in record:
            line = rewriter.local(entry.body, number)
            assert line.body == walked(entry.body, number, found)
            made += 1
    assert made > 100


@pytest.mark.parametrize("kind", ["Observation", *sorted(SHARED)[:2]])
def test_the_provenance_of_a_form_is_the_provenance_made_alone(kind):
    owner = -1 if kind in SHARED else MINE
    body = json.write({"resourceType": kind, "id": "1"})
    line = Rewriter(part()).local(body, owner)
    alone = import_provenance(
        kind, line.local_id, source_url=f"{BASE}/{kind}/1", source_organization="old",
        own_organization="new", local_patient="" if owner < 0 else "local-p",
        recorded="2027-01-15T12:00:00.000Z",
    )  # fmt: skip
    assert line.voucher == json.write(alone)
    assert ("onBehalfOf" in json.write(alone).decode()) is (owner == MINE)
