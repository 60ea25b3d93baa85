"""What the decision function enforces, whatever a plug-in does; and how plug-ins are found."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.matching import (
    Decision,
    Outcome,
    RegistryError,
    decide,
    decide_many,
    load_strategy,
    strategy_names,
)


@dataclass
class Scripted:
    """A plug-in that answers, or raises, what it is told to."""

    answer: object = None
    name: str = "scripted"
    version: str = "9"

    def decide(self, req, registry):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer(req, registry) if callable(self.answer) else self.answer


class Watch:
    """A stopwatch that is moved by hand."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def ana(registry, fhir):
    who = fhir.patient("Ana", "Rivera", "1984-02-11")
    registry.enrol("ana", who, [fhir.coverage("A1", "A")])
    return fhir.request(who, fhir.coverage("A1"))


def matched(key):
    return Decision(Outcome.MATCH, key)


def test_a_key_of_the_registry_is_a_match_even_when_it_was_not_looked_up(registry, ana):
    assert decide(ana, registry, Scripted(matched("ana"))) == matched("ana")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (matched("nobody"), "unknown-key"),
        (matched(""), "unknown-key"),
        (matched(None), "strategy-error"),
        (matched(("ana", "ana")), "strategy-error"),
        ([matched("ana"), matched("bo")], "strategy-error"),
        (None, "strategy-error"),
        ("ana", "strategy-error"),
        (Decision("match", "ana"), "strategy-error"),
        (ValueError("Ana Rivera 1984-02-11"), "strategy-error"),
        (RecursionError(), "strategy-error"),
    ],
)
def test_anything_but_one_known_key_is_none(registry, ana, answer, reason):
    assert decide(ana, registry, Scripted(answer)) == Decision(Outcome.NONE, reason=reason)


@pytest.mark.parametrize("outcome", [Outcome.NONE, Outcome.MULTIPLE, Outcome.REFUSED])
def test_only_a_match_names_a_member(registry, ana, outcome):
    decision = decide(ana, registry, Scripted(Decision(outcome, "ana", "why")))
    assert decision == Decision(outcome, None, "why")


def test_a_failure_is_logged_without_the_member(registry, ana, caplog):
    with caplog.at_level(logging.ERROR):
        decide(ana, registry, Scripted(ValueError("Ana Rivera 1984-02-11")))
    [told] = caplog.records
    fields = told.event_fields
    assert (fields["error"], fields["strategy"], fields["version"]) == (
        "ValueError",
        "scripted",
        "9",
    )
    assert "Rivera" not in caplog.text + str(fields)


def test_an_unreadable_registry_is_refused_and_not_none(ana):
    class Broken:
        def by_member_id(self, _system, _value):
            raise RegistryError("gone")

    assert decide(ana, Broken(), load_strategy("strict")) == Decision(
        Outcome.REFUSED, reason="registry-error"
    )


def test_an_answer_after_the_time_limit_is_refused(registry, ana):
    watch = Watch()

    def slow(_req, _registry):
        watch.now += 2.5
        return matched("ana")

    late = Decision(Outcome.REFUSED, reason="time-limit")
    assert decide(ana, registry, Scripted(slow), time_limit_s=2, stopwatch=watch) == late
    assert decide(ana, registry, Scripted(slow), time_limit_s=3, stopwatch=watch).member_key


def test_a_search_without_end_is_ended_at_the_registry(registry, ana):
    watch = Watch()
    asked = 0

    def endless(_req, registry):
        nonlocal asked
        while True:
            watch.now += 0.1
            asked += 1
            registry.by_member_id(None, "A1")

    decision = decide(ana, registry, Scripted(endless), time_limit_s=1, stopwatch=watch)
    assert decision == Decision(Outcome.REFUSED, reason="time-limit")
    assert asked < 15


def test_defer_goes_to_the_fallback(registry, ana):
    defer = Scripted(Decision(Outcome.DEFER))
    assert decide(ana, registry, defer).member_key == "ana"
    assert (
        decide(ana, registry, defer, fallback=Scripted(matched("nobody"))).outcome is Outcome.NONE
    )
    assert decide(ana, registry, defer, fallback=defer) == Decision(Outcome.NONE, reason="deferred")


def test_bulk_yields_one_decision_a_request_and_survives_failures(registry, ana):
    turns = iter([ValueError(), matched("ana"), matched("nobody")])

    def in_turn(_req, _registry):
        turn = next(turns)
        if isinstance(turn, Exception):
            raise turn
        return turn

    decisions = list(decide_many([ana] * 3, registry, Scripted(in_turn)))
    assert [d.reason or d.member_key for d in decisions] == ["strategy-error", "ana", "unknown-key"]


def test_the_registered_strategies_load_by_name():
    assert {"strict", "exact", "hapi", "nicknames"} <= set(strategy_names())
    for name in ("strict", "exact", "hapi", "nicknames"):
        assert load_strategy(name).name == name
        assert load_strategy(name).version


def test_a_class_loads_by_module_with_options():
    spec = "payer_exchange.reference.matching.strict:Strict"
    assert load_strategy(spec, {"real_name_bearers": 5}).real_name_bearers == 5


@pytest.mark.parametrize(
    ("spec", "options", "told"),
    [
        ("strickt", None, "strict"),
        ("no.such.module:Strict", None, "strict"),
        ("payer_exchange.reference.matching.strict:Nobody", None, "strict"),
        ("payer_exchange.reference.matching:decide_nothing", None, "strict"),
        (":", None, "strict"),
        ("", None, "strict"),
        ("strict", {"bearers": 3}, "real_name_bearers"),
        ("strict", {"real_name_bearers": "3"}, "must be a int"),
        ("strict", {"real_name_bearers": True}, "must be a int"),
        ("collections:OrderedDict", None, "name, version"),
    ],
)
def test_a_strategy_that_cannot_be_had_is_a_settings_error(spec, options, told):
    with pytest.raises(SettingsError, match=told):
        load_strategy(spec, options)
