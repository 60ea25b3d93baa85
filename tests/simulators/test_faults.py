"""What a simulated payer can be told to do by chance, and what it leaves alone."""

from __future__ import annotations

import pytest
import requests
from payer_exchange.reference.errors import SettingsError
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.faults import Fault, read_faults, token_life, with_faults
from payer_exchange.simulators.responder_options import ResponderOptions
from payer_exchange.simulators.serving import Server, serving

BODY = b"0123456789" * 100


def answering(_environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(BODY)))])
    return [BODY]


@pytest.fixture
def asked():
    """How many times an answer was whole, refused, cut off and withheld, of so many requests."""

    def ask(*specs, times=20, seed=1):
        met = []
        app = with_faults(answering, read_faults(specs), seed)
        with serving(Server(), app) as server:
            for _ in range(times):
                met.append(_met(server.url))
        return met

    return ask


def _met(url):
    try:
        answer = requests.get(url, timeout=10)
    except requests.exceptions.ChunkedEncodingError:
        return "cut"
    except requests.ConnectionError:
        return "reset"
    if answer.status_code == 503:
        return f"busy for {answer.headers['Retry-After']}"
    return "whole" if answer.content == BODY else "other"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [("reset=100%", "reset"), ("cut=100%", "cut"), ("busy=100%", "busy for 1"),
     ("reset=0%", "whole"), ("delay=1ms", "whole")],
)  # fmt: skip
def test_a_fault_is_what_a_client_meets(asked, spec, expected):
    assert set(asked(spec, times=3)) == {expected}


def test_a_share_meets_that_share_and_the_same_requests_by_the_same_seed(asked):
    first = asked("reset=20%", "busy=20%", times=100)
    assert first == asked("reset=20%", "busy=20%", times=100)
    assert first != asked("reset=20%", "busy=20%", times=100, seed=2)
    assert 8 <= first.count("reset") <= 34
    assert 8 <= first.count("busy for 1") <= 34
    assert first.count("whole") == 100 - first.count("reset") - first.count("busy for 1")


def test_without_a_fault_that_meets_requests_the_application_is_itself():
    assert with_faults(answering, read_faults(["token-life=30s"]), 1) is answering


def test_tokens_live_as_long_as_is_told():
    assert token_life((), 300) == 300
    assert token_life([Fault("reset", 0.1), Fault("token-life", 2.0)], 300) == 2
    running = start_responder(ResponderOptions(members=1, faults=("token-life=2s",)))
    try:
        assert running.payer.settings.token_lifetime_s == 2
    finally:
        running.close()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("flood=5%", "no fault flood"),
        ("", "no fault"),
        ("reset", "takes a share"),
        ("reset=101%", "100 % at most"),
        ("reset=5", "takes a share"),
        ("busy=-1%", "takes a share"),
        ("delay=5%", "takes a time"),
        ("token-life=soon", "takes a time"),
    ],
)
def test_what_is_no_fault_is_told(spec, words):
    with pytest.raises(SettingsError, match=words):
        read_faults([spec])
