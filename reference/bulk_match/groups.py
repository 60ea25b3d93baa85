"""The three Groups of an answer, made of what was submitted and what was decided.

PDex 2.2.0 profiles pdex-member-match-group and pdex-member-no-match-group; the submitted Patient is
contained as it came, but for what base FHIR forbids in a contained resource (pdex-150 to pdex-152).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from ..fhir import json
from ..fhir.pdex import (
    MATCH,
    MATCH_GROUP,
    NO_MATCH_GROUP,
    RESULT_CODES,
    SUBMITTED_COVERAGE,
    SUBMITTED_PATIENT,
)
from ..parties import PayerIdentity
from .request import MemberBundle

# dom-2, dom-4 and dom-5 of FHIR R4: what a contained resource may not have.
_FORBIDDEN_META = frozenset({"lastUpdated", "security", "versionId"})


@dataclass(slots=True)
class Bucket:
    """One Group in the making: entries and the contained resources they point at, as JSON.

    As bytes each is one object in memory; as parsed values it would be some hundred.
    """

    code: str
    members: list[bytes] = field(default_factory=list)
    contained: dict[str, bytes] = field(default_factory=dict)

    def add(self, bundle: MemberBundle, member: str | None, *, with_coverage: bool) -> None:
        """Add one submitted member; `member` is this payer's own Patient where it is told."""
        patient = bundle.patient_id
        if patient not in self.contained:
            self.contained[patient] = json.write(as_contained(bundle.request.patient))
        extensions = [_extension(SUBMITTED_PATIENT, patient)]
        if with_coverage:
            extensions.append(_extension(SUBMITTED_COVERAGE, self._keep_coverage(bundle)))
        reference = f"Patient/{member}" if member else f"#{patient}"
        entry = {"entity": {"extension": extensions, "reference": reference}}
        self.members.append(json.write(entry))

    def _keep_coverage(self, bundle: MemberBundle) -> str:
        """The contained id of the submitted CoverageToMatch; its own unless that is taken."""
        coverage = as_contained(bundle.request.coverage_to_match)
        own = str(coverage.get("id") or "coverage")[:48]
        ident, count = own, 1
        while ident in self.contained:
            count += 1
            ident = f"{own}-{count}"
        self.contained[ident] = json.write({**coverage, "id": ident})
        return ident


@dataclass(frozen=True, slots=True)
class GroupHead:
    """What a Group says of itself: whose it is, for whom it was made and when."""

    ident: str
    identifier_system: str
    responder: PayerIdentity
    requester: PayerIdentity
    made: date

    def resource(self, code: str) -> dict[str, Any]:
        """The Group without its members."""
        coded = {"coding": [{"system": RESULT_CODES, "code": code}]}
        found: dict[str, Any] = {
            "resourceType": "Group",
            "id": self.ident,
            "meta": {"profile": [MATCH_GROUP if code == MATCH else NO_MATCH_GROUP]},
            "identifier": [{"system": self.identifier_system, "value": self.ident}],
            "active": True,
            "type": "person",
            "actual": True,
            "code": coded,
            "managingEntity": _organization(self.responder),
        }
        if code == MATCH:
            found["characteristic"] = [
                {
                    "code": coded,
                    "valueReference": _organization(self.requester),
                    "exclude": False,
                    "period": {"start": self.made.isoformat()},
                }
            ]
        return found


def with_members(head: Mapping[str, Any], bucket: Bucket) -> dict[str, Any]:
    """The whole Group."""
    found = dict(head)
    found["quantity"] = len(bucket.members)
    if bucket.members:
        found["contained"] = [json.verbatim(body) for body in bucket.contained.values()]
        found["member"] = [json.verbatim(body) for body in bucket.members]
    return found


def as_contained(resource: Mapping[str, Any]) -> dict[str, Any]:
    """The resource as it may be contained: without the four elements FHIR forbids there."""
    found = {name: child for name, child in resource.items() if name != "contained"}
    if isinstance(found.get("meta"), Mapping):
        meta = {k: v for k, v in found["meta"].items() if k not in _FORBIDDEN_META}
        found.pop("meta")
        found |= {"meta": meta} if meta else {}
    return found


def _extension(url: str, ident: str) -> dict[str, Any]:
    return {"url": url, "valueReference": {"reference": f"#{ident}"}}


def _organization(payer: PayerIdentity) -> dict[str, Any]:
    reference = payer.reference()
    if payer.organization_id:
        reference["reference"] = f"Organization/{payer.organization_id}"
    return reference
