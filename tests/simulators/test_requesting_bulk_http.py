"""The batch operation over HTTP: its answer, its Tasks, and what it comes to."""

from __future__ import annotations

import json
import socket

import pytest
from payer_exchange.reference.opt_in import event_from_json
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.requesting import RequestingPayer, RequestingSettings
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.trust.keys import generate
from payer_exchange.simulators.requesting import RequestingSimulator

SYSTEM = "https://requesting-payer.example.org/member-id"
OPERATION = "/fhir/Patient/$invoke-bulk-export"
FHIR = "application/fhir+json"


@pytest.fixture
def api(tmp_path):
    """A requesting payer with two opted-in members, whose source payer is not there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        source = f"http://127.0.0.1:{taken.getsockname()[1]}"
    payer = RequestingPayer(
        RequestingSettings(
            "http://q.test/fhir", PayerIdentity("s", "NEW", "New"), tmp_path, allow_loopback=True
        ),
        open_data_dir(tmp_path, "q"),
    )
    payer.register({"servers": [{
        "issuer": source, "fhir_base": f"{source}/fhir", "client_id": "q", "key": generate(),
        "organization": {"system": "s", "value": "OLD", "name": "Old"},
    }]})  # fmt: skip
    made = Api(payer)
    for number in (1, 2):
        made.join(f"p{number}")
    yield made
    payer.close()


class Api:
    def __init__(self, payer):
        self.payer = payer
        self.client = RequestingSimulator(payer).app.test_client()

    def join(self, local):
        patient = {
            "resourceType": "Patient", "id": local, "gender": "male", "birthDate": "1970-01-01",
            "identifier": [{"system": SYSTEM, "value": local}],
            "name": [{"family": "Doe", "given": ["Jo"]}],
        }  # fmt: skip
        self.payer.keep_local([json.dumps(patient).encode()])
        event = {"local_patient": local, "start": "2020-01-01", "end": "2099-01-01",
                 "other_payer": {"system": "s", "value": "OLD", "member_id": "M1"}}  # fmt: skip
        found, _ = self.payer.opt_in(event_from_json(event), start=False)
        return found

    def call(self, method, path, body=None, token=None):
        token = token or self.payer.settings.operator_token.reveal()
        return self.client.open(path, method=method, content_type=FHIR,
                                data=json.dumps(body) if body is not None else None,
                                headers={"Authorization": f"Bearer {token}"})  # fmt: skip

    def members(self):
        """The members of a batch, out of what the opt-ins stand for."""
        for found in self.payer.opt_ins.of():
            parameters = self.payer.parameters_for(found)["parameter"]
            yield {"name": "member", "part": parameters}


def asked(*parameters):
    return {"resourceType": "Parameters", "parameter": list(parameters)}


def test_the_operation_answers_with_the_task_of_the_batch(api):
    response = api.call("POST", OPERATION, asked(*api.members()))
    assert response.status_code == 200
    task = response.get_json()
    assert response.headers["Content-Location"] == f"Task/{task['id']}"
    assert task["resourceType"] == "Task"
    assert "for" not in task
    api.payer.wait(task["id"], 20)

    found = api.call("GET", f"/fhir/Task?part-of=Task/{task['id']}").get_json()["entry"]
    parts = [entry["resource"] for entry in found]
    assert [p["for"]["reference"] for p in parts] == ["Patient/p1", "Patient/p2"]
    for part in parts:
        assert part["partOf"] == [{"reference": f"Task/{task['id']}"}]
        assert part["status"] == "failed"
        assert "cannot be reached" in part["note"][-1]["text"]
        assert api.call("GET", f"/fhir/Task/{part['id']}").get_json()["id"] == part["id"]
        assert api.call("GET", f"/fhir/Consent/{part['id']}").status_code == 200


def test_the_admin_api_tells_what_a_batch_came_to(api):
    batch = api.call("POST", OPERATION, asked(*api.members())).get_json()["id"]
    api.payer.wait(batch, 20)
    assert api.call("GET", f"/admin/batches/{batch}").status_code == 401
    told = api.call("GET", f"/admin/batches/{batch}", token=api.payer.settings.admin_token.reveal())
    assert told.get_json()["outcomes"]["failed"] == 2
    unknown = api.call("GET", "/admin/batches/none", token=api.payer.settings.admin_token.reveal())
    assert unknown.status_code == 404


def test_opt_ins_are_asked_once(api):
    every = asked({"name": "optIns", "valueBoolean": True})
    first = api.call("POST", OPERATION, every).get_json()["id"]
    api.payer.wait(first, 20)
    api.join("p3")
    second = api.call("POST", OPERATION, every).get_json()["id"]
    api.payer.wait(second, 20)
    counts = [api.payer.batch_summary(batch)["members"] for batch in (first, second)]
    assert counts == [2, 1]


def test_withdrawn_members_are_not_asked_for(api):
    members = list(api.members())
    api.payer.opt_ins.withdraw("p1")
    batch = api.call("POST", OPERATION, asked(*members)).get_json()["id"]
    api.payer.wait(batch, 20)
    [withdrawn, _] = api.payer.tasks.parts_of(batch, "failed")
    assert "withdrawn the permission" in withdrawn.notes[-1]["text"]


@pytest.mark.parametrize("token", ["", "wrong"])
def test_the_operation_needs_the_operator(api, token):
    assert api.call("POST", OPERATION, asked(), token=token or " ").status_code == 401


def test_a_body_that_is_no_batch_is_refused_with_its_place(api):
    [member, _] = api.members()
    del member["part"][0]
    response = api.call("POST", OPERATION, asked(member))
    assert response.status_code == 422
    issue = response.get_json()["issue"][0]
    assert "localPatient" in json.dumps(issue)
