import json
import time

import pytest
from click.testing import CliRunner
from payer_exchange.cli.load import load

# A hundred million resources at 4,000/s, after the first job's 2 + 10 + 5 seconds.
PLANNED = (
    "1,000,000 members in 1,000 jobs take 6 h 57 min. A job takes 2.0 s to match, 10 s to export "
    "and 5.0 s to download; its intake takes 25 s. The pace is set by the intake."
)


def run(*arguments):
    return CliRunner().invoke(load, [str(a) for a in arguments])


def test_without_a_target_a_simulated_payer_is_asked(tmp_path):
    result = run("LT1", "--report-dir", tmp_path, "--", "--run-time", "6s")
    assert result.exit_code == 0, result.output
    assert "journeys" in result.output
    told = json.loads((tmp_path / "load-results.json").read_text(encoding="utf-8"))
    assert told["verdict"] == "pass"


def test_wrong_usage_is_told(tmp_path):
    assert run("LT99").exit_code == 2
    result = run("LT1", "--report-dir", tmp_path, "--", "--run-time", "1h")
    assert result.exit_code == 2
    assert "limit of 600 seconds" in result.output


def test_a_url_needs_a_settings_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("LT1", "http://127.0.0.1:1/fhir")
    assert result.exit_code == 2
    assert "--config" in result.output


def test_the_plan_tells_the_end_and_what_sets_the_pace():
    rates = ("--match-rate", 500, "--export-rate", 10_000, "--download-rate", 20_000)
    result = run("plan", "--members", 1_000_000, *rates, "--intake-rate", 4000)
    assert result.exit_code == 0, result.output
    assert PLANNED in result.output
    assert run("plan", "--members", 0, *rates, "--intake-rate", 4000).exit_code == 2
    four = run("plan", "--members", 1_000_000, *rates, "--intake-rate", 40_000, "--jobs", 4)
    assert "1 h 11 min" in four.output
    assert "The pace is set by the 4 jobs at once." in four.output


@pytest.mark.parametrize(
    ("hours", "status", "told"), [(8, 0, "1 h 3 min before"), (6, 1, "57 min after")]
)
def test_a_plan_is_held_against_a_deadline(hours, status, told):
    rates = ("--match-rate", 500, "--export-rate", 10_000, "--download-rate", 20_000)
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + hours * 3600))
    result = run("plan", "--members", 1_000_000, *rates, "--intake-rate", 4000, "--deadline", day)
    assert (result.exit_code, told in result.output) == (status, True), result.output


def test_a_plan_takes_what_is_not_given_from_a_run(tmp_path):
    file = tmp_path / "load-results.json"
    rows = [
        {"name": "bulk-match-job", "count": 10, "seconds": 1.0, "resources": 0},
        {"name": "bulk-export-job", "count": 1, "seconds": 1.0, "resources": 10_000},
        {"name": "time-to-manifest", "count": 1, "seconds": 1.0, "resources": 0},
    ]
    told = {"measures": rows, "bulk_members": 50, "resources_per_s": 20_000}
    file.write_text(json.dumps(told), encoding="utf-8")
    result = run("plan", "--members", 1_000_000, "--from", file, "--intake-rate", 4000)
    assert PLANNED in result.output
    missing = run("plan", "--members", 1_000_000, "--from", file)
    assert (missing.exit_code, "--intake-rate" in missing.output) == (2, True)


def test_a_comparison_needs_a_history():
    assert run("LT1", "--compare").exit_code == 2


def test_both_payers_exchange_many_members_whole(tmp_path):
    result = run("LT9", "--members", 3, "--batch", 2, "--report-dir", tmp_path)
    assert result.exit_code == 0, result.output
    file = tmp_path / "load-results.json"
    told = json.loads(file.read_text(encoding="utf-8"))
    checks = {c["name"]: c["failures"] for c in told["checks"]}
    assert checks["digests-are-equal"] == checks["no-line-is-another-members"] == 0
    assert told["end_to_end_resources_per_s"] > 0
    # Three members and a stranger, in two parts.
    steps = {m["name"]: m for m in told["measures"] if m["name"] != "job"}
    assert {m["count"] for m in steps.values()} == {2}
    assert told["bulk_members"] == 2
    # What both parts bring, as an organization, is stored once.
    assert 0 < steps["intake"]["resources"] <= steps["download"]["resources"]
    planned = run("plan", "--members", 3, "--batch", 2, "--from", file)
    assert (planned.exit_code, "3 members in 2 jobs" in planned.output) == (0, True)
    assert run("LT9", "http://127.0.0.1:1/fhir").exit_code == 2


def test_an_exchange_that_is_too_slow_fails_and_says_by_how_much(tmp_path):
    limits = tmp_path / "limits.toml"
    limits.write_text("min_end_to_end_resources_per_s = 1e9\n", encoding="utf-8")
    result = run("LT9", "--members", 1, "--thresholds", limits, "--report-dir", tmp_path)
    assert (result.exit_code, "-100%" in result.output) == (1, True)
