"""Checks on what a requesting payer sends: token requests, assertions, match bodies, kick-offs."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from ..verdicts import CannotTell, CheckFailed

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LOCAL = re.compile(r"Patient/([A-Za-z0-9.-]{1,64})")
_SKEW_S = 30
_IN = ("MemberPatient", "CoverageToMatch", "CoverageToLink", "Consent")
_POLICIES = tuple(
    f"http://hl7.org/fhir/us/davinci-hrex/StructureDefinition-hrex-consent.html#{p}"
    for p in ("regular", "sensitive")
)
# Elements that HRex takes out of a Consent's provision.
_NO_FILTERS = ("securityLabel", "purpose", "class", "code", "dataPeriod", "data", "provision")
# SecurityRoleType: who may decide for a patient.
_REPRESENTING = ("DPOWATT", "GUARD", "HPOWATT", "POWATT", "RESPRSN", "SPOWATT")
_ROLE_CODES = {"discloser": "performer", "recipient": "IRCP"}


def segments(
    assertion: str, where: str = "client_assertion"
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a compact JWS, unverified; raises CheckFailed when it is none."""
    parts = assertion.split(".")
    try:
        if len(parts) != 3 or not all(parts):
            raise ValueError
        head, claims = (json.loads(_decoded(part)) for part in parts[:2])
    except ValueError as error:
        raise CheckFailed("The JWT is no compact JWS.", "three parts with dots",
                          f"{len(parts)} parts", where) from error  # fmt: skip
    return head, claims


def one_value(form: Mapping[str, list[str]], name: str) -> str:
    """The one value of a form field; raises CheckFailed when it is not there once."""
    values = form.get(name, [])
    if len(values) != 1 or not values[0]:
        raise CheckFailed("The token request lacks a field, or has it twice.", f"one {name}",
                          f"{len(values)} of it", name)  # fmt: skip
    return values[0]


def is_assertion_type(found: str) -> None:
    """The assertion type is that of RFC 7523."""
    _expect(found == _ASSERTION_TYPE, "The assertion type is another.", _ASSERTION_TYPE,
            "another text", "client_assertion_type")  # fmt: skip


def claims_hold(claims: Mapping[str, Any], client_id: str, token_url: str, now: float) -> None:
    """iss, sub, aud and exp of an assertion that was received at a moment."""
    issuer_and_audience(claims, client_id, token_url)
    expiry(claims, now)


def issuer_and_audience(claims: Mapping[str, Any], client_id: str, token_url: str) -> None:
    """The client speaks for itself, to this token endpoint."""
    _expect(claims.get("iss") == client_id, "iss is not the client.", "the client id",
            "another value", "iss")  # fmt: skip
    aud = claims.get("aud")
    _expect(token_url in (aud if isinstance(aud, list) else [aud]),
            "aud is not the token endpoint.", "the URL that was posted to", "another value",
            "aud")  # fmt: skip


def expiry(claims: Mapping[str, Any], now: float) -> None:
    """Exp is a whole number, in the future, at most five minutes away."""
    exp = claims.get("exp")
    whole = isinstance(exp, int) and not isinstance(exp, bool)
    _expect(whole, "exp is no whole number of seconds.", "an integer", type(exp).__name__, "exp")
    assert isinstance(exp, int)
    _expect(now - _SKEW_S <= exp <= now + 300 + _SKEW_S, "exp is too far, or past.",
            "at most 300 s ahead", f"{exp - now:.0f} s ahead", "exp")  # fmt: skip


def all_unlike(values: Iterable[Any], what: str) -> None:
    """No value comes twice."""
    found = list(values)
    _expect(len(found) == len(set(map(str, found))), f"{what} is used twice.", "a fresh one each",
            f"{len(found)} with {len(set(map(str, found)))} different", what)  # fmt: skip


def match_parameters(body: Any) -> dict[str, dict[str, Any]]:
    """The resources of a match request by name; raises CheckFailed for another body."""
    entries = body.get("parameter") if isinstance(body, dict) else None
    if not isinstance(entries, list) or body.get("resourceType") != "Parameters":
        raise CheckFailed("The match request is no Parameters resource.", "Parameters",
                          "another body", "body")  # fmt: skip
    names = [str(e.get("name")) for e in entries if isinstance(e, dict)]
    odd = [n for n in names if n not in _IN or names.count(n) > 1]
    missing = [n for n in _IN[:2] if n not in names]
    _expect(not odd and not missing, "The match request has other parameters than HRex knows.",
            ", ".join(_IN), ", ".join(names) or "none", "Parameters.parameter.name")  # fmt: skip
    return {str(e["name"]): e.get("resource") or {} for e in entries}


