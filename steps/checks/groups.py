"""Checks on the Groups of a bulk match: who lies in which, and what a Group may say."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...reference.fhir.pdex import (
    CONSENT_CONSTRAINT,
    ENVELOPE,
    MATCH,
    NO_MATCH,
    RESULT_CODES,
    SUBMITTED_COVERAGE,
    SUBMITTED_PATIENT,
)
from ..bulk_run import BulkMatch, Entry, code_of, entries_of
from ..verdicts import CannotTell, CheckFailed

_FORBIDDEN_META = ("versionId", "lastUpdated", "security")
# Words that a reason is told in (pdex-154c).
_REASONS = re.compile(
    r"expir|revok|withdr|reason|polic|period|not yet|denied|inactive", re.IGNORECASE
)


def buckets_are_right(batch: BulkMatch, *codes: str) -> None:
    """Every submitted member lies in the Group that the truth table says (pdex-154b)."""
    found = _codes(batch.entries())
    wrong = Counter(
        f"{s.bucket} told as {found.get(str(s.patient['id']), 'nothing')}"
        for s in batch.submitted
        if (not codes or s.bucket in codes) and found.get(str(s.patient["id"])) != s.bucket
    )
    if wrong:
        raise CheckFailed("Members lie in other Groups than they must.", "as the truth table says",
                          _named(wrong), "Group.code")  # fmt: skip


def each_in_one(batch: BulkMatch) -> None:
    """Every MemberBundle leads to exactly one entry."""
    sent = Counter(str(s.patient["id"]) for s in batch.submitted)
    told = Counter(e.patient_id for e in batch.entries())
    if sent != told:
        missing, more = sent - told, told - sent
        raise CheckFailed(
            "Not every submitted member is told exactly once.",
            f"{sent.total()} entries, one for each",
            f"{missing.total()} missing, {more.total()} too many or unknown",
            "Group.member",
        )


def matched_are_own(batch: BulkMatch) -> None:
    """Matched entries name the payer's own Patient, the others the contained one."""
    for entry in batch.entries():
        contained = entry.reference.startswith("#")
        wanted = entry.code != MATCH
        if contained != wanted or (not contained and "Patient/" not in entry.reference):
            raise CheckFailed(
                "An entry names the wrong Patient.",
                "the contained Patient" if wanted else "the payer's own Patient",
                "a contained one" if contained else "another reference",
                f"Group[{entry.code}].member.entity.reference",
            )


def patients_are_unchanged(batch: BulkMatch) -> None:
    """The contained Patient is the submitted one, but for what may not be contained (pdex-150)."""
    contained = _contained(batch)
    for submitted in batch.submitted:
        found = contained.get(str(submitted.patient["id"]))
        if found is None:
            raise CheckFailed("A submitted Patient is not contained in any Group.",
                              "the submitted Patient with its id", "absent",
                              "Group.contained")  # fmt: skip
        wanted = _containable(submitted.patient)
        differing = sorted(
            k for k in wanted.keys() | found.keys()
            if k != "meta" and wanted.get(k) != found.get(k)
        )  # fmt: skip
        if differing:
            raise CheckFailed("A contained Patient was changed.", "the Patient as submitted",
                              f"other {', '.join(differing)}", "Group.contained")  # fmt: skip


def forbidden_is_gone(batch: BulkMatch) -> None:
    """What FHIR forbids in a contained resource is taken out, and nothing else of meta."""
    for submitted in batch.submitted:
        found = _contained(batch).get(str(submitted.patient["id"]), {})
        meta = found.get("meta", {})
        left = [name for name in _FORBIDDEN_META if name in meta]
        left += ["contained"] if "contained" in found else []
        if left:
            raise CheckFailed("A contained Patient keeps what may not be contained.",
                              "neither meta.versionId, lastUpdated, security nor contained",
                              ", ".join(left), "Group.contained")  # fmt: skip
        if meta.get("tag") != submitted.patient.get("meta", {}).get("tag"):
            raise CheckFailed("More was taken out of a contained Patient than has to be.",
                              "meta.tag as submitted", "changed",
                              "Group.contained.meta")  # fmt: skip


