"""An export of many members at once lets leave what leaves of each alone, and nothing more."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta

import pytest
from payer_exchange.reference.audit import AuditLog
from payer_exchange.reference.consent import ConsentDecision
from payer_exchange.reference.export import work as work_module
from payer_exchange.reference.export.bulk import NumberSet
from payer_exchange.reference.export.jobs import COMPLETE, EXPORT, ExportJobs
from payer_exchange.reference.export.provenance import (
    ProvenanceLines,
    target,
    transmitter_provenance,
)
from payer_exchange.reference.export.release import ReleaseRequest, Releases
from payer_exchange.reference.export.scope import DataScope, Tally, decided
from payer_exchange.reference.export.work import ExportWork
from payer_exchange.reference.matches import Matches, NewMatch
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.store.facts import stored_line
from payer_exchange.reference.store.repository import Repository

HIV = {"meta": {"security": [{"code": "HIV"}]}}
MONEY = {"payment": {"amount": {"value": 5.50, "currency": "USD"}}}
PA = {"use": "preauthorization", "status": "active", "outcome": "complete",
      "type": {"coding": [{"code": "professional"}]}}  # fmt: skip


def ref(to):
    return {"reference": to}


def resource(kind, ident, **content):
    return {"resourceType": kind, "id": ident, **content}


def record(member):
    """One of everything that the scope treats in a way of its own."""
    mine = ref(f"Patient/{member}")
    claim = {"patient": mine, "created": "2026-01-01"}
    return [
        resource("Patient", member, generalPractitioner=[ref("Practitioner/all")]),
        resource("Observation", f"{member}-o", subject=mine, performer=[ref("Practitioner/all")]),
        resource("Observation", f"{member}-hiv", subject=mine, **HIV,
                 performer=[ref("Practitioner/clinic"), ref("Practitioner/all")]),
        resource("ExplanationOfBenefit", f"{member}-claim", **claim, **MONEY,
                 provider=ref("Organization/o")),
        resource("ExplanationOfBenefit", f"{member}-denied", **claim, **PA,
                 adjudication=[{"category": {"coding": [{"code": "denialreason"}]}}]),
        resource("Basic", f"{member}-basic", subject=mine),
        resource("Coverage", f"{member}-cover", beneficiary=mine,
                 costToBeneficiary=[{"valueMoney": {"value": 20, "currency": "USD"}}]),
        resource("DocumentReference", f"{member}-document", subject=mine),
        resource("Encounter", f"{member}-e", subject=mine, partOf=ref(f"Encounter/{member}-x"),
                 location=[{"location": ref(f"Location/{n}")} for n in (member, "addiction")]),
        # Shared by nobody: it names somebody else, and so do those that only it leads to.
        resource("Observation", f"{member}-list", subject=mine, focus=[ref("List/both")]),
    ]  # fmt: skip


SHARED = [
    resource("Practitioner", "all"),
    resource("Practitioner", "clinic"),
    resource("Organization", "o", partOf=ref("Organization/top")),
    # Leads to somebody else's record, which nobody is sent.
    resource("Organization", "top", endpoint=[ref("Observation/z-o")]),
    resource("Observation", "z-o", subject=ref("Patient/z")),
    resource("Location", "addiction", **HIV),
    resource("Organization", "nobodys"),
    resource("List", "both", entry=[{"item": ref("Patient/a")}, {"item": ref("Patient/b")}]),
]


class World:
    """A store, its clients' matches and the jobs on it; `restart` is another process."""

    def __init__(self, folder, clock):
        self.folder, self.clock = folder, clock
        self.engine = open_data_dir(folder, "payer")
        self.repository = Repository(self.engine, clock=clock)
        self.matches = Matches(self.engine)
        self.releases = Releases(self.repository, DataScope(), "https://payer.example/fhir")
        self.audit = AuditLog(self.engine, "responding", clock)
        self.work = ExportWork(self.releases, self.matches, self.audit, clock, "payer", 0.0)
        self.jobs = self.restart(self.work.write)

    def restart(self, write):
        return ExportJobs(self.engine, self.folder / "exports", self.clock, {EXPORT: write},
                          elsewhere=lambda: True)  # fmt: skip

    def put(self, *resources, decide=True):
        rows = [stored_line(json.dumps(r).encode(), now=self.clock.now()) for r in resources]
        self.repository.put_many(map(decided, rows) if decide else rows)

    def match(self, *members, policy="regular"):
        granted = ConsentDecision(granted=True, policy=policy, start="2020-01-01T00:00:00Z",
                                  end="2099-01-01T00:00:00Z")  # fmt: skip
        found = [NewMatch(m, ("s", m), granted) for m in members]
        self.matches.keep_many("c", found, self.clock.now())

    def start(self, members, *pairs, scopes=("system/*.rs",)):
        content = {"pairs": [list(p) for p in pairs], "members": members,
                   "scopes": list(scopes), "lenient": False}  # fmt: skip
        return self.jobs.start("c", "http://x/$export", content)

    def export(self, members, *pairs, **options):
        started = self.start(members, *pairs, **options)
        assert self.jobs.do_next()
        return self.done(started)

    def done(self, started):
        job = self.jobs.find(started.id, "c")
        assert job.state == COMPLETE
        return job

    def lines(self, job, role="output"):
        return [
            line
            for f in job.result["files"]
            if f["role"] == role
            for line in self.jobs.file(job, f["name"]).read_bytes().splitlines()
        ]

    def keys(self, job):
        found = Counter(
            f"{r['resourceType']}/{r['id']}" for r in map(json.loads, self.lines(job))
            if not r["id"].startswith("tx-")
        )  # fmt: skip
        assert set(found.values()) <= {1}
        return set(found)


