"""Registered clients: read strictly, stored once, with secrets that count in their windows."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.registration.clients import (
    ClientRegistry,
    ClientSecret,
    client_from_json,
)
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.trust import keys

JWK = keys.generate()


def document(**changes):
    found = {
        "client_id": "new-plan",
        "organization": {"system": "s", "value": "NEW01"},
        "scopes": ["system/*.rs"],
        "jwks": keys.public_set(JWK),
        **changes,
    }
    return {k: v for k, v in found.items() if v is not None}


@pytest.fixture
def registry(tmp_path):
    engine = open_data_dir(tmp_path, "payer")
    yield ClientRegistry(engine)
    engine.dispose()


def test_a_client_comes_back_as_it_was_registered(registry):
    made = client_from_json(document(secrets=[{"secret": "x", "activation": "2027-01-01"}]))
    assert made.name == "new-plan"
    assert made.secrets[0] == ClientSecret(hashlib.sha256(b"x").hexdigest(), "", "2027-01-01", "")
    registry.register(made)
    registry.register(made)
    assert registry.find("new-plan") == made
    assert registry.all() == [made]
    assert registry.find("New-Plan") is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"client_id": None}, "needs client_id"),
        ({"client_id": ""}, "needs client_id"),
        ({"client_id": 5}, "client_id must be text"),
        ({"organization": None}, "needs organization"),
        ({"organization": "New Plan"}, "organization"),
        ({"organization": {"system": "s"}}, "organization"),
        ({"organization": {"system": "s", "value": 5}}, "organization"),
        ({"organization": {"system": "s", "value": "v", "town": "x"}}, "organization"),
        ({"redirect_uris": []}, "no key redirect_uris"),
        ({"scope": "system/*.rs"}, "no key scope"),
        # A text would be read as a list of letters.
        ({"scopes": "system/*.rs"}, "scopes must be a list"),
        ({"scopes": [5]}, "scopes must be a list"),
        ({"grant_types": "client_credentials"}, "grant_types must be a list"),
        ({"jwks": [JWK]}, "jwks"),
        ({"jwks": {"keys": "x"}}, "jwks"),
        ({"jwks": {"keys": ["x"]}}, "jwks"),
        ({"jwks": {"keys": [JWK]}}, "private key"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"jwks_uri": ["https://x"]}, "jwks_uri must be text"),
        ({"secrets": "x"}, "secrets must be a list"),
        ({"secrets": [5]}, "secret must be an object"),
        ({"secrets": [{}]}, "needs secret or sha256"),
        ({"secrets": [{"secret": ""}]}, "needs secret or sha256"),
        ({"secrets": [{"secret": "x", "expires": "2027-01-01"}]}, "secret has"),
        # A window that cannot be read would be no window.
        ({"secrets": [{"secret": "x", "expiration": "tomorrow"}]}, "expiration"),
        ({"secrets": [{"secret": "x", "activation": "2027-02-30"}]}, "activation"),
        ({"secrets": [{"secret": "x", "activation": 2027}]}, "object of texts"),
    ],
)
def test_a_registration_is_read_strictly(changes, words):
    with pytest.raises(SettingsError, match=words):
        client_from_json(document(**changes))


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"jwks": None}, "jwks, jwks_uri or a secret"), ({"state": "maybe"}, "pending")],
)
def test_what_could_never_authenticate_is_not_registered(registry, changes, words):
    with pytest.raises(SettingsError, match=words):
        registry.register(client_from_json(document(**changes)))
    assert registry.all() == []


def test_states_change_and_unknown_ones_do_not(registry):
    registry.register(client_from_json(document(state="pending")))
    assert registry.set_state("new-plan", "approved").state == "approved"
    for client_id, state in (("new-plan", "vip"), ("nobody", "approved")):
        with pytest.raises(SettingsError):
            registry.set_state(client_id, state)
    assert registry.find("new-plan").state == "approved"


@pytest.mark.parametrize(
    ("activation", "expiration", "second", "accepted"),
    [
        ("", "", 0, True),
        ("2027-01-01T00:00:10Z", "", 9, False),
        ("2027-01-01T00:00:10Z", "", 10, True),
        ("", "2027-01-01T00:00:10Z", 9, True),
        ("", "2027-01-01T00:00:10Z", 10, False),
        ("2027-01-01T00:00:05Z", "2027-01-01T00:00:10Z", 7, True),
        ("2027-01-01T01:00:05+01:00", "", 5, True),
        ("", "9999-12-31", 0, True),
    ],
)
def test_a_secret_counts_in_its_window(activation, expiration, second, accepted):
    secret = ClientSecret(hashlib.sha256(b"s").hexdigest(), "", activation, expiration)
    now = datetime(2027, 1, 1, 0, 0, second, tzinfo=UTC)
    assert secret.accepts("s", now) is accepted
    assert not secret.accepts("S", now)
    assert not secret.accepts("", now)


def weak(kind):
    """A public JWK that no algorithm of SMART takes."""
    if kind == "oct":
        return {"kty": "oct", "kid": "o"}
    if kind == "RSA 1024":
        key = rsa.generate_private_key(65537, 1024)
        made = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    elif kind == "P-256":
        made = ECAlgorithm.to_jwk(
            ec.generate_private_key(ec.SECP256R1()).public_key(), as_dict=True
        )
    else:
        made = {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}
    return {**made, "kid": "weak"}


@pytest.mark.parametrize("kind", ["oct", "RSA 1024", "P-256", "no point"])
def test_a_set_without_a_key_that_can_be_used_is_refused_and_others_are_skipped(kind):
    """RS384 needs 2048 bits, ES384 needs P-384 (RFC 7518, 3.3, 3.4); RFC 7517, 5 for the rest."""
    with pytest.raises(SettingsError, match="holds no key for RS384"):
        client_from_json(document(jwks={"keys": [weak(kind)]}))
    mixed = {"keys": [weak(kind), *keys.public_set(JWK)["keys"]], "unknown": 1}
    assert client_from_json(document(jwks=mixed)).jwks == mixed
