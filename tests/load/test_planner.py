import heapq
import random

import pytest
from payer_exchange.load.planner import Rates, Stage, measured_rates, plan, stages_of
from payer_exchange.reference.errors import SettingsError

RATES = Rates(members_per_s=500, resources_per_s=10_000, download_per_s=20_000, intake_per_s=4_000)


def simulated(batches, stages, spread=0.0):
    """The end of the last batch, each batch moved through each lane by itself."""
    draw = random.Random(7)
    ready = [0.0] * batches
    for stage in stages:
        free = [0.0] * stage.lanes
        for number, moment in sorted(enumerate(ready), key=lambda pair: pair[1]):
            begun = max(moment, heapq.heappop(free))
            took = stage.seconds * draw.uniform(1 - spread, 1 + spread)
            heapq.heappush(free, begun + took)
            ready[number] = begun + took
    return max(ready)


@pytest.mark.parametrize("lanes", [1, 2, 5])
@pytest.mark.parametrize("slow", ["match", "export", "intake"])
def test_the_plan_is_what_a_simulation_finds(lanes, slow):
    stages = tuple(
        Stage(s.name, s.seconds * (9 if s.name == slow else 1), s.lanes)
        for s in stages_of(RATES, 1000, 100, lanes)
    )
    found = plan(1_000_000, 1000, stages)
    assert found.batches == 1000
    assert found.seconds == pytest.approx(simulated(1000, stages), rel=0.02)


def test_the_plan_holds_where_batches_take_unequal_times():
    stages = stages_of(RATES, 1000, 100, 2)
    found = plan(1_000_000, 1000, stages).seconds
    assert found == pytest.approx(simulated(1000, stages, spread=0.5), rel=0.15)


def test_the_slowest_stage_is_named_and_sets_the_pace():
    found = plan(1_000_000, 10_000, stages_of(RATES, 10_000, 100, 1))
    assert found.slowest == "intake"
    # A hundred million resources at 4,000/s, and the first batch on its way there.
    assert found.seconds == pytest.approx(100e6 / 4000 + 20 + 100 + 50)


def test_no_plan_is_made_of_nothing():
    with pytest.raises(SettingsError, match="above 0"):
        stages_of(Rates(0, 1, 1, 1), 10, 10, 1)


def told(**rows):
    return {"measures": [{"name": n.replace("_", "-"), **row} for n, row in rows.items()],
            "bulk_members": 20, "resources_per_s": 900.0}  # fmt: skip


def test_the_rates_are_those_of_a_run():
    found = measured_rates(
        told(
            bulk_match_job={"count": 3, "seconds": 2.0, "resources": 3},
            bulk_export_job={"count": 2, "seconds": 9.0, "resources": 4000},
            time_to_manifest={"count": 5, "seconds": 4.0, "resources": 0},
        )
    )
    assert found == {"members_per_s": 30, "resources_per_s": 1000, "download_per_s": 900}
    assert measured_rates(told()) == {"download_per_s": 900}
    with_intake = measured_rates(told() | {"intake_resources_per_s": 4000.0})
    assert with_intake == {"download_per_s": 900, "intake_per_s": 4000}
    with pytest.raises(SettingsError, match=r"no load-results\.json"):
        measured_rates({"measures": [{}]})
