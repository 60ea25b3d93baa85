"""Prior authorizations in the PDex profile, in each fate one can have, with their documents."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .care import NECESSITY, answers
from .chart import SENT, WITHHELD, Chart, Reference, claimed, iso
from .clinical import document, note
from .codes import (
    APNEA,
    BED,
    CPAP,
    DENIAL_REASON,
    INFLIXIMAB,
    LETTER,
    NOT_CERTIFIED,
    OXYGEN,
    PDEX,
    THO,
    WHEELCHAIR,
    Coded,
    coded,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_SD = PDEX + "StructureDefinition/"
_PROFILE = claimed(_SD + "pdex-priorauthorization")
_PAS = "http://hl7.org/fhir/us/davinci-pas/"
_DISCRIMINATOR = PDEX + "CodeSystem/PDexAdjudicationDiscriminator"
_PAS_SD = _PAS + "StructureDefinition/"
_REVIEWED: dict[str, Any] = {
    "url": _PAS_SD + "extension-claimResponseReviewer",
    "extension": [{"url": "wasHumanReviewedFlag", "valueBoolean": True}],
}
_UNITS = {kind: coded(_DISCRIMINATOR, kind) for kind in ("allowedunits", "consumedunits")}
_DENIED = coded(_DISCRIMINATOR, "denialreason")
_TYPES = {k: coded(THO + "claim-type", k) for k in ("professional", "pharmacy")}
_DOCUMENTS = coded(_PAS + "CodeSystem/PASSupportingInfoType", "additionalInformation")


@dataclass(frozen=True, slots=True)
class Fate:
    """How an authorization fared; days count back from the day the data is of."""

    name: str
    service: Coded
    asked: int
    changed: int
    ends: int  # days from today to the end of its period; negative: over
    status: str = "active"
    disposition: str = "Approved"
    withheld: str = ""  # the reason the default data scope keeps it back
    kind: str = "professional"


ACTIVE = Fate("pa-active", CPAP, 40, 38, 140)
PENDED = Fate("pa-pended", WHEELCHAIR, 5, 5, 0, disposition="Pended")
CHANGED = Fate("pa-changed-6-months-ago", OXYGEN, 290, 183, -183, "cancelled", "Ended")
CLOSED = Fate(
    "pa-closed-13-months-ago", BED, 480, 396, -396, "cancelled", "Ended",
    withheld="prior-authorization-closed",
)  # fmt: skip
DENIED = Fate(
    "pa-denied", WHEELCHAIR, 100, 95, 0, disposition="Denied",
    withheld="denied-prior-authorization",
)  # fmt: skip
DRUG = Fate(
    "pa-drug", INFLIXIMAB, 60, 58, 120, withheld="drug-prior-authorization", kind="pharmacy"
)
FATES = (ACTIVE, PENDED, CHANGED, CLOSED, DENIED, DRUG)
# Approved ones are the rule in life, so ordinary members mostly have those.
_ORDINARY = (ACTIVE, ACTIVE, ACTIVE, PENDED, CHANGED, CHANGED, CLOSED, DENIED, DRUG)


def authorization(
    chart: Chart, fate: Fate, documents: Sequence[Reference] = ()
) -> Reference | None:
    """Write one authorization, when its days were covered."""
    asked, changed = chart.today - fate.asked, chart.today - fate.changed
    cover = chart.covered(asked, changed)
    if not cover or not chart.lived(changed):
        return None
    number = f"PA{chart.person.index}-{fate.name}"
    body: dict[str, Any] = {
        "identifier": [
            {"system": "https://responding-payer.example.org/authorization", "value": number}
        ],
        "status": fate.status,
        "type": _TYPES[fate.kind],
        "use": "preauthorization",
        "patient": chart.patient,
        "created": f"{iso(asked)}T08:00:00Z",
        "insurer": {"reference": "Organization/payer"},
        "provider": chart.clinic,
        "outcome": "queued" if fate.disposition == "Pended" else "complete",
        "disposition": fate.disposition,
        "preAuthRef": [number],
        "careTeam": [{"sequence": 1, "provider": chart.doctor}],
        "diagnosis": [{"sequence": 1, "diagnosisCodeableConcept": APNEA}],
        "insurance": [{"focal": True, "coverage": {"reference": f"Coverage/{cover.coverage_id}"}}],
        "item": [_item(fate, number, changed, chart.today + fate.ends)],
    }
    if fate.ends:
        body["preAuthRefPeriod"] = [{"start": iso(asked), "end": iso(chart.today + fate.ends)}]
    if documents:
        body["supportingInfo"] = [
            {"sequence": n, "category": _DOCUMENTS, "valueReference": reference}
            for n, reference in enumerate(documents, 1)
        ]
    if fate is CHANGED:
        body["extension"] = [_REVIEWED]
        body["item"][0]["extension"] += _stay(asked)
    chart.next_as(fate.name, changed)
    expect = WITHHELD if fate.withheld else SENT
    return chart.add(
        "ExplanationOfBenefit", _PROFILE, asked, body, expect=expect, reason=fate.withheld
    )


def _stay(begun: int) -> list[dict[str, Any]]:
    """Three days in hospital, as PAS 2.2.1 tells them."""
    return [
        {"url": _PAS_SD + "extension-admissionDates", "valueDate": iso(begun)},
        {"url": _PAS_SD + "extension-dischargeDate", "valueDate": iso(begun + 3)},
    ]


def _item(fate: Fate, number: str, changed: int, end: int) -> dict[str, Any]:
    item: dict[str, Any] = {"sequence": 1, "productOrService": fate.service}
    if fate.disposition == "Pended":
        return item
    when = {"url": _SD + "base-ext-when-adjudicated", "valueDateTime": f"{iso(changed)}T10:00:00Z"}
    review: list[dict[str, Any]] = [{"url": "number", "valueString": number}]
    action = {"url": _SD + "extension-reviewAction", "extension": review}
    if fate.disposition == "Denied":
        code_url = _SD + "extension-reviewActionCode"
        review.append({"url": code_url, "valueCodeableConcept": NOT_CERTIFIED})
        denial = {"extension": [action, when], "category": _DENIED, "reason": DENIAL_REASON}
        return {**item, "adjudication": [denial]}
    item["extension"] = [
        {
            "url": _PAS + "StructureDefinition/extension-itemPreAuthIssueDate",
            "valueDate": iso(changed),
        },
        {
            "url": _PAS + "StructureDefinition/extension-itemPreAuthPeriod",
            "valuePeriod": {"end": iso(end)},
        },
    ]
    item["adjudication"] = [
        {"extension": [action, when], "category": _UNITS["allowedunits"], "value": 12},
        {"category": _UNITS["consumedunits"], "value": 3},
    ]
    return item


def ordinary_authorization(chart: Chart) -> None:
    """Write one authorization for one adult in eight, with documents when it will be sent."""
    if chart.age(chart.last) < 18 or not chart.dice.chance(0.125):
        return
    fate = chart.dice.pick(_ORDINARY)
    if not chart.covered(chart.today - fate.asked, chart.today - fate.changed):
        return
    documents = [] if fate.withheld else [structured(chart, fate), inline_letter(chart, fate)]
    authorization(chart, fate, documents)


def structured(chart: Chart, fate: Fate) -> Reference:
    """Write the payer's questionnaire as the doctor filled it."""
    items = [
        ("need", "Why is it needed?", f"{fate.service['text']}: other measures failed."),
        ("since", "Since when?", iso(max(chart.today - fate.asked - 200, chart.born))),
    ]
    return answers(chart, chart.today - fate.asked, NECESSITY, items)


