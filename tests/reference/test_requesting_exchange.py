"""One exchange from the call to the stored record, as the requesting payer has to do it."""

from __future__ import annotations

import gzip
import threading
from dataclasses import replace
from urllib.parse import parse_qs

import jwt
import pytest
from payer_exchange.reference.fhir import json
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.registration.clients import ClientSecret
from payer_exchange.reference.registration.servers import server_from_json
from payer_exchange.simulators.clients_assembly import CLIENT_ID

PHASES = ["registration", "opt-in", "request", "authorization", "member-match", "export", "storage"]


def calls(world):
    """(method, path) of every call, in order, the job and file names left out."""
    base = world.responder.fhir_base
    found = []
    for exchange in world.traffic:
        path = exchange.url.removeprefix(base).split("?")[0]
        for opaque in ("export-status", "export-files"):
            if f"/{opaque}/" in path:
                path = f"/{opaque}/*"
        if not found or found[-1] != (exchange.method, path):
            found.append((exchange.method, path))
    return found


def expected_sent(world, key="A"):
    """(type, id) of what the truth table says leaves of a member's record."""
    resources = world.member(key)["record"]["resources"]
    return {tuple(k.split("/")) for k, r in resources.items() if r["expect"] != "withheld"}


@pytest.mark.seed("SD-31", "SD-14", "SD-18")
def test_one_call_brings_the_whole_record(world):
    answered = world.payer.invoke_export(world.whole())
    assert answered["status"] == "requested"
    task = world.payer.wait(answered["id"], 20)

    assert task.status == "completed"
    brought = {(e.type, e.source_id) for e in world.payer.ledger.of(task.id)}
    assert expected_sent(world) <= brought
    own = {
        k
        for k in brought
        if k[0]
        not in (
            "Organization",
            "Practitioner",
            "PractitionerRole",
            "Location",
            "Medication",
            "Provenance",
        )
    }
    assert own <= expected_sent(world)


@pytest.mark.seed("SD-14")
def test_a_task_is_in_progress_while_the_exchange_runs(world):
    seen = []
    world.payer.exchanges.after_stage = lambda _stage: seen.append(
        {t.status for t in world.payer.tasks.all()}
    )
    world.exchange()
    assert seen[0] == {"in-progress"}


def test_the_task_has_the_fields_of_the_monitoring_page(world):
    task = world.exchange().resource()
    assert task["code"]["coding"][0]["system"] == (
        "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"
    )
    assert task["code"]["coding"][0]["code"] == "data-request"
    assert task["meta"]["tag"][0] == {
        "system": "http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes",
        "code": "CDR_MANAGED",
    }
    assert task["for"] == {"reference": "Patient/local-a"}
    assert task["focus"]["reference"].startswith("Consent/")
    assert task["owner"]["identifier"]["value"] == "RESPONDING-PAYER"
    assert task["requester"]["identifier"]["value"] == "REQUESTING-PAYER"
    for reference in (task["owner"], task["requester"], task["focus"]):
        kind, ident = reference["reference"].split("/")
        assert world.payer.repository.get(kind, ident)
    kinds = {o["type"]["coding"][0]["code"] for o in task["output"]}
    assert kinds == {"documentreference", "patient"}


@pytest.mark.seed("SD-11")
def test_the_trace_has_the_seven_phases_in_order(world):
    task = world.exchange()
    trace = world.payer.trace(task.id)
    assert [r["phase"] for r in trace] == PHASES
    assert {r["actor"] for r in trace} == {"requesting"}
    assert {r["outcome"] for r in trace} == {"done"}
    assert all(r["started"] <= r["ended"] for r in trace)
    assert [e.phase for e in world.events if e.state == "done"] == PHASES


@pytest.mark.seed("SD-16")
def test_both_sides_of_the_match_are_logged(world):
    task = world.exchange()
    records = [r for r in world.payer.audit.records(task.id) if r["phase"] == "member-match"]
    assert [r["event"] for r in records] == ["request", "response", "phase"]
    assert records[1]["details"]["status"] == 200


