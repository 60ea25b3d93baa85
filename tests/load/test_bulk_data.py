"""A Bulk Data server that matches no members: what is asked of it, and what is told of it."""

from contextlib import contextmanager
from typing import ClassVar

import pytest
from flask import Flask, request
from payer_exchange.load.conversation import Conversation
from payer_exchange.load.journey import Journey
from payer_exchange.load.members import NOBODY, TruthTable
from payer_exchange.load.target import open_target
from payer_exchange.reference.settings import AuthSettings, Settings, TargetSettings
from payer_exchange.simulators.serving import Server, serving

LINES = b'{"resourceType":"Patient","id":"a"}\n{"resourceType":"Patient","id":"b"}\n'


class Meter:
    """Keeps what a journey tells."""

    def __init__(self):
        self.checks, self.measures, self.wrong = {}, {}, []

    @contextmanager
    def step(self, *_):
        yield

    def measure(self, name, value, **told):
        self.measures[name] = told

    def broken(self, name, reason):
        self.wrong.append(reason)

    def check(self, name, problem):
        self.checks[name] = problem


@pytest.fixture
def server():
    """A server with one file for everybody, and for a Group; `app.asked` is what was asked."""
    app = Flask(__name__)
    app.asked, app.lines, app.waits = [], LINES, []

    @app.before_request
    def _keep():
        app.asked.append((request.method, request.path))

    @app.get("/fhir/<level>/$export")
    @app.get("/fhir/<level>/<ident>/$export")
    def _kick_off(level, ident=""):
        return "", 202, {"Content-Location": f"{request.host_url}jobs/1"}

    @app.get("/jobs/1")
    def _status():
        if app.waits:
            return "", app.waits.pop(0), {"Retry-After": "30"}
        file = {"type": "Patient", "url": f"{request.host_url}files/1", "count": 2}
        return {"output": [file], "error": [], "requiresAccessToken": True}

    @app.get("/files/1")
    def _file():
        return app.lines

    @app.delete("/jobs/1")
    def _delete():
        return "", 202

    with serving(Server(), app) as running:
        yield app, running


def gone(running, group, folder, *, impatient=False):
    (folder / "token").write_text("t", encoding="utf-8")
    auth = AuthSettings(method="bearer", token="token")
    asked = TargetSettings(f"{running.url}/fhir", group=group, auth=auth)
    meter = Meter()
    target = open_target(Settings(target=asked, folder=folder), sleep=lambda _: None)
    talk = Conversation(target, asked, NOBODY, meter)
    talk.impatient = impatient
    Journey(talk, group).go("data-export", [], sampled=True)
    target.http.close()
    return meter


@pytest.mark.parametrize(("group", "where"), [("", "Patient"), ("g1", "Group/g1")])
def test_everybody_or_a_named_group_is_exported_and_the_job_deleted(server, tmp_path, group, where):
    meter = gone(server[1], group, tmp_path)
    assert meter.wrong == []
    assert server[0].asked == [
        ("GET", f"/fhir/{where}/$export"), ("GET", "/jobs/1"), ("GET", "/files/1"),
        ("DELETE", "/jobs/1"),
    ]  # fmt: skip
    assert meter.measures["job"] == {"octets": len(LINES), "resources": 2}
    assert set(meter.checks.values()) == {""}


def test_lines_that_are_no_resources_are_told(server, tmp_path):
    server[0].lines = b'{"id":"a"}\n[]\n'
    assert gone(server[1], "", tmp_path).checks["lines-are-resources"].startswith("2 lines")


@pytest.mark.parametrize(
    ("waits", "wrong"),
    [([202, 429], False), ([202, 202], True), ([202], None)],
)
def test_a_client_that_does_not_wait_is_to_be_refused(server, tmp_path, waits, wrong):
    server[0].waits = waits
    checks = gone(server[1], "", tmp_path, impatient=True).checks
    found = checks.get("early-polls-are-refused")
    # A job that ends at the second poll says nothing: no poll came too early.
    assert (found if wrong is None else bool(found)) is wrong


def test_a_patient_client_is_not_asked_whether_it_was_refused(server, tmp_path):
    server[0].waits = [202, 202]
    assert "early-polls-are-refused" not in gone(server[1], "", tmp_path).checks


@pytest.mark.parametrize(("flavour", "scope"), [("bulk-data", "data"), ("pdex", "match")])
def test_a_token_is_asked_for_by_a_scope_that_the_server_knows(flavour, scope):
    asked = []

    class Target:
        tokens: ClassVar = {}

        def token(self, scope):
            asked.append(scope)

        def forget_tokens(self):
            pass

    auth = AuthSettings(match_scope="match", data_scope="data")
    truth = (
        NOBODY if flavour == "bulk-data" else TruthTable(NOBODY.requester, NOBODY.responder, (1,))
    )
    settings = TargetSettings("http://127.0.0.1/fhir", auth=auth)
    Journey(Conversation(Target(), settings, truth, Meter())).go("token", [], sampled=False)
    assert asked == [scope]
