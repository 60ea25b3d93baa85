"""Whatever bytes come, the validator answers: never an exception, soon, in findings that hold.

Set PAYER_EXCHANGE_FUZZ to a number of seconds to let it run so long.
"""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payer_exchange.reference.validation.findings import SEVERITIES
from payer_exchange.reference.validation.validator import Validator

SECONDS = float(os.environ.get("PAYER_EXCHANGE_FUZZ") or 0)
VALIDATOR = Validator()
US = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|6.1.0"
KINDS = ["Patient", "Bundle", "Parameters", "Observation", "ExplanationOfBenefit", "Extension"]
NAMES = ["id", "meta", "profile", "extension", "url", "valueString", "valueReference", "reference",
         "contained", "entry", "resource", "parameter", "part", "name", "_name", "given", "_given",
         "text", "div", "status", "code", "coding", "system", "item", "value", "birthDate",
         "identifier", "modifierExtension", "component", "fullUrl", "link", "type"]  # fmt: skip
TEXTS = ["", " ", "#", "#x", "Patient/1", "x", "2020-02-30", "urn:uuid:x", "\x00", US, "é", "-0"]
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from(TEXTS))
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=25,
)
RESOURCES = st.builds(
    lambda kind, fields: {"resourceType": kind, **fields},
    st.sampled_from(KINDS), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=6),
)  # fmt: skip
SEEDS = [
    b'{"resourceType":"Patient","id":"a","name":[{"given":["x",null],"_given":[null,{"id":"1"}]}]}',
    b'{"resourceType":"Bundle","entry":[{"fullUrl":"urn:uuid:1","resource":{"resourceType":"Basic"}}]}',
    b'{"resourceType":"Parameters","parameter":[{"name":"a","valueDecimal":1.50e3}]}',
]
PIECES = [b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u0000", b"\\ud800", b"\xff", b"\xc3", b"null",
          b"1e999", b"-", b"0" * 300, b"[" * 200, b'{"a":' * 120, b",", b":", b"\n"]  # fmt: skip


def judged(body):
    for finding in VALIDATOR.judge(body, None).findings:
        assert finding.severity in SEVERITIES
        assert finding.sentence.endswith(".")
        assert len(finding.id) == 12


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(RESOURCES)
def test_any_json_is_answered_the_same_twice(resource):
    body = json.dumps(resource).encode()
    judged(body)
    assert VALIDATOR.validate_bytes(body, [US]) == VALIDATOR.validate_bytes(body, [US])


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_answered(body):
    judged(body)


def changed(chance):
    body = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(body) + 1)
        body[at : at + chance.randint(0, 5)] = chance.choice(PIECES)
    return bytes(body)


def test_resources_broken_by_chance_are_answered():
    chance = random.Random(11)
    for _ in range(2000):
        judged(changed(chance))


@pytest.mark.skipif(not SECONDS, reason="PAYER_EXCHANGE_FUZZ names no seconds to run")
def test_resources_broken_by_chance_are_answered_for_long():
    seed = random.SystemRandom().randrange(2**32)
    chance, end, body = random.Random(seed), time.monotonic() + SECONDS, b""
    try:
        while time.monotonic() < end:
            body = changed(chance)
            judged(body)
    except Exception as error:
        raise AssertionError(f"Play it again with seed {seed}: {body!r}") from error


@pytest.mark.parametrize("body", [
    b"[" * 5_000_000,
    b'{"a":' * 1_000_000,
    b'{"resourceType":"Patient","multipleBirthInteger":' + b"9" * 3_000_000 + b"}",
    b'{"resourceType":"Basic","id":"' + b"a" * 5_000_000 + b'"}',
    b'{"resourceType":"Patient","photo":[{"data":"' + b"a " * 2_000_000 + b'"}]}',
    b'{"resourceType":"Patient","text":{"status":"generated","div":"' + b"<div>" * 200_000 + b'"}}',
], ids=["lists", "objects", "digits", "id", "base64", "narrative"])  # fmt: skip
def test_large_and_deep_bytes_are_an_error(body):
    assert any(f.severity == "error" for f in VALIDATOR.validate_bytes(body))


def test_a_bundle_of_many_references_takes_no_square_of_its_length():
    entries = [
        {"resource": {"resourceType": "Basic", "id": f"b{i}", "code": {"text": "x"},
                      "subject": {"reference": f"Basic/b{(i * 7) % 6000}"}}}
        for i in range(6000)
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    judgement = VALIDATOR.judge(json.dumps(bundle).encode())
    assert [f.rule for f in judgement.findings if f.severity == "error"] == []
    assert len(judgement.names) >= 6000
