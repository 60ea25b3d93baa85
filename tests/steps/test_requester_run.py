"""The played payer: what is told when nobody calls, when the command is bad, and without one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from payer_exchange.reference.settings import Settings
from payer_exchange.reference.trust.keys import generate, public
from payer_exchange.steps.checks.asking_keys import are_whole
from payer_exchange.steps.recorder import Recorder
from payer_exchange.steps.requester import forked
from payer_exchange.steps.requester import run as requester_run
from payer_exchange.steps.requester.forked import module_of, run_forked
from payer_exchange.steps.requester.key_set import fetch
from payer_exchange.steps.requester.listening import PlayedPayer
from payer_exchange.steps.requester.run import RequesterRun
from payer_exchange.steps.requester.script import SCRIPTS
from payer_exchange.steps.requester.trigger import run_trigger
from payer_exchange.steps.verdicts import CannotTell, CheckFailed


@pytest.fixture
def make_run():
    made = []

    def make(**options):
        made.append(RequesterRun(Settings(), Recorder(), **options))
        return made[-1]

    yield make
    for run in made:
        run.clean_up()


def python(code):
    return f"{sys.executable} -c '{code}'"


@pytest.mark.parametrize(
    ("code", "status", "outcome", "resources", "succeeded"),
    [
        ("pass", 0, "", {}, True),
        ("raise SystemExit(4)", 4, "", {}, False),
        ('print("{\\"outcome\\": \\"completed\\"}")', 0, "completed", {}, True),
        ('print("{\\"outcome\\": \\"failed\\"}")', 0, "failed", {}, False),
        ('print("first"); print("{\\"resources\\": {\\"Patient\\": 1, \\"x\\": \\"y\\"}}")', 0, "",
         {"Patient": 1}, True),
        ('print("[1]"); print("no JSON")', 0, "", {}, True),
    ],
)  # fmt: skip
def test_what_a_trigger_tells(code, status, outcome, resources, succeeded):
    told = run_trigger(python(code), {})
    assert (told.exit_status, told.outcome, told.resources) == (status, outcome, resources)
    assert told.succeeded is succeeded


def test_a_command_that_is_not_there_is_told():
    with pytest.raises(CannotTell, match="cannot be found"):
        run_trigger("/no/such/command", {})


def test_a_command_may_say_that_it_cannot():
    with pytest.raises(CannotTell, match="cannot make this exchange"):
        run_trigger(python("raise SystemExit(77)"), {})


def test_what_became_of_members_is_read():
    line = '{"members": {"member-1": "match", "member-2": 3}, "problems": 2}'
    told = run_trigger(f"echo '{line}'", {})
    assert told.members == {"member-1": "match"}
    assert told.problems == 2


def test_a_command_that_calls_nobody_is_told_once(make_run):
    run = make_run(trigger=python("pass"))
    for _ in range(2):
        with pytest.raises(CannotTell, match="made no call"):
            run.exchange("plain")


def test_without_a_command_only_the_plain_exchange_can_be_awaited(make_run):
    run = make_run(wait_s=0.1)
    with pytest.raises(CannotTell, match="--trigger"):
        run.exchange("gzip")
    with pytest.raises(CannotTell, match="No call came"):
        run.exchange("plain")


def test_what_comes_without_a_command_is_kept(make_run, monkeypatch):
    monkeypatch.setattr(requester_run, "_QUIET_S", 0.0)
    run = make_run(wait_s=0.5)
    begun = threading.Event()
    begin = run._payer.begin

    def begins(script):
        visit = begin(script)
        threading.Thread(target=ask, args=(visit,)).start()
        begun.set()
        return visit

    def ask(visit):
        urllib.request.urlopen(f"{visit.fhir_base}/metadata").read()

    monkeypatch.setattr(run._payer, "begin", begins)
    asked = run.exchange("plain")
    assert begun.is_set()
    assert [call.place for call in asked.visit.calls] == ["metadata"]
    assert asked.told is None
    assert len(run.recorder.exchanges) == 1


def test_the_member_of_each_exchange_is_another_and_is_known_to_the_mask(make_run):
    code = (
        "import os, urllib.request as u;"
        'u.urlopen(os.environ["PAYER_EXCHANGE_FHIR_BASE"] + "/metadata")'
    )
    run = make_run(trigger=python(code))
    visits = [run.exchange(name).visit for name in ("plain", "gzip")]
    assert len({visit.member.number for visit in visits}) == 2
    assert len({visit.fhir_base for visit in visits}) == 2
    told = json.dumps(run.members)
    assert all(visit.member.number in told for visit in visits)


def test_nothing_is_left_behind(make_run):
    run = make_run(trigger=python("pass"))
    folder = Path(run._folder.name)
    assert folder.is_dir()
    run.clean_up()
    assert not folder.exists()


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_payer_without_a_token_gives_nothing(name):
    payer = PlayedPayer()
    try:
        visit = payer.begin(SCRIPTS[name])
        for place in (f"Patient/{visit.member.patient_id}", "Patient/$member-match",
                      f"Patient/{visit.member.patient_id}/$export",
                      "Group/$bulk-member-match",
                      f"Group/{visit.book.matched_id}/$davinci-data-export"):  # fmt: skip
            answer = visit.answer("GET", f"{visit.fhir_base}/{place}", {}, b"")
            assert answer.status == 401
            assert visit.member.family.encode() not in answer.body
    finally:
        payer.close()


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/jwks.json", "file:///etc/hostname", "keys"])
def test_a_key_set_that_cannot_be_fetched_is_told_and_not_raised(url):
    found = fetch(url, None)
    assert (found.status, found.body) == (0, b"")
    assert found.note


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (lambda jwk: jwk, "keys"),
        (lambda jwk: {**public(jwk), "kid": ""}, "kid"),
        (lambda jwk: {k: v for k, v in public(jwk).items() if k != "y"}, "keys"),
        (lambda jwk: {**public(jwk), "crv": "P-256"}, "keys"),
        (lambda jwk: {**public(jwk), "kty": "RSA", "n": "AQAB", "e": "AQAB"}, "keys"),
    ],
)
def test_what_a_published_key_may_not_be(change, where):
    jwk = generate()
    are_whole([public(jwk)])
    with pytest.raises(CheckFailed) as told:
        are_whole([change(jwk)])
    assert told.value.where == where
    assert jwk["d"] not in str(told.value)


OWN = [sys.executable, "-m", "payer_exchange.cli.answer_trigger"]


@pytest.mark.parametrize(
    ("arguments", "status", "output"),
    [(["--help"], 0, b"Usage:"), (["--defect", "nonsense"], 2, b"")],
)
def test_a_module_of_ours_is_forked_as_the_command_it_is(arguments, status, output):
    ended, told = run_forked([*OWN, *arguments], os.environ, 60)
    assert (ended, told[: len(output)]) == (status, output)


def test_a_forked_module_that_takes_too_long_is_ended():
    with pytest.raises(subprocess.TimeoutExpired):
        run_forked(OWN, os.environ, 0)


@pytest.mark.parametrize(
    "words",
    [["python", "-m", OWN[2]], [sys.executable, OWN[2]], [sys.executable, "-m", "http.server"],
     [sys.executable, "-m"], []],
)  # fmt: skip
def test_another_command_is_none_of_our_modules(words):
    assert module_of(words) == ""
    assert module_of(OWN) == OWN[2]


def test_where_nothing_is_forked_our_module_is_a_command_like_any_other(monkeypatch):
    monkeypatch.setattr(forked.multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    assert module_of(OWN) == ""
