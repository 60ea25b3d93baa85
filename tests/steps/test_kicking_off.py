"""Exports are started by the method that the target takes."""

from __future__ import annotations

import pytest
from payer_exchange.reference.http import Exchange
from payer_exchange.steps.delivered import export_parameters
from payer_exchange.steps.kicking_off import KickOffs, as_query


class Target:
    """Answers a kick-off by POST and by GET with the statuses given, and keeps what came."""

    def __init__(self, by_post, by_get):
        self.statuses, self.asked = {"POST": by_post, "GET": by_get}, []

    def kick_off(self, url, _token, parameters, *, headers=None):
        method = "GET" if parameters is None else "POST"
        self.asked.append(f"{method} {url}")
        return Exchange(method, url, dict(headers or {}), b"", 0.0, self.statuses[method])


def sent(target, kick_offs, options):
    return kick_offs.send("Patient/$export", None, export_parameters(options), {"Prefer": "x"})


@pytest.mark.parametrize("refusal", [404, 405, 501])
def test_a_target_that_takes_no_post_is_asked_by_get_from_then_on(refusal):
    target = Target(refusal, 202)
    kick_offs = KickOffs(target)
    assert sent(target, kick_offs, {"_type": "Patient"}).status == 202
    assert sent(target, kick_offs, {}).status == 202
    assert target.asked == [
        "POST Patient/$export", "GET Patient/$export?_type=Patient", "GET Patient/$export",
    ]  # fmt: skip


@pytest.mark.parametrize("status", [202, 400, 401, 403, 422, 500])
def test_what_a_post_was_answered_otherwise_is_the_answer(status):
    target = Target(status, 202)
    assert sent(target, KickOffs(target), {}).status == status
    assert target.asked == ["POST Patient/$export"]


@pytest.mark.parametrize(
    ("by_post", "by_get", "method"), [(404, 404, "POST"), (404, 403, "POST"), (405, 403, "GET")]
)
def test_where_both_are_refused_the_method_that_is_taken_says_why(by_post, by_get, method):
    target = Target(by_post, by_get)
    kick_offs = KickOffs(target)
    for _ in range(2):
        assert sent(target, kick_offs, {}).method == method


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, ""),
        ({"_type": "Patient,Group"}, "?_type=Patient%2CGroup"),
        ({"_since": "2026-01-01T00:00:00Z"}, "?_since=2026-01-01T00%3A00%3A00Z"),
        ({"_typeFilter": "A?x=1;B?y=2"}, "?_typeFilter=A%3Fx%3D1&_typeFilter=B%3Fy%3D2"),
        ({"patient": "Patient/1"}, "?patient=Patient%2F1"),
        ({"allowPartialManifests": "true"}, "?allowPartialManifests=true"),
    ],
)
def test_parameters_become_a_query(options, query):
    assert as_query(export_parameters(options)) == query
