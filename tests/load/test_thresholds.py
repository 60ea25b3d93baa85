from pathlib import Path

import pytest
from payer_exchange.load.figures import Figures, LoadResults, Measure, Problem
from payer_exchange.load.scenario import read_scenario
from payer_exchange.load.thresholds import Thresholds, read_thresholds, thresholds_of
from payer_exchange.reference.errors import SettingsError


def measured(name, *, kind="request", count=10, failures=0, p95=100.0, seconds=1.0, resources=0):
    return Measure(kind=kind, name=name, unit="ms", count=count, failures=failures,
                   seconds=seconds, octets=0, resources=resources, mean=p95, min=p95, p50=p95,
                   p90=p95, p95=p95, p99=p95, p999=p95, max=p95)  # fmt: skip


def judged(figures, thresholds):
    return LoadResults("LT1", "http://127.0.0.1", "", 1.0, figures, thresholds.judge(figures))


JOB = measured("job", kind="measure")
DOWNLOAD = measured("download", kind="measure", resources=50)


def test_a_threshold_is_met_with_its_margin():
    found = Thresholds(measures={"job": {"p95_ms": 200.0}}).judge(Figures((JOB,)))
    assert [(t.name, t.met, t.margin) for t in found] == [
        ("error_ratio", True, None),
        ("job p95_ms", True, 0.5),
    ]


def test_a_threshold_is_missed_with_a_negative_margin():
    thresholds = Thresholds(min_resources_per_s=100.0, measures={"job": {"p95_ms": 80.0}})
    results = judged(Figures((JOB, DOWNLOAD)), thresholds)
    assert [(t.met, t.margin) for t in results.thresholds[1:]] == [(False, -0.5), (False, -0.25)]
    assert (results.exit_status, results.verdict) == (1, "fail")


def test_what_all_users_were_sent_is_told_of_the_middle_second_in_which_files_came():
    rows = ({"octets": 30_000_000}, {"octets": 0}, {"octets": 20_000_000}, {"octets": 1}, {})
    figures = Figures((), timeline=rows)
    assert figures.all_megabytes_per_s == 20.0
    _, verdict = thresholds_of({"min_all_megabytes_per_s": 25.0}, "own").judge(figures)
    assert (verdict.met, verdict.margin) == (False, -0.2)
    assert Figures(()).all_megabytes_per_s is None


def test_what_was_not_measured_is_not_met():
    found = Thresholds(measures={"match": {"p95_ms": 80.0}}).judge(Figures((JOB,)))[-1]
    assert (found.met, found.actual, found.margin) == (False, None, None)


def test_failed_requests_count_against_the_error_ratio():
    figures = Figures((JOB, measured("match", failures=5)))
    assert judged(figures, Thresholds(error_ratio=0.2)).exit_status == 1
    assert judged(figures, Thresholds(error_ratio=0.25)).exit_status == 0


def test_a_failed_check_fails_the_run_whatever_the_thresholds_say():
    wrong = measured("export-is-the-truth", kind="check", failures=1)
    assert judged(Figures((JOB, wrong)), Thresholds(error_ratio=1.0)).exit_status == 1


@pytest.mark.parametrize(
    "figures", [Figures(()), Figures((measured("match"),)), Figures((JOB,), (), ("TypeError",))]
)
def test_nothing_is_judged_without_a_journey_or_when_the_harness_broke(figures):
    results = judged(figures, Thresholds())
    assert (results.exit_status, results.verdict) == (3, "error")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_resource_per_s = 1", "no key min_resource_per_s. Did you mean min_resources_per_s"),
        ("[measures.mach]\np95_ms = 1", r"\[measures\] has no key mach. Did you mean match"),
        ("[measures.match]\np96_ms = 1", r"\[measures.match\] has no key p96_ms. Did you mean p9"),
        ("[measures.match]\np95_ms = true", "p95_ms must be a number"),
        ("error_ratio = -1", "must not be negative"),
        ("measures = 1", "must be a section"),
        ("error_ratio =", "is not TOML"),
    ],
)
def test_a_wrong_file_is_told_with_the_nearest_key(tmp_path, text, message):
    file = tmp_path / "limits.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=message):
        read_thresholds(file)


def test_a_missing_file_is_told():
    with pytest.raises(SettingsError, match="cannot be read"):
        read_thresholds(Path("nowhere.toml"))


def test_the_shipped_thresholds_limit_every_step_of_the_journey():
    shipped = read_scenario("LT1").thresholds
    assert shipped.error_ratio == 0
    assert {"token", "match", "kick-off", "time-to-manifest", "job"} <= set(shipped.measures)


def test_the_figures_survive_json():
    figures = Figures((JOB, DOWNLOAD), (Problem("request", "match", "Status 500.", 3),))
    told = judged(figures, Thresholds()).as_json()
    assert told["journeys"] == {"count": 10, "failed": 0}
    assert told["resources_per_s"] == 50.0
    assert told["errors"][0]["occurrences"] == 3