def coverages_are_told(batch: BulkMatch) -> None:
    """Entries of a person with several cards name the card each is about (pdex-153)."""
    told = {(e.code, str((e.coverage or {}).get("id", ""))) for e in batch.entries()}
    for submitted in batch.submitted:
        if (submitted.bucket, str(submitted.coverage.get("id", ""))) not in told:
            raise CheckFailed(
                "An entry does not tell which coverage it is about.",
                "a contained Coverage named by base-ext-match-coverage",
                "absent" if not any(e.coverage for e in batch.entries()) else "another one",
                "Group.member.entity.extension",
            )


def has_group(batch: BulkMatch, code: str) -> None:
    """There is a Group with the code."""
    if batch.group(code) is None:
        raise CheckFailed("A Group is missing.", f"a Group with code {code}", "absent",
                          "Group.code")  # fmt: skip


def only_groups(batch: BulkMatch, *codes: str) -> None:
    """There are no Groups but those with the codes."""
    others = [code_of(g) or "none" for g in batch.groups if code_of(g) not in codes]
    if others:
        raise CheckFailed("A Group is told that holds nobody.", " and ".join(codes),
                          ", ".join(others), "Group.code")  # fmt: skip


def no_reason_is_told(batch: BulkMatch) -> None:
    """The Group of constrained members tells no reason (pdex-154c)."""
    group = batch.group(CONSENT_CONSTRAINT)
    if group is None:
        raise CannotTell("No member's consent was found wanting, so no Group can tell why.")
    found = ["Group" for text in _texts(_without_contained(group)) if _REASONS.search(text)]
    found += [
        "member.entity.extension"
        for entry in entries_of(group)
        for extension in entry.member["entity"].get("extension") or []
        if extension.get("url") not in (SUBMITTED_PATIENT, SUBMITTED_COVERAGE)
    ]
    kinds = {str(c.get("resourceType")) for c in group.get("contained") or []}
    found += sorted(kinds - {"Patient", "Coverage"})
    if found:
        raise CheckFailed("A Group tells more of a consent than that it constrains.",
                          "no reason", ", ".join(dict.fromkeys(found)), "Group")  # fmt: skip


