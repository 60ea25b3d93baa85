"""Checks on the answer of a member match (HRex, hrex-parameters-member-match-out)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...reference.fhir.hrex import HREX_TEMP, V2_0203
from ...reference.http import Exchange
from ..verdicts import CheckFailed
from .answers import is_resource

_ALLOWED = ("MemberIdentifier", "MemberId")


def has_hrex_shape(exchange: Exchange, version: str) -> None:
    """The answer has MemberIdentifier typed as the version wants, and at most MemberId beside."""
    parameters = _parameters(exchange)
    extra = [p for p in parameters if p not in _ALLOWED]
    if extra:
        raise CheckFailed("The answer holds parameters that do not belong there.",
                          " and ".join(_ALLOWED), ", ".join(sorted(extra)),
                          "Parameters.parameter.name")  # fmt: skip
    if "MemberIdentifier" not in parameters:
        raise CheckFailed("The answer lacks MemberIdentifier.", "MemberIdentifier", "absent",
                          "Parameters.parameter")  # fmt: skip
    _check_identifier(parameters["MemberIdentifier"], version)


def is_an_identifier_alone(exchange: Exchange) -> None:
    """The answer is one MemberIdentifier, of v2-0203 type MB (HRex 1.0.0, hrex-prof-mm-out-100)."""
    parameters = _parameters(exchange)
    if set(parameters) != {"MemberIdentifier"}:
        raise CheckFailed("The answer does not hold MemberIdentifier alone.", "MemberIdentifier",
                          ", ".join(sorted(parameters)) or "none",
                          "Parameters.parameter.name")  # fmt: skip
    identifier = parameters["MemberIdentifier"].get("valueIdentifier") or {}
    codings = (identifier.get("type") or {}).get("coding", [])
    if ("MB", V2_0203) not in [(c.get("code"), c.get("system")) for c in codings]:
        raise CheckFailed("The identifier is of another type.", "MB",
                          ", ".join(str(c.get("code")) for c in codings) or "none",
                          "Parameters.parameter.valueIdentifier.type")  # fmt: skip


def has_member_id(exchange: Exchange) -> str:
    """The answer has a literal reference to a Patient as MemberId; returns the Patient's id."""
    entry = _parameters(exchange).get("MemberId", {})
    value = entry.get("valueReference")
    reference = value.get("reference") if isinstance(value, Mapping) else None
    parts = str(reference or "").split("?")[0].rstrip("/").split("/")
    if len(parts) < 2 or parts[-2] != "Patient":
        raise CheckFailed("The answer holds no reference to the Patient.",
                          "a literal reference to a Patient",
                          "absent" if reference is None else "another reference",
                          "Parameters.parameter.where(name='MemberId').value")  # fmt: skip
    return parts[-1]


def is_refused(exchange: Exchange) -> None:
    """The match was refused with 422 and no member comes with it (mm-9 to mm-11)."""
    if exchange.status != 422:
        raise CheckFailed("The match was not refused with 422.", "422", str(exchange.status),
                          "status")  # fmt: skip
    try:
        content = json.loads(exchange.body)
    except ValueError:
        return
    if isinstance(content, dict) and content.get("resourceType") in ("Parameters", "Patient"):
        raise CheckFailed("The refusal holds a member.", "no member",
                          str(content["resourceType"]), "body")  # fmt: skip


def same_person(found: Mapping[str, Any], meant: Mapping[str, Any]) -> None:
    """Two Patients have the same id and birth date: the answer leads to whom the table means."""
    if found.get("id") != meant.get("id") or found.get("birthDate") != meant.get("birthDate"):
        raise CheckFailed(
            "The answer leads to another Patient than was meant.",
            "the member of the truth table",
            "somebody else",
            "Patient.id",
        )


def _check_identifier(entry: Mapping[str, Any], version: str) -> None:
    where = "Parameters.parameter.where(name='MemberIdentifier').value"
    value = entry.get("valueIdentifier")
    if not isinstance(value, Mapping) or not value.get("value"):
        raise CheckFailed("MemberIdentifier has no value.", "valueIdentifier with value",
                          "absent", where)  # fmt: skip
    codings = value.get("type", {}).get("coding", [])
    wanted = (V2_0203, "MB") if version == "2.0.0" else (HREX_TEMP, "UMB")
    found = [(c.get("system"), c.get("code")) for c in codings if isinstance(c, Mapping)]
    if wanted not in found:
        raise CheckFailed(
            "MemberIdentifier has another type.",
            "|".join(wanted),
            ", ".join(f"{s}|{c}" for s, c in found) or "absent",
            f"{where}.type",
        )


def _parameters(exchange: Exchange) -> dict[str, Mapping[str, Any]]:
    content = is_resource(exchange, "Parameters")
    return {str(p.get("name")): p for p in content.get("parameter", []) if isinstance(p, Mapping)}
