"""The truth table of members that were loaded from files: what is known of them, and what lacks.

The table is read off the data as it was loaded and the data scope in force. A case that no loaded
member can serve is told in `lacks`, so that a scenario can say why it is skipped.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Any

from .fhir import json
from .loaded_elements import LoadedElements
from .responding import RespondingPayer
from .store.repository import Row, Selection

Member = dict[str, Any]
Request = dict[str, Any]

_GOOD_CONSENT = {
    "policy": "regular",
    "period": "current",
    "recipient": "requesting",
    "discloser": "responding",
    "status": "active",
    "patient": "member",
}
_BAD_CONSENTS = {
    "consent-expired-a": {"period": "expired"},
    "consent-future-a": {"period": "future"},
    "consent-wrong-recipient-a": {"recipient": "other"},
    "consent-wrong-discloser-a": {"discloser": "other"},
    "consent-inactive-a": {"status": "inactive"},
    "consent-other-patient-a": {"patient": "other"},
}


def loaded_truth(
    payer: RespondingPayer, responding: Mapping[str, Any], requesting: Mapping[str, Any]
) -> dict[str, Any]:
    """The truth table (payer-exchange/members/1) of everybody who is enrolled at the payer."""
    today = payer.clock.now().date()
    members = [
        _member(payer, row.id, json.read(row.body), today)
        for row in payer.repository.rows(Selection(types=["Patient"]))
    ]
    requests, lacks = _requests(members, responding)
    return {
        "schema": "payer-exchange/members/1",
        "seed": None,
        "as_of": today.isoformat(),
        "responding_payer": dict(responding),
        "requesting_payer": dict(requesting),
        "members": members,
        "requests": requests,
        "lacks": lacks,
    }


def _member(payer: RespondingPayer, ident: str, patient: dict[str, Any], today: date) -> Member:
    resources: dict[str, Any] = {}
    elements = LoadedElements()
    coverages = []
    for row in _record(payer, ident, today):
        if row.type == "Coverage":
            coverages.append(json.read(row.body))
        facts = _facts(payer, row, today)
        told = elements.add(json.read(row.body), facts["expect"])
        resources[f"{row.type}/{row.id}"] = {**facts, "elements": told}
    return {
        "key": ident,
        "index": None,
        "patient_id": ident,
        "patient": patient,
        "coverages": coverages,
        "purpose": "Loaded from files.",
        "record": {
            "counts": dict(Counter(key.split("/")[0] for key in resources)),
            "resources": resources,
            "elements": elements.told(),
        },
    }


def _record(payer: RespondingPayer, ident: str, today: date) -> Iterator[Row]:
    """A member's own resources, and the shared ones they refer to."""
    yield from payer.repository.rows(Selection(ident))
    shared = sorted(payer.releases.shared_by(ident, "regular", today))
    yield from (r for r in payer.repository.by_keys(shared) if r.compartment == "")


def _facts(payer: RespondingPayer, row: Row, today: date) -> dict[str, Any]:
    scope = payer.settings.scope
    reason = scope.withheld(row, "regular", today)
    stripped = not reason and scope.release(row)[1]
    return {
        "sha256": hashlib.sha256(row.body).hexdigest(),
        "expect": "withheld" if reason else "stripped" if stripped else "sent",
        "reason": reason or ("money" if stripped else ""),
        "service_date": row.service_date,
        "last_updated": row.last_updated,
        "prior_authorization": "pa" in row.marks,
    }


def _requests(
    members: list[Member], responding: Mapping[str, Any]
) -> tuple[list[Request], dict[str, str]]:
    """The match requests that can be made, and what is lacking for the others."""
    able = [(m, s) for m in members if (s := submitted_by(m, responding)) is not None]
    lacks = {
        "twins": "No loaded members are twins that their card does not tell apart.",
        "first-twin": "No loaded members are known to be twins.",
        "second-twin": "No loaded members are known to be twins.",
        "co-twins-card": "No loaded members are known to be twins.",
    }
    if not able:
        return [], {**lacks, "unique": "No loaded member has a name, a birth date and a card."}
    # One member is left out of every request, so that there is somebody who was never matched.
    asked = able[:-1] if len(able) > 1 else able
    first = _asked("unique", *asked[0])
    requests = [first, *_refused(first)]
    for name, fits, lack in _CASES:
        found = next(((m, s) for m, s in asked if fits(m)), None)
        if found:
            requests.append(_asked(name, *found))
        else:
            lacks[name] = lack
    if len(asked) > 1:
        requests.append(_asked("withdrawn-later", *asked[-1]))
    else:
        lacks["withdrawn-later"] = "There is no second loaded member whose consent could be taken."
    requests += [_asked(f"member-{n}", m, s) for n, (m, s) in enumerate(asked[1:], 2)]
    return requests, lacks


