"""A target that goes down: the scenario at whose request it did fails, the others wait or skip."""

from __future__ import annotations

import socket
import threading
from contextlib import closing

import pytest
from payer_exchange.reference.errors import TargetHungUp, TargetUnreachable
from payer_exchange.reference.settings import Settings, TargetSettings
from payer_exchange.steps.going_down import Watch
from payer_exchange.steps.recorder import Recorder
from payer_exchange.steps.run import TargetRun
from payer_exchange.steps.verdicts import CannotTell, CheckFailed

ANSWER = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Server:
    """Answers each request by what it is told; `None` closes the connection, `...` goes down."""

    def __init__(self, *answers):
        self._answers = iter(answers)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        with closing(self._listening):
            for answer in self._answers:
                connection, _ = self._listening.accept()
                with closing(connection):
                    connection.recv(65536)
                    if answer is ...:
                        self._listening.close()
                        return
                    if answer:
                        connection.sendall(answer)

    def come_back(self, *answers):
        self._thread.join()
        self._answers = iter(answers)
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def end(self):
        self._thread.join()


@pytest.fixture
def make_run(monkeypatch):
    made = []

    def make(*answers):
        server = Server(*answers)
        made.append(server)
        base = f"http://127.0.0.1:{server.port}/fhir"
        run = TargetRun(Settings(target=TargetSettings(fhir_base=base)), Recorder())
        monkeypatch.setattr(run.target, "_sleep", lambda _: None)
        return server, run

    yield make
    for server in made:
        server.end()


def asked(run, kind):
    with pytest.raises(kind) as caught:
        run.target.get("Patient")
    return caught.value


def test_the_scenario_at_whose_request_it_went_down_fails_and_the_next_say_since_when(make_run):
    _, run = make_run(ANSWER, ...)
    watch = Watch(run)
    assert run.target.get("Patient").status == 404
    found, shown = watch.explain(asked(run, TargetHungUp))
    assert isinstance(found, CheckFailed)
    assert "went down at this request" in found.message
    assert shown == ("e0002",)
    later, shown = watch.explain(asked(run, TargetUnreachable))
    assert isinstance(later, CannotTell)
    assert "stopped answering at e0002" in str(later)
    assert shown == ("e0002",)


def test_what_is_behind_a_reason_to_skip_counts(make_run):
    _, run = make_run(...)
    with pytest.raises(CannotTell) as caught:
        run.capability()
    assert isinstance(Watch(run).explain(caught.value)[0], CheckFailed)


def test_a_closed_connection_of_a_target_that_still_answers_is_no_failure(make_run):
    _, run = make_run(None, ANSWER)
    error = asked(run, TargetHungUp)
    assert Watch(run).explain(error) == (error, ())


def test_a_target_that_never_answered_has_not_gone_down(make_run):
    server, run = make_run(...)
    asked(run, TargetHungUp)
    server.end()
    error = asked(run, TargetUnreachable)
    assert Watch(run).explain(error) == (error, ())


def test_what_failed_while_it_was_down_is_asked_again_once_it_is_back(make_run):
    server, run = make_run(...)
    watch = Watch(run)
    with pytest.raises(CannotTell) as caught:
        run.capability()
    watch.explain(caught.value)
    server.come_back(ANSWER, None, ANSWER)
    assert run.capability().status == 404
    error = asked(run, TargetHungUp)
    assert watch.explain(error) == (error, ())


def test_another_error_is_left_as_it_is(make_run):
    _, run = make_run()
    error = CheckFailed("No.")
    assert Watch(run).explain(error) == (error, ())
    assert Watch(run).explain(None) == (None, ())
