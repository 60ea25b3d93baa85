"""Nothing a requesting payer can send makes a strategy fail, or take long."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payer_exchange.reference.matching import (
    MatchRequest,
    MemberRegistry,
    Outcome,
    decide,
    load_strategy,
)
from payer_exchange.reference.store.database import open_database

STRATEGIES = [load_strategy(name) for name in ("strict", "exact", "hapi", "nicknames")]
STRICT = STRATEGIES[0]
_PATIENT_KEYS = (
    *("name", "given", "family", "suffix", "use", "period", "start", "end", "birthDate", "gender"),
    *("extension", "url", "valueCode", "multipleBirthInteger", "multipleBirthBoolean", "id"),
)
_COVERAGE_KEYS = (
    *("identifier", "type", "coding", "code", "system", "value", "subscriberId", "dependent"),
    *("payor", "class", "contained", "reference"),
)
_KEYS = st.sampled_from([*_PATIENT_KEYS, *_COVERAGE_KEYS])
_LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["MB", "group", "plan", "A1", "A", "Ana", "Rivera", "1984-02-11", "#p"]),
)
_JSON = st.recursive(
    _LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5),
    max_leaves=25,
)


@pytest.fixture(scope="module")
def one_member(tmp_path_factory, fhir):
    path = tmp_path_factory.mktemp("any") / "registry.sqlite"
    engine = open_database(f"sqlite:///{path}")
    registry = MemberRegistry(engine)
    registry.enrol(
        "ana",
        fhir.patient("Ana", "Rivera", "1984-02-11"),
        [fhir.coverage("A1", "A", group="G", plan="P", period={"start": "2020"})],
    )
    yield registry
    registry.close()
    engine.dispose()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(who=_JSON, card=_JSON)
def test_any_json_gets_a_decision(one_member, who, card):
    for strategy in STRATEGIES:
        decision = decide(MatchRequest(who, card), one_member, strategy)
        assert decision.reason != "strategy-error"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(place=st.sampled_from(["name", "birthDate", "gender", "identifier", "extension"]), odd=_JSON)
def test_a_valid_patient_with_one_odd_element_gets_a_decision(one_member, fhir, place, odd):
    who = {**fhir.patient("Ana", "Rivera", "1984-02-11"), place: odd}
    for strategy in STRATEGIES:
        decision = decide(fhir.request(who, fhir.coverage("A1")), one_member, strategy)
        assert decision.reason != "strategy-error"


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    place=st.sampled_from(["identifier", "subscriberId", "dependent", "payor", "class", "period"]),
    odd=_JSON,
)
def test_a_valid_coverage_with_one_odd_element_gets_a_decision(one_member, fhir, place, odd):
    card = {**fhir.coverage("A1", "A"), place: odd}
    who = fhir.patient("Ana", "Rivera", "1984-02-11")
    for strategy in STRATEGIES:
        decision = decide(fhir.request(who, card), one_member, strategy)
        assert decision.reason != "strategy-error"


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(who=_JSON, card=_JSON)
def test_any_json_can_be_enrolled(one_member, who, card):
    one_member.enrol("odd", who, [card])
    one_member.withdraw("odd")
    assert one_member.count() == 1


LONG = 100_000
HUGE = {
    "long family": {"name": [{"family": "a" * LONG, "given": ["Ana"]}]},
    "long given": {"name": [{"family": "Rivera", "given": ["b" * LONG]}]},
    "many given": {"name": [{"family": "Rivera", "given": ["Ana"] * LONG}]},
    "many names": {"name": [{"family": "Rivera", "given": ["Eva"]}] * LONG},
    "marks": {"name": [{"family": "a" + "\u0323\u0307" * LONG, "given": ["Ana"]}]},
    "many blanks": {"name": [{"family": " " * LONG, "given": ["Ana"]}]},
    "long date": {"birthDate": "1" * LONG},
    "many extensions": {"gender": None, "extension": [{"url": "x"}] * LONG},
    "surrogate": {"name": [{"family": "\ud800", "given": ["\udfff"]}]},
}


@pytest.mark.parametrize("parts", HUGE.values(), ids=HUGE.keys())
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_huge_input_is_answered_soon(one_member, fhir, strategy, parts):
    who = {**fhir.patient("Ana", "Rivera", "1984-02-11"), **parts}
    started = time.process_time()
    decision = decide(fhir.request(who, fhir.coverage("A1")), one_member, strategy)
    assert decision.outcome in set(Outcome) - {Outcome.DEFER}
    assert decision.reason not in {"strategy-error", "time-limit"}
    assert time.process_time() - started < 0.5


@pytest.mark.parametrize("number", ["9" * LONG, "a\u0323\u0307" * LONG, "\ud800", "\x00", "''--"])
def test_odd_numbers_open_nothing(one_member, fhir, number):
    who = fhir.patient("Ana", "Rivera", "1984-02-11")
    for card in (fhir.coverage(number), fhir.coverage(subscriber_id=number)):
        decision = decide(fhir.request(who, card), one_member, STRICT)
        assert decision.outcome is Outcome.NONE