@pytest.fixture
def world(tmp_path, clock):
    made = World(tmp_path, clock)
    yield made
    made.jobs.close()
    made.engine.dispose()


def alone(world, member, policy="regular"):
    """What leaves of one member by the way that `$everything` takes, and its tally."""
    tally, asked = Tally(), ReleaseRequest(member, policy)
    rows = world.releases.facts(asked, world.clock.now().date(), tally)
    return {(r.type, r.id): r.body for r in world.releases.bodies(rows, asked, tally)}, tally


@pytest.mark.parametrize("by_type", [True, False])
@pytest.mark.parametrize("decide", [True, False])
@pytest.mark.parametrize("policy", ["regular", "sensitive"])
def test_what_leaves_of_many_is_what_leaves_of_each(world, policy, decide, by_type, monkeypatch):
    if not by_type:  # as where the database does not join bodies, or a member has very many
        monkeypatch.setattr(world.repository, "joinable", lambda _members: [])
    members = ["a", "b", "c", "d"]
    world.put(*SHARED, *(r for m in members for r in record(m)),
              *(resource("Location", m) for m in members), decide=decide)  # fmt: skip
    world.match(*members, policy=policy)
    job = world.export(members)
    bodies, released, stripped, withheld = {}, Counter(), Counter(), Counter()
    for member in members:
        found, tally = alone(world, member, policy)
        bodies |= found
        released += tally.released
        stripped += tally.stripped
        withheld += tally.withheld
    sent = world.lines(job)
    assert set(bodies.values()) <= set(sent)
    assert world.keys(job) == {f"{kind}/{ident}" for kind, ident in bodies}
    told = job.result["tally"]
    vouched = {"Provenance": len(members)}
    assert told == {"released": dict(released | Counter(vouched)), "stripped": dict(stripped),
                    "withheld": dict(withheld)}  # fmt: skip
    # And told by hand, for one member: what the rules say.
    own = {"Patient/a", "Observation/a-o", "ExplanationOfBenefit/a-claim", "Encounter/a-e",
           "Observation/a-list", "Location/a", "Coverage/a-cover",
           "DocumentReference/a-document"}  # fmt: skip
    common = {"Practitioner/all", "Organization/o", "Organization/top"}
    hidden = {"Observation/a-hiv", "Practitioner/clinic", "Location/addiction"}
    expected = own | common | (hidden if policy == "sensitive" else set())
    assert {k for k in world.keys(job) if k.split("/")[1][:2] in ("a", "a-")} | common <= expected
    assert expected <= world.keys(job)
    assert b"currency" not in b"".join(sent)
    assert "Observation/z-o" not in world.keys(job)
    reasons = {"denied-prior-authorization": 4, "type-not-in-scope": 4}
    assert withheld == reasons | ({"sensitive": 8} if policy == "regular" else {})