def part(parameters: Mapping[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """A resource of a match request; raises CheckFailed when it is not there."""
    if not parameters.get(name):
        raise CheckFailed("The match request lacks a part.", name, "absent", name)
    return parameters[name]


def references_are_local(parameters: Mapping[str, dict[str, Any]]) -> None:
    """Coverages and Consent name the MemberPatient as Patient/id (mm-6)."""
    ident = part(parameters, "MemberPatient").get("id")
    named = [("CoverageToMatch", "beneficiary"), ("CoverageToLink", "beneficiary"),
             ("Consent", "patient")]  # fmt: skip
    for name, element in named:
        if name in parameters:
            reference = str((parameters[name].get(element) or {}).get("reference", ""))
            found = _LOCAL.fullmatch(reference)
            _expect(bool(found) and found[1] == ident if found else False,
                    "A part of the match request names another Patient.",
                    "Patient/ and the id of MemberPatient", "another reference",
                    f"{name}.{element}")  # fmt: skip


def is_demographics(patient: Mapping[str, Any]) -> None:
    """HRex Patient Demographics: a name in two parts, a birth date, and a gender or birth sex."""
    names = [n for n in patient.get("name") or [] if isinstance(n, dict)]
    _expect(any(n.get("family") and n.get("given") for n in names),
            "MemberPatient has no name with family and given.", "both", "not both",
            "Patient.name")  # fmt: skip
    _expect(bool(patient.get("birthDate")), "MemberPatient has no birth date.", "birthDate",
            "absent", "Patient.birthDate")  # fmt: skip
    sexed = any("birthsex" in str(e.get("url")) for e in patient.get("extension") or [])
    _expect(bool(patient.get("gender")) or sexed, "MemberPatient has neither gender nor birth sex.",
            "one of them", "neither", "Patient.gender")  # fmt: skip


def is_coverage(coverage: Mapping[str, Any]) -> None:
    """HRex Coverage: status, beneficiary, relationship, one payor, and a number of the card."""
    for element in ("status", "beneficiary", "relationship"):
        _expect(bool(coverage.get(element)), "A Coverage lacks an element.", element, "absent",
                f"Coverage.{element}")  # fmt: skip
    payors = coverage.get("payor") or []
    _expect(len(payors) == 1, "A Coverage has not one payor.", "one", str(len(payors)),
            "Coverage.payor")  # fmt: skip
    numbered = bool(coverage.get("subscriberId")) or any(
        "MB" in set(_codes(i.get("type"))) for i in coverage.get("identifier") or []
    )
    _expect(numbered, "A Coverage has no number of the card.", "a member or subscriber id",
            "neither", "Coverage.identifier")  # fmt: skip


def tells_the_card(coverage: Mapping[str, Any], card: Mapping[str, Any]) -> None:
    """Each number and name that the card tells stands in the Coverage."""
    found = json.dumps(coverage)
    wanted = {"identifier": card["identifier"][0]["value"], "subscriberId": card["subscriberId"],
              **{f"class {c['type']['coding'][0]['code']}": c["value"] for c in card["class"]},
              "relationship": card["relationship"]["coding"][0]["code"]}  # fmt: skip
    missing = [name for name, value in wanted.items() if f'"{value}"' not in found]
    _expect(not missing, "CoverageToMatch does not tell what the card tells.", ", ".join(wanted),
            f"no {', no '.join(missing)}", "CoverageToMatch")  # fmt: skip


# HRex Coverage: what is must-support, and what every resource may have.
_SUPPORTED = frozenset({
    "beneficiary", "class", "dependent", "identifier", "payor", "period", "policyHolder",
    "relationship", "status", "subscriberId", "type", "resourceType", "id", "meta",
})  # fmt: skip


def is_lean(coverage: Mapping[str, Any]) -> None:
    """A Coverage without elements beyond those that HRex has a payer support (mm-5)."""
    odd = sorted(set(coverage) - _SUPPORTED)
    _expect(not odd, "CoverageToLink holds more than HRex has a payer support.",
            "must-support elements", ", ".join(odd), "CoverageToLink")  # fmt: skip


def is_consent(consent: Mapping[str, Any]) -> None:
    """The fixed parts of an HRex Consent, with one performer, a source and a permit provision."""
    wanted = {
        "status": consent.get("status") == "active",
        "scope": "patient-privacy" in set(_codes(consent.get("scope"))),
        "category": "IDSCL" in set(_codes(consent.get("category"))),
        "patient": bool(consent.get("patient")),
        "performer": len(consent.get("performer") or []) == 1,
        "source[x]": any(k.startswith("source") for k in consent),
        "provision.type": _provision(consent).get("type") == "permit",
    }
    wrong = [name for name, holds in wanted.items() if not holds]
    _expect(not wrong, "The Consent has not the form of HRex.", "all of it",
            ", ".join(wrong), "Consent")  # fmt: skip


def consent_period_is_whole(consent: Mapping[str, Any]) -> None:
    """The provision has a first and a last day."""
    period = _provision(consent).get("period") or {}
    missing = [name for name in ("start", "end") if not period.get(name)]
    _expect(not missing, "The period of the Consent is open.", "start and end",
            f"no {' and no '.join(missing)}", "Consent.provision.period")  # fmt: skip


def consent_is_in_force(consent: Mapping[str, Any], today: date) -> None:
    """The period begins before it ends, has begun, and is not over; a day of slack for zones."""
    period = _provision(consent).get("period") or {}
    try:
        start, end = (date.fromisoformat(str(period.get(n))[:10]) for n in ("start", "end"))
    except ValueError as error:
        raise CheckFailed("The period of the Consent has no days.", "start and end as dates",
                          "another form", "Consent.provision.period") from error  # fmt: skip
    day = timedelta(days=1)
    _expect(start <= end and start - day <= today <= end + day, "The Consent is not in force.",
            "a period that has begun and is not over",
            "one that ends before it begins" if end < start else "another period",
            "Consent.provision.period")  # fmt: skip


def consent_policy_is_known(consent: Mapping[str, Any]) -> None:
    """Exactly one policy, of the two of HRex."""
    uris = [p.get("uri") for p in consent.get("policy") or [] if isinstance(p, dict)]
    _expect(len(uris) == 1 and uris[0] in _POLICIES, "The Consent's policy is none of HRex.",
            "one of two URIs", f"{len(uris)} policies", "Consent.policy.uri")  # fmt: skip


def consent_has_no_filters(consent: Mapping[str, Any]) -> None:
    """The provision holds nothing that HRex takes out of it."""
    found = [name for name in _NO_FILTERS if name in _provision(consent)]
    _expect(not found, "The Consent's provision holds what HRex forbids.", "none of it",
            ", ".join(found), "Consent.provision")  # fmt: skip


def consent_action_is_disclose(consent: Mapping[str, Any]) -> None:
    """The one action is disclose."""
    actions = _provision(consent).get("action") or []
    _expect(len(actions) == 1 and "disclose" in set(_codes(actions)),
            "The Consent's action is another.", "disclose alone", f"{len(actions)} actions",
            "Consent.provision.action")  # fmt: skip


def consent_names(consent: Mapping[str, Any], role: str, identifier: Mapping[str, str]) -> None:
    """An actor in the role is the payer with that identifier."""
    actors = [a for a in _provision(consent).get("actor") or []
              if _ROLE_CODES[role] in set(_codes(a.get("role")))]  # fmt: skip
    _expect(bool(actors), f"The Consent names no {role}.", f"an actor with {_ROLE_CODES[role]}",
            "none", "Consent.provision.actor")  # fmt: skip
    values = {((a.get("reference") or {}).get("identifier") or {}).get("value") for a in actors}
    _expect(identifier["value"] in values, f"The Consent names another {role}.",
            "the payer of this exchange", "another one",
            "Consent.provision.actor.reference")  # fmt: skip


def consent_contains(consent: Mapping[str, Any], person: Mapping[str, Any]) -> None:
    """The demographics of whoever gave the Consent are contained in it (pdex-205)."""
    wanted = (person["name"][0]["family"], person["birthDate"])
    found = [c for c in consent.get("contained") or []
             if isinstance(c, dict) and all(text in json.dumps(c) for text in wanted)]  # fmt: skip
    _expect(bool(found), "The Consent does not contain who gave it for the member.",
            "name and birth date of the representative", "no such contained resource",
            "Consent.contained")  # fmt: skip


def consent_has_representative(consent: Mapping[str, Any]) -> None:
    """Whoever gave the Consent is an actor, by a role of SecurityRoleType (pdex-206)."""
    contained = {f"#{c.get('id')}" for c in consent.get("contained") or [] if isinstance(c, dict)}
    actors = [a for a in _provision(consent).get("actor") or []
              if set(_codes(a.get("role"))) & set(_REPRESENTING)]  # fmt: skip
    named = {str((a.get("reference") or {}).get("reference")) for a in actors}
    _expect(bool(named & contained), "The representative is no actor of the Consent.",
            "an actor in a role such as HPOWATT", f"{len(actors)} actors in such a role",
            "Consent.provision.actor")  # fmt: skip


def _provision(consent: Mapping[str, Any]) -> Mapping[str, Any]:
    found = consent.get("provision")
    return found if isinstance(found, dict) else {}


def _codes(element: Any) -> Iterator[str]:
    """The codes in a CodeableConcept, or in a list of them."""
    for concept in element if isinstance(element, list) else [element]:
        for coding in (concept or {}).get("coding") or [] if isinstance(concept, dict) else []:
            yield str(coding.get("code"))


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _expect(holds: bool, message: str, expected: str, actual: str, where: str) -> None:
    if not holds:
        raise CheckFailed(message, expected, actual, where)


def some(found: Iterable[Any], what: str) -> list[Any]:
    """The items of a list; raises CannotTell when there is none to judge."""
    kept = list(found)
    if not kept:
        raise CannotTell(f"The requesting payer made no {what}.")
    return kept
