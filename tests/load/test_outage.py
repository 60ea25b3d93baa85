"""A payer that is killed under load: once, at its moment, and started anew with what it had."""

from __future__ import annotations

import os
import signal

import pytest
import requests
from payer_exchange.cli.load_target import load_target
from payer_exchange.load.footprint import Watch
from payer_exchange.load.outage import Outage
from payer_exchange.reference.settings import read_settings


def test_the_payer_is_killed_once_when_its_moment_has_come():
    killed, watch = [], Watch(1)
    outage = Outage(10.0, lambda: killed.append(1) or 2)
    for seconds in (0, 9, 10, 11, 30):
        outage.look(seconds, watch)
        assert len(killed) == (seconds >= 10)
    assert watch.pid == 2
    assert [what for _, what in outage.marks] == ["payer killed", "answers again"]


@pytest.mark.parametrize(("at_s", "restart"), [(0.0, lambda: 2), (10.0, None)])
def test_a_payer_that_is_not_to_be_killed_or_not_ours_is_left_alone(at_s, restart):
    watch, outage = Watch(1), Outage(at_s, restart)
    outage.look(30.0, watch)
    assert (watch.pid, outage.marks) == (1, [])


def key_of(config):
    return (config.parent / read_settings(config).target.auth.private_key).read_bytes()


def test_it_answers_again_at_the_same_address_for_the_same_client():
    with load_target(None, "", ("--members", "2")) as target:
        before, key = read_settings(target.config).target, key_of(target.config)
        pid = target.restart()
        assert pid != target.pid
        with pytest.raises(ProcessLookupError):
            os.kill(target.pid, signal.SIGCONT)
        after = read_settings(target.config).target
        assert (after.fhir_base, after.auth) == (before.fhir_base, before.auth)
        assert key_of(target.config) == key
        assert requests.get(f"{before.fhir_base}/metadata", timeout=10).status_code == 200


def test_what_a_process_takes_is_told_of_each_second_after_the_first():
    watch = Watch(os.getpid())
    watch.look()
    watch.look()
    begun = int(watch.samples[0][0])
    first, second = (taken for _, taken in watch.samples)
    assert set(second) - set(first) == {"payer_cores"}
    assert second["memory_mb"] > 1
    assert second["payer_cores"] >= 0
    assert set(watch.columns(begun)) <= {0, 1}
