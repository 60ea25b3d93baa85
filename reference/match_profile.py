"""Whether what is sent to a match is as HRex has it: each element that is not, by its place.

The profile is hrex-parameters-member-match-in, of whichever version is met best. What resources
claim to be besides is not asked: a match needs no more than HRex does.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from .errors import BadRequest
from .fhir import json
from .fhir.hrex import HREX_PROFILE
from .fhir.outcome import issue
from .validation.findings import Finding
from .validation.forms import code_of
from .validation.validator import Validator

# More would not be read; the first ones are told in the order of the elements.
_MOST_ISSUES = 10
_CONSENT = "Consent"
# As hrex-parameters-member-match-in has them; of one member by one, a bulk match is twice as fast.
_PROFILES = {
    "MemberPatient": HREX_PROFILE + "patient-demographics",
    **dict.fromkeys(("CoverageToMatch", "CoverageToLink"), HREX_PROFILE + "coverage"),
}
# Checks are made when they are first needed, by whichever request is first.
_lock = threading.Lock()
Issue = dict[str, Any]


def check_profile(body: Mapping[str, Any]) -> None:
    """Raise BadRequest (422) naming each element of a match that HRex does not allow.

    What stands in a Consent, but is not what HRex has there, is left to who judges the consent.
    """
    found = [_issue(one) for one in _errors(body) if _name(body, one) != _CONSENT or _is_shape(one)]
    if found:
        first = found[0]
        raise BadRequest(first["details"]["text"], status=422, code=first["code"],
                         expression=first["expression"][0],
                         issues=tuple(found[1:_MOST_ISSUES]))  # fmt: skip


def issues_of(body: Mapping[str, Any], name: str = "") -> tuple[Issue, ...]:
    """An issue for each error in a match's Parameters or in one of them; none repeats a value."""
    found = [_issue(one) for one in _errors(body) if name in ("", _name(body, one))]
    return tuple(found[:_MOST_ISSUES])


def issues_of_member(parts: list[Mapping[str, Any]], where: str) -> list[Issue]:
    """An issue for each error of one member of a bulk match, whose parts stand at a place.

    The Consent is left out: it is judged after the match (pdex-154b).
    """
    found = []
    for part in parts:
        profile = _PROFILES.get(part["name"])
        place = f"{where}.part.where(name='{part['name']}').resource"
        for one in _found(part["resource"], profile) if profile else ():
            found.append(_issue(one, place + one.path.removeprefix(one.type)))
    return found[:_MOST_ISSUES]


def _name(body: Mapping[str, Any], found: Finding) -> str:
    """The name of the parameter that a finding is about; empty for the request as a whole."""
    _, first, *rest = [*found.pointer.split("/"), ""]
    return str(body["parameter"][int(rest[0])]["name"]) if _is_inside(first, rest) else ""


def _is_inside(first: str, rest: list[str]) -> bool:
    return first == "parameter" and bool(rest) and rest[0].isdigit()


def _is_shape(found: Finding) -> bool:
    """Whether the finding would be one in any Consent."""
    return code_of(found.rule) == "structure" or found.rule == "primitive"


def _errors(body: Mapping[str, Any]) -> list[Finding]:
    plain = [
        {**one, "resource": _without_claims(one["resource"])} if "resource" in one else one
        for one in body["parameter"]
    ]
    return _found({**body, "parameter": plain}, HREX_PROFILE + "parameters-member-match-in")


def _found(resource: Mapping[str, Any], profile: str) -> list[Finding]:
    """The errors of a resource by a profile, by their places."""
    body = json.write(_without_claims(resource))
    with _lock:
        found = _validator().validate_bytes(body, [profile])
    return sorted((one for one in found if one.severity == "error"), key=lambda one: one.pointer)


def _without_claims(resource: Any) -> Any:
    meta = resource.get("meta") if isinstance(resource, Mapping) else None
    if not isinstance(meta, Mapping) or "profile" not in meta:
        return resource
    rest = {name: value for name, value in meta.items() if name != "profile"}
    kept = {name: value for name, value in resource.items() if name != "meta"}
    return {**kept, "meta": rest} if rest else kept


def _issue(found: Finding, expression: str = "") -> Issue:
    place = expression or found.path
    text = f"{place} should be {found.expected}, but there is {found.actual}."
    return issue(text, code=code_of(found.rule), expression=place)


@cache
def _validator() -> Validator:
    return Validator()
