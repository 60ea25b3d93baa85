"""Secrets in forms are masked by the names of their fields."""

from __future__ import annotations

import json

import pytest
from payer_exchange.reference.trust.keys import generate, public
from payer_exchange.reports.masking import MASK, Masker


@pytest.mark.parametrize(
    "name", ["token", "access_token", "refresh_token", "client_secret", "client_assertion"]
)
def test_the_value_of_a_secret_field_is_masked_and_the_others_are_shown(name):
    form = f"grant_type=x&{name}=s3cr3t-value&scope=y&token_type_hint=access_token"
    told = f"grant_type=x&{name}={MASK}&scope=y&token_type_hint=access_token"
    assert Masker().text(form) == told
    assert Masker().body(f"{name}=s3cr3t-value".encode()) == f"{name}={MASK}"


@pytest.mark.parametrize("algorithm", ["ES384", "RS384"])
def test_a_private_key_that_somebody_published_is_not_published_again(algorithm):
    jwk = generate(algorithm)
    told = json.loads(Masker().body(json.dumps({"keys": [jwk]}).encode()))["keys"][0]
    private = {name for name in jwk if name not in public(jwk)}
    assert private
    assert {told[name] for name in private} == {MASK}
    assert told["kty"] == jwk["kty"]
