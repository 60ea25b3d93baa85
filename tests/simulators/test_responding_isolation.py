"""What one client may never learn of another's members and exports (faults A1 to A3)."""

from __future__ import annotations

import json
import re

import pytest
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH

REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})")


@pytest.fixture(scope="module")
def two(node):
    """Two clients, each with a member and a finished export of it."""
    made = []
    for name in ("unique", "every-claim"):
        caller = node.caller()
        caller.member = caller.match(name)
        begun = caller.kick_off()
        node.finish_exports()
        caller.job = caller.path(begun.headers["Content-Location"])
        manifest = caller.get(caller.job).get_json()
        caller.files = [caller.path(f["url"]) for f in manifest["output"]]
        caller.observation = node_first(caller, "Observation")
        caller.document = node_first(caller, "ExplanationOfBenefit")
        made.append(caller)
    return made


def node_first(caller, kind):
    return caller.get(f"{kind}?_count=1").get_json()["entry"][0]["resource"]["id"]


ROUTES = [
    "Patient/{member}",
    "Patient/{member}/$everything",
    "Patient/{member}/$export",
    "Patient/{member}/_history/1",
    "Observation/{observation}",
    "ExplanationOfBenefit/{document}",
    "Patient?_id={member}",
    "Observation?patient={member}",
    "Observation?patient=Patient/{member}",
    "Observation?_id={observation}",
    "Observation?subject=Patient/{member}&_include=*",
    "Coverage?beneficiary=Patient/{member}",
    "ExplanationOfBenefit?_id={document}&_revinclude=Provenance:target",
    "Provenance?target=Observation/{observation}",
    "DocumentReference/$docref?patient={member}",
    "Patient/$export?patient=Patient/{member}",
    "{job}",
    "{file}",
]
NOBODY = {"member": "m9999999", "observation": "m9999999-obs-1", "document": "m9999999-eob-1"}


def places(caller):
    return {
        "member": caller.member,
        "observation": caller.observation,
        "document": caller.document,
        "job": caller.job,
        "file": caller.files[0],
    }


def of_nobody(caller):
    job = "/fhir/export-status/" + "0" * 32
    return {**NOBODY, "job": job, "file": f"/fhir/export-files/{'0' * 32}/{'0' * 32}.ndjson"}


def told(answer, names):
    """What an answer says, with the names that were asked for made alike."""
    text = answer.text
    for name, value in names.items():
        text = text.replace(value.removeprefix("/fhir/"), name)
    headers = {k: v for k, v in answer.headers.items() if k != "Content-Length"}
    return answer.status_code, text, headers


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD"])
@pytest.mark.parametrize("route", ROUTES)
def test_the_others_is_as_what_does_not_exist(node, two, route, method):
    mine, theirs = two
    token = mine.token()
    answers = []
    for names in (places(theirs), of_nobody(theirs)):
        answer = node.call(
            method, route.format(**names), token=token, headers={"Prefer": "respond-async"}
        )
        answers.append(told(answer, names))
    assert answers[0] == answers[1]
    status, text, _ = answers[0]
    assert status < 500
    assert status != 202
    if status == 200 and text:
        assert json.loads(text)["total"] == 0


@pytest.mark.parametrize("route", ROUTES[:1] + ROUTES[6:8] + ROUTES[-2:])
def test_ones_own_is_there(two, route):
    # So that the test above does not pass because nothing is ever there.
    for caller in two:
        answer = caller.get(route.format(**places(caller)))
        assert answer.status_code == 200
        assert caller.member in answer.text or "export-files" in answer.text


def test_the_job_lives_on_when_another_would_delete_it(node, two):
    mine, theirs = two
    for place in (theirs.job, theirs.files[0]):
        for method in ("GET", "DELETE"):
            answer = node.call(method, place, token=mine.token())
            assert answer.status_code in (404, 405)
    assert theirs.get(theirs.job).status_code == 200
    for file in theirs.files:
        assert theirs.get(file).status_code == 200


def test_ones_own_delete_ends_the_job_once(node, two):
    caller = two[0]
    begun = caller.kick_off()
    node.finish_exports()
    job = caller.path(begun.headers["Content-Location"])
    file = caller.path(caller.get(job).get_json()["output"][0]["url"])
    assert node.call("DELETE", job, token=caller.token()).status_code == 202
    for method, place in (("GET", job), ("DELETE", job), ("GET", file)):
        node.issue(node.call(method, place, token=caller.token()), 404, "not-found")


def test_a_file_of_one_job_is_not_to_be_had_through_another(node, two):
    mine, theirs = two
    name = theirs.files[0].rpartition("/")[2]
    folder = mine.files[0].rpartition("/")[0]
    node.issue(mine.get(f"{folder}/{name}"), 404)


def test_without_a_token_there_is_nothing(node, two):
    for caller in two:
        for route in ROUTES:
            answer = node.call("GET", route.format(**places(caller)))
            assert answer.status_code in (401, 404)
            assert caller.member not in answer.text


def test_a_token_bound_to_one_member_opens_that_one(node):
    caller = node.caller()
    first, second = caller.match("unique"), caller.match("every-claim")
    begun = caller.kick_off()
    node.finish_exports()
    both = caller.path(begun.headers["Content-Location"])
    bound = caller.token(patient=first)
    assert node.call("GET", f"Patient/{first}", token=bound).status_code == 200
    node.issue(node.call("GET", f"Patient/{second}", token=bound), 404)
    assert node.call("GET", "Patient", token=bound).get_json()["total"] == 1
    node.issue(node.call("GET", both, token=bound), 404)
    assert caller.get(both).status_code == 200
    manifest, lines = caller.export(token=bound)
    assert [json.loads(line)["id"] for line in lines["Patient"]] == [first]
    assert manifest["requiresAccessToken"] is True


