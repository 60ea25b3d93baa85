"""Amounts go, and nothing else: what stays keeps its order and each decimal its digits."""

from __future__ import annotations

import json

import pytest
from payer_exchange.reference.export.money import strip_money


def stripped(resource):
    return json.loads(strip_money(json.dumps(resource).encode()))


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceType":"ExplanationOfBenefit","id":"1","item":[{"quantity":{"value":1.50}}]}',
        b'{ "resourceType": "Coverage",\n "id": "1" }',
        b'{"resourceType":"ExplanationOfBenefit","adjudication":[{"category":{},"value":3.0}]}',
        b'{"resourceType":"Claim","item":[{"factor":0.10,"sequence":1}],"related":[]}',
        '{"resourceType":"ExplanationOfBenefit","disposition":"ü \\u00fc 5 USD"}'.encode(),
    ],
)
def test_what_holds_no_money_is_the_very_same_bytes(body):
    assert strip_money(body) is body


def test_decimals_keep_their_digits():
    body = (b'{"resourceType":"ExplanationOfBenefit","z":72.50,"a":1E+2,'
            b'"big":12345678901234567890123,'
            b'"payment":{"amount":{"value":10.00,"currency":"USD"}},'
            b'"q":{"value":0.100}}')  # fmt: skip
    assert strip_money(body) == (
        b'{"resourceType":"ExplanationOfBenefit","z":72.50,"a":1E+2,'
        b'"big":12345678901234567890123,"q":{"value":0.100}}'
    )


MONEY = {"value": 5.0, "currency": "USD"}
CATEGORY = {"coding": [{"code": "benefit"}]}


@pytest.mark.parametrize(
    ("kind", "extra", "left"),
    [
        ("ExplanationOfBenefit", {"total": [{"category": CATEGORY, "amount": MONEY}]}, {}),
        ("ExplanationOfBenefit", {"benefitBalance": [{"category": CATEGORY}]}, {}),
        ("ExplanationOfBenefit", {"payment": {"date": "2024-01-01"}}, {}),
        ("Claim", {"total": MONEY}, {}),
        ("ClaimResponse", {"payment": {"amount": MONEY}, "total": []}, {}),
        ("Coverage", {"costToBeneficiary": [{"valueMoney": MONEY}]}, {}),
        ("Coverage", {"costToBeneficiary": [{"valueQuantity": {"value": 1}}]}, {}),
        ("ExplanationOfBenefit", {"item": [{"sequence": 1, "unitPrice": MONEY, "net": MONEY}]},
         {"item": [{"sequence": 1}]}),
        ("ExplanationOfBenefit",
         {"item": [{"detail": [{"net": MONEY, "subDetail": [{"net": MONEY, "sequence": 2}]}]}]},
         {"item": [{"detail": [{"subDetail": [{"sequence": 2}]}]}]}),
        # An adjudication that says only how much is gone; one with a reason stays.
        ("ExplanationOfBenefit", {"adjudication": [{"category": CATEGORY, "amount": MONEY}]}, {}),
        ("ExplanationOfBenefit",
         {"adjudication": [{"category": CATEGORY, "amount": MONEY, "reason": {"text": "why"}}]},
         {"adjudication": [{"category": CATEGORY, "reason": {"text": "why"}}]}),
        ("ExplanationOfBenefit",
         {"adjudication": [{"category": CATEGORY, "value": 2, "amount": MONEY}]},
         {"adjudication": [{"category": CATEGORY, "value": 2}]}),
        ("ExplanationOfBenefit", {"extension": [{"url": "u", "valueMoney": MONEY}]}, {}),
        ("ExplanationOfBenefit",
         {"extension": [{"url": "u", "valueMoney": MONEY}, {"url": "v", "valueString": "s"}]},
         {"extension": [{"url": "v", "valueString": "s"}]}),
        ("ExplanationOfBenefit", {"supportingInfo": [{"sequence": 1, "valueString": "USD"}]},
         {"supportingInfo": [{"sequence": 1, "valueString": "USD"}]}),
        # Something with a currency and more is no Money.
        ("ExplanationOfBenefit", {"contained": [{"currency": "USD", "code": "x"}]},
         {"contained": [{"currency": "USD", "code": "x"}]}),
        # Empty lists that came empty are not ours to tidy up.
        ("ExplanationOfBenefit", {"item": [], "note": [{"text": "x"}], "net": MONEY},
         {"item": [], "note": [{"text": "x"}]}),
    ],
)  # fmt: skip
def test_each_place_money_stands(kind, extra, left):
    assert stripped({"resourceType": kind, "id": "1", **extra}) == {
        "resourceType": kind,
        "id": "1",
        **left,
    }
