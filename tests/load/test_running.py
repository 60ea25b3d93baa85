import json
import socket
import subprocess
import sys

import pytest
from payer_exchange.load.child import NothingMeasured
from payer_exchange.load.running import LoadRequest, run_load, run_time
from payer_exchange.load.scenario import LONGEST_RUN_S
from payer_exchange.reference.errors import SettingsError
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.responder_options import ResponderOptions

SHORT = ("--run-time", "3s")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    payer = start_responder(ResponderOptions(members=17))
    try:
        file = tmp_path_factory.mktemp("target") / "payer-exchange.toml"
        payer.write_config(file)
        yield file
    finally:
        payer.close()


def results_of(folder):
    return json.loads((folder / "load-results.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sound(config, tmp_path_factory):
    """A run against a payer that does everything right, and its report folder."""
    folder = tmp_path_factory.mktemp("report")
    # Long enough for every journey on a machine that has other work to do.
    options = ("--run-time", "10s")
    return run_load(LoadRequest("LT1", config, report_dir=folder, options=options)), folder


def test_a_sound_payer_meets_the_shipped_thresholds(sound):
    results, folder = sound
    told = results_of(folder)
    assert [t for t in told["thresholds"] if not t["met"]] == []
    assert (results.exit_status, told["verdict"], told["errors"]) == (0, "pass", [])
    assert told["journeys"]["count"] > 0
    assert told["journeys"]["failed"] == 0
    assert told["resources_per_s"] > 0


def test_what_a_sound_payer_delivers_is_compared_with_the_truth(sound):
    checks = {c["name"]: c for c in results_of(sound[1])["checks"]}
    assert checks["export-is-the-truth"]["count"] > 0
    assert checks["match-is-the-truth"]["count"] > 0
    assert not any(c["failures"] for c in checks.values())


def test_the_written_results_name_no_member(sound, config):
    members = json.loads(config.with_name("members.json").read_text(encoding="utf-8"))
    written = "".join(f.read_text(encoding="utf-8") for f in sound[1].iterdir())
    for row in members["members"]:
        assert row["patient_id"] not in written
        assert row["patient"]["name"][0]["family"] not in written


def test_an_impossible_threshold_is_missed(config, tmp_path):
    limits = tmp_path / "limits.toml"
    limits.write_text("[measures.job]\np95_ms = 1\n", encoding="utf-8")
    results = run_load(LoadRequest("LT1", config, "", limits, tmp_path, SHORT))
    assert results.exit_status == 1
    assert results_of(tmp_path)["thresholds"][-1]["met"] is False
    assert "**missed**" in (tmp_path / "load-summary.md").read_text(encoding="utf-8")


def test_a_fast_wrong_answer_fails(config, tmp_path):
    members = json.loads(config.with_name("members.json").read_text(encoding="utf-8"))
    for row in members["members"]:
        row["record"].setdefault("resources", {})["Condition/never-held"] = {"expect": "sent"}
    config.with_name("other.json").write_text(json.dumps(members), encoding="utf-8")
    other = config.with_name("other.toml")
    text = config.read_text(encoding="utf-8").replace("members.json", "other.json")
    other.write_text(text, encoding="utf-8")
    results = run_load(LoadRequest("LT1", other, report_dir=tmp_path, options=SHORT))
    assert results.exit_status == 1
    assert results.figures.failed_checks > 0
    assert any("expected resources are missing" in e.message for e in results.figures.errors)


@pytest.mark.parametrize(
    ("defect", "where"),
    [
        ("R41", "match-is-the-truth"),
        ("R80-count", "file-has-the-announced-count"),
        ("R85-missing", "job"),
    ],
)
def test_a_payer_with_a_defect_is_not_passed_for_being_fast(tmp_path, defect, where):
    payer = start_responder(ResponderOptions(members=17, defects=(defect,)))
    try:
        file = tmp_path / "payer-exchange.toml"
        payer.write_config(file)
        options = ("--run-time", "3s")
        results = run_load(LoadRequest("LT1", file, report_dir=tmp_path, options=options))
    finally:
        payer.close()
    assert results.exit_status == 1
    assert where in {e.name for e in results.figures.errors}


def test_clients_may_keep_whom_they_matched_and_warm_up_before_anything_counts(config, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        "keeps = true\n[journeys]\neverything = 1\n[arrivals]\nduration_s = 6\nwarm_up_s = 3\n",
        encoding="utf-8",
    )
    results = run_load(LoadRequest(str(own), config, report_dir=tmp_path))
    assert results.exit_status == 0
    # Seventeen members are soon matched, each once, and all of it before it counts.
    assert results.figures.measure("match") is None
    assert results.figures.measure("token") is None
    counted = results.figures.measure("everything-job").count
    shown = sum(row["journeys"] for row in results.figures.timeline)
    assert 0 < counted < shown
    assert sum(n for _, n in results.figures.distribution) <= counted + 1


def test_an_unreachable_target_is_not_judged(config, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/fhir"
        with pytest.raises(NothingMeasured, match="cannot be reached"):
            run_load(LoadRequest("LT1", config, url, report_dir=tmp_path, options=SHORT))


def test_a_target_elsewhere_is_refused_before_anything_is_sent(config, tmp_path):
    with pytest.raises(SettingsError, match="not on this machine"):
        run_load(LoadRequest("LT1", config, "https://payer.example/fhir", report_dir=tmp_path))


@pytest.mark.parametrize(
    ("options", "seconds"),
    [((), 20), (("-t", "90"), 90), (("--run-time", "1m30s"), 90), (("--run-time=10m",), 600)],
)
def test_the_run_time_is_read_from_the_options(options, seconds):
    assert run_time(options) == seconds


@pytest.mark.parametrize("text", ["11m", f"{LONGEST_RUN_S + 1}", "1h", "soon", ""])
def test_a_run_without_bounds_is_refused(text):
    with pytest.raises(SettingsError):
        run_time((f"--run-time={text}" if text else "--run-time=0s",))


@pytest.mark.parametrize("option", ["--host=http://payer.example", "--worker", "-f"])
def test_options_that_change_what_is_measured_are_refused(config, tmp_path, option):
    with pytest.raises(SettingsError, match=option.partition("=")[0]):
        run_load(LoadRequest("LT1", config, report_dir=tmp_path, options=(option,)))


def test_an_unknown_scenario_is_refused(config):
    with pytest.raises(SettingsError, match="LT1"):
        run_load(LoadRequest("LT99", config))


def test_the_command_line_imports_no_locust():
    code = "import sys, payer_exchange.cli.load; sys.exit('locust' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_every_journey_of_the_smoke_run_is_compared_with_the_truth(config, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        "bulk_members = 3\n[journeys]\nbulk-export = 1\ngroup-export = 1\nsearch = 1\ntoken = 1\n",
        encoding="utf-8",
    )
    options = ("--run-time", "4s")
    results = run_load(LoadRequest(str(own), config, report_dir=tmp_path, options=options))
    checks = {m.name: m for m in results.figures.checks}
    assert (results.exit_status, results.figures.errors) == (0, ())
    assert checks["bulk-match-is-the-truth"].count > 0
    assert checks["bulk-export-is-the-truth"].count > 0


def test_starts_of_the_open_model_come_as_planned(config, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(
        "[journeys]\ntoken = 1\n[arrivals]\nmodel = 'open'\nspacing = 'fixed'\nrate_per_s = 10\n",
        encoding="utf-8",
    )
    results = run_load(LoadRequest(str(own), config, report_dir=tmp_path, options=SHORT))
    told = results_of(tmp_path)
    assert results.exit_status == 0
    assert told["starts"]["planned"] == 30
    assert told["starts"]["dropped"] == 0
    assert results.figures.measure("from-intended").count == told["starts"]["planned"]
    assert sum(row["journeys"] for row in told["timeline"]) == told["starts"]["planned"]
    assert "The model is open" in (tmp_path / "load-summary.md").read_text(encoding="utf-8")
