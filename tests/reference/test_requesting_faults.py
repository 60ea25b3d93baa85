"""What goes wrong at the other payer or on the way, and what a person is told of it."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from payer_exchange.reference.fhir import json
from payer_exchange.simulators.serving import Server

NDJSON = [("Content-Type", "application/fhir+ndjson")]


def called(app, environ):
    """The whole answer of the application."""
    told = []
    body = b"".join(app(environ, lambda status, headers: told.extend((status, headers))))
    return told[0], dict(told[1]), body


def in_file(kind, change):
    """A fault that changes the bytes of one type's file."""

    def layer(app, environ, start):
        status, headers, body = called(app, environ)
        if "export-files" in environ["PATH_INFO"] and f'"resourceType":"{kind}"'.encode() in body:
            body = change(body)
            headers["Content-Length"] = str(len(body))
        start(status, list(headers.items()))
        return [body]

    return layer


def in_manifest(change):
    def layer(app, environ, start):
        status, headers, body = called(app, environ)
        if "export-status" in environ["PATH_INFO"] and status.startswith("200"):
            body = json.write(change(json.read(body)))
            headers["Content-Length"] = str(len(body))
        start(status, list(headers.items()))
        return [body]

    return layer


def answering(path, status, body=b"", times=1000, headers=()):
    """A fault that answers a path by itself, so many times."""
    left = [times]

    def layer(app, environ, start):
        if path in environ["PATH_INFO"] and left[0]:
            left[0] -= 1
            start(status, [("Content-Type", "application/fhir+json"), *headers])
            return [body]
        return app(environ, start)

    return layer


def outcome(code):
    return json.write(
        {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}
    )


def nothing_imported(world, task):
    tagged = world.payer.records.search("", [("_tag", "migrated")])
    return not tagged and not list(world.payer.ledger.of(task.id))


def no_member_told(world, task):
    """Neither note nor audit record says who the member is."""
    told = json.write([task.notes, world.payer.audit.records(), [e.text for e in world.events]])
    member = world.member()
    names = [
        member["patient"]["name"][0]["family"],
        member["patient"]["birthDate"],
        member["coverages"][0]["identifier"][0]["value"],
        member["patient_id"],
    ]
    return not any(name.encode() in told for name in names)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda body: body[:-40], "breaks off in its last line"),
        (lambda body: body[: body.rindex(b"\n", 0, -1) + 1], "the manifest promises"),
        (lambda body: body + body, "the manifest promises"),
    ],
    ids=["cut", "line-lost", "twice"],
)
def test_a_file_that_is_not_whole_fails_the_exchange(world, change, note):
    with world.between(in_file("Condition", change)):
        task = world.exchange()
    assert task.status == "failed"
    assert note in world.note(task)
    assert nothing_imported(world, task)
    assert world.traffic[-1].method == "DELETE"
    assert no_member_told(world, task)


