"""Client assertions: one good one, and every odd or forged one refused (SMART, RFC 7523)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.registration.clients import Client
from payer_exchange.reference.store.database import open_data_dir
from payer_exchange.reference.trust import keys
from payer_exchange.reference.trust.assertions import (
    AssertionRefused,
    ReplayStore,
    unverified_client_id,
    verify,
)
from payer_exchange.reference.trust.keys import key_object, public_set

AUDIENCE = "https://old.test/oauth/token"
NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ES, RS, OTHER = keys.generate("ES384"), keys.generate("RS384"), keys.generate("ES384")
CLIENT = Client("new-plan", "New Plan", PayerIdentity("s", "v"), jwks=public_set(ES, RS))


@pytest.fixture
def replay(tmp_path):
    engine = open_data_dir(tmp_path, "payer")
    yield ReplayStore(engine)
    engine.dispose()


def never(_url, _kid):
    raise AssertionError("no key may be fetched")


def check(assertion, replay, *, client=CLIENT, published=never, now=NOW):
    assert unverified_client_id(assertion) == client.client_id
    return verify(assertion, client, audience=AUDIENCE, now=now, replay=replay,
                  published=published)  # fmt: skip


def claims(**changes):
    found = {"iss": "new-plan", "sub": "new-plan", "aud": AUDIENCE, "exp": SECONDS + 60,
             "jti": uuid.uuid4().hex, **changes}  # fmt: skip
    return {k: v for k, v in found.items() if v is not None}


def sign(payload=None, jwk=ES, *, header=None, algorithm=None):
    head = {"typ": "JWT", "kid": jwk["kid"], **(header or {})}
    return jwt.encode(
        payload if payload is not None else claims(),
        key_object(jwk),
        algorithm=algorithm or keys.algorithm_of(jwk),
        headers={k: v for k, v in head.items() if v is not None},
    )


def part(content):
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def by_hand(header, payload, signature=b""):
    return f"{part(header)}.{part(payload)}.{part(signature) if signature else ''}"


def signed_by_hand(header, payload):
    """Any bytes as header and payload, under a true signature of the client's key."""
    text = f"{part(header)}.{part(payload)}"
    signature = ECAlgorithm(ECAlgorithm.SHA384).sign(text.encode(), key_object(ES))
    return f"{text}.{part(signature)}"


@pytest.mark.parametrize(
    "payload",
    [
        claims(),
        claims(aud=[AUDIENCE]),
        claims(aud=["https://else.test", AUDIENCE]),
        claims(exp=SECONDS + 300),
        claims(exp=SECONDS + 59.5),
        claims(iat=SECONDS, nbf=SECONDS),
        claims(iat=SECONDS + 60, nbf=SECONDS + 60),
        claims(exp=SECONDS - 59),
        claims(sub="Patient/m1"),
        claims(extra={"of": "their own"}),
    ],
)
@pytest.mark.parametrize("jwk", [ES, RS])
def test_a_good_assertion_is_taken_once(payload, jwk, replay):
    assertion = sign({**payload, "jti": uuid.uuid4().hex}, jwk)
    assert check(assertion, replay).subject == payload["sub"]
    with pytest.raises(AssertionRefused, match="jti-replayed"):
        check(assertion, replay)


def hs256_with_the_public_key():
    pem = key_object(ES).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{part({'typ': 'JWT', 'alg': 'HS256', 'kid': ES['kid']})}.{part(claims())}"
    return f"{text}.{part(hmac.new(pem, text.encode(), hashlib.sha256).digest())}"


def altered(assertion, **changes):
    head, body, signature = assertion.split(".")
    content = json.loads(base64.urlsafe_b64decode(body + "=="))
    return f"{head}.{part({**content, **changes})}.{signature}"


def der_signature(assertion):
    head, body, signature = assertion.split(".")
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = int.from_bytes(raw[:48]), int.from_bytes(raw[48:])
    return f"{head}.{body}.{part(encode_dss_signature(r, s))}"


def with_signature(raw):
    head, body, _ = sign().split(".")
    return f"{head}.{body}.{part(raw)}"


