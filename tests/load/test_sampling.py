"""Samples of what is delivered under load are held to checks of the judge: fast is not enough."""

import json

import pytest
from payer_exchange.load.delivery import Delivery
from payer_exchange.load.running import LoadRequest, run_load
from payer_exchange.load.sampling import MOST_JUDGED, judge
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.responder_options import ResponderOptions

OTHERS = {"agents-are-complete", "no-amounts-of-money", "references-lead-to-what-came",
          "transmitter-is-named"}  # fmt: skip


@pytest.mark.parametrize(
    ("defect", "check"),
    [("R76", "no-amounts-of-money"), ("R79-transmitter", "transmitter-is-named")],
)
def test_a_payer_that_answers_fast_and_wrong_fails_the_run(tmp_path, defect, check):
    payer, config = start_responder(ResponderOptions(members=17, defects=(defect,))), tmp_path / "c"
    own = tmp_path / "own.toml"
    own.write_text("[journeys]\nexport = 1\neverything = 1\n", encoding="utf-8")
    try:
        payer.write_config(config)
        results = run_load(
            LoadRequest(str(own), config, report_dir=tmp_path, options=("--run-time", "2s"))
        )
    finally:
        payer.close()
    assert results.exit_status == 1
    failed = {c.name for c in results.figures.checks if c.failures}
    assert failed & OTHERS == {check}


class Told(dict):
    def check(self, name, problem):
        self[name] = problem


def test_what_is_no_resource_at_all_is_told_and_breaks_nothing():
    told = Told()
    judge({("Provenance", "1"): {"resourceType": "Provenance", "agent": [1]}}, told)
    assert "shape" in told["agents-are-complete"]
    assert set(told) == OTHERS


def test_a_delivery_that_is_too_large_is_counted_and_not_kept():
    whole, part = Delivery(sampled=True), Delivery(sampled=True)
    for number in range(MOST_JUDGED + 1):
        part.take(json.dumps({"resourceType": "Patient", "id": str(number)}).encode())
    whole.add(part)
    assert (whole.resources, len(whole.keys)) == (MOST_JUDGED + 1, MOST_JUDGED + 1)
    assert (whole.judged, whole.found) == ({}, {})
    small = Delivery(sampled=True)
    small.take(b'{"resourceType":"Patient","id":"1"}')
    whole = Delivery(sampled=True)
    whole.add(small)
    assert list(whole.judged) == [("Patient", "1")]
