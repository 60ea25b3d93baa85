"""`$bulk-member-match`: three Groups, each submitted member in exactly one (pdex-154a, -154b)."""

from __future__ import annotations

import copy
import json

import pytest
from payer_exchange.reference.fhir.pdex import BULK_MEMBER_MATCH
from payer_exchange.reference.parties import PayerIdentity

CODES = "http://hl7.org/fhir/us/davinci-pdex/CodeSystem/PdexMultiMemberMatchResultCS"
PATIENT = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/base-ext-match-parameters"
COVERAGE = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/base-ext-match-coverage"
BUCKET = {"match": "match", "no-match": "nomatch", "many": "nomatch",
          "consent": "consentconstraint"}  # fmt: skip
OTHER = PayerIdentity("https://example.org/payer-id", "SECOND", "Second payer", "second-payer")


def bundle(caller, name, **parts):
    """The MemberBundle of one request of the truth table."""
    return {"name": "MemberBundle", "part": caller.match_body(name, **parts)["parameter"]}


def body(*bundles):
    return {"resourceType": "Parameters", "parameter": list(bundles)}


def send(caller, content, *, prefer="respond-async", scope=BULK_MEMBER_MATCH):
    return caller.node.call(
        "POST",
        "Group/$bulk-member-match",
        content,
        token=caller.token(scope),
        headers={"Prefer": prefer} if prefer else {},
    )


def result(caller, content):
    """The manifest, the files' lines by type, and the Groups by code."""
    begun = send(caller, content)
    assert begun.status_code == 202, begun.text
    caller.node.finish_exports()
    manifest, lines = caller.exported(begun.headers["Content-Location"])
    groups = {}
    for group in map(json.loads, lines.get("Group", ())):
        [coding] = group["code"]["coding"]
        assert coding["system"] == CODES
        groups[coding["code"]] = group
    return manifest, lines, groups


def entries(group):
    """{submitted Patient id: the entry's reference} of a Group."""
    return {
        submitted(member, PATIENT): member["entity"]["reference"]
        for member in group.get("member", [])
    }


def submitted(member, url):
    [found] = [e for e in member["entity"]["extension"] if e["url"] == url]
    return found["valueReference"]["reference"].removeprefix("#")


def names(node):
    return [r["name"] for r in node.truth["requests"] if not r.get("needs")]


def test_every_request_of_the_truth_table_lands_where_it_must(node):
    caller = node.caller()
    asked = {r["patient"]["id"]: r for r in node.truth["requests"] if not r.get("needs")}
    _, _, groups = result(caller, body(*(bundle(caller, r["name"]) for r in asked.values())))
    found = {ident: code for code, group in groups.items() for ident in entries(group)}
    assert found == {ident: BUCKET[r["expect"]] for ident, r in asked.items()}
    assert {code: group["quantity"] for code, group in groups.items()} == {
        code: list(found.values()).count(code) for code in set(found.values())
    }
    own = {m["key"]: f"Patient/{m['patient_id']}" for m in node.truth["members"]}
    for ident, reference in entries(groups["match"]).items():
        assert reference == own[asked[ident]["member"]]
    for code in ("nomatch", "consentconstraint"):
        assert all(reference == f"#{ident}" for ident, reference in entries(groups[code]).items())


def test_a_group_says_whose_it_is_and_for_whom(node, caller):
    manifest, _, groups = result(caller, body(bundle(caller, "unique"), bundle(caller, "unknown")))
    assert manifest["error"] == []
    assert manifest["request"].endswith("/fhir/Group/$bulk-member-match")
    group = groups["match"]
    assert (group["type"], group["actual"]) == ("person", True)
    assert group["managingEntity"]["reference"] == "Organization/payer"
    [characteristic] = group["characteristic"]
    assert characteristic["code"]["coding"] == [{"system": CODES, "code": "match"}]
    assert characteristic["valueReference"]["identifier"]["value"] == "REQUESTING-PAYER"
    assert characteristic["exclude"] is False
    assert characteristic["period"] == {"start": "2027-01-15"}
    assert "characteristic" not in groups["nomatch"]