# The order of P-384.
ORDER = (1 << 384) - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D
HEADER = {"typ": "JWT", "alg": "ES384", "kid": ES["kid"]}
FORGED = {
    "not a token": lambda: "new-plan",
    "empty": lambda: "",
    "two parts": lambda: ".".join(sign().split(".")[:2]),
    "four parts": lambda: sign() + ".x",
    "header is no JSON": lambda: signed_by_hand(b"{", claims()),
    "header is a list": lambda: signed_by_hand(b"[]", claims()),
    "claims are a list": lambda: signed_by_hand(HEADER, b"[]"),
    "claims are deep": lambda: signed_by_hand(HEADER, b'{"iss":' + b"[" * 9000 + b"]" * 9000 +
                                              b"}"),
    "a claim stands twice": lambda: signed_by_hand(
        HEADER, json.dumps(claims()).encode().replace(b"{", b'{"iss":"new-plan",', 1)),
    "kid stands twice": lambda: signed_by_hand(
        json.dumps(HEADER).encode().replace(b"{", b'{"kid":"x",', 1), claims()),
    "too long": lambda: sign(claims(extra="x" * 20_000)),
    "alg none": lambda: by_hand({**HEADER, "alg": "none"}, claims()),
    "alg None": lambda: by_hand({**HEADER, "alg": "None"}, claims()),
    "alg missing": lambda: by_hand({"typ": "JWT", "kid": ES["kid"]}, claims(), b"x"),
    "alg a number": lambda: by_hand({**HEADER, "alg": 384}, claims(), b"x"),
    "HS256 with the public key": hs256_with_the_public_key,
    "RS256": lambda: sign(jwk=RS, algorithm="RS256"),
    "PS384": lambda: sign(jwk=RS, algorithm="PS384"),
    "RS384 over the EC kid": lambda: sign(jwk=RS, header={"kid": ES["kid"]}),
    "ES384 said of the RSA kid": lambda: sign(header={"kid": RS["kid"]}),
    "another key under our kid": lambda: sign(jwk=OTHER, header={"kid": ES["kid"]}),
    "another key and kid": lambda: sign(jwk=OTHER),
    "own key in the header": lambda: sign(
        jwk=OTHER, header={"kid": ES["kid"], "jwk": keys.public(OTHER)}),
    "x5u": lambda: sign(jwk=OTHER, header={"kid": ES["kid"], "x5u": "http://127.0.0.1:1/x"}),
    "jku of a stranger": lambda: sign(header={"jku": "http://127.0.0.1:1/jwks"}),
    "kid missing": lambda: sign(header={"kid": None}),
    "kid empty": lambda: by_hand({**HEADER, "kid": ""}, claims(), b"x"),
    "kid unknown": lambda: sign(header={"kid": "nobody"}),
    "kid a path": lambda: sign(header={"kid": "../../etc/passwd"}),
    "kid a query": lambda: sign(header={"kid": "' OR 1=1 --"}),
    "kid a URL": lambda: sign(header={"kid": "http://127.0.0.1:1/"}),
    "kid a list": lambda: by_hand({**HEADER, "kid": [ES["kid"]]}, claims(), b"x"),
    "typ missing": lambda: signed_by_hand({"alg": "ES384", "kid": ES["kid"]}, claims()),
    "crit": lambda: signed_by_hand({**HEADER, "crit": ["exp"]}, claims()),
    "crit unknown": lambda: signed_by_hand({**HEADER, "crit": ["b64"], "b64": False}, claims()),
    "no signature": lambda: by_hand(HEADER, claims()),
    "signature of zeros": lambda: with_signature(b"\0" * 96),
    "r is zero": lambda: with_signature(b"\0" * 48 + b"\1" * 48),
    "r is the order": lambda: with_signature(ORDER.to_bytes(48) + b"\1" * 48),
    "s beyond the order": lambda: with_signature(b"\1" * 48 + b"\xff" * 48),
    "signature too short": lambda: with_signature(b"\1" * 95),
    "signature in DER": lambda: der_signature(sign()),
    "altered subject": lambda: altered(sign(), sub="somebody"),
    "altered expiry": lambda: altered(sign(), exp=SECONDS + 299),
    "exp missing": lambda: sign(claims(exp=None)),
    "exp a text": lambda: signed_by_hand(HEADER, claims(exp=str(SECONDS + 60))),
    "exp true": lambda: signed_by_hand(HEADER, claims(exp=True)),
    "exp NaN": lambda: signed_by_hand(HEADER, claims(exp=float("nan"))),
    "exp Infinity": lambda: signed_by_hand(HEADER, claims(exp=float("inf"))),
    "exp 1e400": lambda: signed_by_hand(HEADER, json.dumps(claims()).encode().replace(
        str(SECONDS + 60).encode(), b"1e400")),
    "exp of 400 digits": lambda: signed_by_hand(HEADER, claims(exp=10**400)),
    "exp in the past": lambda: sign(claims(exp=SECONDS - 60)),
    "exp in an hour": lambda: sign(claims(exp=SECONDS + 3600)),
    "exp beyond the skew": lambda: sign(claims(exp=SECONDS + 361)),
    "iat in the future": lambda: sign(claims(iat=SECONDS + 61)),
    "iat a text": lambda: signed_by_hand(HEADER, claims(iat="now")),
    "nbf in the future": lambda: sign(claims(nbf=SECONDS + 61)),
    "nbf NaN": lambda: signed_by_hand(HEADER, claims(nbf=float("nan"))),
    "aud missing": lambda: sign(claims(aud=None)),
    "aud the FHIR base": lambda: sign(claims(aud="https://old.test/fhir")),
    "aud a prefix": lambda: sign(claims(aud="https://old.test/oauth")),
    "aud with a slash": lambda: sign(claims(aud=AUDIENCE + "/")),
    "aud in capitals": lambda: sign(claims(aud=AUDIENCE.upper())),
    "aud of another": lambda: sign(claims(aud=["https://a.test", "https://b.test"])),
    "aud an object": lambda: signed_by_hand(HEADER, claims(aud={AUDIENCE: 1})),
    "sub missing": lambda: sign(claims(sub=None)),
    "sub a number": lambda: signed_by_hand(HEADER, claims(sub=5)),
    "jti missing": lambda: sign(claims(jti=None)),
    "jti empty": lambda: sign(claims(jti="")),
    "jti a number": lambda: signed_by_hand(HEADER, claims(jti=7)),
    "jti too long": lambda: sign(claims(jti="x" * 256)),
    "jti with NUL": lambda: sign(claims(jti="a\0b")),
    "jti half a character": lambda: signed_by_hand(
        HEADER, json.dumps(claims(jti="J")).encode().replace(b'"J"', b'"\\ud800"')),
    "iss of another": lambda: sign(claims(iss="somebody")),
    "iss missing": lambda: sign(claims(iss=None)),
    "iss a list": lambda: signed_by_hand(HEADER, claims(iss=["new-plan"])),
}  # fmt: skip


