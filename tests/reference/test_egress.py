"""Where a payer's own requests may go: hostile URLs, redirects, names that change their mind."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from payer_exchange.reference import http as http_module
from payer_exchange.reference.credentials import Credentials
from payer_exchange.reference.egress import EgressRules, normal_origin, origins_of
from payer_exchange.reference.errors import (
    AddressRefused,
    SettingsError,
    TargetError,
    TargetUnreachable,
)
from payer_exchange.reference.http import HttpClient
from payer_exchange.reference.secret import Secret
from payer_exchange.reference.target import AccessToken, Target

PUBLIC = "93.184.216.34"
TOKEN = AccessToken(Secret("a-secret-token"), "system/*.rs", float("inf"))


def resolving(**names):
    """A resolver that knows these names; what is an address already is its own answer."""
    return lambda host, _port: names.get(host.replace(".", "_").replace("-", "_"), [host])


@contextmanager
def listening(*answers):
    """A plain server on loopback and the requests it got; each is answered as the next one says."""
    got, waiting = [], list(answers)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            length = int(self.headers.get("Content-Length") or 0)
            got.append((self.command, self.path, dict(self.headers), self.rfile.read(length)))
            status, headers = waiting.pop(0) if waiting else (200, {})
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_DELETE = do_GET  # noqa: N815 - the names the server looks for

        def log_message(self, *_args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        server.server_close()


# URLs as text: nothing is looked up for these.
HOSTILE = [
    "file:///etc/passwd",
    "ftp://payer.example/files/1",
    "gopher://payer.example:70/1",
    "data:application/fhir+ndjson,{}",
    "javascript:alert(1)",
    "//payer.example/1",
    "/files/1",
    "payer.example/files/1",
    "",
    "https://",
    "https:///files/1",
    "http://payer.example/files/1",
    "HTTP://payer.example/files/1",
    "https://user@payer.example/files/1",
    "https://user:secret@payer.example/files/1",
    "https://payer.example@evil.example/files/1",
    "https://payer.example%40evil.example/files/1",
    "https://payer.example\\@evil.example/files/1",
    "https://payer.example\\.evil.example/",
    "https://payer.example /files/1",
    "https://payer.example\t/files/1",
    "https://payer.example/files\r\nX-Injected: 1",
    "https://payer.example:0/files/1",
    "https://payer.example:99999/files/1",
    "https://payer.example:x/files/1",
    "https://payer.example:22/files/1",
    "https://payer.example:8443/files/1",
    "https://p\u0430yer.example/files/1",
    "https://payer\u3002example/files/1",
    "https://[::1/files/1",
    "https://[fe80::1%25eth0]/files/1",
]  # fmt: skip
# Addresses that look like something else, and what name leads there.
INSIDE = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.8",
    "172.16.4.4",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "169.254.170.2",
    "192.0.0.8",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.1.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.8",
    "::ffff:169.254.169.254",
    "::ffff:93.184.216.34",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
]


@pytest.mark.parametrize("url", HOSTILE)
def test_a_hostile_url_is_refused_before_anything_is_looked_up(url):
    asked = []
    client = HttpClient(EgressRules(resolve=lambda host, _: asked.append(host) or [PUBLIC]))
    with pytest.raises(AddressRefused):
        client.request("GET", url)
    assert asked == []


@pytest.mark.parametrize("address", INSIDE)
def test_a_name_that_leads_inside_is_refused(address):
    client = HttpClient(EgressRules(resolve=resolving(payer_example=[address])))
    with pytest.raises(AddressRefused, match="allowed_networks"):
        client.request("GET", "https://payer.example/files/1")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"])
def test_another_spelling_of_loopback_is_refused(host):
    # The system's own resolver reads these without asking anybody.
    with pytest.raises((AddressRefused, TargetUnreachable)):
        HttpClient().request("GET", f"https://{host}/files/1")


def test_one_forbidden_address_among_good_ones_is_enough():
    rules = EgressRules(resolve=resolving(payer_example=[PUBLIC, "10.0.0.8"]))
    with pytest.raises(AddressRefused):
        rules.addresses("payer.example", 443)


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:220:1:248:1893:25c8:1946",
                                     "64:ff9b::5db8:d822"])  # fmt: skip
def test_a_public_address_is_reached(address):
    rules = EgressRules(resolve=resolving(payer_example=[address]))
    assert rules.addresses("payer.example", 443) == [address]


def test_only_registered_origins_are_asked():
    rules = EgressRules(origins_of(["https://payer.example/fhir", "https://files.payer.example"]))
    for url in ("https://payer.example/fhir/x", "https://PAYER.example.:443/y",
                "https://files.payer.example/1"):  # fmt: skip
        assert rules.check_url(url) == url
    for url in ("https://payer.example:8443/", "https://evil.example/", "http://payer.example/",
                "https://payer.example.evil.example/"):  # fmt: skip
        with pytest.raises(AddressRefused):
            rules.check_url(url)


def test_a_port_is_named_by_a_setting():
    url = "https://payer.example:8443/jwks"
    assert EgressRules(ports=(8443,)).check_url(url)
    assert EgressRules(frozenset({"https://payer.example:8443"})).check_url(url)
    with pytest.raises(AddressRefused, match="port"):
        EgressRules().check_url(url)


def test_a_network_of_ones_own_is_named_by_a_setting():
    rules = EgressRules(networks=("10.20.0.0/16",), resolve=resolving(payer_example=["10.20.0.5"]))
    assert rules.addresses("payer.example", 443) == ["10.20.0.5"]
    with pytest.raises(AddressRefused):
        rules.addresses("10.21.0.5", 443)


@pytest.mark.parametrize("network", ["everything", "0.0.0.0/0", "127.0.0.0/8", "169.254.0.0/16"])
def test_a_network_that_no_payer_lies_in_cannot_be_named(network):
    with pytest.raises(SettingsError, match="allowed_networks"):
        EgressRules(networks=(network,))


def test_the_test_setting_opens_loopback_and_nothing_else():
    rules = EgressRules(allow_loopback=True, resolve=resolving(payer_example=["10.0.0.8"]))
    assert rules.check_url("http://127.0.0.1:8081/fhir")
    assert rules.check_url("http://localhost:8081/fhir")
    for url in ("http://payer.example/fhir", "http://10.0.0.8/fhir"):
        with pytest.raises(AddressRefused):
            rules.check_url(url)
    for host in ("payer.example", "169.254.169.254"):
        with pytest.raises(AddressRefused):
            rules.addresses(host, 443)


def test_the_url_a_user_typed_is_trusted_and_what_it_hands_out_is_judged_by_it():
    names = resolving(payer_test=["10.0.0.8"], payer_example=[PUBLIC], x_example=["10.0.0.9"])
    inside = EgressRules(typed="https://payer.test/fhir", resolve=names)
    assert inside.addresses("payer.test", 443) == ["10.0.0.8"]
    assert inside.addresses("x.example", 443) == ["10.0.0.9"]
    open_net = EgressRules(typed="https://payer.example/fhir", resolve=names)
    for address in ("x.example", "127.0.0.1", "169.254.169.254"):
        with pytest.raises(AddressRefused):
            open_net.addresses(address, 443)
    with pytest.raises(AddressRefused, match="plain http"):
        open_net.check_url("http://payer.example/fhir")


def test_a_name_that_changes_its_answer_gains_nothing(monkeypatch):
    """DNS rebinding: looked up once a connection, and the connection goes where it was judged."""
    answers, went = [[PUBLIC], ["127.0.0.1"]], []

    def connect(where, *_args, **_kwargs):
        went.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(http_module, "create_connection", connect)
    client = HttpClient(EgressRules(resolve=lambda _host, _port: answers.pop(0)))
    with pytest.raises(TargetUnreachable):
        client.request("GET", "https://payer.example/fhir")
    assert went == [(PUBLIC, 443)]
    with pytest.raises(AddressRefused):
        client.request("GET", "https://payer.example/fhir")
    assert went == [(PUBLIC, 443)]


def test_the_next_address_is_tried_and_the_name_is_what_is_asked_for():
    with listening() as (url, got):
        port = url.rpartition(":")[2]
        two = ["127.0.0.2", "127.0.0.1"]
        rules = EgressRules(typed=f"http://payer.test:{port}", resolve=lambda *_: two)
        HttpClient(rules).request("GET", f"http://payer.test:{port}/fhir")
    assert got[0][2]["Host"] == f"payer.test:{port}"


def test_a_kept_connection_is_not_looked_up_again():
    asked = []
    with listening() as (url, got):
        port = url.rpartition(":")[2]
        rules = EgressRules(typed=url, resolve=lambda h, _: asked.append(h) or ["127.0.0.1"])
        client = HttpClient(rules)
        for _ in range(3):
            client.request("GET", f"http://127.0.0.1:{port}/fhir")
    assert len(got) == 3
    assert len(asked) <= 3  # the little server speaks HTTP/1.0


def test_a_cookie_goes_back_to_whoever_set_it_and_to_nobody_else():
    with listening((200, {"Set-Cookie": "node=a"})) as (url, got):
        elsewhere = EgressRules(allow_loopback=True, resolve=resolving(localhost=["127.0.0.1"]))
        client = HttpClient(elsewhere)
        for _ in range(2):
            client.request("GET", f"{url}/fhir")
        client.request("GET", f"{url.replace('127.0.0.1', 'localhost')}/fhir")
    assert [headers.get("Cookie") for _, _, headers, _ in got] == [None, "node=a", None]


def test_the_environment_changes_nothing(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("default login u password p")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with listening() as (url, got):
        HttpClient(LOOPBACK, headers={"X-Own": "1"}).request("GET", url, headers={"x-own": "2"})
    [(_, _, headers, _)] = got
    assert headers.get("Authorization") is None
    assert [v for name, v in headers.items() if name.lower() == "x-own"] == ["2"]


# Redirects

LOOPBACK = EgressRules(allow_loopback=True)


@pytest.mark.parametrize("target", [
    "file:///etc/passwd", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.8/",
    "https://[::ffff:169.254.169.254]/", "ftp://127.0.0.1/", "http://user@127.0.0.1/",
    "http://payer.example/", "//10.0.0.8/x",
])  # fmt: skip
def test_each_hop_of_a_redirect_is_judged(target):
    hops = [(302, {"Location": "/again"}), (307, {"Location": target})]
    with listening(*hops) as (url, got), pytest.raises(AddressRefused):
        HttpClient(LOOPBACK).request("GET", f"{url}/start")
    assert [path for _, path, _, _ in got] == ["/start", "/again"]


def test_a_redirect_to_an_origin_that_is_not_registered_is_refused():
    with listening() as (other, seen), listening((302, {"Location": f"{other}/x"})) as (url, _):
        rules = EgressRules(origins_of([url]), allow_loopback=True)
        with pytest.raises(AddressRefused, match="registered"):
            HttpClient(rules).request("GET", url)
    assert seen == []


def test_redirects_have_an_end():
    round_and_round = [(302, {"Location": "/again"})] * 20
    with listening(*round_and_round) as (url, got), pytest.raises(TargetError, match="without end"):
        HttpClient(LOOPBACK).request("GET", url)
    assert len(got) == 6


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_neither_a_token_nor_a_body_follows_a_redirect_to_another_origin(status):
    with listening() as (other, seen):
        away = (status, {"Location": f"{other}/x"})
        with listening(away, away) as (url, _):
            client = HttpClient(LOOPBACK)
            client.request("GET", url, headers={"authorization": "Bearer t", "Accept": "x/y"})
            with pytest.raises(AddressRefused, match="redirects a POST"):
                client.request("POST", url, body=b"client_assertion=secret")
    [(method, _, headers, _)] = seen
    assert method == "GET"
    assert "authorization" not in {name.lower() for name in headers}


# Tokens


def a_target(url, **options):
    return Target(url, HttpClient(EgressRules(typed=url)), Credentials("c"), **options)


def test_a_token_goes_to_the_payers_own_origins_alone():
    with listening() as (other, seen), listening() as (url, got):
        target = a_target(url)
        for send in (target.get, target.delete, target.download):
            with pytest.raises(AddressRefused, match="api_origins"):
                send(f"{other}/status/1", TOKEN)
        with pytest.raises(AddressRefused):
            target.post(f"{other}/x", {}, TOKEN)
        assert seen == []
        assert target.get("Patient/1", TOKEN).status == 200
        assert a_target(url, own_origins=[other]).get(f"{other}/status/1", TOKEN).status == 200
    assert got[0][2]["Authorization"] == seen[0][2]["Authorization"] == "Bearer a-secret-token"


def test_origins_are_compared_in_one_spelling():
    same = ["https://Payer.Example", "https://payer.example:443/fhir", "https://payer.example./"]
    assert origins_of(same) == {"https://payer.example"}
    assert normal_origin("https://[2606:2800::1]:8443/x") == "https://[2606:2800::1]:8443"
