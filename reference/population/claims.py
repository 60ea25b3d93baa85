"""Claims as ExplanationOfBenefit, in the five non-financial Basis profiles of CARIN BB 2.2.0.

The held copies do contain money, as a payer's own copies would: amounts, totals and the payment.
An export under the Basis profiles has to leave all of it out, and the truth table says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .chart import STRIPPED, Chart, Reference, claimed, iso
from .codes import (
    CARIN,
    PLACE_OF_SERVICE,
    REVENUE,
    THO,
    Coded,
    coded,
    drug_product,
    not_coded,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .people import Enrolment

_BASIS = CARIN + "StructureDefinition/C4BB-ExplanationOfBenefit-"
_INPATIENT = claimed(_BASIS + "Inpatient-Institutional-Basis")
_OUTPATIENT = claimed(_BASIS + "Outpatient-Institutional-Basis")
_PROFESSIONAL = claimed(_BASIS + "Professional-NonClinician-Basis")
_ORAL = claimed(_BASIS + "Oral-Basis")
_PHARMACY = claimed(_BASIS + "Pharmacy-Basis")

_CS = CARIN + "CodeSystem/"
_CLAIM_ID = coded(_CS + "C4BBIdentifierType", "uc", "Unique Claim ID")
_TYPE = {
    kind: coded(THO + "claim-type", kind)
    for kind in ("institutional", "professional", "vision", "oral", "pharmacy")
}
# The profile of CARIN BB 2.2 wants this version of the list by name.
_TYPE["pharmacy"]["coding"][0]["version"] = "1.0.1"
_STAY = coded(_CS + "C4BBInstitutionalClaimSubType", "inpatient")
_DAY_CASE = coded(_CS + "C4BBInstitutionalClaimSubType", "outpatient")
_PRINCIPAL = [coded(THO + "ex-diagnosistype", "principal")]
_PROCEDURE = [coded(_CS + "C4BBClaimProcedureType", "principal")]
_OFFICE = coded(PLACE_OF_SERVICE, "11", "Office")
_IN_NETWORK = coded(_CS + "C4BBPayerAdjudicationStatus", "innetwork")
_PAID = coded(_CS + "C4BBPayerAdjudicationStatus", "paid")
_STATUS = {
    name: {"category": coded(_CS + "C4BBAdjudicationDiscriminator", name), "reason": _IN_NETWORK}
    for name in ("benefitpaymentstatus", "billingnetworkstatus", "renderingnetworkstatus")
}
_ALL_STATUS = list(_STATUS.values())
_PAYMENT_STATUS = _STATUS["benefitpaymentstatus"]
_SUBMITTED = coded(THO + "adjudication", "submitted", "Submitted Amount")
_BENEFIT = coded(THO + "adjudication", "benefit", "Benefit Amount")
_COPAY = coded(THO + "adjudication", "copay", "CoPay")
_RENDERING = coded(_CS + "C4BBClaimCareTeamRole", "rendering")
_ATTENDING = coded(_CS + "C4BBClaimCareTeamRole", "attending")
_PRESCRIBING = coded(_CS + "C4BBClaimCareTeamRole", "prescribing")
_INFO = {
    name: coded(_CS + "C4BBSupportingInfoType", name)
    for name in (
        "admissionperiod", "clmrecvddate", "dayssupply", "dawcode", "refillnum",
        "rxorigincode", "medicalrecordnumber",
    )
}  # fmt: skip
_NO_SELECTION = coded(THO + "NCPDPDispensedAsWrittenOrProductSelectionCode", "0")
_ELECTRONIC = coded(THO + "NCPDPPrescriptionOriginCode", "3")


def _amounts(cents: int) -> list[dict[str, Any]]:
    """Return the amounts of an adjudication: asked, paid, and left to the member."""
    copay = cents // 5
    return [
        _amount(_SUBMITTED, cents),
        _amount(_BENEFIT, cents - copay),
        _amount(_COPAY, copay),
    ]


def _amount(category: Coded, cents: int) -> dict[str, Any]:
    return {"category": category, "amount": {"value": cents / 100, "currency": "USD"}}


def _claim(
    chart: Chart,
    profile: list[str],
    kind: Coded,
    first: int,
    last: int,
    cover: Enrolment,
    provider: Reference,
    specific: dict[str, Any],
) -> Reference:
    cents = chart.dice.between(2_500, 90_000)
    received = min(last + 2, chart.today)
    body = {
        "identifier": [
            {
                "type": _CLAIM_ID,
                "system": "https://responding-payer.example.org/claim-id",
                "value": f"CLM{chart.person.index}-{len(chart.entries)}",
            }
        ],
        "status": "active",
        "type": kind,
        "use": "claim",
        "patient": chart.patient,
        "billablePeriod": {"start": iso(first), "end": iso(last)},
        "created": f"{iso(received)}T08:00:00Z",
        "insurer": {"reference": "Organization/payer"},
        "provider": provider,
        "outcome": "complete",
        "insurance": [{"focal": True, "coverage": {"reference": f"Coverage/{cover.coverage_id}"}}],
        **specific,
        "adjudication": [*_ALL_STATUS, *_amounts(cents)],
        "total": _amounts(cents),
        "payment": {
            "type": _PAID,
            "date": iso(received),
            "amount": {"value": (cents - cents // 5) / 100, "currency": "USD"},
        },
    }
    return chart.add("ExplanationOfBenefit", profile, first, body, expect=STRIPPED, reason="money")


def _diagnosis(code: Coded) -> list[dict[str, Any]]:
    return [{"sequence": 1, "diagnosisCodeableConcept": code, "type": _PRINCIPAL}]


def _team(role: Coded, who: Reference) -> list[dict[str, Any]]:
    return [{"sequence": 1, "provider": who, "role": role}]


def _received(day: int, sequence: int = 1) -> dict[str, Any]:
    return {"sequence": sequence, "category": _INFO["clmrecvddate"], "timingDate": iso(day)}


def professional(
    chart: Chart,
    day: int,
    services: Sequence[Coded],
    why: Coded,
    visit: Reference | None = None,
    *,
    vision: bool = False,
) -> Reference | None:
    """Write the claim of a visit, when the day was covered."""
    cover = chart.covered(day)
    if not cover:
        return None
    items = [
        {
            "sequence": number,
            "productOrService": service,
            "servicedDate": iso(day),
            "locationCodeableConcept": _OFFICE,
            "adjudication": [_PAYMENT_STATUS, *_amounts(chart.dice.between(2_000, 20_000))],
            **({"encounter": [visit]} if visit else {}),
        }
        for number, service in enumerate(services, 1)
    ]
    specific = {
        "careTeam": _team(_RENDERING, chart.doctor),
        "supportingInfo": [_received(min(day + 2, chart.today))],
        "diagnosis": _diagnosis(why),
        "item": items,
    }
    kind = _TYPE["vision" if vision else "professional"]
    return _claim(chart, _PROFESSIONAL, kind, day, day, cover, chart.clinic, specific)


def outpatient(chart: Chart, day: int, service: Coded, why: Coded) -> Reference | None:
    """Write the claim of a hospital's outpatient department, when the day was covered."""
    cover = chart.covered(day)
    if not cover:
        return None
    specific = {
        "subType": _DAY_CASE,
        "careTeam": _team(_ATTENDING, chart.doctor),
        "supportingInfo": [_received(min(day + 2, chart.today))],
        "diagnosis": _diagnosis(why),
        "item": [
            {
                "sequence": 1,
                "revenue": REVENUE,
                "productOrService": service,
                "servicedDate": iso(day),
                "adjudication": _amounts(chart.dice.between(20_000, 90_000)),
            }
        ],
    }
    hospital = chart.use("Organization/hospital-0")
    return _claim(chart, _OUTPATIENT, _TYPE["institutional"], day, day, cover, hospital, specific)


