"""Never more than a set rate of requests."""

from __future__ import annotations

import pytest
from payer_exchange.reference.pace import Pace
from payer_exchange.reference.settings import TargetSettings


class Time:
    def __init__(self):
        self.now, self.slept = 100.0, []

    def sleep(self, seconds):
        self.slept.append(round(seconds, 6))
        self.now += seconds


def paced(rate):
    time = Time()
    return time, Pace(rate, now=lambda: time.now, sleep=time.sleep)


def test_requests_begin_no_closer_than_the_rate_allows():
    time, pace = paced(4)
    for _ in range(4):
        pace.wait()
    assert time.slept == [0.25, 0.25, 0.25]


def test_what_took_longer_than_the_gap_waits_no_more():
    time, pace = paced(4)
    pace.wait()
    time.now += 3
    pace.wait()
    pace.wait()
    assert time.slept == [0.25]


def test_without_a_rate_nothing_waits():
    time, pace = paced(0)
    for _ in range(100):
        pace.wait()
    assert time.slept == []


@pytest.mark.parametrize(
    ("base", "told", "expected"),
    [
        ("https://payer.example/fhir", 0.0, 50.0),
        ("https://payer.example/fhir", 3.0, 3.0),
        ("http://127.0.0.1:8081/fhir", 0.0, 0.0),
        ("http://localhost:8081/fhir", 0.0, 0.0),
        ("http://[::1]:8081/fhir", 0.0, 0.0),
        ("http://127.0.0.1:8081/fhir", 7.0, 7.0),
    ],
)
def test_a_target_elsewhere_is_spared_unless_told_otherwise(base, told, expected):
    assert TargetSettings(fhir_base=base, most_per_s=told).rate == expected
