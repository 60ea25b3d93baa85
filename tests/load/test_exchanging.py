"""Exchanges between two payers: asked for at the requesting one, until their Task ends."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from flask import Flask, request
from payer_exchange.load import exchanging
from payer_exchange.load.exchanging import open_requesting, read_side
from payer_exchange.load.members import read_truth
from payer_exchange.load.running import LoadRequest, run_load
from payer_exchange.reference.errors import ExportFailed, NoMatch, SettingsError
from payer_exchange.reference.settings import read_settings
from payer_exchange.simulators.serving import Server, serving

TODAY = datetime.now(UTC).date()


class Meter:
    """Keeps what a journey tells."""

    def __init__(self):
        self.checks, self.measures, self.steps = {}, {}, []

    def __call__(self, exchange):
        self.steps.append((self.name, exchange.status))

    @contextmanager
    def step(self, name, *_):
        self.name = name
        yield

    def measure(self, name, value, **told):
        self.measures[name] = (value, told)

    def check(self, name, problem):
        self.checks[name] = problem


@pytest.fixture
def way(payers):
    """The way of an operator to the requesting payer of a file, the real one unless told."""
    settings, opened = read_settings(payers[0]), []

    def way(file=payers[1]):
        truth, meter = read_truth(settings), Meter()
        journey = open_requesting(
            settings, read_side(file), truth, meter, uninterrupted=lambda work: work()
        )
        opened.append(journey)
        return journey, truth.members, meter

    yield way
    for journey in opened:
        journey.close()


def test_one_members_exchange_goes_to_its_end_and_the_record_is_there(way):
    journey, members, meter = way()
    found = journey.one(members[0], TODAY, sampled=True)
    assert meter.checks == {"exchange-is-the-truth": ""}
    # What the truth table has leave, and what those records share and the transmitter's word.
    assert found.resources >= len(members[0].delivered) > 0
    value, told = meter.measures["intake"]
    assert (value > 0, told["resources"]) == (True, found.resources)
    assert [name for name, _ in meter.steps if name != "task"] == ["invoke", "audit", "held"]


def test_a_batch_goes_to_its_end_and_its_records_are_there(way):
    journey, members, meter = way()
    found = journey.many(members[:3], TODAY, sampled=True)
    assert meter.checks == {"bulk-exchange-is-the-truth": ""}
    assert found.resources >= sum(len(m.delivered) for m in members[:3])


def test_both_are_journeys_of_a_scenario(payers, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        "bulk_members = 2\n[journeys]\nexchange = 1\nbulk-exchange = 1\n[thresholds]\n"
        "min_intake_resources_per_s = 1\n[thresholds.measures.exchange-job]\np95_ms = 60000\n",
        encoding="utf-8",
    )
    asked = LoadRequest(str(own), payers[0], report_dir=tmp_path, options=("--run-time", "4s"))
    with pytest.raises(SettingsError, match="--requester"):
        run_load(asked)
    results = run_load(
        LoadRequest(str(own), payers[0], report_dir=tmp_path, options=("--run-time", "4s"),
                    requester=payers[1])
    )  # fmt: skip
    assert (results.exit_status, results.figures.errors) == (0, ())
    assert results.figures.measure("exchange-job").resources > 0
    assert results.figures.measure("bulk-exchange-job").resources > 0
    assert results.figures.intake_resources_per_s > 0
    written = "".join(f.read_text(encoding="utf-8") for f in tmp_path.iterdir())
    assert json.loads(payers[1].read_bytes())["operator_token"] not in written


@pytest.fixture
def scripted(tmp_path, monkeypatch, payers):
    """A requesting payer whose Task has these statuses one after the other; its last one stays."""
    monkeypatch.setattr(exchanging, "_WAITS_S", (0.0, 0.0))
    monkeypatch.setattr(exchanging, "_LIMIT_S", 0.3)
    app = Flask(__name__)
    app.statuses, app.asked, app.accepted, app.held = ["completed"], [], {}, []

    @app.before_request
    def _keep():
        app.asked.append((request.method, request.path))

    @app.post("/fhir/Patient/<operation>")
    def _invoke(operation):
        return {"resourceType": "Task", "id": "t1"}, 202, app.accepted

    @app.get("/fhir/Task/t1")
    def _task():
        return {"status": app.statuses.pop(0) if app.statuses[1:] else app.statuses[0]}

    @app.delete("/fhir/Task/t1")
    def _cancel():
        return "", 204

    @app.get("/fhir/Patient/<ident>/$everything")
    def _held(ident):
        return {"entry": [{"resource": r} for r in app.held]}

    def written(url, **more):
        file = tmp_path / "other.json"
        known = json.loads(payers[1].read_bytes())["members"]
        told = {"fhir_base": f"{url}/fhir", "operator_token": "o", "members": known, **more}
        file.write_text(json.dumps(told), encoding="utf-8")
        return file

    with serving(Server(at_once=4), app) as running:
        yield app, lambda **more: written(running.url, **more)


def test_a_payer_without_our_admin_api_tells_no_intake(way, scripted):
    app, file = scripted
    app.statuses = ["requested", "in-progress", "completed"]
    journey, members, meter = way(file())
    assert journey.one(members[0], TODAY, sampled=False).resources == 0
    assert (meter.measures, meter.checks) == ({}, {})
    assert [name for name, _ in meter.steps] == ["invoke", "task", "task", "task"]


def test_the_task_is_where_the_answer_says(way, scripted):
    app, file = scripted
    app.accepted = {"Content-Location": "https://elsewhere.example/fhir/Task/t1"}
    journey, members, _ = way(file())
    journey.one(members[0], TODAY, sampled=False)
    assert ("GET", "/fhir/Task/t1") in app.asked


def test_a_task_that_fails_is_no_exchange(way, scripted):
    app, file = scripted
    app.statuses = ["failed"]
    journey, members, _ = way(file())
    with pytest.raises(ExportFailed, match="ended as failed"):
        journey.one(members[0], TODAY, sampled=False)
    assert ("DELETE", "/fhir/Task/t1") not in app.asked


def test_a_task_that_does_not_end_is_cancelled(way, scripted):
    app, file = scripted
    app.statuses = ["in-progress"]
    journey, members, _ = way(file())
    with pytest.raises(ExportFailed, match="not ended"):
        journey.one(members[0], TODAY, sampled=False)
    assert app.asked[-1] == ("DELETE", "/fhir/Task/t1")


def test_a_record_that_did_not_arrive_whole_is_told_by_types_alone(way, scripted):
    app, file = scripted
    journey, members, meter = way(file())
    kinds = [key.partition("/")[0] for key in members[0].delivered]
    app.held = [{"resourceType": kind} for kind in kinds if kind != "Observation"]
    journey.one(members[0], TODAY, sampled=True)
    assert meter.checks["exchange-is-the-truth"].endswith(
        f"all of a record: {kinds.count('Observation')} Observation missing."
    )


def test_a_member_who_has_not_joined_is_not_asked_for(way, scripted):
    app, file = scripted
    journey, members, _ = way(file(members={}))
    with pytest.raises(NoMatch, match="no Patient"):
        journey.one(members[0], TODAY, sampled=False)
    assert app.asked == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"fhir_base": "x", "operator_token": "y"}'])
def test_a_file_that_leads_to_no_requesting_payer_is_told(tmp_path, content):
    file = tmp_path / "requester.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(SettingsError, match=r"requester\.json"):
        read_side(file)


def test_no_requesting_payer_elsewhere_is_asked_without_agreement(way, scripted):
    with pytest.raises(SettingsError, match="not on this machine"):
        way(scripted[1](fhir_base="https://payer.example/fhir"))
