"""Whether a Consent is honoured: hrex-consent, pdex-154 to pdex-156."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from payer_exchange.reference.asking import hrex_consent
from payer_exchange.reference.consent import ConsentDecision, evaluate, in_force
from payer_exchange.reference.parties import PayerIdentity

OLD = PayerIdentity("https://example.test/payer-id", "OLD01", "Old Plan", "old-plan")
NEW = PayerIdentity("https://example.test/payer-id", "NEW01", "New Plan", "new-plan")
NOON = datetime(2027, 2, 1, 12, tzinfo=UTC)
POLICY = "http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#"
PERFORMER = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
PARTICIPATION = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


def good(**changes):
    made = hrex_consent("m", discloser=OLD, recipient=NEW, start=date(2027, 1, 1),
                        end=date(2027, 4, 1))  # fmt: skip
    return {**made, **changes}


def provision(**changes):
    return {"provision": {**good()["provision"], **changes}}


def actor(system, code, reference):
    return {"role": {"coding": [{"system": system, "code": code}]}, "reference": reference}


def decide(consent, *, now=NOON, segmented=True, member="m"):
    return evaluate(consent, member=member, requester=NEW, responder=OLD, now=now,
                    segmented=segmented)  # fmt: skip


def test_a_good_consent_is_honoured_with_its_terms():
    assert decide(good()) == ConsentDecision(
        granted=True, policy="regular", start="2027-01-01", end="2027-04-01"
    )


@pytest.mark.parametrize(
    ("consent", "reason"),
    [
        (None, "consent-missing"),
        ("Consent", "consent-missing"),
        (good(status="inactive"), "consent-not-active"),
        (good(status="proposed"), "consent-not-active"),
        (good(status=None), "consent-not-active"),
        ({"status": "active"}, "consent-not-a-permit"),
        (good(**provision(type="deny")), "consent-not-a-permit"),
        (good(provision=[]), "consent-not-a-permit"),
        (good(patient={"reference": "Patient/other"}), "consent-of-another-person"),
        (good(patient={"reference": "https://new.test/Patient/m"}), "consent-of-another-person"),
        (good(patient="Patient/m"), "consent-of-another-person"),
        (good(patient={}), "consent-of-another-person"),
        (good(**provision(actor=[])), "consent-names-another-discloser"),
        (good(**provision(actor=[actor(PARTICIPATION, "IRCP", NEW.reference())])),
         "consent-names-another-discloser"),
        (good(**provision(actor=[actor(PERFORMER, "performer", NEW.reference()),
                                 actor(PARTICIPATION, "IRCP", NEW.reference())])),
         "consent-names-another-discloser"),
        (good(**provision(actor=[actor(PERFORMER, "performer", OLD.reference())])),
         "consent-names-another-recipient"),
        (good(**provision(actor=[actor(PERFORMER, "performer", OLD.reference()),
                                 actor(PARTICIPATION, "IRCP", OLD.reference())])),
         "consent-names-another-recipient"),
        (good(**provision(actor=[actor(PERFORMER, "performer", OLD.reference()),
                                 actor(PARTICIPATION, "IRCP", {"display": "New Plan"})])),
         "consent-names-another-recipient"),
        (good(**provision(actor=[actor(PERFORMER, "performer", OLD.reference()),
                                 actor(PERFORMER, "IRCP", NEW.reference())])),
         "consent-names-another-recipient"),
        (good(**provision(action=[])), "consent-not-to-disclose"),
        (good(**provision(action=[{"coding": [{"code": "disclose"}]}])),
         "consent-not-to-disclose"),
        (good(**provision(action=[{"text": "disclose"}])), "consent-not-to-disclose"),
        (good(**provision(dataPeriod={"start": "2026-01-01"})), "consent-limits-not-understood"),
        (good(**provision(securityLabel=[{"code": "R"}])), "consent-limits-not-understood"),
        (good(**provision(provision=[{"type": "deny"}])), "consent-limits-not-understood"),
        (good(**provision(purpose=[{"code": "HPAYMT"}])), "consent-limits-not-understood"),
        (good(**{"class": []}, **provision(**{"class": [{"code": "Observation"}]})),
         "consent-limits-not-understood"),
        (good(modifierExtension=[{"url": "x"}]), "consent-limits-not-understood"),
        (good(**provision(period={})), "consent-period-missing"),
        (good(**provision(period={"start": "2027-01-01"})), "consent-period-missing"),
        (good(**provision(period={"end": "2027-04-01"})), "consent-period-missing"),
        (good(**provision(period={"start": "soon", "end": "2027-04-01"})),
         "consent-period-missing"),
        (good(**provision(period={"start": "2027-02-02", "end": "2027-04-01"})),
         "consent-not-yet-valid"),
        (good(**provision(period={"start": "2027-01-01", "end": "2027-01-31"})),
         "consent-expired"),
        (good(policy=[]), "consent-policy-unknown"),
        (good(policy=[{"uri": "http://example.test/own-policy"}]), "consent-policy-unknown"),
        (good(policy=[{"uri": POLICY + "everything"}]), "consent-policy-unknown"),
        (good(policy=[{"uri": [POLICY + "regular"]}]), "consent-policy-unknown"),
        (good(policy="regular"), "consent-policy-unknown"),
    ],
)  # fmt: skip
def test_each_reason_to_refuse(consent, reason):
    decided = decide(consent)
    assert (decided.granted, decided.reason) == (False, reason)


@pytest.mark.parametrize(
    ("start", "end", "moment", "reason"),
    [
        ("2027-02-01", "2027-02-01", (2027, 2, 1, 0, 0, 0), ""),
        ("2027-02-01", "2027-02-01", (2027, 2, 1, 23, 59, 59), ""),
        ("2027-02-01", "2027-02-01", (2027, 2, 2, 0, 0, 0), "consent-expired"),
        ("2027-02-01", "2027-02-01", (2027, 1, 31, 23, 59, 59), "consent-not-yet-valid"),
        ("2027", "2027-03", (2027, 3, 31, 23, 59, 59), ""),
        ("2027", "2027-03", (2027, 4, 1, 0, 0, 0), "consent-expired"),
        ("2027-01-01", "9999-12-31", (2027, 2, 1, 0, 0, 0), ""),
        ("2027-01-01", "9999-12-31T23:59:59Z", (2027, 2, 1, 0, 0, 0), ""),
        ("2027-01-01", "2027-02-01T10:00:00+02:00", (2027, 2, 1, 8, 0, 0), ""),
        ("2027-01-01", "2027-02-01T10:00:00+02:00", (2027, 2, 1, 8, 0, 1), "consent-expired"),
        ("2027-04-01", "2027-01-01", (2027, 2, 1, 0, 0, 0), "consent-not-yet-valid"),
    ],
)
def test_the_period_counts_whole_days_at_both_ends(start, end, moment, reason):
    now = datetime(*moment, tzinfo=UTC)
    consent = good(**provision(period={"start": start, "end": end}))
    assert decide(consent, now=now).reason == reason
    kept = ConsentDecision(granted=True, policy="regular", start=start, end=end)
    assert in_force(kept, now) is (reason == "")


@pytest.mark.parametrize(
    ("policies", "segmented", "granted", "policy"),
    [
        (["regular"], True, True, "regular"),
        (["regular"], False, False, "regular"),
        (["sensitive"], True, True, "sensitive"),
        (["sensitive"], False, True, "sensitive"),
        # The narrower one counts when both are there.
        (["sensitive", "regular"], True, True, "regular"),
        (["sensitive", "regular"], False, False, "regular"),
    ],
)
def test_policies_and_a_payer_that_cannot_tell_records_apart(policies, segmented, granted, policy):
    decided = decide(good(policy=[{"uri": POLICY + p} for p in policies]), segmented=segmented)
    assert (decided.granted, decided.policy) == (granted, policy)
    if not granted:
        assert decided.reason == "consent-policy-cannot-be-honoured"


def test_payers_are_named_by_identifier_or_by_their_organization():
    by_reference = good(**provision(actor=[
        actor(PERFORMER, "performer", {"reference": "Organization/old-plan"}),
        actor(PARTICIPATION, "IRCP", {"reference": "https://new.test/fhir/Organization/new-plan"}),
    ]))  # fmt: skip
    assert decide(by_reference).granted
    # An identifier that names another payer counts, whatever the reference beside it says.
    both = good(**provision(actor=[
        actor(PERFORMER, "performer", OLD.reference()),
        actor(PARTICIPATION, "IRCP", {"reference": "Organization/new-plan",
                                      "identifier": {"system": NEW.system, "value": "THIRD"}}),
    ]))  # fmt: skip
    assert decide(both).reason == "consent-names-another-recipient"


def test_a_refused_consent_is_never_in_force():
    assert not in_force(ConsentDecision(granted=False, start="2027-01-01", end="2028-01-01"), NOON)
