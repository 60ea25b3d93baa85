"""A client that asks again: as often as it may, as late as it is told, and no more."""

from __future__ import annotations

import errno

import pytest
from payer_exchange.load.asking_again import PatientClient
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.errors import TargetError, TargetHungUp, TlsRefused
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.responder_options import ResponderOptions
from payer_exchange.simulators.serving import Server, serving


class Scripted:
    """Answers each request by the next of what it was given; a closed connection by `None`."""

    def __init__(self, *answers):
        self._answers = iter(answers)

    def __call__(self, _environ, start_response):
        answer = next(self._answers)
        if answer is None:
            raise ConnectionResetError(errno.ECONNRESET, "as scripted")
        status, *headers = answer
        start_response(status, [*headers, ("Content-Length", "4")])
        return [b"told"]


OK, BUSY, LATER = ("200 OK",), ("503 Busy",), ("503 Busy", ("Retry-After", "3"))


@pytest.fixture
def ask():
    """Ask by `way` what was scripted; the status, the waits and how often was asked."""

    def ask(way, *answers, tries=3):
        waits, asked = [], []
        with serving(Server(), Scripted(*answers)) as server:
            client = PatientClient(EgressRules(typed=server.url), tries=tries,
                                   sleep=waits.append, observer=asked.append)  # fmt: skip
            try:
                return way(client, server.url).status, waits, len(asked)
            except TargetHungUp:
                return 0, waits, len(asked)
            finally:
                client.close()

    return ask


def plainly(client, url):
    return client.request("POST", url, body=b"{}")


def streaming(client, url):
    exchange, chunks = client.stream(url)
    assert b"".join(chunks) == b"told"
    return exchange


@pytest.mark.parametrize("way", [plainly, streaming])
@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((OK,), (200, [], 1)),
        ((None, OK), (200, [], 2)),
        ((LATER, OK), (200, [3.0], 2)),
        ((BUSY, None, OK), (200, [1.0], 3)),
        ((None, None, None), (0, [], 3)),
        ((LATER, LATER, LATER), (503, [3.0, 3.0], 3)),
        ((("404 Not Found",),), (404, [], 1)),
        ((("500 Broken",),), (500, [], 1)),
    ],
)
def test_it_asks_until_it_is_answered_or_may_not_ask_again(ask, way, answers, expected):
    assert ask(way, *answers) == expected


def test_a_client_of_one_try_asks_once(ask):
    assert ask(plainly, None, OK, tries=1) == (0, [], 1)
    assert ask(plainly, LATER, OK, tries=1) == (503, [], 1)


def test_a_payer_that_is_down_is_asked_for_again_a_second_later():
    waits, asked = [], []
    client = PatientClient(EgressRules(typed="http://127.0.0.1:1"), tries=3, sleep=waits.append,
                           observer=asked.append)  # fmt: skip
    with pytest.raises(TargetError):
        client.request("GET", "http://127.0.0.1:1/fhir")
    assert (waits, len(asked)) == ([1.0, 1.0], 3)


def test_a_certificate_that_is_not_trusted_is_not_asked_for_again(tmp_path):
    waits = []
    payer = start_responder(ResponderOptions(members=1, data_dir=tmp_path, tls="test"))
    try:
        client = PatientClient(EgressRules(typed=payer.fhir_base), tries=3, sleep=waits.append)
        with pytest.raises(TlsRefused):
            client.request("GET", f"{payer.fhir_base}/metadata")
    finally:
        payer.close()
    assert waits == []
