"""The responding payer's rows of the seed page: each with the way in which it could be broken."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import threading
from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from click.testing import CliRunner
from payer_exchange.cli.admin import admin as admin_command
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.holdings import fill
from payer_exchange.reference.registration.clients import ClientSecret, client_from_json
from payer_exchange.reference.requesting import RequestingPayer, RequestingSettings
from payer_exchange.reference.roles import role, roles
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.trust import keys
from payer_exchange.reference.trust.keys import public_set
from payer_exchange.simulators.clients_assembly import REQUESTING, RESPONDING
from payer_exchange.simulators.requesting import RequestingSimulator

UMB = "http://hl7.org/fhir/us/davinci-hrex/CodeSystem/hrex-temp"


# 4.1 Actors and modes


@pytest.mark.seed("SD-01")
def test_a_third_payer_sees_nothing_of_an_exchange(node):
    one, third = node.caller(), node.caller()
    member = one.match("unique")
    assert one.get(f"Patient/{member}").status_code == 200
    node.issue(third.get(f"Patient/{member}"), 404, "not-found")
    assert third.get("Observation").get_json()["total"] == 0
    # An exchange of nobody's record is one of nothing.
    assert third.export()[1] == {}
    involved = {r["client"] for r in node.payer.audit.records() if r["phase"] == "member-match"}
    assert one.client_id in involved
    assert third.client_id not in involved


@pytest.mark.seed("SD-02", "SD-03")
@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("requesting", "requesting"),
        ("Target", "requesting"),
        ("Client", "requesting"),
        ("New", "requesting"),
        ("Requesting Payer", "requesting"),
        ("new-payer", "requesting"),
        ("responding", "responding"),
        ("Source", "responding"),
        ("Server", "responding"),
        ("Old", "responding"),
        ("old plan", "responding"),
        ("Responding Payer", "responding"),
    ],
)
def test_every_name_of_the_page_stands_for_its_role(alias, name):
    assert role(alias) == name


@pytest.mark.seed("SD-02", "SD-03")
@pytest.mark.parametrize("alias", ["", "payer", "sourse", "new old", "both"])
def test_another_name_is_refused_with_those_there_are(alias):
    with pytest.raises(SettingsError, match="source"):
        role(alias)


@pytest.mark.seed("SD-03")
def test_the_capability_statement_lists_match_and_export(node):
    statement = node.call("GET", "metadata").get_json()
    [patient] = [r for r in statement["rest"][0]["resource"] if r["type"] == "Patient"]
    assert {o["name"]: o["definition"] for o in patient["operation"]} == {
        "member-match": "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match",
        "everything": "http://hl7.org/fhir/OperationDefinition/Patient-everything",
        "export": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export",
    }


@pytest.mark.seed("SD-03")
def test_one_node_holds_both_roles_at_once(node, tmp_path):
    assert roles("old, new") == {"requesting", "responding"}
    payer = RequestingPayer(
        RequestingSettings("http://q.test/new/fhir", RESPONDING, tmp_path),
        open_data_dir(tmp_path, "requesting-payer"),
    )
    try:
        new = RequestingSimulator(payer).app.test_client()
        asks = new.get("/new/fhir/metadata").get_json()
        answers = node.call("GET", "metadata").get_json()
    finally:
        payer.close()
    offered = [
        {o["name"] for r in s["rest"][0]["resource"] for o in r.get("operation", [])}
        for s in (asks, answers)
    ]
    assert "invoke-export" in offered[0]
    assert "member-match" in offered[1]


@pytest.mark.seed("SD-04")
def test_the_responder_starts_nothing_by_itself(new_node, monkeypatch):
    node, sent = new_node(), []
    caller = node.caller()
    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", lambda *a, **k: sent.append(a))
    before = threading.active_count()
    caller.match("unique")
    caller.export()
    body = b'{"resourceType":"Observation","id":"brand-new","subject":{"reference":"Patient/x"}}'
    fill(node.payer, [body])
    node.clock.advance(timedelta(hours=1))
    assert sent == []
    assert threading.active_count() <= before + 1
    told = [r for r in node.payer.audit.records() if r["client"] == caller.client_id]
    assert {r["actor"] for r in told} == {"responding"}
    assert not any(r["details"].get("direction") == "outbound" for r in told)


@pytest.mark.seed("SD-05")
def test_a_single_member_exchange_can_be_switched_off(new_node):
    node = new_node()
    caller = node.caller()
    member = caller.match()
    # RespondingSettings is frozen: what an operator sets before the start is put in place here.
    object.__setattr__(node.payer.settings, "single_member", False)
    for answer in (
        caller.send_match(caller.match_body()),
        caller.kick_off(),
        caller.kick_off(f"Patient/{member}/$export"),
        caller.get(f"Patient/{member}/$everything"),
    ):
        assert answer.status_code in (404, 405)
        node.issue(answer, answer.status_code, "not-supported")
    statement = node.call("GET", "metadata").get_json()
    [patient] = [r for r in statement["rest"][0]["resource"] if r["type"] == "Patient"]
    assert "operation" not in patient
    assert node.payer.jobs.of(caller.client_id) == []


@pytest.mark.seed("SD-06")
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("post", [False, True])
def test_an_export_is_kicked_off_polled_and_fetched(node, caller, one, post):
    member = caller.match("unique")
    path = f"Patient/{member}/$export" if one else "Patient/$export"
    body = {"resourceType": "Parameters", "parameter": []} if post else None
    release = threading.Event()
    node.payer.jobs._pool.submit(release.wait)
    begun = caller.kick_off(path, body)
    assert begun.status_code == 202
    place = begun.headers["Content-Location"]
    assert place.startswith(f"{node.payer.settings.fhir_base}/")
    waiting = caller.get(caller.path(place))
    assert waiting.status_code == 202
    assert int(waiting.headers["Retry-After"]) >= 1
    assert len(waiting.headers["X-Progress"]) < 100
    release.set()
    node.finish_exports()
    manifest, lines = caller.exported(place)
    assert manifest["requiresAccessToken"] is True
    assert manifest["transactionTime"] == f"{node.clock.now():%Y-%m-%dT%H:%M:%S}.000Z"
    assert manifest["error"] == []
    assert node.own(node.keys_of(lines)) == dict.fromkeys(node.expected("A"), 1)


@pytest.mark.seed("SD-06")
@pytest.mark.parametrize("prefer", ["", "respond-sync", "return=minimal", "respond-async-not"])
def test_an_export_without_respond_async_is_refused(node, caller, prefer):
    caller.match()
    node.issue(caller.kick_off(prefer=prefer), 400, "not-supported")
    assert node.payer.jobs.of(caller.client_id) == []


@pytest.mark.seed("SD-07")
@pytest.mark.parametrize("count", [1, 7, 100, 1000])
def test_everything_brings_page_by_page_what_an_export_brings(node, caller, count):
    if count == 1:
        member, name = caller.match("two-coverages"), "F"
    else:
        member, name = caller.match("unique"), "A"
    entries = caller.everything(member, f"?_count={count}")
    assert node.own(node.entry_keys(entries)) == dict.fromkeys(node.expected(name), 1)
    assert node.entry_keys(entries) == node.keys_of(caller.export(f"Patient/{member}/$export")[1])


@pytest.mark.seed("SD-07")
def test_everything_of_another_is_as_of_nobody(node, caller):
    caller.match("unique")
    other = node.member("M")["patient_id"]
    answers = [caller.get(f"Patient/{who}/$everything") for who in (other, "nobody")]
    for answer in answers:
        node.issue(answer, 404, "not-found")
    assert answers[0].data == answers[1].data


@pytest.mark.seed("SD-08")
def test_reads_and_searches_hold_the_member_and_nobody_else(node, caller):
    member = caller.match("unique")
    expected = node.expected("A")
    kinds = {name.split("/")[0] for name in expected}
    for kind in sorted(kinds):
        bundle = caller.get(f"{kind}?_count=1000").get_json()
        assert set(node.entry_keys(bundle["entry"])) == {
            name for name in expected if name.startswith(f"{kind}/")
        }
        assert bundle["total"] == len(bundle["entry"])
    for name in expected:
        assert caller.get(name).status_code == 200
    other = node.member("M")["patient_id"]
    for query in (f"Observation?patient={other}", f"Observation?patient=Patient/{other}"):
        node.issue(caller.get(query), 404, "not-found")
    assert caller.get(f"Observation?patient={member}").get_json()["total"] > 0
    theirs = next(n for n in node.expected("M") if n.startswith("Observation/"))
    node.issue(caller.get(theirs), 404, "not-found")
    assert caller.get(f"Observation?_id={theirs.split('/')[1]}").get_json()["total"] == 0


# 4.2 Phases and roles


@pytest.mark.seed("SD-12")
def test_no_token_before_registration_and_one_after(node):
    caller = node.caller()
    stranger = type(caller)(node, client_from_json({**document("not-registered"), "jwks": {}}))
    assert stranger.ask_token().status_code == 401
    node.payer.clients.register(client_from_json(document("not-registered", node.jwk)))
    assert stranger.ask_token().status_code == 200


@pytest.mark.seed("SD-15")
@pytest.mark.parametrize(
    ("what", "status", "error"),
    [
        ("nothing", 200, None),
        ("signature", 401, "invalid_client"),
        ("expiry", 401, "invalid_client"),
        ("audience", 401, "invalid_client"),
        ("scope", 400, "invalid_scope"),
        ("permission", 401, "invalid_client"),
    ],
)
def test_each_check_of_a_token_request(node, what, status, error):
    caller = node.caller(state="pending" if what == "permission" else "approved")
    now = int(node.clock.now().timestamp())
    other_key = {**keys.generate(), "kid": node.jwk["kid"]}
    answer = {
        "nothing": lambda: caller.ask_token(),
        "signature": lambda: caller.ask_token(assertion=caller.assertion(other_key)),
        "expiry": lambda: caller.ask_token(assertion=caller.assertion(exp=now - 61)),
        "audience": lambda: caller.ask_token(
            assertion=caller.assertion(aud="https://somebody.example.org/token")
        ),
        "scope": lambda: caller.ask_token("system/*.cud"),
        "permission": lambda: caller.ask_token(),
    }[what]()
    assert answer.status_code == status
    assert answer.get_json().get("error") == error
    assert ("access_token" in answer.get_json()) == (error is None)


@pytest.mark.seed("SD-15")
def test_each_check_of_a_request_with_a_token(node, caller):
    member = caller.match("unique")
    read = f"Patient/{member}"
    assert caller.get(read).status_code == 200
    none = node.call("GET", read)
    node.issue(none, 401, "login")
    assert none.headers["WWW-Authenticate"] == "Bearer"
    bad = node.call("GET", read, token="made-up")
    node.issue(bad, 401, "login")
    assert 'error="invalid_token"' in bad.headers["WWW-Authenticate"]
    narrow = node.call("GET", read, token=caller.token("system/Observation.rs"))
    node.issue(narrow, 403, "forbidden")
    assert 'error="insufficient_scope"' in narrow.headers["WWW-Authenticate"]
    unmatched = node.caller()
    node.issue(unmatched.get(read), 404, "not-found")
    token = caller.token()
    node.clock.advance(timedelta(seconds=299))
    assert node.call("GET", read, token=token).status_code == 200
    node.clock.advance(timedelta(seconds=1))
    node.issue(node.call("GET", read, token=token), 401, "login")


@pytest.mark.seed("SD-16", "SD-35")
def test_one_match_brings_identifiers_and_is_logged(node, caller):
    answer = caller.send_match(caller.match_body("unique"))
    assert answer.status_code == 200
    [identifier, ident] = answer.get_json()["parameter"]
    assert identifier["name"] == "MemberIdentifier"
    assert identifier["valueIdentifier"]["type"]["coding"] == [{"system": UMB, "code": "UMB"}]
    assert {"system", "value"} <= identifier["valueIdentifier"].keys()
    member = node.member("A")["patient_id"]
    assert ident == {
        "name": "MemberId",
        "valueReference": {"reference": f"{node.payer.settings.fhir_base}/Patient/{member}"},
    }
    told = [
        (r["event"], r["outcome"])
        for r in node.payer.audit.records()
        if r["client"] == caller.client_id and r["phase"] == "member-match"
    ]
    assert told == [("decision", "match"), ("answer", "match")]


@pytest.mark.seed("SD-17")
def test_counts_of_manifest_files_and_audit_agree(node, caller):
    caller.match("every-claim")
    manifest, lines = caller.export()
    counts = {f["type"]: f["count"] for f in manifest["output"]}
    assert counts == {kind: len(found) for kind, found in lines.items()}
    [written] = [
        r
        for r in node.payer.audit.records()
        if r["event"] == "written" and r["client"] == caller.client_id
    ]
    assert written["details"]["released"] == counts


@pytest.mark.seed("SD-20")
def test_both_ways_to_authenticate_bring_tokens(node, caller):
    assert caller.ask_token().status_code == 200
    by_secret = node.caller(jwks=None, secrets=(secret("s3cret/+:ü"),))
    answer = basic(node, by_secret.client_id, "s3cret/+:ü")
    assert answer.status_code == 200
    token = answer.get_json()["access_token"]
    assert node.call("GET", "Patient", token=token).status_code == 200
    assert basic(node, by_secret.client_id, "wrong").get_json()["error"] == "invalid_client"
    assert basic(node, caller.client_id, "").status_code == 401


@pytest.mark.seed("SD-20")
@pytest.mark.parametrize(
    ("activation", "expiration", "good"),
    [
        ("", "", True),
        ("2027-01-15T12:00:00Z", "", True),
        ("2027-01-15T12:00:01Z", "", False),
        ("", "2027-01-15T12:00:00Z", False),
        ("", "2027-01-15T12:00:01Z", True),
        ("2027-01-15", "2027-01-16", True),
        ("2027-01-16", "2027-02-01", False),
        ("2026-01-01", "2027-01-15T11:59:59Z", False),
    ],
)
def test_a_secret_counts_in_its_window_only(new_node, activation, expiration, good):
    node = new_node()
    caller = node.caller(jwks=None, secrets=(secret("s", activation, expiration),))
    assert basic(node, caller.client_id, "s").status_code == (200 if good else 401)


@pytest.mark.seed("SD-20")
def test_two_secrets_overlap_while_one_takes_the_place_of_the_other(new_node):
    node = new_node()
    old, new = secret("old", "", "2027-01-16"), secret("new", "2027-01-15", "")
    caller = node.caller(jwks=None, secrets=(old, new))
    known = {s: basic(node, caller.client_id, s).status_code for s in ("old", "new")}
    assert known == {"old": 200, "new": 200}
    node.clock.advance(timedelta(days=1))
    known = {s: basic(node, caller.client_id, s).status_code for s in ("old", "new")}
    assert known == {"old": 401, "new": 200}


# 4.3 Registration


@pytest.mark.seed("SD-26")
def test_vetting_states_open_and_close_the_door(node):
    caller = node.caller(state="pending")
    assert caller.ask_token().get_json()["error"] == "invalid_client"
    node.payer.clients.set_state(caller.client_id, "approved")
    caller.match("unique")
    token = caller.token()
    done = caller.kick_off()
    node.finish_exports()
    release = threading.Event()
    node.payer.jobs._pool.submit(release.wait)
    running = caller.kick_off()
    assert node.admin("POST", f"clients/{caller.client_id}/suspended").status_code == 204
    assert caller.ask_token().status_code == 401
    node.issue(node.call("GET", "Patient", token=token), 401)
    release.set()
    node.finish_exports()
    assert node.payer.jobs.of(caller.client_id) == []
    folder = node.payer.settings.data_dir / "exports"
    for begun in (done, running):
        assert not (folder / begun.headers["Content-Location"].rpartition("/")[2]).exists()
    assert node.admin("POST", f"clients/{caller.client_id}/approved").status_code == 204
    node.issue(node.call("GET", "Patient", token=token), 401)
    assert caller.ask_token().status_code == 200


@pytest.mark.seed("SD-27", "SD-19")
def test_file_admin_api_and_command_line_register_alike(new_node, tmp_path):
    node, jwk = new_node(), keys.generate()
    wanted = {**document("p2p-client", jwk), "secrets": [{"secret": "s", "description": "first"}]}

    node.payer.clients.register(client_from_json(wanted))
    by_file = node.payer.clients.find("p2p-client")

    assert node.admin("POST", "clients", {**wanted, "client_id": "api"}).status_code == 201
    by_api = node.payer.clients.find("api")

    file = tmp_path / "clients.json"
    file.write_text(json.dumps({"clients": [{**wanted, "client_id": "cli"}]}), encoding="utf-8")
    done = CliRunner().invoke(
        admin_command,
        ["--url", node.running.server.url, "--token", node.payer.settings.admin_token.reveal(),
         "register", str(file)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    by_cli = node.payer.clients.find("cli")

    for other in (by_api, by_cli):
        assert {f: getattr(other, f) for f in other.__slots__ if f != "client_id"} == {
            f: getattr(by_file, f) for f in by_file.__slots__ if f != "client_id"
        }
    assert by_file.secrets[0].sha256 == hashlib.sha256(b"s").hexdigest()
    count = len(node.payer.clients.all())
    assert node.admin("POST", "clients", {**wanted, "client_id": "api"}).status_code == 201
    assert len(node.payer.clients.all()) == count
    assert node.payer.clients.find("api") == by_api


# 4.4 Requesting data


PLUG_IN = """
from payer_exchange.reference.matching import Decision, Outcome

