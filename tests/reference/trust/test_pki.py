"""The test authority: what it issues is what it says, good and bad."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner
from cryptography import x509
from payer_exchange.cli.main import cli
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.trust import pki

NOW = datetime.now(UTC).replace(microsecond=0)
URI = "https://payer.example/fhir"


@pytest.fixture
def clock():
    return MovableClock(NOW)


def test_a_leaf_carries_what_was_asked_for_and_says_that_it_is_a_test(clock):
    authority = pki.TestAuthority.create(clock, intermediate=True)
    leaf = authority.issue(uris=[URI], names=["localhost"], addresses=["127.0.0.1"])
    names = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [URI]
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    leaf.certificate.verify_directly_issued_by(leaf.chain[1])
    leaf.chain[1].verify_directly_issued_by(authority.anchor)
    assert len(leaf.chain) == 2
    assert all("test authority" in c.subject.rfc4514_string() for c in leaf.chain)


def test_bad_certificates_are_bad_as_asked(clock):
    authority = pki.TestAuthority.create(clock)
    day = timedelta(days=1)
    assert authority.issue(starts=-2 * day, lasts=day).certificate.not_valid_after_utc < NOW
    assert authority.issue(starts=day).certificate.not_valid_before_utc > NOW
    assert authority.issue(key="RSA-1024").certificate.public_key().key_size == 1024
    idle = authority.issue(may_sign=False).certificate
    assert not idle.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    alone = pki.self_signed(clock, uris=[URI]).certificate
    alone.verify_directly_issued_by(alone)
    with pytest.raises(SettingsError, match="RSA, P-256"):
        pki.make_key("DSA")


def test_what_was_written_is_read_again_and_never_overwritten(clock, tmp_path):
    authority = pki.TestAuthority.create(clock, intermediate=True)
    gone = authority.issue(uris=[URI])
    authority.revoke(gone)
    authority.write(tmp_path)
    again = pki.TestAuthority.read(tmp_path, clock)
    assert again.anchor == authority.anchor
    assert again.crl().get_revoked_certificate_by_serial_number(gone.certificate.serial_number)
    again.issue(uris=[URI]).certificate.verify_directly_issued_by(authority.issuing.certificate)
    for key in tmp_path.glob("*.key.pem"):
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(SettingsError, match="is there already"):
        authority.write(tmp_path)
    (tmp_path / "test-root.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match="Remove the folder"):
        pki.TestAuthority.read(tmp_path, clock)


@pytest.mark.parametrize(("host", "good"), [("127.0.0.1", True), ("elsewhere.example", False)])
def test_a_leaf_serves_tls_on_loopback_for_its_own_names_only(clock, tmp_path, host, good):
    authority = pki.TestAuthority.create(clock, intermediate=True)
    files = authority.localhost().write(tmp_path, "server")
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    serving.load_cert_chain(*files)
    asking = ssl.create_default_context(cadata=authority.anchor_pem().decode())
    ours, theirs = socket.socketpair()
    with ours, theirs:
        server = threading.Thread(target=_shake, args=(serving, theirs))
        server.start()
        try:
            asking.wrap_socket(ours, server_hostname=host).close()
            accepted = True
        except ssl.SSLCertVerificationError:
            accepted = False
        server.join(5)
    assert accepted == good


def _shake(context, end):
    try:
        context.wrap_socket(end, server_side=True).close()
    except (ssl.SSLError, ConnectionError):
        end.close()


def test_init_writes_a_test_authority_and_leaves_what_is_there(tmp_path):
    made = CliRunner().invoke(cli, ["init", str(tmp_path), "--test-pki"])
    assert made.exit_code == 0, made.output
    found = {path.name for path in (tmp_path / "test-pki").iterdir()}
    assert {"test-root.pem", "test-server.pem", "test-client.pem", "test-crl.pem"} <= found
    assert not (tmp_path / "payer-exchange.toml").exists()
    again = CliRunner().invoke(cli, ["init", str(tmp_path), "--test-pki"])
    assert isinstance(again.exception, SettingsError)
