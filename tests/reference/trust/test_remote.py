"""Keys at a registered URL: kept as long as announced, asked for seldom, and from there alone."""

from __future__ import annotations

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.errors import (
    AddressRefused,
    BadRequest,
    TargetError,
    TargetUnreachable,
)
from payer_exchange.reference.trust import keys
from payer_exchange.reference.trust.keys import public_set
from payer_exchange.reference.trust.remote import (
    MAX_BYTES,
    PublishedKeys,
    RemoteKeys,
    fetch_jwks,
)

ES, OTHER = keys.generate(), keys.generate()
URL = "https://new.test/jwks"
LOOPBACK = EgressRules(allow_loopback=True)


class Published:
    """A client's JWKS endpoint that can be changed and broken."""

    def __init__(self, clock, *jwks, lifetime=None):
        self.answer, self.lifetime, self.asked = public_set(*jwks), lifetime, []
        self.remote = RemoteKeys(self.fetch, clock)

    def fetch(self, url):
        self.asked.append(url)
        if isinstance(self.answer, Exception):
            raise self.answer
        return PublishedKeys(self.answer, self.lifetime)

    def holds(self, jwk, kid=None):
        found = self.remote.get(URL, kid or jwk["kid"])
        kids = [k["kid"] for k in found.get("keys", []) if "kid" in k] if found else []
        return (kid or jwk["kid"]) in kids


def test_the_url_is_not_asked_each_time(clock):
    place = Published(clock, ES)
    assert all(place.holds(ES) for _ in range(5))
    assert place.asked == [URL]


def test_a_new_key_is_found_at_once_and_a_stranger_asks_once_a_minute(clock):
    place = Published(clock, ES)
    assert place.holds(ES)
    place.answer = public_set(ES, OTHER)
    assert place.holds(OTHER)
    for _ in range(20):
        assert not place.holds(OTHER, "made-up")
    assert len(place.asked) == 2
    clock.advance(60)
    assert not place.holds(OTHER, "made-up")
    assert len(place.asked) == 3


def test_without_an_announcement_a_removed_key_is_gone_within_five_minutes(clock):
    place = Published(clock, ES, OTHER)
    assert place.holds(OTHER)
    place.answer = public_set(ES)
    clock.advance(300)
    assert not place.holds(OTHER)


# SMART App Launch 2.2: a server SHALL NOT cache longer than the client's Cache-Control said.
@pytest.mark.parametrize("seconds", [10, 299, 900, 3600])
def test_keys_are_kept_for_as_long_as_was_announced_and_no_longer(clock, seconds):
    place = Published(clock, ES, lifetime=seconds)
    assert place.holds(ES)
    clock.advance(seconds - 1)
    assert place.holds(ES)
    assert len(place.asked) == 1
    place.answer = public_set(OTHER)
    clock.advance(1)
    assert not place.holds(ES)
    assert len(place.asked) == 2


def test_a_day_is_cut_to_an_hour(clock):
    place = Published(clock, ES, lifetime=86_400)
    assert place.holds(ES)
    place.answer = public_set(OTHER)
    clock.advance(3600)
    assert not place.holds(ES)


def test_keys_that_may_not_be_kept_are_asked_for_each_time(clock):
    place = Published(clock, ES, lifetime=0)
    assert all(place.holds(ES) for _ in range(3))
    assert len(place.asked) == 3


def test_an_outage_is_bridged_for_an_hour_when_nothing_was_announced(clock):
    place = Published(clock, ES)
    assert place.holds(ES)
    place.answer = TargetUnreachable("down")
    for minutes in (10, 20, 29):
        clock.advance(minutes * 60)
        assert place.holds(ES)
    clock.advance(60)
    assert not place.holds(ES)
    place.answer = public_set(ES)
    clock.advance(60)
    assert place.holds(ES)


def test_an_outage_does_not_lengthen_what_was_announced(clock):
    place = Published(clock, ES, lifetime=120)
    assert place.holds(ES)
    place.answer = TargetUnreachable("down")
    clock.advance(119)
    assert place.holds(ES)
    clock.advance(1)
    assert not place.holds(ES)


def test_a_url_that_fails_is_tried_once_a_minute(clock):
    place = Published(clock, ES)
    place.answer = TargetUnreachable("down")
    assert not any(place.holds(ES) for _ in range(10))
    assert len(place.asked) == 1
    clock.advance(60)
    assert not place.holds(ES)
    assert len(place.asked) == 2


@pytest.mark.parametrize("answer", [{}, {"keys": 5}, {"keys": []}, ValueError("no JSON"),
                                    TargetUnreachable("down")])  # fmt: skip
def test_a_broken_endpoint_holds_nothing(answer, clock):
    place = Published(clock)
    place.answer = answer
    found = place.remote.get(URL, ES["kid"])
    assert not found or ES["kid"] not in json.dumps(found)


