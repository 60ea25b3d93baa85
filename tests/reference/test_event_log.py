"""The log tells events and fields from a list; secrets do not print, whoever prints them."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle

import orjson
import pytest
from payer_exchange.reference.credentials import Credentials
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.event_log import EventFormatter, log_to, tell
from payer_exchange.reference.http import Exchange
from payer_exchange.reference.secret import SHOWN, Secret, SecretKey
from payer_exchange.reference.settings import described, read_settings
from payer_exchange.reference.target import AccessToken

WORDS = "s3cret-of-Ada-Alderwick"


@pytest.fixture
def lines():
    """What loggers write, as the lines they become."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(EventFormatter())
    root = logging.getLogger()
    root.addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    root.removeHandler(handler)


def test_an_event_is_a_line_with_its_fields(lines):
    log = logging.getLogger("payer_exchange.reference.somewhere")
    tell(log, logging.ERROR, "job-failed", job="j-1", error="ValueError", status=500)
    [told] = lines()
    assert (told["event"], told["job"], told["status"]) == ("job-failed", "j-1", 500)
    assert told["level"] == "error"
    assert set(told) == {"time", "level", "logger", "event", "job", "error", "status"}


def test_a_field_that_is_not_on_the_list_is_refused():
    with pytest.raises(ValueError, match="birthDate"):
        tell(logging.getLogger("payer_exchange.x"), logging.ERROR, "x", birthDate="1981-09-28")


@pytest.mark.parametrize("value", ["Ada Alderwick", "a\nb", "x" * 129, "O'Neil", "é"])
def test_a_value_that_could_be_words_is_withheld(lines, value):
    tell(logging.getLogger("payer_exchange.x"), logging.ERROR, "x", client=value)
    assert lines()[0]["client"] == "withheld"


def test_what_others_log_is_told_without_their_words(lines):
    for name in ("werkzeug", "payer_exchange.x", "urllib3.connectionpool"):
        try:
            raise ValueError(WORDS)
        except ValueError:
            logging.getLogger(name).exception("failed for %s", WORDS)
    told = lines()
    assert [line["error"] for line in told] == ["ValueError"] * 3
    assert WORDS not in json.dumps(told)


def test_a_level_that_there_is_not_is_told():
    with pytest.raises(SettingsError, match="PAYER_EXCHANGE_LOG"):
        log_to(io.StringIO(), "loud")


def test_a_secret_shows_as_stars():
    secret = Secret(WORDS)
    token = AccessToken(secret, "system/*.rs", 0.0, {"access_token": WORDS})
    for shown in (str(secret), repr(secret), f"{secret}", f"{secret:>40}",
                  repr([secret]), repr(token), str(token)):  # fmt: skip
        assert WORDS not in shown
    assert str(secret) == SHOWN
    assert secret.reveal() == WORDS


def test_a_secret_is_written_by_nothing():
    secret = Secret(WORDS)
    for write in (pickle.dumps, json.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            write(secret)


def test_a_private_key_shows_as_stars_and_is_written_by_nothing():
    key = SecretKey({"kty": "EC", "kid": "k", "d": WORDS})
    held = Credentials("client", key, Secret(WORDS), Secret(WORDS))
    for shown in (repr(key), str(key), f"{key}", f"{key:>40}", repr([key]), repr(held), str(held)):
        assert WORDS not in shown
    for write in (pickle.dumps, json.dumps, orjson.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            write(key)
        with pytest.raises(TypeError):
            write(held)
    assert key["d"] == key.reveal()["d"] == WORDS


def test_a_key_from_the_environment_is_not_told_by_the_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("KEY", json.dumps({"d": WORDS}))
    file = tmp_path / "payer-exchange.toml"
    for given, told in (('{ env = "KEY" }', SHOWN), ('"client.jwk.json"', "client.jwk.json")):
        file.write_text(f"[target.auth]\nprivate_key = {given}\n")
        settings = read_settings(file)
        assert WORDS not in repr(settings)
        assert dict(row[:2] for row in described(settings))["target.auth.private_key"] == told


def test_secrets_are_compared_by_what_they_are():
    assert Secret("a") == Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != "a"
    assert Secret("a")
    assert not Secret("")


def test_an_exchange_prints_neither_headers_nor_bodies():
    exchange = Exchange("POST", "https://x.example", {"Authorization": f"Bearer {WORDS}"},
                        WORDS.encode(), 0.0, 200, {"X": WORDS}, WORDS.encode())  # fmt: skip
    assert WORDS not in repr(exchange)