def test_the_submitted_patient_comes_back_but_for_what_may_not_be_contained(node, caller):
    sent = copy.deepcopy(node.request("unique")["patient"])
    sent["meta"] = {"versionId": "7", "lastUpdated": "2026-01-01T00:00:00Z",
                    "security": [{"code": "R"}], "tag": [{"code": "kept"}]}  # fmt: skip
    sent["contained"] = [{"resourceType": "Organization", "id": "inner", "name": "Inner"}]
    sent["managingOrganization"] = {"reference": "#inner"}
    sent["extension"] = [{"url": "http://example.org/weight", "valueDecimal": 0.5}]
    sent["identifier"] = [{"system": "http://example.org/own", "value": "own-1"}]
    text = json.dumps(body(bundle(caller, "unique", patient=sent))).replace("0.5", "0.50")
    _, lines, groups = result(caller, text)
    [contained] = groups["match"]["contained"]
    expected = {**sent, "meta": {"tag": [{"code": "kept"}]}}
    del expected["contained"]
    assert contained == expected
    assert b'"valueDecimal":0.50' in lines["Group"][0]


def test_matched_members_are_told_even_when_there_are_none(caller):
    _, lines, groups = result(caller, body(bundle(caller, "unknown")))
    assert set(groups) == {"match", "nomatch"}
    assert "member" not in groups["match"]
    assert len(lines["Group"]) == 2


def test_the_other_groups_are_told_only_when_they_hold_somebody(caller):
    _, _, groups = result(caller, body(bundle(caller, "unique")))
    assert set(groups) == {"match"}


def test_one_person_with_two_cards_is_told_apart_by_the_coverage(node, caller):
    known = node.request("unique")
    unknown = copy.deepcopy(known["coverage_to_match"])
    unknown["id"] = "second-card"
    for identifier in unknown["identifier"]:
        identifier["value"] = "WPZ00000000001"
    unknown.pop("subscriberId", None)
    content = body(bundle(caller, "unique"), bundle(caller, "unique", coverage=unknown))
    _, _, groups = result(caller, content)
    for code, coverage in (("match", known["coverage_to_match"]), ("nomatch", unknown)):
        [member] = groups[code]["member"]
        contained = {c["id"]: c for c in groups[code]["contained"]}
        assert contained[submitted(member, COVERAGE)] == coverage
        assert submitted(member, PATIENT) == known["patient"]["id"]


def test_no_reason_is_told_of_a_consent_that_fails(caller):
    _, lines, groups = result(caller, body(bundle(caller, "consent-expired-a")))
    group = groups["consentconstraint"]
    assert set(group) <= {"resourceType", "id", "meta", "identifier", "active", "type", "actual",
                          "code", "managingEntity", "quantity", "contained", "member"}  # fmt: skip
    [member] = group["member"]
    assert set(member) == {"entity"}
    assert [e["url"] for e in member["entity"]["extension"]] == [PATIENT]
    assert "OperationOutcome" not in lines


def test_a_member_whose_resources_break_hrex_fails_alone(node, caller):
    broken = {**node.request("every-claim")["patient"], "birthDate": "2027-13-45"}
    content = body(bundle(caller, "every-claim", patient=broken), bundle(caller, "unique"))
    _, lines, groups = result(caller, content)
    assert list(entries(groups["nomatch"])) == [broken["id"]]
    assert len(entries(groups["match"])) == 1
    [outcome] = map(json.loads, lines["OperationOutcome"])
    first, precise = outcome["issue"]
    assert first["expression"] == ["Parameters.parameter[0]"]
    member = "Parameters.parameter[0].part.where(name='MemberPatient')"
    assert precise["expression"] == [f"{member}.resource.birthDate"]
    assert "2027-13-45" not in json.dumps(outcome)


def test_a_member_whose_resources_break_the_profile_alone_is_told(node, caller):
    broken = {**node.request("unique")["patient"], "active": "yes"}
    _, lines, groups = result(caller, body(bundle(caller, "unique", patient=broken)))
    assert list(entries(groups["nomatch"])) == [broken["id"]]
    [outcome] = map(json.loads, lines["OperationOutcome"])
    assert "not matched" in outcome["issue"][0]["details"]["text"]
    assert outcome["issue"][1]["expression"][0].endswith(".resource.active")


@pytest.mark.parametrize("part", ["MemberPatient", "CoverageToMatch", "Consent"])
def test_a_bundle_without_a_part_refuses_the_request(node, caller, part):
    made = bundle(caller, "unique")
    made["part"] = [p for p in made["part"] if p["name"] != part]
    node.issue(send(caller, body(bundle(caller, "every-claim"), made)), 422, "required",
               "Parameters.parameter[1].part")  # fmt: skip


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ("{", 400),
        ({"resourceType": "Bundle"}, 400),
        ({"resourceType": "Parameters"}, 400),
        ({"resourceType": "Parameters", "parameter": [{"name": "memberBundle"}]}, 422),
        ({"resourceType": "Parameters", "parameter": [{"name": "MemberBundle"}]}, 422),
    ],
)
def test_what_is_no_bulk_request_is_refused(node, caller, content, status):
    node.issue(send(caller, content), status)


