"""Registration and opt-in: what has to be there before anything is asked, and what comes of it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from payer_exchange.reference.clock import instant
from payer_exchange.reference.errors import BadRequest, SettingsError
from payer_exchange.reference.fhir import json
from payer_exchange.reference.opt_in import event_from_json
from payer_exchange.reference.registration.clients import ClientRegistry
from payer_exchange.reference.registration.servers import register_document, server_from_json
from payer_exchange.reference.trust.keys import generate, public_set
from payer_exchange.simulators.clients_assembly import REQUESTING, RESPONDING


def said(world, **changes):
    """What member A says at the new plan."""
    card = world.match_parts()["CoverageToMatch"]["identifier"][0]
    today = world.clock.now().date()
    return {
        "local_patient": "local-a",
        "start": today.isoformat(),
        "end": (today + timedelta(days=90)).isoformat(),
        "other_payer": {
            "name": "the old plan",
            "system": RESPONDING.system,
            "value": RESPONDING.value,
            "member_id": card["value"],
            "member_system": card["system"],
        },
        "education": {"version": "2027", "date": today.isoformat(), "channel": "letter"},
        **changes,
    }


# Opt-in


@pytest.mark.seed("SD-28", "SD-30")
def test_an_opt_in_starts_the_exchange_it_is_for(world):
    found, task_id = world.payer.opt_in(event_from_json(said(world)))
    task = world.payer.wait(task_id, 20)
    assert task.status == "completed", world.note(task)
    assert found.issuer == task.issuer == world.issuer
    [sent] = [json.read(x.request_body) for x in world.traffic if x.url.endswith("member-match")]
    match = {p["name"]: p["resource"] for p in sent["parameter"]}
    assert match["CoverageToMatch"]["payor"][0]["identifier"]["value"] == RESPONDING.value
    assert match["CoverageToLink"]["payor"][0]["identifier"]["value"] == REQUESTING.value
    assert "identifier" not in match["MemberPatient"]


@pytest.mark.seed("SD-28")
def test_an_opt_in_is_due_within_a_week(world):
    now = world.clock.now()
    found, _ = world.payer.opt_in(event_from_json(said(world)), start=False)
    assert found.due == instant(now + timedelta(days=7))


@pytest.mark.seed("SD-30")
def test_an_unknown_payer_is_put_on_the_work_list(world):
    other = {"name": "Elsewhere Health", "member_id": "E-1"}
    found, task = world.payer.opt_in(event_from_json(said(world, other_payer=other)))
    assert (found.issuer, task) == ("", "")
    [item] = world.payer.opt_ins.work_list()
    assert (item.kind, item.opt_in) == ("unknown-payer", found.id)
    assert not world.payer.tasks.all()
    with pytest.raises(BadRequest):
        world.payer.parameters_for(found)

    identity = {"system": "s", "value": "ELSEWHERE", "name": "elsewhere health"}
    world.payer.register(
        {"servers": [world.server(issuer="https://e.test", organization=identity)]}
    )
    assert not world.payer.opt_ins.work_list()
    assert world.payer.opt_ins.get(found.id).issuer == "https://e.test"


@pytest.mark.seed("SD-29")
@pytest.mark.parametrize("given", [True, False])
def test_missing_education_is_told_and_stops_nothing(world, given):
    content = said(world)
    if not given:
        del content["education"]
    found, task_id = world.payer.opt_in(event_from_json(content))
    task = world.payer.wait(task_id, 20)
    assert task.status == "completed"
    assert bool(found.warnings) is not given
    [record] = [r for r in world.payer.trace(task.id) if r["phase"] == "opt-in"]
    assert record["details"]["education"] == ("recorded" if given else "missing")


def test_after_a_withdrawal_nothing_is_asked(world):
    world.payer.opt_in(event_from_json(said(world)), start=False)
    assert world.payer.opt_ins.withdraw("local-a") == 1
    with pytest.raises(BadRequest) as caught:
        world.payer.invoke_export(world.parameters())
    assert "withdrawn" in str(caught.value)
    assert not world.traffic
    world.payer.opt_in(event_from_json(said(world)), start=False)
    assert world.exchange().status == "completed"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"start": "soon"}, "start"),
        ({"start": 1}, "start"),
        ({"policy": "all"}, "policy"),
        ({"other_payer": {}}, "other payer"),
        ({"other_payer": None}, "other_payer"),
        ({"other_payer": {"name": "x", "coverage": "former"}}, "coverage"),
        ({"education": {"version": "1"}}, "education.date"),
        ({"surprise": "x"}, "unknown key"),
    ],
)
def test_a_wrong_opt_in_names_its_element(world, change, named):
    with pytest.raises(BadRequest) as caught:
        event_from_json(said(world, **change))
    assert caught.value.status == 422
    assert named in str(caught.value)


def test_an_opt_in_needs_its_member(world):
    with pytest.raises(BadRequest):
        world.payer.opt_in(event_from_json(said(world, local_patient="nobody")))


# Registration


@pytest.mark.seed("SD-19", "SD-27")
def test_registering_makes_server_and_organization_and_repeating_changes_nothing(world):
    [server] = world.payer.servers.all()
    identity = server.organization
    row = world.payer.repository.get("Organization", identity.organization_id)
    organization = json.read(row.body)
    assert organization["identifier"] == [{"system": RESPONDING.system, "value": RESPONDING.value}]
    world.payer.register({"servers": [world.server()]})
    assert world.payer.servers.all() == [server]
    again = world.payer.repository.get("Organization", identity.organization_id)
    assert (again.version, again.body) == (row.version, row.body)


@pytest.mark.seed("SD-27")
def test_one_document_serves_both_roles(world):
    clients = ClientRegistry(world.payer.repository._engine)
    key = generate()
    document = {
        "clients": [
            {
                "client_id": "c",
                "jwks": public_set(key),
                "organization": {"system": "s", "value": "v"},
            }
        ],
        "servers": [world.server(issuer="https://second.test")],
    }
    found = register_document(document, clients=clients, servers=world.payer.servers)
    assert [c.client_id for c in found.clients] == ["c"]
    assert clients.find("c") == found.clients[0]
    assert world.payer.servers.find("https://second.test") == found.servers[0]


def test_a_document_for_another_role_is_refused_whole(world):
    document = {
        "clients": [
            {"client_id": "c", "jwks": {"keys": []}, "organization": {"system": "s", "value": "v"}}
        ],
        "servers": [world.server(issuer="https://second.test")],
    }
    with pytest.raises(SettingsError, match="responding"):
        world.payer.register(document)
    assert world.payer.servers.find("https://second.test") is None


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"surprise": 1}, "surprise"),
        ({"issuer": ""}, "issuer"),
        ({"fhir_base": "ftp://x"}, "fhir_base"),
        ({"auth_method": "none"}, "auth_method"),
        ({"auth_method": "client_secret_basic"}, "secret"),
        ({"member_binding": "all"}, "member_binding"),
        ({"export_method": "copy"}, "export_method"),
        ({"key": {"kty": "EC"}}, "key"),
        ({"key": None}, "key"),
        ({"organization": {"name": "x"}}, "organization"),
        ({"issuer": 5}, "issuer"),
    ],
)
def test_a_wrong_server_names_its_field(world, change, named):
    with pytest.raises(SettingsError, match=named):
        server_from_json(world.server(**change))


def test_the_private_key_may_lie_in_a_file(world, tmp_path):
    file = tmp_path / "key.json"
    file.write_bytes(json.write(world.responder.client_key.reveal()))
    content = world.server(key_file=str(file))
    del content["key"]
    world.payer.register({"servers": [content]})
    assert world.exchange().status == "completed"


@pytest.mark.parametrize("binding", ["sub", "patient", "none"])
def test_a_token_is_bound_to_the_member_as_registered(world, binding):
    world.payer.register({"servers": [world.server(member_binding=binding)]})
    assert world.exchange().status == "completed"