class PlugIn:
    name, version = "plug-in", "7"

    def decide(self, req, registry):
        family = req.patient["name"][0]["family"]
        if family == "Defer":
            return Decision(Outcome.DEFER, reason="not-mine")
        if family == "Nobody":
            return Decision(Outcome.NONE, reason="plug-in-says-no")
        [number] = [i["value"] for i in req.coverage_to_match["identifier"]]
        [member] = registry.by_member_id(None, number)
        return Decision(Outcome.MATCH, member.key, "plug-in-says-yes")
"""


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """A matcher as a user would write it, in a module of the user's own."""
    (tmp_path / "users_own_matcher.py").write_text(PLUG_IN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "users_own_matcher:PlugIn"
    sys.modules.pop("users_own_matcher", None)


@pytest.mark.seed("SD-21")
def test_a_plug_in_matcher_decides_instead_of_the_default(new_node, plug_in):
    default, plugged = new_node(), new_node(strategy=plug_in)
    for name, by_default, by_plug_in in (
        # The stranger shows a card that is known: only the plug-in is content with that.
        ("stranger-on-known-card", 422, 200),
        ("unique", 200, 200),
    ):
        for node, status in ((default, by_default), (plugged, by_plug_in)):
            caller = node.caller()
            assert caller.send_match(caller.match_body(name)).status_code == status
    decided = [r for r in plugged.payer.audit.records() if r["event"] == "decision"]
    assert {(r["details"]["strategy"], r["details"]["version"]) for r in decided} == {
        ("plug-in", "7")
    }


@pytest.mark.seed("SD-21")
@pytest.mark.parametrize(
    ("family", "status", "outcome"),
    [("Anybody", 200, "match"), ("Nobody", 422, "none"), ("Defer", 422, None)],
)
def test_outcomes_of_a_plug_in_matcher(new_node, plug_in, family, status, outcome):
    node = new_node(strategy=plug_in)
    caller = node.caller()
    asked = node.request("unique")["patient"]
    body = caller.match_body("unique", patient={**asked, "name": [{"family": family,
                                                                   "given": ["X"]}]})  # fmt: skip
    answer = caller.send_match(body)
    assert answer.status_code == status
    if status == 422:
        node.issue(answer, 422)
        assert node.member("A")["patient_id"] not in answer.text
    decided = [r["outcome"] for r in node.payer.audit.records() if r["event"] == "decision"]
    if outcome:
        assert decided == [outcome]
    else:
        # Smile's null: nobody else is there to be asked, so nobody is found.
        assert decided in (["defer"], ["none"])


@pytest.mark.seed("SD-35")
def test_every_request_of_the_truth_table_comes_to_what_it_says(node):
    for asked in node.truth["requests"]:
        if asked.get("needs"):
            continue
        caller = node.caller()
        answer = caller.send_match(caller.match_body(asked["name"]))
        if asked["expect"] == "match":
            assert answer.status_code == 200, (asked["name"], answer.text)
            member = node.member(asked["member"])["patient_id"]
            assert answer.get_json()["parameter"][1]["valueReference"]["reference"].endswith(
                f"/Patient/{member}"
            )
            continue
        found = node.issue(answer, 422)
        codes = {"no-match": "not-found", "many": "multiple-matches", "consent": "suppressed"}
        # A consent of somebody else is no consent in the request's own shape.
        code = "required" if "other-patient" in asked["name"] else codes[asked["expect"]]
        assert found["code"] == code, asked["name"]
        for member in node.truth["members"]:
            assert member["patient_id"] not in answer.text
        assert caller.get("Patient").get_json()["total"] == 0


@pytest.mark.seed("SD-35")
def test_a_payer_that_cannot_tell_sensitive_data_apart_refuses_regular(new_node, tmp_path):
    scope = tmp_path / "scope.toml"
    scope.write_text("segmented = false\n", encoding="utf-8")
    node = new_node(scope=scope)
    caller = node.caller()
    node.issue(caller.send_match(caller.match_body("no-segmentation")), 422, "suppressed")
    caller.match("sensitive-agreed")


@pytest.mark.seed("SD-39")
def test_the_next_export_follows_a_changed_scope_file(new_node, tmp_path):
    scope = tmp_path / "scope.toml"
    seen = {}
    for name, text in (
        ("default", ""),
        ("few types", 'types = ["Patient", "Condition"]'),
        ("with denied", "denied_prior_authorizations = true"),
        ("with drugs", "drug_prior_authorizations = true"),
        ("long ago", "prior_authorization_months = 24"),
        ("window", "years = 5"),
        ("all labels fine", "sensitive_labels = []"),
        ("with money", "strip_money = false"),
    ):
        scope.write_text(text + "\n", encoding="utf-8")
        node = new_node(scope=scope)
        caller = node.caller()
        for asked in ("prior-authorizations", "time-windows", "sensitive-held", "every-claim"):
            caller.match(asked)
        _, lines = caller.export()
        if name == "default":
            claims = [json.loads(body) for body in lines["ExplanationOfBenefit"]]
            authorizations = {
                f"ExplanationOfBenefit/{c['id']}" for c in claims if c["use"] == "preauthorization"
            }
        money = sum(b'"currency"' in body for body in lines.get("ExplanationOfBenefit", []))
        seen[name] = set(node.own(node.keys_of(lines))), money
    every = {
        name: told
        for key in "HGEK"
        for name, told in node.member(key)["record"]["resources"].items()
    }

    def with_reason(reason):
        return {n for n, t in every.items() if t["expect"] == "withheld" and t["reason"] == reason}

    # The default is the CMS set, as the truth table has it.
    allowed = {n for n, t in every.items() if t["expect"] != "withheld"}
    keys_seen = {name: found for name, (found, _) in seen.items()}
    assert keys_seen["default"] == allowed
    assert {n.split("/")[0] for n in keys_seen["few types"]} == {"Patient", "Condition"}
    assert keys_seen["with denied"] == allowed | with_reason("denied-prior-authorization")
    assert keys_seen["with drugs"] == allowed | with_reason("drug-prior-authorization")
    assert keys_seen["long ago"] == allowed | with_reason("prior-authorization-closed")
    assert keys_seen["all labels fine"] == allowed | with_reason("sensitive")
    assert keys_seen["with money"] == allowed
    assert seen["default"][1] == 0
    assert seen["with money"][1] > 0
    # A prior authorization lives by its own rule, whatever the window; other old things go.
    gone = allowed - keys_seen["window"]
    served = {n: every[n]["service_date"] for n in allowed if every[n]["service_date"]}
    assert gone == {n for n, day in served.items() if day < "2022-01-15"} - authorizations
    assert any("5y1m" in n for n in gone)
    assert any("4y11m" in n for n in keys_seen["window"])


@pytest.mark.seed("SD-39")
def test_what_is_withheld_is_counted_by_reason_and_why_answers(node, caller):
    for asked in ("prior-authorizations", "sensitive-held"):
        caller.match(asked)
    caller.export()
    [written] = [
        r
        for r in node.payer.audit.records()
        if r["event"] == "written" and r["client"] == caller.client_id
    ]
    expected = {}
    for key in "HE":
        for name, told in node.member(key)["record"]["resources"].items():
            asked = node.admin("GET", f"withheld/{name}").get_json()["reason"]
            if told["expect"] == "withheld":
                expected[told["reason"]] = expected.get(told["reason"], 0) + 1
                assert asked == told["reason"]
            else:
                assert asked == ""
    assert written["details"]["withheld"] == expected
    assert {"denied-prior-authorization", "drug-prior-authorization",
            "prior-authorization-closed", "sensitive"} <= expected.keys()  # fmt: skip
    node.issue(node.admin("GET", "withheld/Observation/no-such"), 404)
    hidden = next(n for n, t in node.member("E")["record"]["resources"].items()
                  if t["reason"] == "sensitive")  # fmt: skip
    agreed = node.admin("GET", f"withheld/{hidden}?policy=sensitive").get_json()
    assert agreed["reason"] == ""


# Parts


def document(client_id, jwk=None):
    """A registration document."""
    return {
        "client_id": client_id,
        "name": "A payer",
        "organization": {"system": REQUESTING.system, "value": REQUESTING.value},
        "scopes": ["system/*.rs", MEMBER_MATCH],
        "jwks": public_set(jwk) if jwk else {},
    }


def secret(text, activation="", expiration=""):
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ClientSecret(digest, activation=activation, expiration=expiration)


def basic(node, client_id, text):
    # Both halves as RFC 6749 has them, appendix B.
    pair = f"{quote_plus(client_id)}:{quote_plus(text)}"
    return node.http.post(
        "/oauth/token",
        data={"grant_type": "client_credentials", "scope": "system/*.rs"},
        headers={"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
    )
