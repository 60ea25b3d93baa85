"""A client turns from every certificate that is not good, before a byte of a request is sent."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from payer_exchange.reference import tls as tls_module
from payer_exchange.reference.clock import SystemClock
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.errors import SettingsError, TlsRefused
from payer_exchange.reference.http import HttpClient
from payer_exchange.reference.tls import ServerTls, Tls, client_context, server_context
from payer_exchange.reference.trust import pki
from payer_exchange.reference.trust.pki import TestAuthority

CLOCK = SystemClock()
HERE = {"names": ["localhost"], "addresses": ["127.0.0.1"]}
SOURCES = Path(tls_module.__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def authority():
    return TestAuthority.create(CLOCK, name="good")


@pytest.fixture(scope="module")
def trusting(authority, tmp_path_factory):
    """A client's settings: it trusts the good authority alone."""
    file = tmp_path_factory.mktemp("trust") / "anchors.pem"
    file.write_bytes(authority.anchor_pem())
    return Tls(str(file))


@contextmanager
def answering(context):
    """A TLS server for one connection, its port, and what it was sent in the end."""
    listener, sent = socket.create_server(("127.0.0.1", 0)), []

    def serve():
        plain, _ = listener.accept()
        plain.settimeout(10)
        try:
            with context.wrap_socket(plain, server_side=True) as secured:
                sent.append(secured.recv(65536))
                secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            plain.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1], sent
    finally:
        thread.join(10)
        listener.close()


def shown(issued, folder, *, level=None):
    """The context of a server that shows this certificate, be it as bad as it may."""
    chain, key = issued.write(folder, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if level is not None:
        context.set_ciphers(f"ALL:@SECLEVEL={level}")
    context.load_cert_chain(chain, key)
    return context


def ask(port, tls, host="127.0.0.1"):
    url = f"https://{host}:{port}/fhir"
    headers = {"Authorization": "Bearer secret"}
    return HttpClient(EgressRules(typed=url), tls=tls).request("GET", url, headers=headers)


def test_a_good_certificate_is_taken(authority, trusting, tmp_path):
    with answering(shown(authority.localhost(), tmp_path)) as (port, sent):
        assert ask(port, trusting).status == 200
    assert sent[0].startswith(b"GET /fhir")


def days(start, length):
    return {"starts": timedelta(days=start), "lasts": timedelta(days=length)}


BAD = {
    "expired": (lambda a: a.issue(**HERE, **days(-9, 1)), "has expired. The payer has to renew"),
    "not yet valid": (lambda a: a.issue(**HERE, **days(1, 9)), "is not valid yet"),
    "wrong name": (lambda a: a.issue(names=["other.example"]), "is for another"),
    "wrong address": (lambda a: a.issue(addresses=["127.0.0.9"]), "is for another address"),
    "subject alone": (lambda a: a.issue(subject="127.0.0.1"), "is for another"),
    "self-signed": (lambda _: pki.self_signed(CLOCK, **HERE), "is self-signed"),
    "unknown authority": (
        lambda _: TestAuthority.create(CLOCK, name="other").localhost(),
        "authority that is not trusted here. Name its file",
    ),
    "short key": (lambda a: a.issue(**HERE, key="RSA-1024"), "key that is too short"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_certificate_is_refused_with_what_to_do(name, authority, trusting, tmp_path):
    """tls-02; Q-9: nothing of the request is sent."""
    made, sentence = BAD[name]
    level = 0 if name == "short key" else None
    with (
        answering(shown(made(authority), tmp_path, level=level)) as (port, sent),
        pytest.raises(TlsRefused) as refused,
    ):
        ask(port, trusting)
    assert sentence in str(refused.value)
    assert "Nothing was sent." in str(refused.value)
    assert sent in ([], [b""])


def test_public_authorities_do_not_vouch_for_a_private_one(authority, tmp_path):
    with (
        answering(shown(authority.localhost(), tmp_path)) as (port, sent),
        pytest.raises(TlsRefused, match="authorities"),
    ):
        ask(port, Tls())
    assert sent in ([], [b""])


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_a_server_that_speaks_less_than_tls_1_2_is_refused(authority, trusting, tmp_path):
    context = shown(authority.localhost(), tmp_path, level=0)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        answering(context) as (port, sent),
        pytest.raises(TlsRefused, match=re.escape("TLS 1.2 or newer")),
    ):
        ask(port, trusting)
    assert sent in ([], [b""])


def test_the_name_is_checked_though_the_address_is_connected_to(authority, trusting, tmp_path):
    issued = authority.issue(names=["payer.test"])
    with answering(shown(issued, tmp_path)) as (port, _):
        url = f"https://payer.test:{port}/fhir"
        rules = EgressRules(typed=url, resolve=lambda *_: ["127.0.0.1"])
        assert HttpClient(rules, tls=trusting).request("GET", url).status == 200


def test_contexts_check_everything_and_begin_at_tls_1_2(authority, tmp_path, trusting):
    context = client_context(trusting)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    chain, key = authority.localhost().write(tmp_path, "server")
    listener = server_context(ServerTls(str(chain), str(key), trusting.authorities))
    assert listener.verify_mode is ssl.CERT_OPTIONAL
    for each in (context, listener):
        assert each.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_file_that_changed_is_read_again(authority, tmp_path):
    file = tmp_path / "anchors.pem"
    file.write_bytes(authority.anchor_pem())
    before = client_context(Tls(str(file)))
    assert client_context(Tls(str(file))) is before
    file.write_bytes(TestAuthority.create(CLOCK, name="next").anchor_pem() * 2)
    assert client_context(Tls(str(file))) is not before


@pytest.mark.parametrize("tls", [Tls("nowhere.pem"), Tls(certificate="nowhere.pem", key="x.pem")])
def test_files_that_are_none_are_told(tls):
    with pytest.raises(SettingsError, match=r"nowhere\.pem"):
        client_context(tls)


def test_no_switch_of_the_product_leaves_a_check_out():
    """Faults L10: looked for in the sources, for a switch can be added anywhere."""
    switches = re.compile(r"CERT_NONE|verify\s*=\s*False|check_hostname\s*=\s*False|"
                          r"_create_unverified|disable_warnings")  # fmt: skip
    rooms = ("reference", "simulators", "steps", "cli", "load", "reports")
    found = [str(p) for room in rooms for p in (SOURCES / room).rglob("*.py")
             if switches.search(p.read_text(encoding="utf-8"))]  # fmt: skip
    # A requesting payer with the defect that it looks at no certificate: the judge has to see one.
    defect = SOURCES / "simulators" / "requesting_defects" / "credentials.py"
    assert [path for path in found if path != str(defect)] == []