@pytest.mark.seed("SD-38")
def test_the_export_is_kicked_off_polled_downloaded_and_released(world):
    busy = threading.Event()

    def once_in_progress(app, environ, start):
        if "export-status" in environ["PATH_INFO"] and not busy.is_set():
            busy.set()
            start("202 Accepted", [("Retry-After", "7"), ("X-Progress", "half")])
            return [b""]
        return app(environ, start)

    with world.between(once_in_progress):
        task = world.exchange()
    assert task.status == "completed"
    order = [c for c in calls(world) if "export" in c[1]]
    assert order == [
        ("POST", "/Patient/$export"),
        ("GET", "/export-status/*"),
        ("GET", "/export-files/*"),
        ("DELETE", "/export-status/*"),
    ]
    assert 7.0 in world.waits
    kick_off = next(x for x in world.traffic if x.url.endswith("/Patient/$export"))
    assert kick_off.request_headers["Prefer"] == "respond-async"


@pytest.mark.seed("SD-17")
def test_manifest_lines_and_stored_counts_are_the_same(world):
    task = world.exchange(world.whole())
    manifest = next(
        json.read(x.body) for x in world.traffic if "export-status" in x.url and x.status == 200
    )
    promised = {f["type"]: f["count"] for f in manifest["output"]}
    [export, storage] = world.payer.trace(task.id)[-2:]
    assert promised == export["details"]["counts"] == storage["details"]["counts"]


@pytest.mark.seed("SD-34")
def test_the_match_is_sent_as_it_was_given(world):
    parts = world.match_parts()
    world.exchange(world.parameters(parts))
    [sent] = [x for x in world.traffic if x.url.endswith("$member-match")]
    body = json.read(sent.request_body)
    assert {p["name"]: p["resource"] for p in body["parameter"]} == parts


@pytest.mark.seed("SD-33", "SD-15")
def test_each_call_bears_a_token_that_this_payer_fetched(world):
    world.exchange()
    forms = [parse_qs(x.request_body.decode()) for x in world.traffic if "token" in x.url]
    tokens = [json.read(x.body)["access_token"] for x in world.traffic if "token" in x.url]
    assert [f["scope"] for f in forms] == [[MEMBER_MATCH], ["system/*.rs"]]
    claims = [
        jwt.decode(f["client_assertion"][0], options={"verify_signature": False}) for f in forms
    ]
    assert len({c["jti"] for c in claims}) == len(claims)
    assert {c["iss"] for c in claims} == {CLIENT_ID}
    public = (".well-known", "/metadata")
    fhir = [
        x
        for x in world.traffic
        if x.url.startswith(world.responder.fhir_base) and not any(name in x.url for name in public)
    ]
    match, *data = [x.request_headers["Authorization"] for x in fhir]
    assert match == f"Bearer {tokens[0]}"
    assert set(data) == {f"Bearer {tokens[1]}"}
    assert not any(t in x.url for x in world.traffic for t in tokens)


@pytest.mark.seed("SD-20")
@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_basic"])
def test_both_ways_of_authenticating_work(world, method):
    if method == "client_secret_basic":
        clients = world.responder.payer.clients
        kept = clients.find(CLIENT_ID)
        clients.register(
            replace(
                kept,
                secrets=(
                    ClientSecret(
                        "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"
                    ),
                ),
            )
        )
        world.payer.register({"servers": [world.server(auth_method=method, secret="secret")]})
    assert world.exchange().status == "completed"
    schemes = {
        x.request_headers.get("Authorization", "").split(" ")[0]
        for x in world.traffic
        if "token" in x.url
    }
    assert schemes == ({"Basic"} if method == "client_secret_basic" else {""})


@pytest.mark.seed("SD-20")
def test_a_token_is_renewed_before_it_ends_and_told_nowhere(world):
    """Every poll takes longer than a token lives."""
    polls = []

    def slow(app, environ, start):
        if "export-status" in environ["PATH_INFO"] and len(polls) < 3:
            polls.append(environ["HTTP_AUTHORIZATION"])
            start("202 Accepted", [("Retry-After", "299")])
            return [b""]
        return app(environ, start)

    with world.between(slow):
        task = world.exchange()
    assert task.status == "completed"
    assert len(set(polls)) > 1
    assert not [x for x in world.traffic if x.status == 401]
    told = json.write(task.resource()) + json.write(world.payer.audit.records())
    assert not any(p.removeprefix("Bearer ").encode() in told for p in polls)