def test_two_people_with_one_id_are_refused(node, caller):
    one, two = bundle(caller, "unique"), bundle(caller, "every-claim")
    text = json.dumps(body(one, two)).replace("submitted-every-claim", "submitted-unique")
    node.issue(send(caller, text), 422, "duplicate")


def test_it_is_asynchronous_and_needs_its_own_scope(node, caller):
    content = body(bundle(caller, "unique"))
    node.issue(send(caller, content, prefer=""), 400, "not-supported")
    node.issue(send(caller, content, scope="system/*.rs"), 403, "forbidden")
    for prefer in ("respond-async,return=minimal", 'handling=lenient; "respond-async"'):
        assert send(caller, content, prefer=prefer).status_code == 202
    assert caller.get("Group/$bulk-member-match").status_code in (404, 405)


def test_the_envelope_comes_beside_the_groups_by_setting_and_alone_in_2_1_0(new_node):
    for options, kinds in (
        ({"parameters_envelope": True}, {"Group", "Parameters"}),
        ({"pdex_version": "2.1.0"}, {"Parameters"}),
    ):
        caller = new_node(**options).caller()
        content = body(bundle(caller, "unique"), bundle(caller, "unknown"))
        _, lines, _ = result(caller, content)
        assert set(lines) == kinds
        [envelope] = map(json.loads, lines["Parameters"])
        told = {p["name"]: p["resource"] for p in envelope["parameter"]}
        assert list(told) == ["MatchedMembers", "NonMatchedMembers"]
        assert list(entries(told["MatchedMembers"])) == ["submitted-unique"]


def test_a_group_is_found_read_and_kept_from_everybody_else(node, caller):
    _, _, groups = result(caller, body(bundle(caller, "unique"), bundle(caller, "unknown")))
    group = groups["match"]
    ident = group["id"]
    assert caller.get(f"Group/{ident}").get_json() == group
    queries = [
        f"identifier={ident}",
        f"identifier={group['identifier'][0]['system']}|{ident}",
        "code=match",
        f"code={CODES}|match",
        "code=match,nomatch",
        "characteristic=match",
        "characteristic-value-reference=Organization/new-payer",
        f"_id={ident}&code=match&characteristic=match",
        "",
    ]
    for query in queries:
        found = [e["resource"]["id"] for e in caller.get(f"Group?{query}").get_json()["entry"]]
        assert ident in found, query
    assert "entry" not in caller.get("Group?code=nomatch").get_json()
    assert caller.get(f"Group/{ident}/_history/1").get_json() == group
    assert caller.get(f"Group/{ident}/_history").get_json()["total"] == 1
    node.issue(caller.get(f"Group/{groups['nomatch']['id']}"), 404)
    other = node.caller(OTHER)
    assert "entry" not in other.get("Group").get_json()
    node.issue(other.get(f"Group/{ident}"), 404)
    node.issue(other.get(f"Group/{ident}/_history"), 404)
    node.issue(other.kick_off(f"Group/{ident}/$export"), 404)


def test_a_payer_that_wants_an_attestation_takes_no_request_without(new_node):
    node = new_node()
    object.__setattr__(node.payer.settings, "require_attestation", True)
    caller = node.caller()
    attested = bundle(caller, "unique")
    bare = bundle(caller, "every-claim")
    bare["part"] = [p for p in bare["part"] if p["name"] != "CoverageToLink"]
    _, _, groups = result(caller, body(attested, bare))
    assert list(entries(groups["match"])) == ["submitted-unique"]
    assert list(entries(groups["consentconstraint"])) == ["submitted-every-claim"]
    content = caller.match_body("every-claim")
    content["parameter"] = [p for p in content["parameter"] if p["name"] != "CoverageToLink"]
    node.issue(caller.send_match(content), 422, "suppressed")
    [kept] = [r for r in node.payer.audit.records() if r["event"] == "bulk"]
    assert kept["details"]["attestation"] == {"given": 1, "attestation-missing": 1}


def test_a_bulk_match_that_is_deleted_stops_before_the_next_member(new_node):
    node, asked = new_node(), []
    caller, jobs = node.caller(), node.payer.jobs

    def second_asks():
        asked.append(1)
        if len(asked) == 2:
            [job] = jobs.of(caller.client_id)
            jobs.remove(job)
        return False

    jobs.answering = second_asks
    content = body(
        *(bundle(caller, name) for name in ("unique", "every-claim", "consent-expired-a"))
    )
    begun = send(caller, content)
    node.finish_exports()
    assert len(asked) == 2
    assert caller.get(begun.headers["Content-Location"]).status_code == 404
    assert "entry" not in caller.get("Group").get_json()