class _Short(BaseHTTPRequestHandler):
    """Announces more than it sends, then hangs up."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"resourceType":"Condition","id":"x"}\n')

    def log_message(self, *_args):
        pass


def test_a_transfer_shorter_than_announced_fails_the_exchange(world):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Short)
    origin = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    world.payer.register({"servers": [world.server(file_origins=[origin])]})

    def moved(manifest):
        output = [{"type": "Condition", "url": f"{origin}/1"}, *manifest["output"]]
        return {**manifest, "output": output}

    try:
        with world.between(in_manifest(moved)):
            task = world.exchange()
    finally:
        server.shutdown()
        server.server_close()
    assert task.status == "failed"
    assert "broke off" in world.note(task)
    assert nothing_imported(world, task)


def _without_counts(manifest):
    return {
        **manifest,
        "output": [{"type": f["type"], "url": f["url"]} for f in manifest["output"]],
    }


def test_a_manifest_without_counts_is_taken(world):
    with world.between(in_manifest(_without_counts)):
        assert world.exchange().status == "completed"


def test_what_had_arrived_before_a_failure_is_kept_apart(world):
    with world.between(in_file("Patient", lambda body: body[:-40])):
        task = world.exchange()
    assert task.status == "failed"
    kept = [
        json.read(world.payer.repository.get("DocumentReference", d).body) for d in task.documents()
    ]
    assert kept
    assert {d["docStatus"] for d in kept} == {"preliminary"}
    assert all("partial" in d["description"] for d in kept)
    for file, body in world.payer.archived_files(task.id).items():
        assert file.endswith(".ndjson")
        assert body.startswith(b"{")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"not json", "A line is not JSON."),
        (b'{"resourceType":"Condition"}', "has no id"),
        (b'{"resourceType":"Goal","id":"g"}', "another type"),
        (
            b'{"resourceType":"Condition","id":"x","subject":{"reference":"Patient/somebody"}}',
            "another member",
        ),
        (b'{"resourceType":"Condition","id":"x","meta":[]}', "shape of R4"),
    ],
)
def test_a_bad_line_is_turned_away_and_the_good_ones_are_stored(world, line, reason):
    with (
        world.between(in_manifest(_without_counts)),
        world.between(in_file("Condition", lambda body: line + b"\n" + body)),
    ):
        task = world.exchange()
    assert task.status == "completed"
    [turned_away] = world.payer.ledger.quarantined(task.id)
    assert reason in turned_away.reason
    assert turned_away.body == line
    conditions = world.member()["record"]["counts"]["Condition"]
    assert world.payer.ledger.counts(task.id)["Condition"] == conditions
    assert any("1 received lines were not stored" in n["text"] for n in task.notes)
    assert world.payer.stored_digest(task.id) == world.payer.archived_digest(task.id)


@pytest.mark.seed("SD-20")
@pytest.mark.parametrize(
    "path", ["$member-match", "/Patient/$export", "export-status", "export-files"]
)
def test_a_token_that_is_refused_is_renewed_once(world, path):
    with world.between(answering(path, "401 Unauthorized", times=1)):
        task = world.exchange()
    assert task.status == "completed"
    assert len([x for x in world.traffic if x.status == 401]) == 1
    # One token for the match, one for the data, and the renewed one.
    assert len([x for x in world.traffic if x.url.endswith("/token")]) == 3


@pytest.mark.parametrize("path", ["$member-match", "/Patient/$export", "export-files"])
def test_a_token_refused_twice_ends_the_exchange(world, path):
    with world.between(answering(path, "401 Unauthorized")):
        task = world.exchange()
    assert task.status == "failed"
    assert len([x for x in world.traffic if x.status == 401]) == 2


@pytest.mark.seed("SD-37")
@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [
        ("not-found", "no-match", "no single member"),
        ("multiple-matches", "many-matches", "more than one"),
        ("suppressed", "consent-refused", "cannot honour the Consent"),
    ],
)
def test_a_refused_match_is_final(world, code, reason, told):
    with world.between(answering("$member-match", "422 Unprocessable", outcome(code))):
        task = world.exchange()
    assert task.status == "failed"
    assert told in world.note(task)
    assert world.payer.trace(task.id)[-1]["reason"] == reason
    assert len([x for x in world.traffic if x.url.endswith("$member-match")]) == 1
    assert not [x for x in world.traffic if "export" in x.url]


def test_the_truth_tables_unknown_member_is_not_found(world):
    parts = world.match_parts("unknown")
    task = world.exchange(world.parameters(parts))
    assert task.status == "failed"
    assert "no single member" in world.note(task)


def test_a_payer_that_cannot_be_reached_is_named(world):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        origin = f"http://127.0.0.1:{taken.getsockname()[1]}"
    world.payer.register({"servers": [world.server(issuer=origin, fhir_base=f"{origin}/fhir")]})
    task = world.exchange(world.parameters(issuer=origin))
    assert task.status == "failed"
    assert "cannot be reached" in world.note(task)
    assert origin in world.note(task)


@pytest.mark.parametrize("status", ["500 Broken", "404 Gone"])
def test_an_export_that_fails_fails_the_task(world, status):
    with world.between(answering("export-status", status, outcome("exception"))):
        task = world.exchange()
    assert task.status == "failed"
    assert nothing_imported(world, task)


def test_a_busy_payer_is_waited_for(world):
    headers = [("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT")]
    with world.between(answering("export-status", "429 Busy", times=1, headers=headers)):
        assert world.exchange().status == "completed"
    assert 300.0 in world.waits


@pytest.mark.parametrize("path", ["token", "member-match", "Patient/$export"])
@pytest.mark.parametrize("status", ["429 Busy", "503 Down"])
def test_who_is_busy_is_waited_for_as_long_as_it_says(world, path, status):
    with world.between(answering(path, status, times=2, headers=[("Retry-After", "77")])):
        assert world.exchange().status == "completed"
    assert world.waits.count(77.0) == 2
    sent = [x.request_body for x in world.traffic if x.url.endswith("token")]
    assert len(set(sent)) == len(sent), "an assertion serves once"


@pytest.mark.parametrize("path", ["token", "member-match"])
def test_who_is_always_busy_fails_the_task_in_the_end(world, path):
    with world.between(answering(path, "503 Down")):
        assert world.exchange().status == "failed"
    assert 15 < len(world.waits) < 25
    assert max(world.waits) == 300.0


def test_a_file_at_a_strange_origin_is_not_fetched(world):
    def elsewhere(manifest):
        manifest["output"][0]["url"] = "http://127.0.0.1:9/file.ndjson"
        return manifest

    with world.between(in_manifest(elsewhere)):
        task = world.exchange()
    assert task.status == "failed"
    assert "file_origins" in world.note(task)
    assert not [x for x in world.traffic if x.url.startswith("http://127.0.0.1:9/")]


def test_a_file_at_an_allowed_origin_is_fetched_without_the_token(world):
    other, seen = Server(), []

    def files(environ, start):
        seen.append(environ.get("HTTP_AUTHORIZATION"))
        path = environ["PATH_INFO"].removeprefix("/")
        start("200 OK", NDJSON)
        return [bodies[path]]

    bodies = {}

    def moved(manifest):
        for number, file in enumerate(manifest["output"]):
            bodies[str(number)] = _whole(world, file)
            file["url"] = f"{other.url}/{number}"
        return manifest

    other.start(files)
    try:
        world.payer.register({"servers": [world.server(file_origins=[other.url])]})
        with world.between(in_manifest(moved)):
            task = world.exchange()
    finally:
        other.stop()
    assert task.status == "completed", world.note(task)
    assert seen
    assert set(seen) == {None}


def test_no_token_is_sent_for_files_that_need_none(world):
    with world.between(in_manifest(lambda m: {**m, "requiresAccessToken": False})):
        task = world.exchange()
    files = [x for x in world.traffic if "/export-files/" in x.url]
    assert task.status == "failed"  # the responder does want one
    assert files
    assert not any("Authorization" in x.request_headers for x in files)


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest", "http://127.0.0.1:9/status", "https://user@127.0.0.1/s",
     "file:///etc/passwd", "status/1"],
)  # fmt: skip
def test_a_status_address_that_leads_elsewhere_fails_the_exchange(world, url):
    headers = [("Content-Location", url)]
    with world.between(answering("$export", "202 Accepted", headers=headers)):
        task = world.exchange()
    assert task.status == "failed"
    assert nothing_imported(world, task)
    own = world.responder.fhir_base.removesuffix("/fhir")
    assert all(x.url.startswith(own) for x in world.traffic)


def _whole(world, file):
    jobs = world.responder.payer.jobs
    job_id, name = file["url"].rsplit("/", 2)[1:]
    job = next(j for j in jobs.of("requesting-payer") if j.id == job_id)
    return jobs.file(job, name).read_bytes()


def test_problems_reported_with_an_export_are_kept_and_told(world):
    def reported(manifest):
        first = dict(manifest["output"][0])
        return {**manifest, "error": [{**first, "type": "OperationOutcome", "count": 1}]}

    with world.between(in_manifest(reported)):
        task = world.exchange(world.parameters(export=[("_type", "Patient")]))
    assert task.status == "completed"
    assert any("reported 1 problems" in n["text"] for n in task.notes)
    assert len(task.documents()) == 2


def test_what_the_source_deleted_is_deleted_here(world):
    first = world.exchange()
    gone = next(e for e in world.payer.ledger.of(first.id) if e.type == "Condition")
    bundle = (
        json.write(
            {
                "resourceType": "Bundle",
                "type": "transaction",
                "entry": [{"request": {"method": "DELETE", "url": f"Condition/{gone.source_id}"}}],
            }
        )
        + b"\n"
    )

    def deleted(manifest):
        url = manifest["output"][0]["url"].rsplit("/", 1)[0] + "/deleted"
        return {**manifest, "deleted": [{"type": "Bundle", "url": url, "count": 1}]}

    with (
        world.between(in_manifest(deleted)),
        world.between(answering("/deleted", "200 OK", bundle)),
    ):
        second = world.exchange(world.parameters(export=[("_type", "Patient")]))
    assert second.status == "completed", world.note(second)
    assert world.payer.repository.get(*gone.key) is None
    others = [e for e in world.payer.ledger.of(first.id) if e.type == "Condition"]
    assert others
    assert all(world.payer.repository.get(*e.key) for e in others)


def test_pages_that_go_in_a_circle_end(world):
    world.payer.register({"servers": [world.server(export_method="everything")]})

    def circle(app, environ, start):
        status, headers, body = called(app, environ)
        if "$everything" in environ["PATH_INFO"]:
            bundle = json.read(body)
            bundle["link"] = [{"relation": "next", "url": bundle["link"][0]["url"]}]
            body = json.write(bundle)
            headers["Content-Length"] = str(len(body))
        start(status, list(headers.items()))
        return [body]

    with world.between(circle):
        task = world.exchange()
    assert task.status == "failed"
    assert "circle" in world.note(task)


def test_withdrawn_consent_at_the_source_stops_the_export(world):
    def withdraw(app, environ, start):
        if environ["PATH_INFO"].endswith("/Patient/$export"):
            world.responder.payer.withdraw_consent(world.member()["patient_id"])
        return app(environ, start)

    with world.between(withdraw):
        task = world.exchange()
    assert task.status == "failed"
    assert nothing_imported(world, task)
