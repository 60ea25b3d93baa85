"""Guessing over HTTP: brought to a halt, in a batch too, and an honest client feels nothing."""

from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
from payer_exchange.reference.fhir.hrex import MEMBER_MATCH
from payer_exchange.reference.fhir.pdex import BULK_MEMBER_MATCH
from payer_exchange.reference.limits import Limits
from payer_exchange.reference.matching.guard import MatchGuard


def with_card(body, number):
    """The match request with another card number."""
    made = copy.deepcopy(body)
    for entry in made["parameter"]:
        if entry["name"] == "CoverageToMatch":
            entry["resource"]["identifier"][0]["value"] = number
    return made


def with_family(body, family):
    """The request of somebody of another name; a new family name alone would still be known."""
    made = copy.deepcopy(body)
    made["parameter"][0]["resource"]["name"][0].update(family=family, given=["Zachariah"])
    return made


def limit(node, **limits):
    guarded = node.payer.guarded
    node.payer.guarded = replace(guarded, guard=MatchGuard(node.payer._engine, Limits(**limits)))


def test_guessing_a_card_is_halted_and_the_right_one_gains_nothing(new_node):
    """M10: the sixth card within the hour is 429, and no guess after it finds anybody."""
    node = new_node()
    caller, other = node.caller(), node.caller()
    good, token = caller.match_body("unique"), caller.token(MEMBER_MATCH)

    def send(body):
        return node.call("POST", "Patient/$member-match", body, token=token)

    tries = [send(with_card(good, f"WPX0000000000{n}")).status_code for n in range(10)]
    assert tries == [422] * 5 + [429] * 5
    halted = send(good)
    node.issue(halted, 429, "throttled")
    assert halted.headers["Retry-After"] == "3600"
    told = [r for r in node.payer.audit.records() if r["event"] == "guard"]
    assert told[-1]["reason"] == "tried-too-often"
    assert caller.get("Patient").get_json()["total"] == 0
    # Another client, and after the hour the same, find the member.
    assert other.match("unique")
    node.clock.advance(3600)
    assert caller.match("unique")


def test_guessing_a_name_for_a_card_is_halted(new_node):
    node = new_node()
    caller = node.caller()
    good, token = caller.match_body("unique"), caller.token(MEMBER_MATCH)
    bodies = [*(with_family(good, f"Family{n}") for n in range(6)), good]
    tries = [
        node.call("POST", "Patient/$member-match", body, token=token).status_code for body in bodies
    ]
    assert tries == [422] * 5 + [429] * 2


def test_an_unknown_card_and_a_wrong_person_are_told_and_counted_alike(node):
    caller = node.caller()
    good = caller.match_body("unique")
    answers = [caller.send_match(body) for body in (with_card(good, "WPX00000000000"),
                                                    with_family(good, "Somebodyelse"))]  # fmt: skip
    assert answers[0].status_code == answers[1].status_code == 422
    assert answers[0].data == answers[1].data
    with node.payer._engine.connect() as connection:
        rows = connection.exec_driver_sql(
            "SELECT count(*) FROM tried_match WHERE client = ?", (caller.client_id,)
        ).scalar()
    # Each a person with a card, a number with a person, and one of the client's all.
    assert rows == 6


def test_a_client_that_asks_for_too_many_in_vain_waits_with_batches_too(new_node):
    node = new_node()
    limit(node, failed_matches_an_hour=2)
    caller = node.caller()
    good = caller.match_body("unique")
    for number in range(2):
        assert caller.send_match(with_card(good, f"WPX1{number}")).status_code == 422
    node.issue(caller.send_match(good), 429, "throttled")
    begun = bulk(caller, [good])
    node.issue(begun, 429, "throttled")
    assert begun.headers["Retry-After"] == "3600"
    node.clock.advance(3600)
    assert bulk(caller, [good]).status_code == 202


def bulk(caller, bodies):
    """The raw answer to a bulk match of these requests."""
    entries = []
    for number, body in enumerate(bodies):
        text = json.dumps(body["parameter"])
        ident = body["parameter"][0]["resource"]["id"]
        parts = json.loads(text.replace(f'"{ident}"', f'"{ident}-{number}"')
                           .replace(f"Patient/{ident}", f"Patient/{ident}-{number}"))  # fmt: skip
        entries.append({"name": "MemberBundle", "part": parts})
    return caller.node.call(
        "POST",
        "Group/$bulk-member-match",
        {"resourceType": "Parameters", "parameter": entries},
        token=caller.token(BULK_MEMBER_MATCH),
        headers={"Prefer": "respond-async"},
    )


def groups(caller, begun):
    """How many members of a bulk match are in which Group, by its code."""
    assert begun.status_code == 202, begun.text
    caller.node.finish_exports()
    token = caller.token(BULK_MEMBER_MATCH)
    done = caller.get(caller.path(begun.headers["Content-Location"]), token)
    found = {}
    for listed in done.get_json()["output"]:
        for line in caller.get(caller.path(listed["url"]), token).data.splitlines():
            group = json.loads(line)
            found[group["code"]["coding"][0]["code"]] = len(group.get("member", []))
    return found


def test_guessing_within_a_batch_finds_nobody(new_node):
    """The right card at the end of a list of guesses is not found, and nothing tells why."""
    node = new_node()
    caller = node.caller()
    good = caller.match_body("unique")
    guesses = [with_card(good, f"WPX0000000000{n}") for n in range(5)]
    assert groups(caller, bulk(caller, [*guesses, good])) == {"match": 0, "nomatch": 6}
    # The guesses count for what is asked one by one as well.
    node.issue(caller.send_match(good), 429, "throttled")


def test_a_batch_of_strangers_and_a_member_is_as_it_was(node):
    caller = node.caller()
    good = caller.match_body("unique")
    strangers = [
        with_card(with_family(good, f"Stranger{n}"), f"WPX{n:011}") for n in range(100, 130)
    ]
    assert groups(caller, bulk(caller, [*strangers, good])) == {"match": 1, "nomatch": 30}


@pytest.mark.parametrize("name", ["unknown", "wrong-card", "stranger-on-known-card", "twins"])
def test_a_conformance_run_asks_the_same_again_and_gets_the_same(node, name):
    caller = node.caller()
    statuses = {caller.send_match(caller.match_body(name)).status_code for _ in range(8)}
    assert statuses == {422}
