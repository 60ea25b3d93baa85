"""Secrets in forms are masked by the names of their fields."""

from __future__ import annotations

import pytest
from payer_exchange.reports.masking import MASK, Masker


@pytest.mark.parametrize(
    "name", ["token", "access_token", "refresh_token", "client_secret", "client_assertion"]
)
def test_the_value_of_a_secret_field_is_masked_and_the_others_are_shown(name):
    form = f"grant_type=x&{name}=s3cr3t-value&scope=y&token_type_hint=access_token"
    told = f"grant_type=x&{name}={MASK}&scope=y&token_type_hint=access_token"
    assert Masker().text(form) == told
    assert Masker().body(f"{name}=s3cr3t-value".encode()) == f"{name}={MASK}"
