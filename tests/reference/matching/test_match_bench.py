"""Precision and recall on the population's requests, and the command that prints them."""

from __future__ import annotations

import json
import random
import re

import pytest
from click.testing import CliRunner
from payer_exchange.cli.match_bench import match_bench
from payer_exchange.reference.matching import (
    MatchRequest,
    MemberRegistry,
    decide,
    decide_many,
    load_strategy,
)
from payer_exchange.reference.matching.bench import (
    enrol_population,
    run_bench,
    tally_decisions,
)
from payer_exchange.reference.population.adversarial import adversarial_requests
from payer_exchange.reference.population.population import Population
from payer_exchange.reference.store.database import open_database

MEMBERS, REQUESTS, SEED = 2_000, 5_000, 20270115


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return f"sqlite:///{tmp_path_factory.mktemp('bench') / 'registry.sqlite'}"


@pytest.fixture(scope="module")
def populated(url):
    engine = open_database(url)
    registry = MemberRegistry(engine)
    enrol_population(registry, Population(seed=SEED, members=MEMBERS))
    yield registry
    registry.close()
    engine.dispose()


@pytest.fixture(scope="module")
def asked():
    return list(adversarial_requests(Population(seed=SEED, members=MEMBERS), REQUESTS, SEED + 1))


def test_strict_matches_nobody_falsely_and_finds_most(populated):
    report = run_bench(
        load_strategy("strict"), populated, members=MEMBERS, requests=REQUESTS, seed=SEED
    )
    assert report.false_matches_by_kind == {}
    assert report.precision == 1.0
    assert report.recall >= 0.87
    assert report.negatives > 1_500
    assert "strategy-error" not in report.refusals_by_reason


def test_the_bench_can_fail(populated, asked):
    tally = tally_decisions(load_strategy("hapi"), populated, asked)
    assert tally.false_matches["twin-not-enrolled"] > 50


def test_strategies_stand_in_their_order(populated, asked):
    right = {
        name: tally_decisions(load_strategy(name), populated, asked).right
        for name in ("hapi", "exact", "strict", "nicknames")
    }
    assert right["hapi"] < right["exact"] < right["strict"] < right["nicknames"]


def test_single_and_bulk_agree_on_every_request(populated, asked):
    strict = load_strategy("strict")
    requests = [MatchRequest(one.patient, one.coverage) for one in asked]
    single = [decide(request, populated, strict) for request in requests]
    assert list(decide_many(requests, populated, strict)) == single
    order = random.Random(SEED).sample(range(REQUESTS), REQUESTS)
    shuffled = decide_many((requests[n] for n in order), populated, strict)
    assert dict(zip(order, shuffled, strict=True)) == dict(enumerate(single))


def rewritten(value, change):
    """The same resource with every name and number written in another way."""
    if isinstance(value, dict):
        return {
            key: _changed(key, inner, change)
            if key in {"family", "given", "subscriberId", "value"}
            else rewritten(inner, change)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [rewritten(inner, change) for inner in value]
    return value


def _changed(key, value, change):
    if isinstance(value, list):
        return [change(text) for text in value]
    text = change(value)
    spaced = key in {"subscriberId", "value"}
    return re.sub(r"(\w{4})", r"\1-", text) if spaced else text


@pytest.mark.parametrize("change", [str.upper, str.lower, lambda text: f" {text}\t"])
def test_writing_changes_no_answer(populated, asked, change):
    strict = load_strategy("strict")
    for one in asked[:1_500]:
        plain = decide(MatchRequest(one.patient, one.coverage), populated, strict)
        other = MatchRequest(rewritten(one.patient, change), rewritten(one.coverage, change))
        assert decide(other, populated, strict) == plain


def test_only_this_populations_registry_is_taken_for_filled(registry):
    enrol_population(registry, Population(seed=1, members=60))
    expected = Population(seed=2, members=60)
    enrol_population(registry, expected)
    held = {person.key: person.birth_date.isoformat() for person in expected.people()}
    for key, birth_date in held.items():
        [member] = [m for m in registry.household(key) if m.key == key]
        assert member.person.birth_date == birth_date


def test_the_command_prints_a_table_and_passes_a_safe_strategy():
    result = CliRunner().invoke(match_bench, ["--members", "200", "--requests", "300"])
    assert result.exit_code == 0, result.output
    for label in ("precision", "recall", "F1", "false matches", "matches/s", "p50 / p99"):
        assert label in result.output


def test_the_command_fails_a_strategy_with_false_matches(url, populated):
    arguments = ["--strategy", "hapi", "--members", str(MEMBERS), "--requests", "1000"]
    arguments += ["--seed", str(SEED), "--database", url, "--json"]
    result = CliRunner().invoke(match_bench, arguments)
    assert result.exit_code == 1, result.output
    report = json.loads(result.output)
    assert report["false_matches"] == sum(report["false_matches_by_kind"].values()) > 0
    assert report["precision"] < 1


def test_the_command_names_the_strategies_when_there_is_no_such():
    result = CliRunner().invoke(match_bench, ["--strategy", "guess"])
    assert result.exit_code == 2
    assert "nicknames" in result.output