def test_a_resource_stored_with_line_breaks_leaves_in_one_line(world):
    world.put(resource("Patient", "a"))
    body = b'{"resourceType":"Goal",\n"id":"g","x":1.50,\n"subject":{"reference":"Patient/a"}}'
    world.repository.put_many([stored_line(body, now=world.clock.now())])
    world.put(resource("Goal", "h", subject=ref("Patient/a")))
    world.match("a")
    sent = world.lines(world.export(["a"]))
    assert b'{"resourceType":"Goal","id":"g","x":1.50,"subject":{"reference":"Patient/a"}}' in sent
    assert len(sent) == 4


def test_the_transmitter_names_all_that_a_member_was_sent(world):
    world.put(*SHARED, *record("a"))
    world.match("a")
    job = world.export(["a"])
    [vouching] = [json.loads(x) for x in world.lines(job) if b'"tx-' in x]
    assert {t["reference"] for t in vouching["target"]} == world.keys(job)


@pytest.mark.parametrize("count", [1, 1000, 1001])
def test_a_provenance_by_bytes_is_the_one_by_objects(count):
    keys = [("Observation", str(n)) for n in range(count)]
    by_objects = list(transmitter_provenance("m", keys, 'o"x', "2027-01-15T12:00:00.000Z"))
    by_bytes = ProvenanceLines('o"x').lines(
        "m", [target(*key) for key in keys], "2027-01-15T12:00:00.000Z"
    )
    assert [json.loads(line) for line in by_bytes] == by_objects


def test_types_since_and_filters_hold(world, clock):
    before = clock.now()
    world.put(*SHARED, *record("a"))
    clock.advance(60)
    for ident, status in (("new", "final"), ("other", "amended")):
        world.put(resource("Observation", ident, subject=ref("Patient/a"), status=status))
    world.match("a")
    observations = {"Observation/a-o", "Observation/a-list", "Observation/new", "Observation/other"}
    assert world.keys(world.export(["a"], ("_type", "Observation"))) == observations
    since = ("_since", (before + timedelta(seconds=30)).isoformat())
    # What a member's record refers to comes whatever its date (Bulk Data, _since).
    along = {"Practitioner/all", "Organization/o", "Organization/top"}
    assert (
        world.keys(world.export(["a"], since)) == {"Observation/new", "Observation/other"} | along
    )
    one = ("_typeFilter", "Observation?_id=new")
    assert world.keys(world.export(["a"], ("_type", "Observation"), one)) == {"Observation/new"}
    narrow = world.export(["a"], scopes=["system/Observation.rs"])
    assert world.keys(narrow) == observations


def test_what_is_stored_after_the_kick_off_is_not_in(world):
    world.put(*SHARED, *record("a"))
    world.match("a")
    started = world.start(["a"])
    world.put(resource("Observation", "late", subject=ref("Patient/a")),
              resource("Observation", "a-o", subject=ref("Patient/a"), status="late"),
              resource("Organization", "top", name="late"))  # fmt: skip
    world.jobs.do_next()
    job = world.done(started)
    assert not {"Observation/late", "Observation/a-o", "Organization/top"} & world.keys(job)
    assert "Organization/o" in world.keys(job)
    assert b"late" not in b"".join(world.lines(job))
    assert {"Observation/late", "Observation/a-o"} <= world.keys(world.export(["a"]))


