from dataclasses import replace

import pytest
from payer_exchange.load.figures import Figures, LoadResults, Measure
from payer_exchange.load.history import Circumstances, append, drops, line_of, read_history
from payer_exchange.reference.errors import SettingsError

DOWNLOAD = Measure(kind="measure", name="download", unit="ms", count=10, failures=0, seconds=1.0,
                   octets=0, resources=100, mean=9, min=9, p50=9, p90=9, p95=9, p99=9, p999=9,
                   max=9)  # fmt: skip
MADE = Circumstances("pdex", 1, 20.0, "abc", 1, "digest")
MACHINE = {"processors": 2, "architecture": "x86_64", "system": "Linux", "python": "3.11.9"}


def line(rate, job_ms=50.0, **changes):
    job = replace(DOWNLOAD, name="job", p50=job_ms, resources=0)
    figures = Figures((replace(DOWNLOAD, resources=rate), job))
    results = LoadResults("LT5", "", "2026-01-01", 20.0, figures, (), MACHINE)
    return {**line_of(results, MADE), **changes}


def test_a_drop_is_told_against_the_median_of_the_last_five():
    earlier = [line(r) for r in (5000, 100, 110, 90, 105, 300)]
    assert drops(line(95), earlier) == ()
    (found,) = drops(line(70), earlier)
    assert (found.name, found.usual, found.runs) == ("resources_per_s", 105, 5)
    assert found.share == pytest.approx(1 / 3)
    assert "70 was measured, 33% worse than 105, the median of the last 5 runs" in str(found)


def test_a_journey_that_takes_longer_is_a_drop():
    (found,) = drops(line(100, 60.0), [line(100, 50.0)])
    assert (found.name, found.runs) == ("job p50_ms", 1)
    assert drops(line(100, 54.0), [line(100, 50.0)]) == ()


@pytest.mark.parametrize(
    "other", [{"machine": "8 arm64"}, {"scenario": "LT6"}, {"processes": 2}, {"seconds": 60.0}]
)
def test_only_runs_alike_are_compared(other):
    assert drops(line(10), [line(100, **other)]) == ()
    assert drops(line(10), []) == ()


def test_a_run_that_dropped_fails():
    found = drops(line(10), [line(100)])
    results = LoadResults("LT5", "", "", 1.0, Figures((replace(DOWNLOAD, name="job"),)), ())
    assert (results.exit_status, replace(results, drops=found).exit_status) == (0, 1)


def test_the_history_is_one_line_a_run(tmp_path):
    file = tmp_path / "new" / "history.jsonl"
    assert read_history(file) == []
    for rate in (100, 200):
        append(file, line(rate))
    found = read_history(file)
    assert [x["figures"]["resources_per_s"] for x in found] == [100, 200]
    assert (found[0]["commit"], found[0]["data_digest"], found[0]["seed"]) == ("abc", "digest", 1)
    assert found[0]["machine"] == "2 x86_64 Linux python 3.11"
    file.write_text("{}\nnothing\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="line 2"):
        read_history(file)
