"""Certificates that may be relied on, and those that may not, each with its reason."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.trust import pki
from payer_exchange.reference.trust.pki import Issued, TestAuthority
from payer_exchange.reference.trust.udap.chains import (
    ChainRefused,
    Trust,
    check_chain,
    read_trust,
    uris_of,
)

URI = "https://client.example/udap"
DAY = timedelta(days=1)


@pytest.fixture
def authority(clock):
    return TestAuthority.create(clock, intermediate=True)


def trust(authority, *, lists=True):
    return Trust((authority.anchor,), revocation_lists=(authority.crl(),) if lists else ())


def reason(chain, of, clock):
    with pytest.raises(ChainRefused) as refused:
        check_chain(chain, of, clock.now())
    return str(refused.value)


def test_a_chain_leads_to_the_anchor_in_any_order_of_the_others(authority, clock):
    chain = authority.issue(uris=[URI]).chain
    check_chain(chain, trust(authority), clock.now())
    check_chain((*chain, authority.anchor), trust(authority), clock.now())
    assert uris_of(chain[0]) == [URI]


def test_an_intermediate_that_is_left_out_is_missed_unless_it_is_known(authority, clock):
    chain = authority.issue(uris=[URI]).chain
    assert reason(chain[:1], trust(authority), clock) == "chain-untrusted"
    known = Trust((authority.anchor,), intermediates=chain[1:])
    check_chain(chain[:1], known, clock.now())


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"starts": -2 * DAY, "lasts": DAY}, "certificate-expired"),
        ({"starts": DAY}, "certificate-not-yet-valid"),
        ({"key": "RSA-1024"}, "certificate-weak-key"),
        ({"may_sign": False}, "certificate-may-not-sign"),
    ],
)
def test_a_bad_leaf_is_refused(authority, clock, how, why):
    assert reason(authority.issue(uris=[URI], **how).chain, trust(authority), clock) == why


def test_what_nobody_vouches_for_is_refused(authority, clock):
    alone = pki.self_signed(clock, uris=[URI])
    stranger = TestAuthority.create(clock).issue(uris=[URI])
    for chain in (alone.chain, stranger.chain):
        assert reason(chain, trust(authority), clock) == "chain-untrusted"


def test_a_leaf_does_not_vouch_for_another(authority, clock):
    """Whoever has a certificate cannot make others with it."""
    leaf = authority.issue(uris=[URI])
    forger = TestAuthority(clock, authority.root, leaf)
    assert reason(forger.issue(uris=[URI]).chain, trust(authority), clock) == "issuer-no-authority"


def test_a_revoked_certificate_is_refused_from_then_on(authority, clock):
    issued = authority.issue(uris=[URI])
    check_chain(issued.chain, trust(authority), clock.now())
    authority.revoke(issued)
    assert reason(issued.chain, trust(authority), clock) == "certificate-revoked"
    check_chain(issued.chain, trust(authority, lists=False), clock.now())


def test_an_old_revocation_list_says_nothing_about_today(authority, clock):
    chain, lists = authority.issue(uris=[URI]).chain, trust(authority)
    clock.advance(timedelta(days=31))
    assert reason(chain, lists, clock) == "revocation-list-expired"


def test_a_forged_revocation_list_is_noticed(authority, clock):
    """It has the issuer's name and another's signature."""
    issued = authority.issue(uris=[URI])
    other = TestAuthority.create(clock, intermediate=True)
    authority.issuing = Issued(authority.issuing.chain, other.issuing.key)
    assert reason(issued.chain, trust(authority), clock) == "revocation-list-forged"


def test_what_is_critical_and_not_understood_refuses_a_certificate(authority, clock):
    limits = x509.NameConstraints(permitted_subtrees=[x509.DNSName("example")],
                                  excluded_subtrees=None)  # fmt: skip
    key, now = pki.make_key("P-256"), clock.now()
    leaf = (
        x509.CertificateBuilder()
        .subject_name(authority.anchor.subject)
        .issuer_name(authority.issuing.certificate.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - DAY)
        .not_valid_after(now + DAY)
        .add_extension(limits, critical=True)
        .sign(authority.issuing.key, hashes.SHA256())
    )
    chain = (leaf, *authority.issuing.chain)
    assert reason(chain, trust(authority), clock) == "certificate-critical-extension"


def test_trust_is_read_from_files(authority, clock, tmp_path):
    authority.write(tmp_path)
    found = read_trust(tmp_path / "test-root.pem", [tmp_path / "test-crl.pem"])
    check_chain(authority.issue(uris=[URI]).chain, found, clock.now())
    with pytest.raises(SettingsError, match=r"nothing\.pem"):
        read_trust(tmp_path / "test-root.pem", [tmp_path / "nothing.pem"])
