"""The requesting payer over HTTP: its operation, its Tasks, its records, its admin API."""

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
OWN = PayerIdentity("https://example.org/payer-id", "NEW", "New")
PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"system": SYSTEM, "value": "1"}],
    "name": [{"family": "Doe", "given": ["Jo"]}],
    "gender": "male",
    "birthDate": "1970-01-01",
}
FHIR = "application/fhir+json"


@pytest.fixture
def closed_port():
    """The origin of a payer that is not there."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


@pytest.fixture
def api(tmp_path, closed_port):
    made = Api(tmp_path, closed_port)
    yield made
    made.payer.close()


class Api:
    """A client of the simulated payer. The source payer it knows is never there."""

    def __init__(self, folder, source, **settings):
        self.source = source
        self.payer = RequestingPayer(
            RequestingSettings(
                "http://q.test/fhir", OWN, folder, **{"allow_loopback": True, **settings}
            ),
            open_data_dir(folder, "q"),
        )
        self.client = RequestingSimulator(self.payer).app.test_client()

    def call(self, method, path, body=None, token="operator", content_type=FHIR, **kwargs):
        known = {
            "operator": self.payer.settings.operator_token.reveal(),
            "admin": self.payer.settings.admin_token.reveal(),
        }
        headers = {"Authorization": f"Bearer {known.get(token, token)}"} if token else {}
        data = json.dumps(body) if isinstance(body, dict | list) else body
        return self.client.open(
            path, method=method, data=data, content_type=content_type, headers=headers, **kwargs
        )

    def admin(self, method, path, body=None, **kwargs):
        return self.call(method, f"/admin/{path}", body, token="admin", **kwargs)

    def set_up(self):
        self.admin("POST", "servers", self.server())
        self.admin("POST", "records", json.dumps(PATIENT), content_type="application/fhir+ndjson")

    def server(self):
        return {
            "issuer": self.source,
            "fhir_base": f"{self.source}/fhir",
            "client_id": "q",
            "key": generate(),
            "organization": {"system": "s", "value": "OLD", "name": "Old"},
        }

    def opt_in(self, **changes):
        return {
            "local_patient": "p1",
            "start": "2020-01-01",
            "end": "2099-01-01",
            "other_payer": {"system": "s", "value": "OLD", "member_id": "M1"},
            **changes,
        }

    def parameters(self):
        found, _ = self.payer.opt_in(event_from_json(self.opt_in()), start=False)
        return self.payer.parameters_for(found)


def issue(response):
    body = response.get_json()
    assert body["resourceType"] == "OperationOutcome"
    return body["issue"][0]


@pytest.mark.seed("SD-14", "SD-31")
@pytest.mark.parametrize("name", ["$sdh.s2s.invoke-export", "$invoke-export"])
def test_the_operation_answers_with_its_task(api, name):
    api.set_up()
    response = api.call("POST", f"/fhir/Patient/{name}", api.parameters())
    assert response.status_code == 200
    task = response.get_json()
    assert response.headers["Content-Location"] == f"Task/{task['id']}"
    assert task["status"] == "requested"
    api.payer.wait(task["id"], 10)
    read = api.call("GET", f"/fhir/Task/{task['id']}").get_json()
    assert read["status"] == "failed"
    assert "cannot be reached" in read["note"][-1]["text"]


def test_the_answer_can_be_202(tmp_path, closed_port):
    api = Api(tmp_path, closed_port, accepted_status=202)
    try:
        api.set_up()
        response = api.call("POST", "/fhir/Patient/$invoke-export", api.parameters())
        assert response.status_code == 202
        assert response.headers["Location"].startswith("http://q.test/fhir/Task/")
    finally:
        api.payer.close()


def test_tasks_are_searched_by_code_tag_status_and_patient(api):
    api.set_up()
    task = api.call("POST", "/fhir/Patient/$invoke-export", api.parameters()).get_json()
    api.payer.wait(task["id"], 10)
    code = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp|data-request"
    tag = "http://payer-to-payer-exchange/CodeSystem/p2p-internal-codes|CDR_MANAGED"
    good = {"code": code, "_tag": tag, "status": "failed", "patient": "Patient/p1"}
    found = api.call("GET", "/fhir/Task", query_string=good).get_json()
    assert [e["resource"]["id"] for e in found["entry"]] == [task["id"]]
    for name, value in (
        ("code", "x"),
        ("_tag", "x|y"),
        ("status", "completed"),
        ("patient", "Patient/p2"),
    ):
        none = api.call("GET", "/fhir/Task", query_string={**good, name: value}).get_json()
        assert none["total"] == 0
    assert api.call("GET", "/fhir/Task?colour=red").status_code == 400


@pytest.mark.parametrize("way", ["DELETE", "PUT", "POST"])
def test_an_ended_task_cannot_be_cancelled(api, way):
    api.set_up()
    task = api.call("POST", "/fhir/Patient/$invoke-export", api.parameters()).get_json()
    api.payer.wait(task["id"], 10)
    path = f"/fhir/Task/{task['id']}" + ("/$cancel" if way == "POST" else "")
    body = {**task, "status": "cancelled"} if way == "PUT" else None
    assert api.call(way, path, body).status_code == 409


def test_a_task_changes_to_cancelled_only(api):
    api.set_up()
    task = api.call("POST", "/fhir/Patient/$invoke-export", api.parameters()).get_json()
    path = f"/fhir/Task/{task['id']}"
    assert api.call("PUT", path, {**task, "status": "completed"}).status_code == 422
    assert api.call("PUT", path, {**task, "id": "other"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    ["/fhir/Task", "/fhir/Patient/p1", "/fhir/Patient", "/fhir/", "/fhir/Patient/p1/$everything"],
)
@pytest.mark.parametrize("token", ["", "wrong", "Ünknown"])
def test_the_fhir_api_needs_the_operators_token(api, path, token):
    api.set_up()
    response = api.call("GET", path, token=token)
    assert response.status_code == 401
    assert issue(response)["code"] == "login"


@pytest.mark.parametrize("path", ["servers", "opt-ins", "audit", "work-list"])
@pytest.mark.parametrize("token", ["", "operator"])
def test_the_admin_api_needs_its_own_token(api, path, token):
    assert api.call("GET", f"/admin/{path}", token=token).status_code == 401


@pytest.mark.seed("SD-31", "SD-32")
@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400), ("{", 400), ("[]", 400), ("null", 400), ('{"a":1,"a":2}', 400),
        ("[" * 100_000, 400), ("\xff", 400), ({}, 400), ({"resourceType": "Patient"}, 400),
        ({"resourceType": "Parameters", "parameter": {}}, 400),
        ({"resourceType": "Parameters", "parameter": [1]}, 400),
        ({"resourceType": "Parameters", "parameter": [{"name": "memberMatch"}]}, 422),
        ({"resourceType": "Parameters", "parameter": [{"name": "localPatient"}] * 2}, 422),
    ],
)  # fmt: skip
def test_a_bad_body_is_told_what_is_wrong(api, body, status):
    response = api.call("POST", "/fhir/Patient/$invoke-export", body)
    assert response.status_code == status
    assert issue(response)["details"]["text"]


def test_a_bad_element_is_named(api):
    api.set_up()
    parameters = api.parameters()
    parts = parameters["parameter"][2]["part"]
    del parts[0]["resource"]["birthDate"]
    response = api.call("POST", "/fhir/Patient/$invoke-export", parameters)
    assert response.status_code == 422
    assert issue(response)["expression"] == ["MemberPatient.birthDate"]


def test_every_wrong_value_is_a_refusal_and_never_a_fault(api):
    """Each element of a good request in turn is replaced by each kind of JSON."""
    api.set_up()
    good = json.dumps(api.parameters())
    count = len(list(_spots(json.loads(good))))
    wrong = (None, True, -1, "", "x", [], {}, [None], {"reference": []})
    for spot in range(count):
        for value in wrong[spot % 3 :: 3]:
            parameters = json.loads(good)
            holder, key = list(_spots(parameters))[spot]
            holder[key] = value
            response = api.call("POST", "/fhir/Patient/$invoke-export", parameters)
            assert response.status_code in (200, 400, 409, 422), (key, value, response.data)


def _spots(value):
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in list(children):
        yield value, key
        if isinstance(child, dict | list):
            yield from _spots(child)


def test_a_body_has_a_limit_and_a_media_type(api):
    path = "/fhir/Patient/$invoke-export"
    assert api.call("POST", path, "x" * (5 << 20)).status_code == 413
    assert api.call("POST", path, "{}", content_type="text/plain").status_code == 415
    assert api.call("GET", path).status_code in (404, 405)


@pytest.mark.seed("SD-24", "SD-27")
def test_the_three_ways_of_registering_give_the_same(api, tmp_path):
    server = api.server()
    one = api.admin("POST", "servers", server)
    assert one.status_code == 201
    kept = api.payer.servers.all()
    assert api.admin("POST", "registration", {"servers": [server]}).status_code == 201
    assert api.payer.servers.all() == kept
    api.payer.register({"servers": [server]})
    assert api.payer.servers.all() == kept
    told = api.admin("GET", "servers").get_json()
    assert told == one.get_json()["servers"]
    assert server["key"]["d"] not in json.dumps(told)


@pytest.mark.parametrize(
    "body",
    [
        {"servers": 1},
        {"servers": [{}]},
        {"clients": [{}]},
        {"x": []},
        {"servers": [{"issuer": []}]},
    ],
)
def test_a_wrong_registration_is_refused(api, body):
    assert api.admin("POST", "registration", body).status_code == 422


def test_the_public_keys_are_published_without_their_private_parts(api):
    server = api.server()
    api.admin("POST", "servers", server)
    [key] = api.client.get("/.well-known/jwks.json").get_json()["keys"]
    assert key["kid"] == server["key"]["kid"]
    assert "d" not in key


@pytest.mark.seed("SD-28", "SD-30")
def test_an_opt_in_over_http_starts_a_task_or_the_work_list(api):
    api.set_up()
    started = api.admin("POST", "opt-ins", api.opt_in()).get_json()
    assert started["task"].startswith("Task/")
    assert started["warnings"]
    unknown = api.opt_in(other_payer={"name": "Nobody"})
    assert api.admin("POST", "opt-ins", unknown).get_json()["task"] is None
    [item] = api.admin("GET", "work-list").get_json()
    assert item["kind"] == "unknown-payer"
    assert len(api.admin("GET", "opt-ins").get_json()) == 2
    assert api.admin("POST", "opt-ins/p1/withdraw").get_json() == {"withdrawn": 2}
    assert api.admin("POST", "opt-ins", {"local_patient": 1}).status_code == 422


def test_records_are_kept_read_and_searched(api):
    api.set_up()
    assert api.call("GET", "/fhir/Patient/p1").get_json() == PATIENT
    assert api.call("GET", "/fhir/Patient/none").status_code == 404
    found = api.call("GET", "/fhir/Patient?family=Doe").get_json()
    assert [e["resource"]["id"] for e in found["entry"]] == ["p1"]
    assert api.call("GET", "/fhir/Patient?family=Roe").get_json()["total"] == 0
    assert api.call("GET", "/fhir/Patient?colour=red").status_code == 400
    assert api.call("GET", "/fhir/?_tag=migrated").get_json()["total"] == 0
    assert api.call("GET", "/fhir/Patient/p1/$everything").get_json()["total"] == 1
    assert api.call("GET", "/fhir/Patient/none/$everything").status_code == 404
    bad = api.admin("POST", "records", "not json\n", content_type="application/fhir+ndjson")
    assert bad.status_code == 422


@pytest.mark.seed("SD-02")
def test_the_capabilities_offer_the_operation(api):
    statement = api.client.get("/fhir/metadata").get_json()
    [patient, _] = statement["rest"][0]["resource"]
    assert {o["name"] for o in patient["operation"]} == {
        "sdh.s2s.invoke-export",
        "invoke-export",
        "invoke-bulk-export",
    }


def test_the_audit_is_told_without_the_member(api):
    api.set_up()
    task = api.call("POST", "/fhir/Patient/$invoke-export", api.parameters()).get_json()
    api.payer.wait(task["id"], 10)
    told = api.admin("GET", f"audit?exchange={task['id']}").get_json()
    assert [r["phase"] for r in told] == ["registration", "opt-in", "request", "authorization"]
    assert told[-1]["reason"] == "target-unreachable"
    assert "Doe" not in json.dumps(told)
