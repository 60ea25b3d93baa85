"""A server that works on few requests at once, and leaves nothing behind when it is stopped."""

from __future__ import annotations

import gc
import http.client
import threading
import weakref

import pytest
import requests
from payer_exchange.simulators import serving
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.faults import END_TURN, Fault, with_faults
from payer_exchange.simulators.responder_options import ResponderOptions
from payer_exchange.simulators.serving import Server


class Application:
    def __call__(self, _environ, start_response):
        start_response("204 No Content", [])
        return []


def test_what_a_stopped_server_answered_with_is_let_go():
    app, server = Application(), Server()
    kept = weakref.ref(app)
    server.start(app)
    server.stop()
    del app, server
    gc.collect()
    assert kept() is None


class Crowded:
    """Answers `/` when it is let go, counts who is in there, and streams at `/stream`."""

    def __init__(self):
        self.inside, self.most, self.go_on = 0, 0, threading.Event()
        self.lock, self.entered = threading.Lock(), threading.Semaphore(0)

    def __call__(self, environ, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        if environ["PATH_INFO"] == "/stream":
            return self.pieces()
        self.wait()
        return [b"ok"]

    def wait(self):
        with self.lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        self.entered.release()
        assert self.go_on.wait(10)
        with self.lock:
            self.inside -= 1

    def pieces(self):
        yield b"o"
        yield b"k"  # asked for after the first was sent
        self.wait()


@pytest.fixture
def crowd(monkeypatch):
    """Calls of a path at the same time; `patience_s` is how long one waits for its turn."""
    app, callers = Crowded(), []

    def call(path, times, patience_s, around=lambda app: app):
        monkeypatch.setattr(serving, "_PATIENCE_S", patience_s)
        server.start(around(app))
        for _ in range(times):
            caller = threading.Thread(target=requests.get, args=(server.url + path,),
                                      kwargs={"timeout": 20})  # fmt: skip
            caller.start()
            callers.append(caller)
        return app

    call.server = server = Server(at_once=2)
    yield call
    app.go_on.set()
    for caller in callers:
        caller.join()
    server.stop()


def entered(app, times):
    return [app.entered.acquire(timeout=5) for _ in range(times)] == [True] * times


def test_no_more_requests_are_worked_on_at_once_than_the_server_has_turns(crowd):
    app = crowd("/", 4, patience_s=20)
    assert entered(app, 2)
    assert crowd.server.is_full()
    assert not app.entered.acquire(timeout=0.2)
    app.go_on.set()
    assert entered(app, 2)
    assert app.most == 2


def test_the_jobs_of_a_payer_hear_of_requests_that_are_worked_on():
    running = start_responder(ResponderOptions(members=1))
    try:
        before = running.payer.jobs.answering()
        with running.server._server.turns:
            during = running.payer.jobs.answering()
    finally:
        running.close()
    assert (before, during) == (False, True)


def test_who_has_waited_long_goes_on_without_a_turn(crowd):
    assert entered(crowd("/", 4, patience_s=0.05), 4)


def test_an_answer_that_is_on_its_way_needs_no_turn(crowd):
    assert not crowd.server.is_full()
    assert entered(crowd("/stream", 4, patience_s=20), 4)
    assert not crowd.server.is_full()


def test_a_delay_that_was_asked_for_takes_nobodys_turn(crowd):
    ended = []

    def heard(app):
        def outer(environ, start_response):
            ended.append(environ[END_TURN])
            return app(environ, start_response)

        return outer

    slow = lambda app: heard(with_faults(app, [Fault("delay", 0.001)], 1))  # noqa: E731
    assert entered(crowd("/", 4, 20, slow), 4)
    assert len(ended) == 4


def test_many_clients_keep_their_connections():
    server = Server()
    server.start(Application())
    clients = [http.client.HTTPConnection(server.host, server.port, timeout=10) for _ in range(40)]
    try:
        first, second = ([_asked(client) for client in clients] for _ in range(2))
        assert first == second
    finally:
        for client in clients:
            client.close()
        server.stop()


def _asked(client):
    """The connection after a request that was answered and left open."""
    client.request("GET", "/")
    answer = client.getresponse()
    answer.read()
    assert not answer.will_close
    return client.sock