def test_one_clients_slow_server_keeps_no_other_waiting(clock):
    begun, go_on = threading.Event(), threading.Event()

    def fetch(url):
        if url == URL:
            begun.set()
            go_on.wait(20)
        return PublishedKeys(public_set(ES))

    remote = RemoteKeys(fetch, clock)
    slow = threading.Thread(target=remote.get, args=(URL, ES["kid"]))
    slow.start()
    begun.wait(20)
    assert remote.get("https://quick.test/jwks", ES["kid"])
    assert slow.is_alive()
    go_on.set()
    slow.join(20)


# Over HTTP


@contextlib.contextmanager
def serving(answers):
    """A server on loopback: by path, a status, headers and a body. Yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            status, headers, body = answers[self.path]
            self.send_response_only(status)  # without a Date of its own
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, *_args):
            pass

    asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()


SET = json.dumps(public_set(ES)).encode()
DATE = "Fri, 15 Jan 2027 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "lifetime"),
    [
        ({}, None),
        ({"Cache-Control": "public"}, None),
        ({"Cache-Control": "max-age=120"}, 120),
        ({"Cache-Control": "public, MAX-AGE=60, must-revalidate"}, 60),
        ({"Cache-Control": "max-age=60", "Age": "45"}, 15),
        ({"Cache-Control": "max-age=60", "Age": "90"}, 0),
        ({"Cache-Control": "max-age=60, no-store"}, 0),
        ({"Cache-Control": "no-cache"}, 0),
        # RFC 9111, 5.3: max-age goes before Expires, and an Expires that is no date is past.
        ({"Cache-Control": "max-age=5", "Expires": "Sat, 16 Jan 2027 12:00:00 GMT"}, 5),
        ({"Date": DATE, "Expires": "Fri, 15 Jan 2027 12:01:30 GMT"}, 90),
        ({"Date": DATE, "Expires": "Fri, 15 Jan 2027 11:00:00 GMT"}, 0),
        ({"Expires": "0"}, 0),
    ],
)
def test_the_lifetime_is_read_as_http_has_it(headers, lifetime):
    with serving({"/jwks": (200, headers, SET)}) as (url, _):
        found = fetch_jwks(f"{url}/jwks", LOOPBACK)
    assert found.jwks == public_set(ES)
    assert found.lifetime_s == lifetime


def test_a_redirect_is_followed_within_the_origin_alone():
    with serving({"/jwks": (200, {}, SET)}) as (elsewhere, asked_elsewhere):
        answers = {
            "/moved": (308, {"Location": "/jwks"}, b""),
            "/away": (302, {"Location": f"{elsewhere}/jwks"}, b""),
            "/round": (302, {"Location": "/round"}, b""),
            "/jwks": (200, {}, SET),
        }
        with serving(answers) as (url, asked):
            assert fetch_jwks(f"{url}/moved", LOOPBACK).jwks == public_set(ES)
            assert fetch_jwks(f"{url}/away", LOOPBACK).jwks == {}
            assert fetch_jwks(f"{url}/round", LOOPBACK).jwks == {}
        assert asked_elsewhere == []
        assert asked.count("/round") <= 5


def test_a_set_that_is_too_large_is_none():
    large = json.dumps({**public_set(ES), "padding": "x" * MAX_BYTES}).encode()
    fits = json.dumps({**public_set(ES), "padding": "x" * (MAX_BYTES - 2000)}).encode()
    with serving({"/large": (200, {}, large), "/fits": (200, {}, fits)}) as (url, _):
        assert fetch_jwks(f"{url}/large", LOOPBACK).jwks == {}
        assert fetch_jwks(f"{url}/fits", LOOPBACK).jwks["keys"]


@pytest.mark.parametrize("answer", [(404, {}, SET), (500, {}, b""), (204, {}, b"")])
def test_an_answer_that_is_no_success_holds_no_keys(answer):
    with serving({"/jwks": answer}) as (url, _):
        assert fetch_jwks(f"{url}/jwks", LOOPBACK).jwks == {}


@pytest.mark.parametrize("body", [b"[]", b"<html>", b"\xff"])
def test_what_is_no_json_object_is_refused(body):
    with serving({"/jwks": (200, {}, body)}) as (url, _), pytest.raises(BadRequest):
        fetch_jwks(f"{url}/jwks", LOOPBACK)


def test_a_set_inside_a_network_is_not_fetched_unless_a_test_setting_says_so():
    with serving({"/jwks": (200, {}, SET)}) as (url, asked):
        for rules in (None, EgressRules(ports=(80, 8080))):
            with pytest.raises(AddressRefused):
                fetch_jwks(f"{url}/jwks", rules)
        assert asked == []
        inside = EgressRules(resolve=lambda *_: ["10.0.0.8"])
        with pytest.raises(AddressRefused):
            fetch_jwks("https://new.test/jwks", inside)


def test_nobody_there_is_an_error():
    with pytest.raises(TargetError):
        fetch_jwks("http://127.0.0.1:1/jwks", LOOPBACK)
