"""AuditEvents: one for each disclosure and each refusal, for the admin's eyes alone."""

from __future__ import annotations

import json

import pytest
from fhir.resources.R4B.auditevent import AuditEvent


def events(node, query=""):
    """The AuditEvents, newest first; each is valid by a second opinion."""
    answer = node.admin("GET", f"AuditEvent{query}")
    assert answer.status_code == 200, answer.text
    found = [entry["resource"] for entry in answer.get_json().get("entry", [])]
    for event in found:
        AuditEvent.model_validate_json(json.dumps(event))
    return found


def requestor(event):
    [found] = [agent["altId"] for agent in event["agent"] if agent["requestor"]]
    return found


def told(event):
    """(interaction, outcome, client, what) of an AuditEvent."""
    what = [e["what"].get("reference") for e in event.get("entity", []) if "what" in e]
    return (event["subtype"][0]["code"], event["outcome"], requestor(event),
            [reference for reference in what if reference])  # fmt: skip


def newest(node):
    return told(events(node, "?_count=1")[0])


def test_each_disclosure_is_told_with_who_and_whom(node, caller):
    member = caller.match()
    client, patient = caller.client_id, f"Patient/{member}"
    assert newest(node) == ("operation", "0", client, [patient])
    token = caller.token()
    assert newest(node) == ("operation", "0", client, [])
    for path, interaction, what in (
        (patient, "read", patient),
        (f"Condition?patient={member}", "search-type", patient),
        (f"{patient}/$everything", "operation", patient),
    ):
        assert caller.get(path, token).status_code == 200
        assert newest(node) == (interaction, "0", client, [what])
    begun = caller.kick_off(f"{patient}/$export", token=token)
    assert newest(node) == ("operation", "0", client, [patient])
    node.finish_exports()
    manifest, _ = caller.exported(begun.headers["Content-Location"])
    job = begun.headers["Content-Location"].rpartition("/")[2]
    of_job = [told(event) for event in events(node, f"?exchange={job}")]
    # One for the kick-off, one for the job with its members, one for each file.
    assert len(of_job) == 2 + len(manifest["output"]) + len(manifest["error"])
    assert of_job.count(("operation", "0", client, [patient])) == 2


@pytest.mark.parametrize(
    ("ask", "status", "reason"),
    [
        (lambda c: c.get("Patient/somebody-unknown"), 404, "not-found"),
        (lambda c: c.node.call("GET", "Patient/1"), 401, "login"),
        (lambda c: c.get("Patient/1", token="forged"), 401, "login"),
        (lambda c: c.get("Patient/1", token=c.token("system/Condition.rs")), 403, "forbidden"),
        (lambda c: c.get("export-files/job/name"), 404, "not-found"),
        (lambda c: c.kick_off(prefer=""), 400, "not-supported"),
        (lambda c: c.send_match(c.match_body("stranger-on-known-card")), 422, None),
    ],
)  # fmt: skip
def test_each_refusal_is_told_once_and_names_nobody(node, caller, ask, status, reason):
    assert ask(caller).status_code == status
    refused = events(node, "?_count=1")[0]
    assert (told(refused)[1], told(refused)[3]) == ("4", [])
    mine = [e for e in events(node) if requestor(e) == requestor(refused) and e["outcome"] == "4"]
    if requestor(refused) == caller.client_id:
        assert len(mine) == 1
    if reason:
        assert refused["outcomeDesc"] == reason


def test_a_token_that_is_refused_is_told(node, caller):
    assert caller.ask_token(scope="nothing/known").status_code == 400
    assert newest(node)[:2] == ("operation", "4")


def test_they_tell_a_member_whom_the_record_went_to(node, caller):
    member = caller.match()
    caller.get(f"Patient/{member}")
    found = [told(event) for event in events(node, f"?patient=Patient/{member}")]
    assert ("read", "0", caller.client_id, [f"Patient/{member}"]) in found
    assert all(f"Patient/{member}" in what for _, _, _, what in found)


def test_the_payer_to_payer_api_knows_none_of_it(node, caller):
    token = caller.token("system/*.rs")
    for path in ("AuditEvent", "AuditEvent/audit-1", "AuditEvent?patient=Patient/1"):
        assert caller.get(path, token).status_code == 404
    assert node.call("GET", "/admin/AuditEvent", token=token).status_code == 401
    assert "AuditEvent" not in node.call("GET", "metadata").text


def test_nothing_of_a_member_but_the_id_here_is_in_them(node, caller):
    caller.send_match(caller.match_body())
    caller.send_match(caller.match_body("stranger-on-known-card"))
    patient = node.request("unique")["patient"]
    text = json.dumps(events(node, "?_count=1000"))
    card = node.request("unique")["coverage_to_match"]["identifier"][0]["value"]
    for secret in (patient["birthDate"], patient["name"][0]["family"], card):
        assert secret not in text


def test_what_cannot_be_recorded_is_not_disclosed(new_node, monkeypatch):
    node = new_node()
    caller = node.caller()
    member, token = caller.match(), caller.token()

    def full(*_args, **_options):
        raise OSError

    monkeypatch.setattr(node.payer.audit, "record", full)
    answer = caller.get(f"Patient/{member}", token)
    assert answer.status_code == 500
    assert "birthDate" not in answer.text


def test_pages_follow_each_other(node, caller):
    caller.token()
    caller.token()
    first, second = (events(node, f"?_count=1&_page={page}")[0]["id"] for page in (0, 1))
    assert int(first.removeprefix("audit-")) > int(second.removeprefix("audit-"))
