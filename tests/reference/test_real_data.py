"""A population that others made: what leaves is what was loaded, but for the amounts.

Set PAYER_EXCHANGE_SYNTHEA to a folder of NDJSON files (plain or gzip) to play these tests.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from payer_exchange.reference.clock import MovableClock
from payer_exchange.reference.export.release import ReleaseRequest
from payer_exchange.reference.export.scope import CMS_TYPES, Tally
from payer_exchange.reference.holdings import fill, read_paths
from payer_exchange.reference.parties import PayerIdentity
from payer_exchange.reference.responding import RespondingPayer
from payer_exchange.reference.responding_settings import RespondingSettings
from payer_exchange.reference.store.database import open_data_dir

FOLDER = Path(os.environ.get("PAYER_EXCHANGE_SYNTHEA") or "none")
NOW = datetime(2027, 1, 15, tzinfo=UTC)
pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="PAYER_EXCHANGE_SYNTHEA names no folder with a population"
)
# All that is about money as a whole, in a claim and in a cover (42 CFR 422.121(b)).
WHOLE = {
    "ExplanationOfBenefit": ("total", "payment", "benefitBalance"),
    "Coverage": ("costToBeneficiary",),
}


@pytest.fixture(scope="module")
def payer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("payer")
    settings = RespondingSettings(
        "http://o.test/fhir", "http://o.test/token", PayerIdentity("s", "v", "n", "own"), folder
    )
    engine = open_data_dir(folder, "payer")
    made = RespondingPayer(settings, engine, clock=MovableClock(NOW))
    made.filled = fill(made, read_paths([FOLDER]))
    yield made
    made.close()
    engine.dispose()


@pytest.fixture(scope="module")
def loaded():
    """Every resource of the files, read here and by nothing of ours."""
    return {(r["resourceType"], r["id"]): (r, line) for line in read_paths([FOLDER])
            for r in [exact(line)]}  # fmt: skip


def exact(line):
    return json.loads(line, parse_float=Decimal)


def without_money(value):
    """An own idea of what is left when amounts go: no code of the payer's is asked."""
    if isinstance(value, dict):
        kept = {k: without_money(v) for k, v in value.items() if not is_money(v)}
        return {k: v for k, v in kept.items() if v is not None and v != []}
    if isinstance(value, list):
        return [x for x in map(without_money, value) if x not in (None, {})]
    return value


def is_money(value):
    return isinstance(value, dict) and "currency" in value


def no_amount_left(value):
    if isinstance(value, dict):
        return not is_money(value) and all(map(no_amount_left, value.values()))
    return not isinstance(value, list) or all(map(no_amount_left, value))


def bare(value):
    """The leaves of a value with their paths, list positions left out."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from ((f"{key}.{path}", leaf) for path, leaf in bare(child))
    elif isinstance(value, list):
        for child in value:
            yield from bare(child)
    else:
        yield "", repr(value)


def released(payer, member):
    tally, asked = Tally(), ReleaseRequest(member, "regular")
    rows = payer.releases.facts(asked, NOW.date(), tally)
    return list(payer.releases.bodies(rows, asked, tally)), tally


def members(payer):
    return payer.repository.some_ids("Patient", 1000)


def test_everything_was_loaded(payer, loaded):
    assert payer.filled.refused == {}
    counts = Counter(kind for kind, _ in loaded)
    made = {"Coverage": payer.filled.coverages_made, "Organization": 1}
    assert payer.repository.counts() == dict(counts + Counter(made))


def test_bytes_sent_are_bytes_loaded_but_for_the_amounts(payer, loaded):
    stripped = same = 0
    for member in members(payer):
        for found in released(payer, member)[0]:
            if found.id.startswith("made-") or found.id == "own":
                continue
            resource, line = loaded[found.type, found.id]
            if found.body == line:
                assert found.type not in WHOLE or no_amount_left(resource)
                same += 1
                continue
            stripped += 1
            assert found.type in WHOLE
            sent = exact(found.body)
            assert no_amount_left(sent)
            assert not sent.keys() & set(WHOLE[found.type])
            whole = {k: v for k, v in resource.items() if k not in WHOLE[found.type]}
            # Nothing is there that was not, and what is gone was part of an amount.
            before, after = Counter(bare(whole)), Counter(bare(sent))
            assert after <= before
            assert all("category" in path or "url" in path or "amount" in path.lower()
                       or "currency" in path or "value" in path
                       for path, _ in before - after - (before - Counter(bare(
                           without_money(whole)))))  # fmt: skip
    assert same > 1000
    assert stripped > 100


def test_what_stays_is_counted_by_reason(payer, loaded):
    for member in members(payer):
        _, tally = released(payer, member)
        own = [
            kind
            for (kind, ident), (resource, _) in loaded.items()
            if about(resource) == member or (kind, ident) == ("Patient", member)
        ]
        outside = sum(kind not in CMS_TYPES for kind in own)
        # Nothing here is labelled, and no claim is a prior authorization.
        assert dict(tally.withheld) == ({"type-not-in-scope": outside} if outside else {})
        sent = Counter(tally.released)
        for kind in {k for k in own if k in CMS_TYPES and k != "Coverage"}:
            assert sent[kind] == own.count(kind)


def about(resource):
    for name in ("subject", "patient", "beneficiary"):
        literal = resource.get(name, {}).get("reference", "")
        if literal.startswith("Patient/"):
            return literal.removeprefix("Patient/")
    return None


def test_no_record_holds_or_names_another_member(payer):
    everybody = set(members(payer))
    for member in everybody:
        for found in released(payer, member)[0]:
            assert not any(other.encode() in found.body for other in everybody - {member})
