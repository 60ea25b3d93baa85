"""Steps of the member match."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from pytest_bdd import given, parsers, then, when

from ..reference.fhir import media
from ..reference.target import identifier_query
from .checks import matching
from .seen import Seen
from .verdicts import CheckFailed


@given(parsers.parse('the match of the request "{name}"'))
def match_of(seen: Seen, name: str) -> None:
    seen.request = name
    seen.look_at(seen.run.match(name))


@when(parsers.re(r"a match is asked for (?P<flaw>with(?:out)? (?!a body).+)"))
def flawed_match(seen: Seen, flaw: str) -> None:
    body = copy.deepcopy(seen.run.match_body("unique"))
    _FLAWS[flaw](body)
    _post(seen, json.dumps(body).encode())


@when(parsers.parse("a match is asked for with a body that is {flaw}"))
def flawed_body(seen: Seen, flaw: str) -> None:
    if flaw == "plain text":
        _post(seen, b"Who is this member?", content_type="text/plain")
    else:
        _post(seen, _BODIES[flaw])


@then("the match answer has the shape of HRex")
def hrex_shape(seen: Seen) -> None:
    seen.json()
    matching.has_hrex_shape(seen.exchange, seen.run.settings.target.pdex_version)


@then("the match answer holds a MemberIdentifier of type MB and nothing else")
def identifier_alone(seen: Seen) -> None:
    seen.json()
    matching.is_an_identifier_alone(seen.exchange)


@then("the match answer holds a MemberId")
def holds_member_id(seen: Seen) -> None:
    seen.json()
    matching.has_member_id(seen.exchange)


@then("the match is refused and holds no member")
def match_refused(seen: Seen) -> None:
    matching.is_refused(seen.exchange)


@then("the MemberId leads to the Patient who was meant")
def member_id_leads(seen: Seen) -> None:
    seen.json()
    ident = matching.has_member_id(seen.exchange)
    token = seen.run.token("data", ident)
    read = seen.look_at(seen.run.target.get(f"Patient/{ident}", token))
    matching.same_person(seen.run.json_of(read, "Patient"), dict(seen.meant()["patient"]))


@then("the identifier leads to the Patient who was meant")
def identifier_leads(seen: Seen) -> None:
    parameters = {p["name"]: p for p in seen.json("Parameters").get("parameter", [])}
    identifier = parameters.get("MemberIdentifier", {}).get("valueIdentifier", {})
    token = seen.run.data_token(seen.request)
    found = seen.look_at(seen.run.target.get(identifier_query(identifier), token))
    entries = seen.run.json_of(found, "Bundle").get("entry", [])
    matches = [e for e in entries if e.get("search", {}).get("mode", "match") == "match"]
    if len(matches) != 1:
        raise CheckFailed("The identifier does not lead to one Patient.", "one match",
                          f"{len(matches)} matches", "Bundle.entry")  # fmt: skip
    matching.same_person(matches[0]["resource"], dict(seen.meant()["patient"]))


def _post(seen: Seen, body: bytes, content_type: str = media.FHIR_JSON) -> None:
    seen.run.require_single()
    token = seen.run.token("match")
    headers = {"Content-Type": content_type}
    seen.look_at(seen.run.target.post("Patient/$member-match", body, token, headers=headers))


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    def change(body: dict[str, Any]) -> None:
        body["parameter"] = [p for p in body["parameter"] if p["name"] != name]

    return change


def _resource(body: dict[str, Any], name: str) -> dict[str, Any]:
    return next(p["resource"] for p in body["parameter"] if p["name"] == name)


def _without_birth_date(body: dict[str, Any]) -> None:
    _resource(body, "MemberPatient").pop("birthDate", None)


def _without_family_name(body: dict[str, Any]) -> None:
    for name in _resource(body, "MemberPatient")["name"]:
        name.pop("family", None)
        name.pop("text", None)


def _with_unknown_parameter(body: dict[str, Any]) -> None:
    body["parameter"].append({"name": "NobodyKnowsThis", "valueString": "x"})


def _with_patient_as_coverage(body: dict[str, Any]) -> None:
    for parameter in body["parameter"]:
        if parameter["name"] == "CoverageToMatch":
            parameter["resource"] = copy.deepcopy(_resource(body, "MemberPatient"))


def _with_foreign_reference(body: dict[str, Any]) -> None:
    _resource(body, "CoverageToMatch")["beneficiary"] = {"reference": "Patient/somebody-else"}


def _with_long_name(body: dict[str, Any]) -> None:
    _resource(body, "MemberPatient")["name"] = [{"family": "x" * 100_000, "given": ["y"]}]


_FLAWS: dict[str, Callable[[dict[str, Any]], None]] = {
    "without MemberPatient": _without("MemberPatient"),
    "without CoverageToMatch": _without("CoverageToMatch"),
    "without a birth date": _without_birth_date,
    "without a family name": _without_family_name,
    "with a parameter nobody knows": _with_unknown_parameter,
    "with a Patient as the Coverage": _with_patient_as_coverage,
    "with a reference to somebody else": _with_foreign_reference,
    "with a name of 100,000 letters": _with_long_name,
}
_BODIES = {
    "no JSON": b"{this is no JSON",
    "a list": b"[]",
    "another resource": b'{"resourceType":"Patient"}',
    "nested too deeply": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
}