def test_a_narrow_token_opens_no_file_of_another_type(node):
    caller = node.caller()
    caller.match("unique")
    begun = caller.kick_off("Patient/$export?_type=Patient,Observation")
    node.finish_exports()
    manifest = caller.get(caller.path(begun.headers["Content-Location"])).get_json()
    files = {f["type"]: caller.path(f["url"]) for f in manifest["output"]}
    narrow = caller.token("system/Patient.rs")
    assert node.call("GET", files["Patient"], token=narrow).status_code == 200
    node.issue(node.call("GET", files["Observation"], token=narrow), 403, "forbidden")
    matching = caller.token(MEMBER_MATCH)
    node.issue(node.call("GET", files["Patient"], token=matching), 403, "forbidden")


def test_what_is_included_needs_a_scope_too(node):
    caller = node.caller()
    caller.match("unique")
    query = "Observation?_include=*&_revinclude=Provenance:target&_count=50"
    wide = caller.get(query).get_json()["entry"]
    assert {e["resource"]["resourceType"] for e in wide} > {"Observation", "Provenance"}
    narrow = node.call("GET", query, token=caller.token("system/Observation.rs"))
    assert {e["resource"]["resourceType"] for e in narrow.get_json()["entry"]} == {"Observation"}


def test_consent_that_ends_takes_the_files_along(new_node):
    node = new_node()
    caller = node.caller()
    member = caller.match("withdrawn-later")
    begun = caller.kick_off()
    node.finish_exports()
    job = caller.path(begun.headers["Content-Location"])
    file = caller.path(caller.get(job).get_json()["output"][0]["url"])
    assert caller.get(file).status_code == 200
    assert node.admin("POST", f"members/{member}/withdraw").get_json() == {"ended": 1}
    for place in (file, job, f"Patient/{member}", f"Patient/{member}/$everything"):
        node.issue(caller.get(place), 404)
    assert caller.export()[1] == {}
    assert not (node.payer.settings.data_dir / "exports" / job.rpartition("/")[2]).exists()


def test_consent_that_runs_out_ends_access_to_the_second(new_node):
    node = new_node()
    caller = node.caller()
    member = caller.match("unique")
    last_day = caller.match_body("unique")["parameter"][1]["resource"]["provision"]["period"]["end"]
    end = node.clock.now().fromisoformat(f"{last_day}T23:59:59+00:00")
    node.clock.advance((end - node.clock.now()).total_seconds())
    assert caller.get(f"Patient/{member}").status_code == 200
    node.clock.advance(1)
    node.issue(caller.get(f"Patient/{member}"), 404)


# Canaries: a second walker, which shares nothing with the payer but the truth table.


@pytest.fixture(scope="module")
def owners(node):
    """{Type/id: member} of every resource that belongs to one."""
    return {
        name: member["patient_id"]
        for member in node.truth["members"]
        for name in member["record"]["resources"]
    }


def named_in(value):
    """Every Type/id in any text of a resource, references or not."""
    if isinstance(value, dict):
        for child in value.values():
            yield from named_in(child)
    elif isinstance(value, list):
        for child in value:
            yield from named_in(child)
    elif isinstance(value, str):
        yield from (f"{kind}/{ident}" for kind, ident in REFERENCE.findall(value))


def strangers(resources, owners, member):
    """What of other members the resources are, or name."""
    found = set()
    for resource in resources:
        for name in (f"{resource['resourceType']}/{resource['id']}", *named_in(resource)):
            if owners.get(name, member) != member:
                found.add(name)
    return found


def matched(node):
    for asked in node.truth["requests"]:
        if asked["expect"] == "match" and not asked.get("needs"):
            yield asked["name"], node.member(asked["member"])["patient_id"]


def test_no_export_holds_or_names_anything_of_another_member(node, owners):
    for name, member in matched(node):
        caller = node.caller()
        caller.match(name)
        _, lines = caller.export()
        sent = [json.loads(line) for found in lines.values() for line in found]
        assert len(sent) > 10
        assert strangers(sent, owners, member) == set(), name
        listed = [e["resource"] for e in caller.everything(member, "?_count=1000")]
        assert strangers(listed, owners, member) == set(), name


def test_no_search_holds_or_names_anything_of_another_member(node, owners, two):
    kinds = {name.split("/")[0] for name in owners} | {"Practitioner", "Organization", "Location"}
    for caller in two:
        for kind in sorted(kinds):
            query = f"{kind}?_count=1000&_include=*&_revinclude=Provenance:target"
            found = [e["resource"] for e in caller.get(query).get_json().get("entry", [])]
            assert strangers(found, owners, caller.member) == set(), kind


def test_what_is_shared_goes_along_because_something_sent_points_at_it(node):
    for name, _member in matched(node):
        caller = node.caller()
        caller.match(name)
        _, lines = caller.export()
        sent = {
            f"{kind}/{json.loads(line)['id']}": json.loads(line)
            for kind, found in lines.items()
            for line in found
        }
        pointed = {
            other
            for resource in sent.values()
            if not resource["id"].startswith("tx-")
            for other in named_in(resource)
        }
        shared = {n for n in sent if n.split("/")[0] in ("Practitioner", "PractitionerRole",
                                                          "Organization", "Location")}  # fmt: skip
        assert shared - pointed == set(), name