@pytest.mark.seed("SD-22")
def test_export_everything_and_search_store_the_same(world):
    """With the clock standing still, so that what the responder dates now is dated alike."""
    world.payer.exchanges._sleep = lambda _s: None
    digests, brought = {}, {}
    for method in ("export", "everything", "search"):
        world.payer.register({"servers": [world.server(export_method=method)]})
        task = world.exchange(world.whole())
        assert task.status == "completed", world.note(task)
        digests[method] = world.payer.stored_digest(task.id)
        brought[method] = {e.key for e in world.payer.ledger.of(task.id)}
    assert digests["export"] == digests["everything"]
    # A search gets the payer's own Provenance piecemeal: its targets come in another order.
    assert brought["export"] == brought["search"]


@pytest.mark.seed("SD-06")
def test_the_export_is_what_is_done_unless_told_otherwise(world):
    assert world.payer.settings.export_method == "export"
    assert server_from_json(world.server()).export_method == ""


@pytest.mark.seed("SD-37")
def test_a_match_without_a_member_id_is_found_by_its_identifier(world):
    def without_id(app, environ, start):
        if not environ["PATH_INFO"].endswith("$member-match"):
            return app(environ, start)
        body = b"".join(app(environ, lambda *_: None))
        answer = json.read(body)
        answer["parameter"] = [p for p in answer["parameter"] if p["name"] != "MemberId"]
        start("200 OK", [("Content-Type", "application/fhir+json")])
        return [json.write(answer)]

    with world.between(without_id):
        task = world.exchange()
    assert task.status == "completed"
    [search] = [x for x in world.traffic if "/Patient?identifier=" in x.url]
    assert world.member()["coverages"][0]["identifier"][0]["value"] in search.url


@pytest.mark.seed("SD-01", "SD-04")
def test_only_the_two_payers_speak_and_the_requester_begins(world):
    world.exchange()
    hosts = {x.url.split("/")[2] for x in world.traffic}
    assert hosts == {world.responder.fhir_base.split("/")[2]}
    before = len(world.traffic)
    world.responder.payer.repository.counts()
    assert len(world.traffic) == before


def test_an_export_narrowed_by_type_asks_for_it(world):
    task = world.exchange(world.parameters(export=[("_type", "Patient,Condition")]))
    assert set(world.payer.ledger.counts(task.id)) == {"Patient", "Condition"}


def test_a_cancelled_exchange_stops_within_a_poll_and_leaves_nothing(world):
    def never(app, environ, start):
        if "export-status" in environ["PATH_INFO"] and environ["REQUEST_METHOD"] == "GET":
            start("202 Accepted", [("Retry-After", "1")])
            return [b""]
        return app(environ, start)

    polls = []

    def cancel_after_two(seconds):
        polls.append(seconds)
        if len(polls) == 3:
            world.payer.cancel(world.payer.tasks.all()[-1].id)

    world.payer.exchanges._sleep = cancel_after_two
    with world.between(never):
        task = world.exchange()
    assert task.status == "cancelled"
    assert len(polls) == 3
    assert world.traffic[-1].method == "DELETE"
    assert not list(world.payer.ledger.of(task.id))
    assert not world.payer.repository.counts().get("DocumentReference")


def test_a_gzip_body_is_stored_as_it_was_before_compression(world):
    def compressed(app, environ, start):
        if "export-files" not in environ["PATH_INFO"]:
            return app(environ, start)
        body = gzip.compress(b"".join(app(environ, lambda *_: None)))
        start("200 OK", [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))])
        return [body]

    with world.between(compressed):
        task = world.exchange()
    assert task.status == "completed"
    assert world.payer.stored_digest(task.id) == world.payer.archived_digest(task.id)