def inline_letter(chart: Chart, fate: Fate) -> Reference:
    """Write an unstructured document with its text inside."""
    return note(chart, chart.today - fate.asked, LETTER, f"Letter on {fate.service['text']}.")


def inline_scan(chart: Chart, fate: Fate) -> Reference:
    """Write a document whose page, a small PDF, is inside."""
    attachment = {
        "contentType": "application/pdf",
        "data": b64encode(page("Letter of medical necessity")).decode(),
        "title": "Letter of medical necessity",
    }
    chart.next_as("doc-inline")
    return document(chart, chart.today - fate.asked, LETTER, attachment)


def linked_scan(chart: Chart, fate: Fate) -> Reference:
    """Write a document whose page is a Binary of its own, named by url."""
    day = chart.today - fate.asked
    body = {
        "contentType": "application/pdf",
        "securityContext": chart.patient,
        "data": b64encode(page("Sleep study, page 1")).decode(),
    }
    chart.next_as("binary-linked")
    binary = chart.add("Binary", [], day, body)
    attachment = {
        "contentType": "application/pdf",
        "url": binary["reference"],
        "title": "Sleep study",
    }
    chart.next_as("doc-linked")
    return document(chart, day, LETTER, attachment)


_FONTS = b"/Resources << /Font << /F1 5 0 R >> >>"


def page(text: str) -> bytes:
    """Return a PDF of one page with one line, small and complete enough to open."""
    stream = f"BT /F1 18 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R %s >>" % _FONTS,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    out = b"%PDF-1.4\n"
    places = []
    for number, content in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return (
        out
        + b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\n" % (table)
        + b"startxref\n%d\n%%%%EOF\n" % len(out)
    )
