"""Introspection and revocation over HTTP, and the limit on failed authentication."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from payer_exchange.reference.limits import Limits
from payer_exchange.reference.registration.clients import client_from_json
from payer_exchange.reference.trust import keys
from payer_exchange.reference.trust.attempts import FailedAttempts
from payer_exchange.reference.trust.signing import ASSERTION_TYPE

INACTIVE = {"active": False}


def post(node, name, *, basic="", bearer="", **form):
    headers = {}
    if basic:
        headers["Authorization"] = "Basic " + base64.b64encode(basic.encode()).decode()
    if bearer:
        headers["Authorization"] = f"Bearer {bearer}"
    return node.http.post(f"/oauth/{name}", data=form, headers=headers)


def signed(caller, **form):
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": caller.assertion(), **form}


def introspect(caller, token, **form):
    answer = post(caller.node, "introspect", **signed(caller, token=token, **form))
    assert answer.status_code == 200, answer.text
    assert answer.mimetype == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.get_json()


def test_both_endpoints_are_advertised_where_they_answer(node, caller):
    told = node.call("GET", ".well-known/smart-configuration").get_json()
    root = told["token_endpoint"].removesuffix("/oauth/token")
    for name in ("introspection_endpoint", "revocation_endpoint"):
        path = told[name].removeprefix(root)
        assert path != told[name]
        assert node.http.post(path, data=signed(caller, token="x")).status_code == 200
        assert node.http.get(path).status_code == 405


def test_a_public_address_has_them_too(new_node):
    node = new_node(public_url="https://payer.example/p2p")
    told = node.call("GET", ".well-known/smart-configuration").get_json()
    assert told["introspection_endpoint"] == "https://payer.example/p2p/oauth/introspect"
    caller = node.caller()
    for path in ("/oauth/introspect", "/p2p/oauth/introspect"):
        assert node.http.post(path, data=signed(caller, token="x")).get_json() == INACTIVE


def test_an_active_token_is_told_as_it_was_issued(caller):
    """SMART token introspection: active, scope, client_id and exp."""
    issued = caller.ask_token("system/Patient.read system/Condition.rs").get_json()
    told = introspect(caller, issued["access_token"], token_type_hint="access_token")
    now = caller.node.clock.now().timestamp()
    assert told == {
        "active": True,
        "scope": issued["scope"],
        "client_id": caller.client_id,
        "exp": int(now + issued["expires_in"]),
        "token_type": "bearer",
    }


def test_a_token_bound_to_a_member_tells_so(caller):
    member = caller.match()
    assert introspect(caller, caller.token(patient=member))["patient"] == member


def test_a_token_that_is_none_is_inactive_and_nothing_else(node):
    """RFC 7662, 2.2: unknown, expired, revoked and foreign tokens are alike."""
    caller, other = node.caller(), node.caller()
    revoked, foreign, old = caller.token(), other.token(), caller.token()
    assert post(node, "revoke", **signed(caller, token=revoked)).status_code == 200
    for token in ("never-issued", revoked, foreign, "x" * 10_000, "ü"):
        assert introspect(caller, token) == INACTIVE
    assert introspect(caller, old)["active"] is True
    node.clock.advance(300)
    assert introspect(caller, old) == INACTIVE


def test_an_access_token_is_a_way_in_for_its_own_client(node):
    """SMART token introspection: a bearer token is accepted; it opens its own client's tokens."""
    caller, other = node.caller(), node.caller()
    token, foreign = caller.token(), other.token()
    assert post(node, "introspect", bearer=token, token=token).get_json()["active"] is True
    assert post(node, "introspect", bearer=token, token=foreign).get_json() == INACTIVE
    refused = post(node, "introspect", bearer="made-up", token=token)
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize("name", ["introspect", "revoke"])
def test_strangers_and_bad_forms_are_refused(name, node, caller):
    token = caller.token()
    refused = [
        (post(node, name, token=token), 400),
        (post(node, name, basic="nobody:secret", token=token), 401),
        (post(node, name, **signed(caller, token=token, client_id="somebody-else")), 401),
        (post(node, name, **signed(caller)), 400),
        (post(node, name, **signed(caller, token="")), 400),
        (post(node, name, **signed(caller, token=[token, token])), 400),
        (node.http.post(f"/oauth/{name}", json={"token": token}), 400),
    ]
    assert [a.status_code for a, _ in refused] == [status for _, status in refused]
    assert all(set(a.get_json()) == {"error", "error_description"} for a, _ in refused)
    assert introspect(caller, token)["active"] is True


