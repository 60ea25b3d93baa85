"""UDAP between two payers: discovery, registration, tokens, and what neither side takes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from payer_exchange.reference.credentials import Credentials
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.errors import SettingsError, TargetError, TokenRefused
from payer_exchange.reference.fhir import json
from payer_exchange.reference.http import HttpClient
from payer_exchange.reference.registration.servers import ServerRegistry, server_from_json
from payer_exchange.reference.target import Target
from payer_exchange.reference.trust.pki import TestAuthority
from payer_exchange.reference.trust.udap import tokens
from payer_exchange.reference.trust.udap.chains import Trust
from payer_exchange.simulators.clients_assembly import REQUESTING, SCOPES
from payer_exchange.simulators.requesting_assembly import registration_of
from payer_exchange.simulators.udap_assembly import CLIENT_URI, COMMUNITY, OTHER_COMMUNITY


@pytest.fixture(scope="module")
def node(make_node):
    return make_node(udap=True)


@pytest.fixture
def kit(node):
    return node.running.udap


@pytest.fixture
def target(node, kit):
    return open_target(node, kit.identity)


def open_target(node, identity, client_id="", remember=None):
    base = node.running.fhir_base
    return Target(
        base, HttpClient(EgressRules(typed=base)), Credentials(client_id, udap=identity),
        clock=node.clock, scopes=SCOPES, remember=remember,
    )  # fmt: skip


def answer(exchange):
    return json.read(exchange.body)


# Both payers


def test_a_client_registers_when_it_has_to_and_is_given_a_token(node, kit):
    told = []
    first = open_target(node, kit.identity, remember=told.append)
    assert first.token("system/*.rs").scope == "system/*.rs"
    [client_id] = told
    client = node.payer.clients.find(client_id)
    assert (client.udap_uri, client.community) == (CLIENT_URI, COMMUNITY)
    assert client.organization == REQUESTING
    again = open_target(node, kit.identity, client_id, remember=told.append)
    again.token("system/*.rs")
    assert told == [client_id], "whoever has an id does not register again"


def test_a_registration_that_was_forgotten_is_made_anew_once(node, kit):
    told = []
    target = open_target(node, kit.identity, "an-id-of-old", remember=told.append)
    target.token("system/*.rs")
    assert len(told) == 1


def test_a_suspended_client_gets_no_token_and_does_not_come_back(node, kit, target):
    target.token("system/*.rs")
    client_id = target.udap.client_id()
    node.payer.suspend(client_id)
    target.forget_tokens()
    with pytest.raises(TokenRefused):
        target.token("system/*.rs")
    for again in (target.udap.statement(), target.udap.statement(claims={"grant_types": []})):
        refused = target.udap.submit(again)
        assert (refused.status, answer(refused)["error"]) == (400, "unapproved_software_statement")
    node.payer.clients.set_state(client_id, "approved")


def test_a_server_registration_keeps_the_id_and_needs_none_at_first(node, tmp_path):
    document = registration_of(node.running, "udap")
    server = server_from_json(document["servers"][0])
    assert (server.client_id, server.credentials().udap.uri) == ("", CLIENT_URI)
    assert "PRIVATE" not in repr(server)
    registry = ServerRegistry(node.payer._engine)
    registry.register(server)
    registry.set_client_id(server.issuer, "udap-1")
    assert registry.find(server.issuer).credentials().client_id == "udap-1"
    with pytest.raises(SettingsError, match="certificate, key and trust_anchors"):
        server_from_json({**document["servers"][0], "udap": {}})


# The requesting payer, whose responder is not what it says


def resigned(node, target, by=None, **changes):
    """Metadata in which the signed claims are changed; None takes a claim out."""
    document = answer(target.udap.metadata())
    claims = {**tokens.part_of(document["signed_metadata"], 1), **changes}
    community = node.payer.settings.udap.community(COMMUNITY)
    return {**document, "signed_metadata": tokens.sign(claims, by or community.issued)}


def _stranger(node, kit):
    authority = TestAuthority.create(node.clock)
    return authority.issue(uris=[node.running.fhir_base], key="RSA")


def _old(node, kit):
    day = timedelta(days=1)
    return kit.authorities[COMMUNITY].issue(
        uris=[node.running.fhir_base], key="RSA", starts=-2 * day, lasts=day
    )


def _revoked(node, kit):
    return kit.revoked


@pytest.mark.parametrize(
    ("changes", "by", "why"),
    [
        ({"iss": "https://other.example/fhir"}, None, "iss-is-the-base"),
        ({"sub": "https://other.example/fhir"}, None, "sub-is-iss"),
        ({"exp": 1}, None, "it has expired"),
        ({"exp": 4_000_000_000}, None, "more than a year"),
        ({"jti": None}, None, "jti"),
        ({"registration_endpoint": "/register"}, None, "no registration_endpoint"),
        ({}, _stranger, "no authority in trust_anchors"),
        ({}, _old, "has expired"),
        ({}, _revoked, "was revoked"),
    ],
)
def test_metadata_that_is_not_good_stops_the_client(node, kit, target, changes, by, why):
    document = resigned(node, target, by(node, kit) if by else None, **changes)
    stopped = open_target(node, kit.identity)
    asked = []
    stopped.udap.metadata = lambda: replace_body(target.udap.metadata(), document)
    stopped.http.request = lambda *call, **_more: asked.append(call)
    with pytest.raises(TargetError, match=why):
        stopped.token("system/*.rs")
    assert asked == [], "nothing was sent"


def replace_body(exchange, document):
    return replace(exchange, body=json.write(document))


def test_metadata_that_was_altered_or_is_not_signed_stops_the_client(node, kit, target):
    document = answer(target.udap.metadata())
    head, _, signature = document["signed_metadata"].rpartition(".")
    for signed in (f"{head}.{signature[::-1]}", None, "no.jwt"):
        stopped = open_target(node, kit.identity)
        changed = {**document, "signed_metadata": signed}
        stopped.udap.metadata = lambda c=changed: replace_body(target.udap.metadata(), c)
        with pytest.raises(TargetError):
            stopped.udap.server()


def test_what_is_signed_wins_over_what_stands_beside_it(node, kit, target):
    document = {**answer(target.udap.metadata()), "token_endpoint": "https://evil.example/token"}
    own = open_target(node, kit.identity)
    own.udap.metadata = lambda: replace_body(target.udap.metadata(), document)
    assert own.token_url() == node.payer.settings.token_url


def test_a_payer_without_udap_is_told_apart_from_one_without_this_community(node, kit, make_node):
    without = open_target(make_node(), kit.identity)
    with pytest.raises(TargetError, match="offers no UDAP"):
        without.token("system/*.rs")
    elsewhere = open_target(node, replace(kit.identity, community="urn:example:unknown"))
    with pytest.raises(TargetError, match="urn:example:unknown"):
        elsewhere.token("system/*.rs")


# The responding payer


def test_registration_is_new_then_changed_then_cancelled(node, kit):
    udap = open_target(node, replace(kit.identity, uri=f"{CLIENT_URI}-probe")).udap
    made = udap.submit(udap.statement())
    udap.keep(made)
    changed = udap.submit(udap.statement(claims={"scope": "system/Coverage.rs"}))
    assert (made.status, changed.status) == (201, 200)
    assert answer(made)["client_id"] == answer(changed)["client_id"]
    assert answer(changed)["scope"] == "system/Coverage.rs"
    cancelled = udap.cancel()
    assert (cancelled.status, answer(cancelled)["grant_types"]) == (200, [])
    assert udap.cancel().status == 400


def test_what_is_registered_no_more_is_granted_no_more_by_older_tokens_neither(node, kit):
    target = open_target(node, replace(kit.identity, uri=f"{CLIENT_URI}-probe"))
    token = target.token("system/*.rs")
    udap = target.udap
    udap.submit(udap.statement(claims={"scope": "system/Coverage.rs"}))
    assert target.get("Patient/nobody", token).status == 401
    udap.cancel()


def test_communities_do_not_touch_each_others_clients(node, kit):
    other = kit.authorities[OTHER_COMMUNITY].issue(uris=[CLIENT_URI], key=kit.identity.issued.key)
    first = open_target(node, kit.identity)
    first.token("system/*.rs")
    trust = Trust((kit.authorities[OTHER_COMMUNITY].anchor,))
    second = open_target(
        node, replace(kit.identity, issued=other, trust=trust, community=OTHER_COMMUNITY)
    )
    assert first.udap.client_id() != second.udap.client_id()
    stolen = first.udap.assertion(identity=second.credentials.udap)
    refused = first.request_token(first.udap.form("system/*.rs", stolen))
    assert (refused.status, answer(refused)["error"]) == (401, "invalid_client")


def test_a_jti_may_be_used_again_when_its_first_use_has_expired(node, target):
    """udap-jwt-06: the tracker forgets, and not before the skew is over."""
    udap = target.udap
    for moved, status in ((0, 200), (90, 401), (40, 200)):
        node.clock.advance(moved)
        form = udap.form("system/*.rs", udap.assertion(claims={"jti": "used-before"}))
        assert target.request_token(form).status == status


def test_udap_is_asked_for_by_a_field_that_smart_does_not_have(node, target):
    form = target.udap.form("system/*.rs")
    form.pop("udap")
    refused = target.request_token(form)
    assert (refused.status, answer(refused)["error"]) == (400, "invalid_request")


def test_no_body_that_is_no_registration_is_taken(node, target):
    url = target.udap.server().registration_url
    for body in (b"", b"[]", b"{", b'{"udap": "1"}', b'{"udap": 1, "software_statement": "x"}',
                 b'{"udap": "1", "software_statement": "a.b.c"}'):  # fmt: skip
        refused = target.http.request(
            "POST", url, headers={"Content-Type": "application/json"}, body=body
        )
        assert refused.status == 400
        assert "error" in answer(refused)


def test_the_audit_record_knows_registrations_and_refusals(node, target):
    target.udap.submit(target.udap.statement())
    target.udap.submit(target.udap.statement(claims={"iss": "https://other.example"}))
    found = [(r["outcome"], r["reason"]) for r in node.payer.audit.records()
             if r["phase"] == "registration"]  # fmt: skip
    assert found[-1] == ("refused", "iss-in-certificate")
    assert found[-2][0] in ("registered", "changed")