def test_there_are_forgeries_enough():
    assert len(FORGED) >= 60


@pytest.mark.parametrize("name", FORGED)
def test_no_forged_or_odd_assertion_is_taken(name, replay):
    assertion = FORGED[name]()
    with pytest.raises(AssertionRefused):
        verify(assertion, CLIENT, audience=AUDIENCE, now=NOW, replay=replay, published=never)


@pytest.mark.filterwarnings("ignore:The RSA key is")
@pytest.mark.parametrize(
    "jwk",
    [
        RSAAlgorithm.to_jwk(rsa.generate_private_key(65537, 1024), as_dict=True),
        ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()), as_dict=True),
        ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP521R1()), as_dict=True),
    ],
)
def test_keys_too_short_or_of_another_curve_open_nothing(jwk, replay):
    jwk.pop("key_ops", None)
    jwk["kid"] = "weak"
    private = jwt.PyJWK(jwk, algorithm="RS384" if jwk["kty"] == "RSA" else None)
    text = jwt.encode(claims(), private.key, algorithm="RS384" if jwk["kty"] == "RSA" else
                      private.algorithm_name, headers={"kid": "weak", "typ": "JWT"})  # fmt: skip
    client = replace(CLIENT, jwks=public_set(jwk))
    with pytest.raises(AssertionRefused):
        check(text, replay, client=client)


def test_two_keys_under_one_kid_open_nothing(replay):
    client = replace(CLIENT, jwks=public_set(ES, {**OTHER, "kid": ES["kid"]}))
    with pytest.raises(AssertionRefused, match="kid"):
        check(sign(), replay, client=client)


