"""The bulk match of the played payer: who was submitted, and the Groups that are answered.

PDex 2.2.0, `$bulk-member-match`: each submitted Patient is contained in the Group that it is told
in (pdex-150), and a matched entry names the payer's own Patient.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .records import ASKING, PLAYED, PlayedMember, bare
from .script import CONSTRAINED, MATCH, NO_MATCH, Script

_PDEX = "http://hl7.org/fhir/us/davinci-pdex/"
_CODES = _PDEX + "CodeSystem/PdexMultiMemberMatchResultCS"
_PATIENT = _PDEX + "StructureDefinition/base-ext-match-parameters"
_GROUP_SYSTEM = "https://played-payer.example.org/group-id"
_NAMES = {MATCH: "MatchedMembers", NO_MATCH: "NonMatchedMembers",
          CONSTRAINED: "ConsentConstrainedMembers"}  # fmt: skip
# What a contained resource may not have in its meta.
_LEFT_OUT = ("versionId", "lastUpdated", "security")


class GroupBook:
    """The Groups of one exchange; their ids are random."""

    def __init__(self, script: Script, members: Sequence[PlayedMember]) -> None:
        self._script, self._members = script, members
        self._ids = {code: secrets.token_hex(8) for code in _NAMES}
        self._submitted: dict[str, Mapping[str, Any]] = {}

    @property
    def matched_id(self) -> str:
        """The id of the Group whose members' records may be exported."""
        return self._ids[MATCH]

    def matched(self) -> list[PlayedMember]:
        """The members whom the script lets match."""
        return self._with(MATCH)

    def read(self, body: Any) -> None:
        """Find each member among what was submitted, by the numbers of the card."""
        for bundle in bundles_of(body):
            text = json.dumps(bundle)
            for member in self._members:
                if member.number in text or member.subscriber in text:
                    self._submitted[member.patient_id] = bundle.get("MemberPatient", {})

    def answer(self, version: str) -> dict[str, list[dict[str, Any]]]:
        """The files of the answer: Groups, or before 2.2.0 one Parameters that holds them."""
        groups = {code: self._group(code) for code in _NAMES}
        told = {c: g for c, g in groups.items() if c == MATCH or g.get("member")}
        if version != "2.2.0":
            return {"Parameters": [_enveloped(told)]}
        files = {"Group": list(told.values())}
        if self._script.match.envelope:
            # It says that nobody is known: who goes by it exports nothing.
            files["Parameters"] = [_enveloped({MATCH: {**groups[MATCH], "member": []}})]
        return files

    def _with(self, code: str) -> list[PlayedMember]:
        pairs = zip(self._members, self._script.members, strict=False)
        return [member for member, outcome in pairs if outcome == code]

    def _group(self, code: str) -> dict[str, Any]:
        coded = {"coding": [{"system": _CODES, "code": code}]}
        profile = "pdex-member-match-group" if code == MATCH else "pdex-member-no-match-group"
        found: dict[str, Any] = {
            "resourceType": "Group",
            "id": self._ids[code],
            "meta": {"profile": [f"{_PDEX}StructureDefinition/{profile}"]},
            "identifier": [{"system": _GROUP_SYSTEM, "value": self._ids[code]}],
            "active": True,
            "type": "person",
            "actual": True,
            "code": coded,
            "managingEntity": {"identifier": bare(PLAYED)},
        }
        if code == MATCH:
            found["characteristic"] = [{
                "code": coded, "valueReference": {"identifier": bare(ASKING)}, "exclude": False,
                "period": {"start": "2026-01-02"}}]  # fmt: skip
        return {**found, **self._entries(code)}

    def _entries(self, code: str) -> dict[str, Any]:
        members = [m for m in self._with(code) if m.patient_id in self._submitted]
        patients = [self._submitted[m.patient_id] for m in members]
        entries = [
            {"entity": {
                "extension": [{"url": _PATIENT, "valueReference": {"reference": f"#{p['id']}"}}],
                "reference": f"Patient/{m.patient_id}" if code == MATCH else f"#{p['id']}"}}
            for m, p in zip(members, patients, strict=True)
        ]  # fmt: skip
        if not entries:
            return {"quantity": 0}
        return {"quantity": len(entries), "contained": [_contained(p) for p in patients],
                "member": entries}  # fmt: skip


def bundles_of(body: Any) -> Iterator[dict[str, Any]]:
    """The MemberBundles of a bulk match request, as resources by the name of their part."""
    entries = body.get("parameter") if isinstance(body, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == "MemberBundle":
            parts = entry.get("part") or []
            yield {str(p.get("name")): p.get("resource") or {} for p in parts}


def _enveloped(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    found = [{"name": _NAMES[code], "resource": group} for code, group in groups.items()]
    return {"resourceType": "Parameters", "parameter": found}


def _contained(patient: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: child for name, child in patient.items() if name != "contained"}
    if isinstance(found.get("meta"), dict):
        found["meta"] = {k: v for k, v in found["meta"].items() if k not in _LEFT_OUT}
    return found
