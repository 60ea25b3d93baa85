"""What may leave, and the reason why the rest stays (42 CFR 422.121(b), pdex-131 to pdex-135)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from payer_exchange.reference.errors import SettingsError
from payer_exchange.reference.export.scope import CMS_TYPES, DataScope, read_scope
from payer_exchange.reference.store.facts import stored_line
from payer_exchange.reference.store.repository import Row

TODAY = date(2027, 1, 15)
DEFAULT = DataScope()
PA_PROFILE = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/pdex-priorauthorization"
WHEN = "http://hl7.org/fhir/us/davinci-pdex/StructureDefinition/base-ext-when-adjudicated"
REVIEW = "http://hl7.org/fhir/us/davinci-pas/StructureDefinition/extension-reviewActionCode"


def row(kind, **content):
    body = json.dumps({"resourceType": kind, "id": "1", **content}).encode()
    kept = stored_line(body, now=datetime(2027, 1, 15, tzinfo=UTC))
    return Row(1, kept.compartment, kept.type, kept.id, 1, kept.last_updated, kept.service_date,
               frozenset(kept.marks.split()), body)  # fmt: skip


def labelled(*codes):
    return row("Condition", meta={"security": [{"code": code} for code in codes]})


def authorization(*, end=None, adjudicated=None, review=None, **content):
    found = {
        "use": "preauthorization", "status": "active", "outcome": "complete",
        "created": "2020-01-01", "type": {"coding": [{"code": "professional"}]}, **content,
    }  # fmt: skip
    extensions = []
    if adjudicated:
        extensions.append({"url": WHEN, "valueDateTime": adjudicated})
    if review:
        code = {"url": REVIEW, "valueCodeableConcept": {"coding": [{"code": review}]}}
        extensions.append({"url": "http://x/reviewAction", "extension": [code]})
    if extensions:
        found["adjudication"] = [{"category": {"coding": [{"code": "submitted"}]},
                                  "extension": extensions}]  # fmt: skip
    if end:
        found["preAuthRefPeriod"] = [{"start": "2026-01-01", "end": end}]
    return row("ExplanationOfBenefit", **found)


@pytest.mark.parametrize("kind", sorted(CMS_TYPES))
def test_every_type_of_the_cms_set_leaves(kind):
    assert DEFAULT.withheld(row(kind), "regular", TODAY) == ""


@pytest.mark.parametrize("kind", ["Claim", "Group", "Consent", "ImagingStudy", "Task", "Basic"])
def test_other_types_stay(kind):
    assert DEFAULT.withheld(row(kind), "sensitive", TODAY) == "type-not-in-scope"


@pytest.mark.parametrize(
    ("codes", "regular"),
    [
        ((), ""), (("N",), ""), (("HTEST",), ""), (("R",), "sensitive"), (("V",), "sensitive"),
        (("HIV",), "sensitive"), (("N", "42CFRPart2"), "sensitive"), (("PSY",), "sensitive"),
        (("r",), ""), ((None, 5), ""),
    ],
)  # fmt: skip
def test_labels_withhold_under_regular_only(codes, regular):
    assert DEFAULT.withheld(labelled(*codes), "regular", TODAY) == regular
    assert DEFAULT.withheld(labelled(*codes), "sensitive", TODAY) == ""


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (authorization(end="2027-01-15"), ""),
        (authorization(end="2027-06-01"), ""),
        # Over, and its status changed within twelve months, to the day.
        (authorization(end="2027-01-14", adjudicated="2026-06-01"), ""),
        (authorization(end="2025-01-01", adjudicated="2026-01-15T08:00:00Z"), ""),
        (authorization(end="2025-01-01", adjudicated="2026-01-14T23:59:59Z"),
         "prior-authorization-closed"),
        (authorization(end="2025-01-01", status="cancelled", adjudicated="2025-12-01"),
         "prior-authorization-closed"),
        (authorization(end="2027-06-01", status="cancelled", adjudicated="2025-12-01"),
         "prior-authorization-closed"),
        (authorization(end="2025-01-01"), "prior-authorization-closed"),
        (authorization(end="2025-01-01", created="2026-12-01"), ""),
        # Waiting for a decision, however long.
        (authorization(review="A4"), ""),
        (authorization(outcome="queued"), ""),
        (authorization(), "prior-authorization-closed"),
        # Denied, by review action or by a denial reason alone.
        (authorization(end="2027-06-01", review="A3"), "denied-prior-authorization"),
        (authorization(end="2027-06-01", review="A1"), ""),
        (authorization(end="2027-06-01",
                       item=[{"adjudication": [{"category": {"coding": [
                           {"code": "denialreason"}]}}]}]), "denied-prior-authorization"),
        (authorization(end="2027-06-01", type={"coding": [{"code": "pharmacy"}]}),
         "drug-prior-authorization"),
        (authorization(end="2027-06-01", use="claim"), ""),
    ],
)  # fmt: skip
def test_each_fate_of_a_prior_authorization(found, reason):
    assert DEFAULT.withheld(found, "regular", TODAY) == reason


def test_the_profile_makes_a_prior_authorization_too():
    found = authorization(end="2027-06-01", review="A3", use="claim",
                          meta={"profile": [f"{PA_PROFILE}|2.2.0"]})  # fmt: skip
    assert DEFAULT.withheld(found, "regular", TODAY) == "denied-prior-authorization"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"denied_prior_authorizations": True}, authorization(end="2027-06-01", review="A3")),
        ({"drug_prior_authorizations": True},
         authorization(end="2027-06-01", type={"coding": [{"code": "pharmacy"}]})),
        ({"prior_authorization_months": 24},
         authorization(end="2025-01-01", adjudicated="2025-01-15")),
        ({"sensitive_labels": frozenset()}, labelled("R")),
        ({"types": frozenset({"Basic"})}, row("Basic")),
    ],
)  # fmt: skip
def test_a_setting_lets_leave_what_stayed(change, found):
    assert DEFAULT.withheld(found, "regular", TODAY) != ""
    assert replace(DEFAULT, **change).withheld(found, "regular", TODAY) == ""


@pytest.mark.parametrize(
    ("years", "served", "reason"),
    [
        (None, "1950-01-01", ""),
        (5, "2022-01-15", ""),
        (5, "2022-01-14", "older-than-window"),
        (5, "2022-01-14T23:59:59-05:00", "older-than-window"),
        (5, None, ""),
        (1, "2026-01-15", ""),
    ],
)
def test_years_are_a_window_to_the_day(years, served, reason):
    found = row("Observation", **({"effectiveDateTime": served} if served else {}))
    assert replace(DEFAULT, years=years).withheld(found, "regular", TODAY) == reason


def test_a_window_of_years_takes_no_cover_and_no_person_away():
    scope = replace(DEFAULT, years=5)
    long_ago = {"start": "1990-01-01"}
    for found in (
        row("Coverage", period=long_ago),
        row("Patient"),
        authorization(end="2027-06-01", billablePeriod=long_ago),
    ):
        assert scope.withheld(found, "regular", TODAY) == ""


def test_leap_day_windows_end_on_a_day_there_is():
    scope = replace(DEFAULT, years=1)
    leap_day = date(2028, 2, 29)
    assert scope.withheld(row("Observation", effectiveDateTime="2027-02-28"), "", leap_day) == ""
    assert scope.withheld(row("Observation", effectiveDateTime="2027-02-27"), "", leap_day) != ""


def test_release_strips_what_may_hold_money_only():
    payment = {"amount": {"value": 1, "currency": "USD"}}
    claim = row("ExplanationOfBenefit", payment=payment)
    other = row("Observation", valueString="x", payment=payment)
    assert DEFAULT.release(other) == (other.body, False)
    assert DEFAULT.release(claim)[1] is True
    assert replace(DEFAULT, strip_money=False).release(claim) == (claim.body, False)


def test_a_scope_file_is_read_strictly(tmp_path):
    file = tmp_path / "scope.toml"
    file.write_text('types = ["Patient"]\nyears = 5\n', encoding="utf-8")
    assert read_scope(file) == replace(DEFAULT, types=frozenset({"Patient"}), years=5)
    file.write_text("", encoding="utf-8")
    assert read_scope(file) == DEFAULT
    for text, words in (
        ("typos = []", "has no key typos"),
        ("types = [", "is not TOML"),
        ('years = "five"', "years"),
        ('types = "Patient"', "types"),
        ("types = [1]", "types"),
        ('strip_money = "no"', "strip_money"),
        ("prior_authorization_months = true", "prior_authorization_months"),
        ("years = -1", "years"),
    ):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match=words):
            read_scope(file)
    with pytest.raises(SettingsError, match="cannot be read"):
        read_scope(tmp_path / "none.toml")