def test_a_replay_is_refused_after_a_restart_and_beyond_the_skew(tmp_path):
    assertion = sign(claims(exp=SECONDS + 300))
    engine = open_data_dir(tmp_path, "payer")
    check(assertion, ReplayStore(engine))
    engine.dispose()
    engine = open_data_dir(tmp_path, "payer")
    for seconds in (0, 299, 300, 330, 359):
        later = datetime.fromtimestamp(SECONDS + seconds, UTC)
        with pytest.raises(AssertionRefused, match="jti-replayed"):
            check(assertion, ReplayStore(engine), now=later)
    with pytest.raises(AssertionRefused, match="exp-past"):
        check(assertion, ReplayStore(engine), now=datetime.fromtimestamp(SECONDS + 360, UTC))
    engine.dispose()


def test_of_fifty_at_once_exactly_one_wins(tmp_path):
    # Two stores: two processes on one database share no lock.
    engines = [open_data_dir(tmp_path, "payer") for _ in range(2)]
    stores = [ReplayStore(engine) for engine in engines]
    start, won, lost = threading.Barrier(50), [], []
    assertion = sign()

    def use(store):
        start.wait(20)
        try:
            won.append(check(assertion, store))
        except AssertionRefused as refused:
            lost.append(str(refused))

    threads = [threading.Thread(target=use, args=(stores[i % 2],)) for i in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for engine in engines:
        engine.dispose()
    assert (len(won), lost) == (1, ["jti-replayed"] * 49)


def test_the_same_jti_of_another_client_is_another(replay):
    other = replace(CLIENT, client_id="third-plan")
    check(sign(claims(jti="same")), replay)
    check(sign(claims(jti="same", iss="third-plan", sub="third-plan")), replay, client=other)


# The key is the registered one, wherever the header points


URL = "https://new.test/jwks"
AT_URL = replace(CLIENT, jwks=None, jwks_uri=URL)


def at(*jwks, asked):
    """Keys published at the registered URL; what is asked for is noted."""

    def published(url, _kid):
        asked.append(url)
        return public_set(*jwks)

    return published


@pytest.mark.parametrize("header", [{}, {"jku": URL}])
def test_a_key_url_is_taken_only_as_registered(header, replay):
    asked = []
    check(sign(header=header), replay, client=AT_URL, published=at(ES, asked=asked))
    assert asked == [URL]


@pytest.mark.parametrize("jku", ["https://evil.test/jwks", URL + "/", URL + "?", URL.upper(),
                                 "http://new.test/jwks", "", None, 5, [URL]])  # fmt: skip
def test_another_key_url_is_refused_and_nothing_is_fetched(jku, replay):
    asked = []
    text = signed_by_hand({**HEADER, "jku": jku}, claims())
    with pytest.raises(AssertionRefused, match="jku"):
        check(text, replay, client=AT_URL, published=at(ES, asked=asked))
    assert asked == []


@pytest.mark.parametrize("name", ["jwk", "x5u", "x5c"])
def test_keys_in_the_header_are_not_looked_at(name, replay):
    """Neither do they help a stranger nor do they hinder the client (SMART header table)."""
    value = {"jwk": keys.public(OTHER), "x5u": "http://127.0.0.1:1/x", "x5c": ["bm9uZQ=="]}[name]
    asked = []
    published = at(ES, asked=asked)
    check(sign(header={name: value}), replay, client=AT_URL, published=published)
    with pytest.raises(AssertionRefused, match="signature"):
        check(sign(jwk=OTHER, header={"kid": ES["kid"], name: value}), replay, client=AT_URL,
              published=published)  # fmt: skip
    assert set(asked) == {URL}


@pytest.mark.parametrize("answer", [{}, {"keys": 5}, {"keys": [5, None]}, {"keys": [{}]}])
def test_a_set_that_is_none_opens_nothing(answer, replay):
    with pytest.raises(AssertionRefused, match="kid"):
        check(sign(), replay, client=AT_URL, published=lambda _url, _kid: answer)


def test_a_used_jti_is_kept_until_expiry_and_skew_and_then_swept(engine):
    store = ReplayStore(engine)
    assert store.use("new-plan", "a", SECONDS + 120.0, SECONDS)
    assert not store.use("new-plan", "a", SECONDS + 300.0, SECONDS + 120)
    assert store.use("new-plan", "b", SECONDS + 300.0, SECONDS + 121)
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT jti FROM used_jti").scalars().all()
    assert kept == ["b"]