def test_a_suspended_client_is_told_nothing(node, caller):
    token = caller.token()
    node.payer.clients.set_state(caller.client_id, "suspended")
    assert post(node, "introspect", **signed(caller, token=token)).status_code == 401
    assert post(node, "introspect", bearer=token, token=token).status_code == 401


def test_a_revoked_token_opens_nothing_and_the_others_still_do(node):
    caller, other = node.caller(), node.caller()
    ended, kept, foreign = caller.token(), caller.token(), other.token()
    for token in (ended, ended, foreign, "never-issued"):
        answer = post(node, "revoke", **signed(caller, token=token))
        assert (answer.status_code, answer.data) == (200, b"")
    assert caller.get("Condition", ended).status_code == 401
    assert caller.get("Condition", kept).status_code == 200
    assert other.get("Condition", foreign).status_code == 200


# The limit on failed authentication


@pytest.fixture
def limited(new_node):
    """A payer that takes three failures of an id in a minute."""
    node = new_node()
    limits = Limits(failed_authentications=3, authentication_window_s=60)
    node.payer.authorization.failed = FailedAttempts(node.payer._engine, limits)
    return node


def test_who_fails_too_often_waits_and_nobody_else(limited):
    caller, other = limited.caller(), limited.caller()
    strange = keys.generate()
    for _ in range(3):
        refused = caller.ask_token(assertion=caller.assertion(strange))
        assert (refused.status_code, refused.get_json()["error"]) == (401, "invalid_client")
    waits = caller.ask_token()
    assert waits.status_code == 429
    assert waits.headers["Retry-After"] == "60"
    assert "access_token" not in waits.get_json()
    assert post(limited, "introspect", **signed(caller, token="x")).status_code == 429
    assert other.ask_token().status_code == 200
    limited.clock.advance(59)
    assert caller.ask_token().headers["Retry-After"] == "1"
    limited.clock.advance(1)
    assert caller.ask_token().status_code == 200


def test_an_unknown_id_waits_like_a_known_one(limited):
    caller = limited.caller()
    for client in (caller, type(caller)(limited, replace(caller.client, client_id="nobody"))):
        strange = keys.generate()
        statuses = [client.ask_token(assertion=client.assertion(strange)).status_code
                    for _ in range(5)]  # fmt: skip
        assert statuses == [401, 401, 401, 429, 429]


def test_guessing_a_secret_ends_and_the_right_one_has_to_wait_too(limited):
    limited.payer.clients.register(client_from_json({
        "client_id": "by-secret", "organization": {"system": "s", "value": "v"},
        "scopes": ["system/*.rs"], "secrets": [{"secret": "the-right-one"}],
    }))  # fmt: skip
    form = {"grant_type": "client_credentials", "scope": "system/*.rs"}
    tries = [post(limited, "token", basic=f"by-secret:{guess}", **form).status_code
             for guess in ("a", "b", "c", "the-right-one")]  # fmt: skip
    assert tries == [401, 401, 401, 429]
    limited.clock.advance(60)
    assert post(limited, "token", basic="by-secret:the-right-one", **form).status_code == 200


def test_what_is_no_failed_authentication_does_not_count(limited):
    caller = limited.caller(scopes=("system/Patient.rs",))
    for _ in range(5):
        assert caller.ask_token("system/Claim.rs").status_code == 400
        assert caller.ask_token("system/Patient.rs", grant_type="password").status_code == 400
        assert caller.ask_token("system/Patient.rs", patient="nobody").status_code == 401
        assert caller.ask_token("system/Patient.rs", client_assertion_type="x").status_code == 400
    assert caller.ask_token("system/Patient.rs").status_code == 200
    without = limited.caller(grant_types=())
    assert [without.ask_token().status_code for _ in range(5)] == [400] * 5