def _asked(name: str, member: Member, submitted: Mapping[str, Any]) -> Request:
    return {
        "name": name,
        "case": member["key"],
        "member": member["key"],
        "expect": "match",
        "consent": dict(_GOOD_CONSENT),
        "purpose": "Finds a loaded member.",
        **submitted,
    }


def _refused(first: Request) -> Iterator[Request]:
    """Requests around the first member that must not be answered with anybody."""
    # A name that is no word of a scenario's title: names are masked wherever they stand.
    stranger = {**first["patient"], "name": [{"family": "Strangeways", "given": ["Solveig"]}]}
    card = {**first["coverage_to_match"], "subscriberId": "NOBODY-HAS-THIS-NUMBER"}
    card["identifier"] = [
        {**i, "value": "NOBODY-HAS-THIS-NUMBER"} for i in card.get("identifier", [])
    ]
    for name, changes in (
        ("unknown", {"patient": stranger, "coverage_to_match": card}),
        ("wrong-card", {"coverage_to_match": card}),
        ("stranger-on-known-card", {"patient": stranger}),
    ):
        yield {**first, "name": name, "member": None, "expect": "no-match", **changes}
    for name, change in _BAD_CONSENTS.items():
        consent = {**_GOOD_CONSENT, **change}
        yield {**first, "name": name, "member": None, "expect": "consent", "consent": consent}


def submitted_by(member: Mapping[str, Any], responding: Mapping[str, Any]) -> Request | None:
    """The demographics and the card to submit, or None for somebody whom no match could find."""
    patient = member["patient"]
    names = [n for n in patient.get("name", []) if n.get("family") and n.get("given")]
    if not names or not patient.get("birthDate") or not member["coverages"]:
        return None
    coverage = member["coverages"][0]
    copied = ("identifier", "subscriberId", "dependent", "relationship", "class")
    payor = {"identifier": responding["identifier"], "display": responding.get("name", "")}
    return {
        "patient": {
            "resourceType": "Patient",
            "id": "submitted",
            "name": [{k: v for k, v in names[0].items() if k in ("family", "given", "suffix")}],
            "gender": patient.get("gender", "unknown"),
            "birthDate": patient["birthDate"],
        },
        "coverage_to_match": {
            "resourceType": "Coverage",
            "id": "submitted-card",
            "status": "active",
            **{k: coverage[k] for k in copied if k in coverage},
            "beneficiary": {"reference": "Patient/submitted"},
            "payor": [payor],
        },
    }


def _leaving(member: Member) -> list[tuple[str, Mapping[str, Any]]]:
    """The resources of a record that may leave."""
    found = member["record"]["resources"].items()
    return [(key, facts) for key, facts in found if facts["expect"] != "withheld"]


def _has_claims(member: Member) -> bool:
    return any(
        k.startswith("ExplanationOfBenefit/") and not f["prior_authorization"]
        for k, f in _leaving(member)
    )


def _has_authorizations(member: Member) -> bool:
    return any(f["prior_authorization"] for _, f in _leaving(member))


def _has_documents(member: Member) -> bool:
    return any(k.startswith("DocumentReference/") for k, _ in _leaving(member))


def _has_history(member: Member) -> bool:
    """Whether the updates of a record are spread, so that `_since` can part them."""
    return len({f["last_updated"] for _, f in _leaving(member)}) > 1


def _has_sensitive(member: Member) -> bool:
    return any(f["reason"] == "sensitive" for f in member["record"]["resources"].values())


_CASES: tuple[tuple[str, Callable[[Member], bool], str], ...] = (
    ("every-claim", _has_claims, "No loaded member has a claim that may leave."),
    (
        "prior-authorizations",
        _has_authorizations,
        "No loaded member has a prior authorization that may leave.",
    ),
    ("unstructured-documents", _has_documents, "No loaded member has a document that may leave."),
    ("time-windows", _has_history, "No loaded record was updated at more than one moment."),
    ("sensitive-held", _has_sensitive, "No loaded record is labelled as sensitive."),
)