def _without_contained(group: Mapping[str, Any]) -> dict[str, Any]:
    """The Group without what was submitted: its identifiers and codes are no reasons either."""
    plain = {"contained", "id", "identifier", "code", "meta", "resourceType", "managingEntity"}
    return {name: child for name, child in group.items() if name not in plain}


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value that is no URL and no reference."""
    if isinstance(value, Mapping):
        for name, child in value.items():
            if name not in ("url", "system", "reference"):
                yield from _texts(child)
    elif isinstance(value, list):
        for child in value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value


# Profiles


def codes_are_of_the_guide(batch: BulkMatch) -> None:
    """Group.code is one of the three result codes; the Group is found by it."""
    for group in _some(batch):
        if code_of(group) not in (MATCH, NO_MATCH, CONSENT_CONSTRAINT):
            raise CheckFailed("A Group has no match result code.",
                              f"a code of {RESULT_CODES}", code_of(group) or "absent",
                              "Group.code")  # fmt: skip


def are_of_persons(batch: BulkMatch) -> None:
    """Group.type is person and Group.actual true."""
    for group in _some(batch):
        found = (group.get("type"), group.get("actual"))
        if found != ("person", True):
            raise CheckFailed("A Group is not one of actual persons.", "type person, actual true",
                              f"type {found[0]}, actual {found[1]}", "Group")  # fmt: skip


def managers_are_organizations(batch: BulkMatch) -> None:
    """Group.managingEntity, where there is one, is an Organization."""
    for group in _some(batch):
        entity = group.get("managingEntity")
        if entity is None:
            continue
        reference = str(entity.get("reference", ""))
        kind = entity.get("type") or (reference.split("/")[-2] if "/" in reference else "")
        if kind not in ("", "Organization"):
            raise CheckFailed("A Group is managed by something else than an Organization.",
                              "Organization", str(kind), "Group.managingEntity")  # fmt: skip


def entries_point_at_patients(batch: BulkMatch) -> None:
    """Every entry points at a contained Patient by its one extension."""
    for group in _some(batch):
        contained = {c.get("id") for c in group.get("contained") or []
                     if c.get("resourceType") == "Patient"}  # fmt: skip
        for entry in entries_of(group):
            extensions = entry.member["entity"].get("extension") or []
            count = sum(1 for e in extensions if e.get("url") == SUBMITTED_PATIENT)
            if count != 1 or entry.patient_id not in contained:
                raise CheckFailed(
                    "An entry does not point at one submitted Patient.",
                    "one base-ext-match-parameters to a contained Patient",
                    f"{count} of them" if count != 1 else "one that leads nowhere",
                    "Group.member.entity.extension",
                )


def characteristic_is_told(batch: BulkMatch, requester: str) -> None:
    """The matched Group says for whom and since when it is: what a search asks for."""
    found = batch.matched().get("characteristic")
    first = found[0] if isinstance(found, list) and found else None
    if not isinstance(first, Mapping):
        raise CheckFailed("The matched Group has no characteristic.",
                          "code match, the requesting payer, exclude false, a period", "absent",
                          "Group.characteristic")  # fmt: skip
    reference = first.get("valueReference")
    identifier = reference.get("identifier", {}) if isinstance(reference, Mapping) else {}
    period = first.get("period")
    lacking = [
        name
        for name, there in (
            ("code match", code_of(first) == MATCH),
            ("valueReference", isinstance(reference, Mapping)
             and identifier.get("value", requester) == requester),
            ("exclude false", first.get("exclude") is False),
            ("period.start", isinstance(period, Mapping) and "start" in period),
        )
        if not there
    ]  # fmt: skip
    if lacking:
        raise CheckFailed("The matched Group's characteristic lacks something.",
                          "code, requesting payer, exclude false, period", ", ".join(lacking),
                          "Group.characteristic")  # fmt: skip


def envelope_is_closed(batch: BulkMatch) -> None:
    """The envelope holds one to three Groups under their own names, and nothing else."""
    for envelope in batch.envelopes:
        entries = envelope.get("parameter") or []
        names = Counter(str(e.get("name")) for e in entries)
        unknown = [n for n in names if n not in ENVELOPE.values()]
        if unknown or names[ENVELOPE[MATCH]] != 1 or max(names.values(), default=0) > 1:
            raise CheckFailed("The envelope holds other parameters than it may.",
                              "MatchedMembers once, the others at most once", _named(names),
                              "Parameters.parameter")  # fmt: skip
        for entry in entries:
            resource = entry.get("resource") or {}
            code = code_of(resource)
            if resource.get("resourceType") != "Group" or ENVELOPE.get(code) != entry["name"]:
                raise CheckFailed("A parameter of the envelope holds another Group.",
                                  "the Group of its name", code or "no Group",
                                  f"Parameters.parameter[{entry.get('name')}]")  # fmt: skip


def envelope_is_the_same(batch: BulkMatch) -> None:
    """The envelope tells the same members as the Group files (pdex-138a)."""
    told = Counter((code_of(g), e.patient_id) for _, g in batch.enveloped() for e in entries_of(g))
    files = Counter((e.code, e.patient_id) for e in batch.entries())
    if told != files:
        raise CheckFailed("The envelope and the Group files tell different members.",
                          f"{files.total()} entries", f"{told.total()}, or others",
                          "Parameters")  # fmt: skip


def _some(batch: BulkMatch) -> Sequence[dict[str, Any]]:
    if not batch.groups:
        raise CannotTell("The bulk match answered with no Group.")
    return batch.groups


def _codes(entries: Iterable[Entry]) -> dict[str, str]:
    return {entry.patient_id: entry.code for entry in entries}


def _contained(batch: BulkMatch) -> dict[str, Mapping[str, Any]]:
    return {
        str(c.get("id")): c
        for group in batch.groups
        for c in group.get("contained") or []
        if c.get("resourceType") == "Patient"
    }


def _containable(patient: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in patient.items() if k != "contained"}


def _named(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items()))