def test_consent_is_asked_again_before_each_batch(world, monkeypatch):
    monkeypatch.setattr(work_module, "_MEMBERS", 2)
    members = ["a", "b", "c", "d"]
    world.put(*(resource("Patient", m) for m in members))
    world.match(*members)
    asked, among = [], world.matches.among

    def withdrawn(client, batch, now):
        asked.append(list(batch))
        if "c" in batch:
            world.matches.withdraw("c", now)
        return among(client, batch, now)

    monkeypatch.setattr(world.matches, "among", withdrawn)
    job = world.export(members)
    assert asked == [["a", "b"], ["c", "d"]]
    assert world.keys(job) == {"Patient/a", "Patient/b", "Patient/d"}
    assert list(job.result["members"]) == ["a", "b", "d"]
    assert list(job.content["members"]) == members


def test_a_run_that_dies_is_gone_on_with_where_it_was_saved(world, monkeypatch):
    monkeypatch.setattr(work_module, "_MEMBERS", 1)
    members = ["a", "b", "c", "d"]
    world.put(*SHARED, *(r for m in members for r in record(m)))
    world.match(*members)
    whole = world.export(members)

    class Killed(BaseException):
        pass

    def dies(text):
        if text.startswith("3 "):
            raise Killed

    started = world.start(members)
    dying = world.restart(lambda job, writer, _: world.work.write(job, writer, dies))
    with pytest.raises(Killed):
        dying.do_next()
    dying.close()
    asked, among = [], world.matches.among
    monkeypatch.setattr(world.matches, "among", lambda c, m, n: asked.extend(m) or among(c, m, n))
    assert world.jobs.resume() == 1
    world.jobs.do_next()
    job = world.done(started)
    # The two first were saved; the third was written, but not saved.
    assert asked == ["c", "d"]
    assert sorted(world.lines(job)) == sorted(world.lines(whole))
    assert job.result["tally"] == whole.result["tally"]


def test_what_was_deleted_since_is_told(world, clock):
    world.put(*SHARED, *record("a"), *record("b"))
    world.match("a")
    first = clock.now()
    clock.advance(60)
    gone = ["Observation/a-o", "Observation/a-hiv", "Basic/a-basic", "Observation/b-o",
            "Practitioner/clinic"]  # fmt: skip
    world.repository.forget([tuple(key.split("/")) for key in gone])
    # Moved to another member; and taken out, then stored again.
    world.put(resource("Encounter", "a-e", subject=ref("Patient/b")))
    world.repository.forget([("Observation", "a-list")])
    world.put(resource("Observation", "a-list", subject=ref("Patient/a")))
    clock.advance(60)
    since = ("_since", first.isoformat())

    def deleted(*pairs):
        bundles = [json.loads(x) for x in world.lines(world.export(["a"], *pairs), "deleted")]
        assert all((b["resourceType"], b["type"]) == ("Bundle", "transaction") for b in bundles)
        return {(e["request"]["method"], e["request"]["url"]) for b in bundles for e in b["entry"]}

    assert deleted(since) == {("DELETE", "Observation/a-o"), ("DELETE", "Encounter/a-e")}
    assert deleted(since, ("_type", "Encounter")) == {("DELETE", "Encounter/a-e")}
    assert deleted() == set()
    assert deleted(("_since", clock.now().isoformat())) == set()


def test_clients_take_turns(world):
    world.put(resource("Patient", "a"))
    done = []
    jobs = world.restart(lambda job, *_: done.append((job.client_id, job.content["n"])) or {})
    for n in range(5):
        jobs.start("many", "r", {"n": n})
    while len(done) < 2:
        jobs.do_next()
    jobs.start("few", "r", {"n": 0})
    jobs.start("few", "r", {"n": 1})
    while jobs.do_next():
        pass
    assert done == [("many", 0), ("many", 1), ("few", 0), ("many", 2), ("few", 1), ("many", 3),
                    ("many", 4)]  # fmt: skip
    jobs.close()


def test_numbers_are_new_once():
    numbers = NumberSet()
    assert [numbers.add(n) for n in (5, 70_000, 5, 0, 70_000, 6)] == [
        True, True, False, True, False, True,
    ]  # fmt: skip
    again = NumberSet(bytes(numbers))
    assert [again.add(n) for n in (5, 6, 7)] == [False, False, True]
