"""Mutual TLS over real connections: who gets in, and tokens that serve one certificate alone."""

from __future__ import annotations

import json
import socket
import ssl
import warnings
from datetime import timedelta

import pytest
from payer_exchange.reference.clock import SystemClock
from payer_exchange.reference.credentials import Credentials
from payer_exchange.reference.egress import EgressRules
from payer_exchange.reference.errors import (
    SettingsError,
    TargetUnreachable,
    TokenRefused,
)
from payer_exchange.reference.http import HttpClient
from payer_exchange.reference.target import Target
from payer_exchange.reference.tls import Tls
from payer_exchange.reference.trust import pki
from payer_exchange.reference.trust.pki import TestAuthority
from payer_exchange.simulators.assembly import start_responder
from payer_exchange.simulators.clients_assembly import CLIENT_ID
from payer_exchange.simulators.responder_options import ResponderOptions
from payer_exchange.simulators.tls_assembly import CLIENT_URI

SCOPE = "system/*.rs"


@pytest.fixture(scope="module")
def filled_tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mutual-tls")
    start_responder(ResponderOptions(members=1, data_dir=folder)).close()
    return folder


@pytest.fixture(scope="module")
def required(filled_tls):
    """A payer that wants a client certificate wherever members' data or tokens are."""
    running = start_responder(
        ResponderOptions(members=1, data_dir=filled_tls, tls="test", client_certificates="required")
    )
    yield running
    running.close()


@pytest.fixture(scope="module")
def optional(filled_tls, required):
    """A payer on the same database and authority that leaves it to the client."""
    running = start_responder(ResponderOptions(members=1, data_dir=filled_tls, tls="test"))
    yield running
    running.close()


@pytest.fixture(scope="module")
def authority(required):
    return TestAuthority.read(required.tls.authority, SystemClock())


@pytest.fixture
def shown(authority, tmp_path, required):
    """TLS settings of a client that shows a certificate made to measure."""

    def make(issued):
        chain, key = issued.write(tmp_path, f"client-{len(list(tmp_path.iterdir()))}")
        return Tls(required.tls.client.authorities, str(chain), str(key))

    return make


def client(running, tls=None, **credentials):
    """The payer as a client with these TLS settings sees it; it proves itself by them."""
    tls = running.client_tls if tls is None else tls
    http = HttpClient(EgressRules(typed=running.fhir_base), tls=tls)
    proof = credentials or {"by_certificate": True}
    return Target(running.fhir_base, http, Credentials(CLIENT_ID, **proof))


def without(running):
    return Tls(running.tls.client.authorities)


def test_a_token_by_certificate_alone_opens_what_it_is_for(required):
    target = client(required)
    token = target.token(SCOPE)
    assert target.get("Patient", token).status == 200
    config = target.read_json(target.smart_configuration())
    assert "tls_client_auth" in config["token_endpoint_auth_methods_supported"]
    assert config["tls_client_certificate_bound_access_tokens"] is True


def test_discovery_needs_no_certificate_and_all_else_does(required):
    """HRex ep-2: one-way TLS for discovery."""
    target = client(required, without(required), jwk=required.client_key)
    for path in (
        "metadata",
        ".well-known/smart-configuration",
        ".well-known/davinci-configuration",
    ):
        assert target.get(path).status == 200
    with pytest.raises(TokenRefused):
        target.token(SCOPE)
    refused = target.get("Patient")
    assert refused.status == 401
    assert "client certificate" in refused.body.decode()


@pytest.mark.parametrize("proof", ["certificate", "assertion"])
def test_a_token_serves_the_certificate_it_was_given_over_and_no_other(
    optional, authority, shown, proof
):
    """mtls-04: bound whichever way the client proved itself."""
    proof = {} if proof == "certificate" else {"jwk": optional.client_key}
    target = client(optional, **proof)
    token = target.token(SCOPE)
    assert target.get("Patient", token).status == 200
    same_holder = shown(authority.issue(uris=[CLIENT_URI]))
    for other in (same_holder, without(optional)):
        refused = client(optional, other).get("Patient", token)
        assert refused.status == 401
        assert 'error="invalid_token"' in refused.header("WWW-Authenticate")


