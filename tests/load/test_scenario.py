import itertools
import statistics
from types import SimpleNamespace

import pytest
from payer_exchange.load.generator import SelfCheck
from payer_exchange.load.knee import knee_of
from payer_exchange.load.plan import Plan
from payer_exchange.load.scenario import (
    SCENARIOS,
    asked_scenario,
    flavoured,
    read_scenario,
    scenario_of,
    turns,
)
from payer_exchange.load.shapes import KNEE_STEPS, Shape, arrivals
from payer_exchange.reference.errors import SettingsError

PLAIN = {"journeys": {"match": 1}}


@pytest.mark.parametrize("name", SCENARIOS)
def test_each_shipped_scenario_is_read_and_bounded(name):
    scenario = read_scenario(name)
    assert scenario.title
    assert sum(scenario.journeys.values()) > 0
    assert scenario.arrivals.duration_s <= 60


def test_a_scenario_of_ones_own_is_a_file(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text("[journeys]\ntoken = 2\n[arrivals]\nmodel = 'open'\n", encoding="utf-8")
    scenario = read_scenario(str(file))
    assert (scenario.name, scenario.journeys, scenario.arrivals.model) == (
        "own",
        {"token": 2.0},
        "open",
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({}, "names no journey"),
        ({"journeys": {"mach": 1}}, "Did you mean match"),
        ({**PLAIN, "arrivals": {"rate": 1}}, "rate_per_s"),
        ({**PLAIN, "arrivals": {"shape": "wave"}}, "one of hold"),
        ({**PLAIN, "arrivals": {"rate_per_s": 1e6}}, "2000 at most"),
        ({**PLAIN, "arrivals": {"duration_s": 0}}, "above 0"),
        ({**PLAIN, "arrivals": {"duration_s": 5, "warm_up_s": 5}}, "shorter than duration_s"),
        ({**PLAIN, "keeps": 1}, "true or false"),
        ({**PLAIN, "thresholds": {"measures": {"mach": {}}}}, "Did you mean match"),
    ],
)
def test_a_scenario_is_read_strictly(content, said):
    with pytest.raises(SettingsError, match=said):
        scenario_of(content, "own.toml")


def test_journeys_are_gone_by_their_shares_and_early():
    shares = {"export": 3.0, "match": 2.0, "token": 1.0, "search": 0.0}
    gone = list(itertools.islice(turns(shares), 60))
    assert {n: gone.count(n) for n in shares} == {
        "export": 30, "match": 20, "token": 10, "search": 0,
    }  # fmt: skip
    assert set(gone[:6]) == {"export", "match", "token"}


def test_fixed_arrivals_are_evenly_spaced():
    found = list(arrivals(Shape("hold", 500, 500, 10), "fixed", seed=1))
    assert len(found) == pytest.approx(5000, rel=0.001)
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert min(gaps) == pytest.approx(0.002)
    assert max(gaps) == pytest.approx(0.002)


def test_poisson_arrivals_have_the_mean_and_the_spread_of_poisson_ones():
    found = list(arrivals(Shape("hold", 500, 500, 20), "poisson", seed=1))
    gaps = [b - a for a, b in itertools.pairwise(found)]
    assert len(found) == pytest.approx(10_000, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.002, rel=0.05)
    assert found == list(arrivals(Shape("hold", 500, 500, 20), "poisson", seed=1))


@pytest.mark.parametrize(
    ("kind", "starts"),
    [("hold", 1000), ("soak", 1000), ("ramp", 5500), ("knee", 5500), ("spike", 1900)],
)
def test_shapes_have_the_area_of_their_rates(kind, starts):
    found = list(arrivals(Shape(kind, 10, 100, 100), "fixed", seed=1))
    assert len(found) == pytest.approx(starts, rel=0.01)


def rows(rates):
    return [
        {"second": s, "planned": 10 * (s + 1), "journeys": r, "dropped": 0}
        for s, r in enumerate(rates)
    ]


def test_the_knee_is_the_last_step_that_was_kept():
    shape = Shape("knee", 10, 100, KNEE_STEPS)
    kept = [10, 20, 30, 40, 50, 52, 51, 50, 50, 50]
    assert knee_of(rows(kept), shape) == pytest.approx(50)
    assert knee_of(rows([5] * 10), shape) is None
    few = [{**row, "planned": 3, "journeys": 2} for row in rows(kept)]
    assert knee_of(few, shape) == pytest.approx(100)
    none = [{**row, "planned": 0, "journeys": 0} for row in rows(kept)]
    assert knee_of(none, shape) is None
    dropping = rows(kept)
    dropping[2]["dropped"] = 1
    assert knee_of(dropping, shape) == pytest.approx(20)
    assert knee_of(rows(kept), Shape("hold", 10, 100, 10)) is None


def test_a_generator_without_processor_time_is_found_out_after_five_seconds():
    check = SelfCheck()
    assert [check.look(0.95, {}) for _ in range(4)] == [""] * 4
    assert "95% of its core" in check.look(0.95, {})
    assert not any(SelfCheck().look(0.95, {}) for _ in range(20))
    warm = SelfCheck()
    assert not any(warm.look(0.95, {}, warming_up=True) for _ in range(20))
    assert [bool(warm.look(0.95, {})) for _ in range(5)] == [False] * 4 + [True]


def test_a_generator_that_starts_late_is_found_out():
    assert "late with 3 of 200" in SelfCheck().look(0.1, {"planned": 200, "late": 3})
    assert not SelfCheck().look(0.1, {"planned": 200, "late": 2})
    assert not SelfCheck().look(0.1, {"planned": 20, "late": 2})


def test_of_a_bulk_data_server_only_tokens_and_exports_are_asked():
    found = flavoured(read_scenario("LT1"), "bulk-data")
    assert found.journeys == {"token": 1.0, "data-export": 5.0}
    assert not {"match", "everything"} & set(found.thresholds.measures)
    assert {"kick-off", "time-to-manifest"} <= set(found.thresholds.measures)
    with pytest.raises(SettingsError, match="no journey that a Bulk Data server knows"):
        flavoured(read_scenario("LT3"), "bulk-data")
    assert flavoured(read_scenario("LT3"), "pdex") == read_scenario("LT3")


@pytest.mark.parametrize(("index", "processes"), [(0, 1), (0, 2), (1, 2), (2, 3), (5, 6)])
def test_a_batch_names_nobody_twice_however_many_processes_share_the_members(index, processes):
    truth = SimpleNamespace(members=[f"member-{n}" for n in range(5)])
    scenario = scenario_of({"journeys": {"bulk-match": 1}, "bulk_members": 10}, "own")
    plan = Plan(scenario, truth, index, processes)
    for _ in range(3):
        batch = plan.next()[1]
        assert batch
        assert len(set(batch)) == len(batch)


def test_without_a_requesting_payer_the_other_journeys_are_gone():
    whole = read_scenario("LT1")
    left = asked_scenario("LT1", "pdex", requester=False)
    assert set(whole.journeys) - set(left.journeys) == {"exchange", "bulk-exchange"}
    assert set(whole.thresholds.measures) - set(left.thresholds.measures) == {"exchange-job"}
    assert asked_scenario("LT1", "pdex", requester=True) == whole
