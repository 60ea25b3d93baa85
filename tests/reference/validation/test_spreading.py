"""Parts that are validated elsewhere: the same findings from the workers of a dask scheduler."""

from __future__ import annotations

import builtins
import json

import pytest
from click.testing import CliRunner
from payer_exchange.cli.main import cli
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.validation import spreading
from payer_exchange.reference.validation.delivery import validate_files

BAD = b'{"resourceType":"Patient","gender":"M"}\n'


@pytest.fixture
def dask():
    """What the extra brings."""
    return pytest.importorskip(
        "distributed", reason="dask is not installed: pip install 'payer-exchange[dask]'"
    )


@pytest.fixture
def scheduler(dask):
    """A scheduler and a worker on loopback."""
    with dask.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        yield cluster.scheduler_address


def test_a_scheduler_s_workers_find_what_one_process_finds(scheduler, tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}.ndjson").write_bytes(BAD * (number + 1))
    seen = []
    here = validate_files([tmp_path], [])
    there = validate_files([tmp_path], [], scheduler=scheduler, done=lambda *at: seen.append(at))
    assert (there.resources, there.failed) == (here.resources, here.failed) == (78, 78)
    [one], [other] = here.tally.sorted(), there.tally.sorted()
    assert (one.count, one.places) == (other.count, other.places)
    total = 78 * len(BAD)
    assert (seen[0], seen[-1], len(seen)) == ((0, total), (total, total), 13)
    made = CliRunner().invoke(cli, ["validate", str(tmp_path), "--json", "--scheduler", scheduler])
    assert json.loads(made.output)["resources"] == 78


@pytest.mark.usefixtures("dask")
def test_a_scheduler_that_is_not_there_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(spreading, "_CONNECT_S", 1)
    (tmp_path / "a.ndjson").write_bytes(BAD)
    with pytest.raises(SettingsError, match="No dask scheduler answers"):
        validate_files([tmp_path], [], scheduler="tcp://127.0.0.1:1")


def test_dask_is_asked_for_in_a_sentence(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "distributed":
            raise ModuleNotFoundError(name=name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / "a.ndjson").write_bytes(BAD)
    with pytest.raises(SettingsError, match=r"pip install 'payer-exchange\[dask\]'"):
        validate_files([tmp_path], [], scheduler="tcp://127.0.0.1:1")