def test_a_bound_token_says_so_when_it_is_asked_about(optional):
    target = client(optional)
    token = target.token(SCOPE)
    answer = target.http.request(
        "POST",
        target.token_url().replace("/token", "/introspect"),
        headers={"Content-Type": "application/x-www-form-urlencoded",
                 "Authorization": f"Bearer {token.value.reveal()}"},
        body=f"token={token.value.reveal()}".encode(),
    )  # fmt: skip
    assert len(json.loads(answer.body)["cnf"]["x5t#S256"]) == 43


def test_a_certificate_without_the_registered_uri_proves_nothing(optional, authority, shown):
    """mtls-03: the holder is the URI; the same words as a DNS name or a subject are none."""
    for issued in (
        authority.issue(uris=["https://another.example.org/"]),
        authority.issue(names=["requesting-payer.example.org"], subject=CLIENT_ID),
    ):
        with pytest.raises(TokenRefused):
            client(optional, shown(issued)).token(SCOPE)


@pytest.mark.parametrize("flaw", ["self-signed", "unknown authority", "expired", "not yet valid"])
def test_a_client_certificate_that_is_not_good_gets_no_connection(optional, authority, shown, flaw):
    made = {
        "self-signed": lambda: pki.self_signed(SystemClock(), uris=[CLIENT_URI]),
        "unknown authority": lambda: TestAuthority.create(SystemClock(), name="other").issue(
            uris=[CLIENT_URI]
        ),
        "expired": lambda: authority.issue(
            uris=[CLIENT_URI], starts=timedelta(days=-9), lasts=timedelta(days=1)
        ),
        "not yet valid": lambda: authority.issue(uris=[CLIENT_URI], starts=timedelta(days=1)),
    }[flaw]()
    # A refusal in words, or a connection that is cut before the words arrive.
    with pytest.raises(TargetUnreachable):
        client(optional, shown(made)).token(SCOPE)


def test_a_request_with_another_proof_does_not_rest_on_the_certificate(optional):
    target = client(optional)
    form = {"grant_type": "client_credentials", "scope": SCOPE, "client_id": CLIENT_ID}
    assert target.request_token(form).status == 200
    for other in ("client_secret", "client_assertion", "client_assertion_type"):
        assert target.request_token({**form, other: "x"}).status in (400, 401)


def test_a_header_that_pretends_a_certificate_is_none(optional, required):
    pem = ssl.DER_cert_to_PEM_cert(b"x").replace("\n", " ")
    target = client(required, without(required))
    for name in ("SSL_CLIENT_CERT", "SSL-Client-Cert", "X-SSL-Client-Cert", "X-Client-Cert"):
        assert target.get("Patient", headers={name: pem}).status == 401


@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_less_than_tls_1_2_is_refused(optional, version):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        with (
            socket.create_connection((optional.server.host, optional.server.port)) as plain,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            context.wrap_socket(plain)


def test_plain_http_gets_no_answer_of_a_payer(optional):
    url = optional.fhir_base.replace("https:", "http:")
    with pytest.raises(TargetUnreachable):
        HttpClient(EgressRules(typed=url)).request("GET", f"{url}/metadata")


@pytest.mark.parametrize(
    "options",
    [
        {"tls_certificate": "x.pem"},
        {"tls": "test", "tls_key": "x.pem"},
        {"client_ca": "x.pem"},
        {"client_certificates": "required"},
        {"tls_certificate": "none.pem", "tls_key": "none.pem"},
    ],
)
def test_options_that_do_not_go_together_are_told(options, tmp_path):
    with pytest.raises(SettingsError):
        start_responder(ResponderOptions(members=1, data_dir=tmp_path, **options))
