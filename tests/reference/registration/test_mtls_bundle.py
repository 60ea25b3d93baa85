"""The signed Bundle of a mutual-TLS endpoint: made, read, and refused when it was touched."""

from __future__ import annotations

import base64
import copy
import json
from datetime import timedelta

import pytest
from fhir.resources.R4B.bundle import Bundle
from payer_exchange.reference.clock import SystemClock
from payer_exchange.reference.errors import RecordRejected
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.registration import mtls_bundle
from payer_exchange.reference.registration.mtls_bundle import MtlsEndpoint, make_bundle, read_bundle
from payer_exchange.reference.trust.pki import TestAuthority
from payer_exchange.reference.trust.udap.chains import Trust

CLOCK = SystemClock()


@pytest.fixture(scope="module")
def authority():
    return TestAuthority.create(CLOCK, name="bundles", intermediate=True)


@pytest.fixture(scope="module")
def told(authority):
    return MtlsEndpoint(
        PayerIdentity("https://example.org/payer-id", "OLD", "Old Plan"),
        "https://old.example/fhir",
        "https://old.example/oauth/token",
        "https://old.example/support",
        authority.anchor_pem().decode(),
    )


@pytest.fixture(scope="module", params=["P-256", "RSA"])
def bundle(request, authority, told):
    signer = authority.issue(uris=["https://old.example/fhir"], key=request.param)
    return make_bundle(told, signer, CLOCK.now())


def read(bundle, authority, now=None):
    trust = Trust((authority.anchor,))
    return read_bundle(json.dumps(bundle).encode(), trust, now or CLOCK.now())


def test_what_was_told_is_read(bundle, authority, told):
    assert read(bundle, authority) == told
    Bundle.model_validate_json(json.dumps(bundle))


def test_the_words_of_the_directory_guide_are_read_as_well(authority, told):
    signer = authority.issue(uris=["https://old.example/fhir"])
    made = make_bundle(told, signer, CLOCK.now())
    del made["signature"]
    text = json.dumps(made).replace("davinci-pdex/StructureDefinition/base-ext",
                                    "ndh/StructureDefinition/base-ext")  # fmt: skip
    assert mtls_bundle._told([e["resource"] for e in json.loads(text)["entry"]]) == told


def change(path, value):
    def apply(bundle):
        *before, last = path
        for step in before:
            bundle = bundle[step]
        if value is None:
            del bundle[last]
        else:
            bundle[last] = value

    return apply


@pytest.mark.parametrize(
    ("touched", "reason"),
    [
        (change(["entry", 0, "resource", "address"], "https://evil.example"), "signature"),
        (change(["timestamp"], "2020-01-01T00:00:00Z"), "signature"),
        (change(["timestamp"], None), "missing"),
        (change(["signature"], None), "missing"),
        (change(["signature", "data"], "bm9uZQ=="), "signature"),
        (change(["signature", "data"], "%%%"), "missing"),
        (change(["type"], "searchset"), "missing"),
        (change(["entry"], []), "signature"),
    ],
)
def test_a_bundle_that_was_touched_is_refused(bundle, authority, touched, reason):
    made = copy.deepcopy(bundle)
    touched(made)
    with pytest.raises(RecordRejected, match=reason):
        read(made, authority)


def test_a_signer_that_is_not_trusted_is_refused(bundle, authority):
    with pytest.raises(RecordRejected, match="not trusted"):
        read(bundle, TestAuthority.create(CLOCK, name="others"))
    with pytest.raises(RecordRejected, match="not trusted"):
        read(bundle, authority, CLOCK.now() + timedelta(days=500))


@pytest.mark.parametrize(
    "touched",
    [
        change(["entry", 0, "resource", "status"], "suspended"),
        change(["entry", 0, "resource", "payloadType"], []),
        change(["entry", 0, "resource", "extension"], []),
        change(["entry", 1, "resource", "active"], False),
        change(["entry", 1, "resource", "telecom"], []),
        change(["entry", 0, "resource", "managingOrganization", "reference"], "Organization/x"),
    ],
)
def test_a_bundle_that_lacks_what_its_profiles_ask_for_is_refused(authority, told, touched):
    signer = authority.issue(uris=["https://old.example/fhir"])
    made = make_bundle(told, signer, CLOCK.now())
    touched(made)
    del made["signature"]
    # Signed again: it is not the signature that refuses it.
    data = mtls_bundle._signed(made, signer).encode()
    made["signature"] = {"sigFormat": "application/jose",
                         "data": base64.b64encode(data).decode()}  # fmt: skip
    with pytest.raises(RecordRejected, match="missing"):
        read(made, authority)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"resourceType":"Bundle"}', b"\xff"])
def test_what_is_no_bundle_is_refused(content, authority):
    with pytest.raises(RecordRejected):
        read_bundle(content, Trust((authority.anchor,)), CLOCK.now())
