"""What a requesting payer does not even ask: each refusal comes before any call."""

from __future__ import annotations

import pytest
from payer_exchange.reference.errors import BadRequest
from payer_exchange.reference.fhir import json
from payer_exchange.reference.requesting import Interrupted
from payer_exchange.simulators.clients_assembly import RESPONDING


def refused(world, parameters):
    with pytest.raises(BadRequest) as caught:
        world.payer.invoke_export(parameters)
    assert not world.traffic
    assert not world.payer.tasks.all()
    return caught.value


def without(parameters, name):
    return {**parameters, "parameter": [p for p in parameters["parameter"] if p["name"] != name]}


@pytest.mark.seed("SD-31")
@pytest.mark.parametrize("name", ["localPatient", "sourceIssuerUrl", "memberMatch"])
def test_a_missing_parameter_is_named(world, name):
    error = refused(world, without(world.parameters(), name))
    assert error.status == 422
    assert name in str(error)


@pytest.mark.seed("SD-31")
@pytest.mark.parametrize("name", ["MemberPatient", "CoverageToMatch", "Consent"])
def test_a_missing_part_is_named(world, name):
    error = refused(world, world.parameters(world.match_parts(**{name: None})))
    assert error.status == 422
    assert name in str(error)


@pytest.mark.seed("SD-31")
@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"name": "localPatient", "valueString": "local-a"}, "localPatient"),
        (
            {"name": "localPatient", "valueReference": {"reference": "Organization/x"}},
            "localPatient",
        ),
        ({"name": "sourceIssuerUrl", "valueString": ""}, "sourceIssuerUrl"),
        ({"name": "export", "part": [{"name": "_since", "valueString": "yesterday"}]}, "_since"),
        (
            {"name": "export", "part": [{"name": "_outputFormat", "valueString": "csv"}]},
            "_outputFormat",
        ),
    ],
)
def test_a_wrong_parameter_is_named(world, wrong, named):
    parameters = without(world.parameters(export=()), wrong["name"])
    parameters["parameter"].append(wrong)
    error = refused(world, parameters)
    assert error.status in (400, 422)
    assert named in str(error)


@pytest.mark.parametrize("name", ["old", "membermatch", "endpoint"])
def test_an_unknown_parameter_is_refused(world, name):
    parameters = world.parameters()
    parameters["parameter"].append({"name": name, "valueString": "x"})
    assert refused(world, parameters).status == 400


@pytest.mark.seed("SD-32")
@pytest.mark.parametrize("name", ["localPatient", "memberMatch"])
def test_two_members_are_one_too_many(world, name):
    parameters = world.parameters()
    parameters["parameter"] += [p for p in parameters["parameter"] if p["name"] == name]
    error = refused(world, parameters)
    assert error.status == 422
    assert "single member" in str(error)


@pytest.mark.seed("SD-32")
def test_two_patients_in_one_match_are_one_too_many(world):
    parameters = world.parameters()
    parts = parameters["parameter"][2]["part"]
    parts.append(parts[0])
    error = refused(world, parameters)
    assert error.status == 422
    assert "single member" in str(error)


@pytest.mark.seed("SD-13")
@pytest.mark.parametrize(
    "change",
    [
        {"status": "inactive"},
        {"status": "rejected"},
        {"provision.type": "deny"},
        {"provision.period": {"start": "2020-01-01", "end": "2020-02-01"}},
        {"provision.period": {"start": "2031-01-01", "end": "2031-02-01"}},
        {"provision.actor": []},
        {"policy": [{"uri": "http://example.org/other"}]},
    ],
)
def test_without_an_active_permission_nothing_is_asked(world, change):
    consent = world.match_parts()["Consent"]
    for path, value in change.items():
        *parents, last = path.split(".")
        place = consent
        for parent in parents:
            place = place[parent]
        place[last] = value
    error = refused(world, world.parameters(world.match_parts(Consent=consent)))
    assert error.status == 422
    assert "Consent" in str(error)


@pytest.mark.seed("SD-25")
@pytest.mark.parametrize("other", ["https://unknown.test", "with-slash"])
def test_an_unregistered_issuer_is_refused(world, other):
    issuer = world.issuer + "/" if other == "with-slash" else other
    error = refused(world, world.parameters(issuer=issuer))
    assert error.status == 422
    assert "sourceIssuerUrl" in str(error)


def test_an_unknown_local_patient_is_refused(world):
    assert "local Patient" in str(refused(world, world.parameters(local="nobody")))


@pytest.mark.parametrize("count", [0, 2])
def test_the_local_patient_has_exactly_one_reference_identifier(world, count):
    system = world.payer.settings.patient_system
    world.payer.keep_local(
        [
            json.write(
                {
                    "resourceType": "Patient",
                    "id": "local-b",
                    "identifier": [{"system": system, "value": str(n)} for n in range(count)],
                }
            )
        ]
    )
    assert system in str(refused(world, world.parameters(local="local-b")))


@pytest.mark.seed("SD-50")
def test_without_the_source_payers_organization_the_task_fails_before_any_call(world):
    server = world.payer.servers.find(world.issuer)
    world.payer.repository.forget([("Organization", server.organization.organization_id)])
    task = world.exchange()
    assert task.status == "failed"
    assert "no Organization resource of the source payer" in world.note(task)
    assert not world.traffic


@pytest.mark.seed("SD-51")
@pytest.mark.parametrize("payor", [[], [{"identifier": {"system": "s", "value": "other"}}], None])
def test_without_the_right_payor_the_task_fails_before_any_call(world, payor):
    coverage = dict(world.match_parts()["CoverageToMatch"])
    coverage["payor"] = payor
    if payor is None:
        del coverage["payor"]
    task = world.exchange(world.parameters(world.match_parts(CoverageToMatch=coverage)))
    assert task.status == "failed"
    assert "CoverageToMatch.payor" in world.note(task)
    assert not world.traffic


@pytest.mark.seed("SD-51")
def test_the_new_coverage_names_this_payer(world):
    link = {**world.match_parts()["CoverageToLink"], "payor": [RESPONDING.reference()]}
    task = world.exchange(world.parameters(world.match_parts(CoverageToLink=link)))
    assert task.status == "failed"
    assert "CoverageToLink.payor" in world.note(task)
    assert not world.traffic


def test_the_same_exchange_does_not_run_twice_at_once(world):
    def stop(_stage):
        raise Interrupted

    world.payer.exchanges.after_stage = stop
    world.exchange()
    with pytest.raises(BadRequest) as caught:
        world.payer.invoke_export(world.parameters())
    assert caught.value.status == 409
