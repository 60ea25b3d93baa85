"""JSON that is read exactly, and JSON that is not taken."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from payer_exchange.reference.errors import BadRequest
from payer_exchange.reference.fhir import json


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":72.50}', b'{"a":1.0,"b":1,"c":-0.00}', b'{"a":1E+10,"b":2e400}',
        b'{"a":123456789012345678901234567890}', b'{"a":-999999999999999999}',
        b'{"a":0.1234567890123456789012345678901234567890}',
        '{"a":"ü\u2028é"}'.encode(), b'{"b":1,"a":2}', b"[]", b'{"a":[{}],"b":null,"c":true}',
    ],
)  # fmt: skip
def test_what_is_read_exactly_is_written_as_it_was(text):
    assert json.write(json.read_exact(text)) == text


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "structure"),
        (b"   ", "structure"),
        (b"{", "structure"),
        (b"not json", "structure"),
        (b"[]", "structure"),
        (b'"text"', "structure"),
        (b"null", "structure"),
        (b'{"a":NaN}', "structure"),
        (b'{"a":Infinity}', "structure"),
        (b'{"a":-Infinity}', "structure"),
        (b'{"a":1,"a":2}', "structure"),
        (b'{"x":{"a":1,"a":1}}', "structure"),
        (b'{"x":[{"b":{"a":1,"a":1}}]}', "structure"),
        (b'{"a":"\xff"}', "structure"),
        (b'{"a":"\xed\xa0\x80"}', "structure"),
        (b"\xef\xbb\xbf{}", "structure"),
        ('{"a":1}'.encode("utf-16"), "structure"),
        (b'{"a":"\x00"}', "structure"),
        (b'{"a":"\\u0000"}', "structure"),
        (b'{"a\\u0000":1}', "structure"),
        (b'{"a":"\\ud800"}', "structure"),
        (b'{"a":["\\udc00\\ud800"]}', "structure"),
        (b'{"a":' + b"9" * 5000 + b"}", "structure"),
        (b'{"a":' * 65 + b"1" + b"}" * 65, "too-long"),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too-long"),
        (b"[" * 1_000_000, "too-long"),
    ],
)
def test_a_bad_body_is_refused_without_being_repeated(body, code):
    with pytest.raises(BadRequest) as refused:
        json.read_object(body)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert len(str(refused.value)) < 100


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":' * 63 + b"{}" + b"}" * 63,
        b'{"a":"' + b"[{" * 5000 + b'"}',
        b'{"a":"\\"' + b"[" * 5000 + b'"}',
        b'{"a":[' + b",".join([b"[[]]"] * 5000) + b"]}",
        b'{"a":"\\ud83d\\ude00"}',
    ],
)
def test_a_good_body_is_taken(body):
    assert "a" in json.read_object(body)


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**300])
def test_a_body_with_a_number_of_any_length_can_be_written_again(number):
    assert json.write(json.read_object(b'{"a":%d}' % number))


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_a_bad_request(body):
    # Anything but a BadRequest fails the test.
    with contextlib.suppress(BadRequest):
        assert isinstance(json.read_object(body), dict)


@given(st.recursive(st.none() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_depth_is_told_as_by_counting(value):
    def depth(found):
        if isinstance(found, dict):
            return 1 + max((depth(v) for v in found.values()), default=0)
        return 1 + max(map(depth, found), default=0) if isinstance(found, list) else 0

    deep = value
    for _ in range(64 - depth(value)):
        deep = [deep]
    assert not json.too_deep(json.write(deep))
    assert json.too_deep(json.write([deep, []] if depth(deep) == 64 else [[deep]] * 65))
