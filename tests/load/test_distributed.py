"""A master and two workers, as processes on this machine; and a run that is stopped by hand."""

import json
import signal
import socket
import subprocess
import sys
import threading

import pytest
from flask import request
from payer_exchange.load.running import LoadRequest, run_load
from payer_exchange.load.shapes import Shape, arrivals
from payer_exchange.load.spreading import Spread
from payer_exchange.reference.errors import SettingsError
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.responder_options import ResponderOptions


@pytest.fixture
def payer():
    running = start_responder(ResponderOptions(members=17))
    yield running
    running.close()


def config_of(payer, folder):
    file = folder / "payer-exchange.toml"
    payer.write_config(file)
    return file


def scenario(folder, text):
    file = folder / "own.toml"
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_two_workers_make_together_exactly_the_planned_starts(payer, tmp_path):
    own = scenario(
        tmp_path,
        "[journeys]\nmatch = 1\nexport = 1\n"
        "[arrivals]\nmodel = 'open'\nspacing = 'fixed'\nrate_per_s = 8\n",
    )
    results = run_load(
        LoadRequest(own, config_of(payer, tmp_path), report_dir=tmp_path,
                    options=("--run-time", "3s"), spread=Spread(2))
    )  # fmt: skip
    told = json.loads((tmp_path / "load-results.json").read_text(encoding="utf-8"))
    planned = told["starts"]["planned"]
    assert (results.exit_status, results.figures.errors) == (0, ())
    assert planned == len(list(arrivals(Shape("hold", 8, 8, 3), "fixed", seed=1)))
    assert told["starts"]["dropped"] == 0
    # Discovered once by each of two processes; all that both did is added up.
    assert results.figures.measure("discovery").count == 2
    assert results.figures.measure("from-intended").count == planned
    assert sum(row["journeys"] for row in told["timeline"]) == planned
    assert sum(count for _, count in told["distribution"]) == planned
    job = results.figures.measure("job")
    assert job.resources == sum(row["resources"] for row in told["timeline"])
    assert job.resources > 0


def test_a_master_waits_for_workers_that_others_start_and_gathers(payer, tmp_path):
    own = scenario(
        tmp_path,
        "[journeys]\nmatch = 1\n[arrivals]\nmodel = 'open'\nspacing = 'fixed'\nrate_per_s = 4\n"
        "duration_s = 2\n",
    )
    with socket.socket() as passing:
        passing.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{passing.getsockname()[1]}"
    common = [sys.executable, "-m", "payer_exchange.cli", "load", own, "--config",
              config_of(payer, tmp_path), "--processes", "2"]  # fmt: skip
    workers = [
        subprocess.Popen(
            [*common, "--worker", place, "--report-dir", tmp_path / name],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for name in ("one", "two")
    ]  # fmt: skip
    master = subprocess.run(
        [*common, "--master", place, "--report-dir", tmp_path],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    said = [worker.communicate(timeout=60)[0] for worker in workers]
    told = json.loads((tmp_path / "load-results.json").read_text(encoding="utf-8"))
    assert (master.returncode, [w.returncode for w in workers]) == (0, [0, 0]), (master, said)
    planned = len(list(arrivals(Shape("hold", 4, 4, 2), "fixed", seed=1)))
    assert told["starts"] == {"planned": planned, "late": told["starts"]["late"], "dropped": 0}
    assert told["journeys"] == {"count": planned, "failed": 0}
    assert {m["name"]: m["count"] for m in told["measures"]}["discovery"] == 2


@pytest.mark.parametrize("place", ["5557", "host:", "host:0", "host:port", ":1"])
def test_a_place_that_is_none_is_told(place):
    with pytest.raises(SettingsError, match="HOST:PORT"):
        Spread(2, listen=place).options()


class Endless:
    """A payer whose exports never end, and the jobs that are begun and deleted there."""

    def __init__(self, payer):
        self.begun, self.deleted = [], []
        self.enough = threading.Event()
        payer.simulator.app.after_request(self.seen)

    def seen(self, response):
        location = response.headers.get("Content-Location", "")
        if response.status_code == 202 and location:
            self.begun.append(location.rpartition("/")[2])
            if len(self.begun) >= 3:
                self.enough.set()
        ident = request.path.rpartition("/")[2]
        if request.method == "DELETE":
            self.deleted.append(ident)
        elif ident in self.begun and request.method == "GET" and response.status_code == 200:
            response.status_code = 202
            response.set_data(b"")
            response.headers["Retry-After"] = "1"
        return response


@pytest.mark.parametrize(("model", "processes"), [("open", 2), ("closed", 1)])
def test_a_run_that_is_stopped_leaves_no_job_at_the_target(payer, tmp_path, model, processes):
    target = Endless(payer)
    own = scenario(
        tmp_path,
        "[journeys]\nexport = 1\n"
        f"[arrivals]\nmodel = '{model}'\nrate_per_s = 3\nusers = 4\nduration_s = 300\n",
    )
    config = config_of(payer, tmp_path)
    # Not by `follow` alone: the whole command is interrupted, as from a terminal.
    running = subprocess.Popen(
        [sys.executable, "-m", "payer_exchange.cli", "load", own, "--config", config,
         "--report-dir", tmp_path, "--processes", str(processes)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert target.enough.wait(60)
    running.send_signal(signal.SIGTERM)
    said = running.communicate(timeout=60)[0]
    assert running.returncode == 3, said
    assert "The run was stopped before its end." in said
    assert len(target.begun) >= 3
    assert sorted(target.deleted) == sorted(target.begun)
