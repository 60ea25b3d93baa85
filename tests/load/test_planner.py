import heapq
import random

import pytest
from payer_exchange.load.planner import Rates, Steps, measured_rates, plan, steps_of
from payer_exchange.reference.errors import SettingsError

RATES = Rates(members_per_s=500, resources_per_s=10_000, download_per_s=20_000, intake_per_s=4_000)


def simulated(batches, steps, jobs, spread=0.0):
    """The end of the last batch: each in a free job, then taken in when its turn comes."""
    draw = random.Random(7)

    def took(*seconds):
        return sum(s * draw.uniform(1 - spread, 1 + spread) for s in seconds)

    free, fetched = [0.0] * jobs, []
    for _ in range(batches):
        fetched.append(heapq.heappop(free) + took(steps.match, steps.export, steps.download))
        heapq.heappush(free, fetched[-1])
    ended = 0.0
    for moment in sorted(fetched):
        ended = max(ended, moment) + took(steps.intake)
    return ended


@pytest.mark.parametrize("batches", [1, 2, 7, 1000])
@pytest.mark.parametrize("jobs", [1, 2, 5, 16])
@pytest.mark.parametrize("slow", ["match", "export", "download", "intake"])
def test_the_plan_is_what_a_simulation_finds(batches, jobs, slow):
    seconds = {"match": 2.0, "export": 10.0, "download": 5.0, "intake": 3.0}
    steps = Steps(**seconds | {slow: 9 * seconds[slow]})
    found = plan(batches * 1000, 1000, steps, jobs)
    assert found.batches == batches
    assert found.seconds == pytest.approx(simulated(batches, steps, jobs))


def test_the_plan_holds_where_batches_take_unequal_times():
    steps = steps_of(RATES, 1000, 100)
    for jobs in (1, 2, 4):
        found = plan(1_000_000, 1000, steps, jobs).seconds
        assert found == pytest.approx(simulated(1000, steps, jobs, spread=0.5), rel=0.15)


def test_the_slower_of_jobs_and_intake_sets_the_pace():
    steps = steps_of(RATES, 10_000, 100)
    assert (steps.match, steps.export, steps.download, steps.intake) == (20, 100, 50, 250)
    taken_in = plan(1_000_000, 10_000, steps)
    # A hundred million resources at 4,000/s, and the first batch on its way there.
    assert (taken_in.pace, taken_in.seconds) == ("intake", 100e6 / 4000 + 170)
    fast = steps_of(Rates(500, 10_000, 20_000, 40_000), 10_000, 100)
    one, four = plan(1_000_000, 10_000, fast), plan(1_000_000, 10_000, fast, 4)
    assert (one.pace, one.seconds) == ("jobs", 100 * 170 + 25)
    assert (four.pace, four.seconds) == ("jobs", 25 * 170 + 4 * 25)


def test_no_plan_is_made_of_nothing():
    with pytest.raises(SettingsError, match="above 0"):
        steps_of(Rates(0, 1, 1, 1), 10, 10)


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
