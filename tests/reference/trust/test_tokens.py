"""Access tokens: short-lived, kept as digests, gone when a client is."""

from __future__ import annotations

import pytest
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.trust.tokens import LIFETIME_S, TokenStore


@pytest.fixture
def engine(tmp_path):
    made = open_data_dir(tmp_path, "payer")
    yield made
    made.dispose()


def test_a_token_counts_until_the_second_it_said(engine, clock):
    store = TokenStore(engine)
    token = store.issue("c", ["system/*.rs", "x"], clock.now(), "m")
    found = store.find(token, clock.now())
    assert (found.client_id, found.scopes, found.member) == ("c", {"system/*.rs", "x"}, "m")
    clock.advance(LIFETIME_S - 1)
    assert store.find(token, clock.now())
    clock.advance(1)
    assert store.find(token, clock.now()) is None
    assert LIFETIME_S <= 300


@pytest.mark.parametrize("token", ["", "x", "' OR 1=1 --", "x" * 100_000, "ü", "\ufffd"])
def test_a_made_up_token_is_none(engine, clock, token):
    store = TokenStore(engine)
    store.issue("c", ["s"], clock.now(), None)
    assert store.find(token, clock.now()) is None


def test_tokens_are_random_kept_as_digests_and_survive_a_restart(engine, clock, tmp_path):
    store = TokenStore(engine)
    tokens = {store.issue("c", ["s"], clock.now(), None) for _ in range(20)}
    assert len(tokens) == 20
    assert min(map(len, tokens)) >= 43  # 256 bits
    engine.dispose()
    kept = b"".join(p.read_bytes() for p in tmp_path.iterdir())
    assert not any(token.encode() in kept for token in tokens)
    assert TokenStore(engine).find(tokens.pop(), clock.now())


def test_expired_tokens_are_not_kept(engine, clock):
    store = TokenStore(engine, lifetime_s=10)
    for _ in range(3):
        store.issue("c", ["s"], clock.now(), None)
        clock.advance(11)
    store.issue("c", ["s"], clock.now(), None)
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM access_token").scalar() == 1


def test_revoking_ends_one_clients_tokens(engine, clock):
    store = TokenStore(engine)
    mine, theirs = (store.issue(c, ["s"], clock.now(), None) for c in "ab")
    store.revoke_all("a")
    assert store.find(mine, clock.now()) is None
    assert store.find(theirs, clock.now())
