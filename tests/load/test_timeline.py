from types import SimpleNamespace

import pytest
from payer_exchange.load.footprint import footprint
from payer_exchange.load.histogram import quantile, rounded
from payer_exchange.load.timeline import Timeline


class Hook:
    """As Locust's own, which is not imported here: it would patch the process of the tests."""

    def __init__(self):
        self.heard = []
        self.add_listener = self.heard.append

    def fire(self, **told):
        for listener in self.heard:
            listener(**told)


def timeline():
    events = SimpleNamespace(test_start=Hook(), request=Hook())
    return Timeline(events), events.request


def journey(request, milliseconds, resources=0):
    request.fire(request_type="measure", name="job", response_time=milliseconds,
                 response_length=0, exception=None, context={"resources": resources})  # fmt: skip


def test_reports_of_workers_add_up_and_count_once_when_told_twice():
    master, _ = timeline()
    for client, milliseconds in (("one", 10.0), ("two", 30.0)):
        worker, request = timeline()
        journey(request, milliseconds, resources=4)
        worker.start(late=True, dropped=False)
        data = {}
        worker.report(data)
        master.take(client, data)
        master.take(client, data)
    (row,) = master.told()
    assert (row["journeys"], row["resources"], row["p99"]) == (2, 8, 30.0)
    assert master.starts == {"planned": 2, "late": 2, "dropped": 0}
    assert master.resources == {"job": 8}
    assert master.distribution() == [(10.0, 1), (30.0, 1)]


def test_what_comes_while_a_run_warms_up_is_shown_and_in_no_figure():
    found, request = timeline()
    found.warm_up_s = 3600.0
    journey(request, 10.0, resources=4)
    assert found.warming_up
    assert found.told()[0]["journeys"] == 1
    assert (found.distribution(), found.resources["job"]) == ([], 0)


def test_what_is_brought_counts_once_though_a_file_is_a_request_and_a_download():
    found, request = timeline()
    for kind, name, octets in (
        ("request", "match", 500_000), ("request", "file", 0), ("measure", "download", 1_500_000),
        ("measure", "job", 1_500_000),
    ):  # fmt: skip
        request.fire(request_type=kind, name=name, response_time=1.0, response_length=octets,
                     exception=None)  # fmt: skip
    assert found.megabytes == 2.0


def test_a_worker_whose_generator_is_too_slow_is_heard():
    master, _ = timeline()
    worker, _ = timeline()
    worker.own.problem = "Too slow."
    data = {}
    worker.report(data)
    master.take("one", data)
    assert master.problem == "Too slow."


def test_percentiles_of_counts_are_those_of_the_values():
    values = sorted([1.0] * 50 + [2.0] * 45 + [9.0] * 5)
    counts = {v: values.count(v) for v in values}
    for share in (0.0, 0.49, 0.5, 0.94, 0.95, 0.999):
        assert quantile(counts, share) == values[int(share * len(values))]
    assert quantile({}, 0.5) is None
    assert rounded(1234.5) == pytest.approx(1234.5, rel=0.005)


def rows(memory, files=10):
    return [{"second": s, "memory_mb": mb, "open_files": files} for s, mb in enumerate(memory)]


def test_growth_is_told_without_the_warm_up():
    grown = [50.0, 80.0, *(100.0 + 0.1 * s for s in range(8))]
    found = footprint(rows(grown))
    assert found.peak_mb == pytest.approx(100.7)
    assert found.growth_mb_per_10min == pytest.approx(60)
    assert found.more_open_files == 0
    assert footprint([{"second": 1}, {"second": 2}]) is None


def test_a_start_that_is_late_while_all_warms_up_is_none_that_counts():
    found, _ = timeline()
    found.warm_up_s = 3600.0
    found.start(late=True, dropped=False)
    found.warm_up_s = 0.0
    found.start(late=True, dropped=False)
    assert found.starts == {"planned": 2, "late": 1, "dropped": 0}