def inpatient(
    chart: Chart, first: int, last: int, operation: Coded, why: Coded
) -> Reference | None:
    """Write the claim of a hospital stay, when all of it was covered."""
    cover = chart.covered(first, last)
    if not cover:
        return None
    specific = {
        "subType": _STAY,
        "careTeam": _team(_ATTENDING, chart.doctor),
        "supportingInfo": [
            {
                "sequence": 1,
                "category": _INFO["admissionperiod"],
                "timingPeriod": {"start": iso(first), "end": iso(last)},
            },
            _received(min(last + 2, chart.today), 2),
        ],
        "diagnosis": _diagnosis(why),
        "procedure": [
            {
                "sequence": 1,
                "type": _PROCEDURE,
                "date": iso(first),
                "procedureCodeableConcept": operation,
            }
        ],
        "item": [
            {
                "sequence": 1,
                "revenue": REVENUE,
                "productOrService": not_coded("Room and care"),
                "servicedPeriod": {"start": iso(first), "end": iso(last)},
                "adjudication": _amounts(chart.dice.between(200_000, 900_000)),
            }
        ],
    }
    hospital = chart.use("Organization/hospital-0")
    return _claim(chart, _INPATIENT, _TYPE["institutional"], first, last, cover, hospital, specific)


def oral(chart: Chart, day: int, service: str, why: Coded) -> Reference | None:
    """Write a dentist's claim, when the day was covered by a dental plan."""
    cover = chart.covered(day, kind="dental")
    if not cover:
        return None
    specific = {
        "careTeam": _team(_RENDERING, chart.use("Practitioner/dentist-0")),
        "supportingInfo": [_received(min(day + 2, chart.today))],
        "diagnosis": _diagnosis(why),
        "item": [
            {
                "sequence": 1,
                "productOrService": not_coded(service),
                "servicedDate": iso(day),
                "locationCodeableConcept": _OFFICE,
                "adjudication": [_PAYMENT_STATUS, *_amounts(chart.dice.between(5_000, 30_000))],
            }
        ],
    }
    dentist = chart.use("Organization/dental-0")
    return _claim(chart, _ORAL, _TYPE["oral"], day, day, cover, dentist, specific)


def pharmacy(chart: Chart, day: int, drug: Coded, refill: int) -> Reference | None:
    """Write the claim of a drug handed over, when the day was covered."""
    cover = chart.covered(day)
    if not cover:
        return None
    specific = {
        "careTeam": _team(_PRESCRIBING, chart.doctor),
        "supportingInfo": [
            _received(day),
            {"sequence": 2, "category": _INFO["dayssupply"], "valueQuantity": {"value": 30}},
            {"sequence": 3, "category": _INFO["dawcode"], "code": _NO_SELECTION},
            {"sequence": 4, "category": _INFO["refillnum"], "valueQuantity": {"value": refill}},
            {"sequence": 5, "category": _INFO["rxorigincode"], "code": _ELECTRONIC},
        ],
        "item": [
            {
                "sequence": 1,
                "productOrService": drug_product(drug),
                "servicedDate": iso(day),
                "quantity": {"value": 30},
                "adjudication": _amounts(chart.dice.between(400, 30_000)),
            }
        ],
    }
    shop = chart.use("Organization/pharmacy-0")
    return _claim(chart, _PHARMACY, _TYPE["pharmacy"], day, day, cover, shop, specific)
