"""What a thread does for a bulk match: decide member by member, then write and keep the Groups."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

from ..audit import AuditLog
from ..clock import Clock
from ..consent import ConsentDecision
from ..export.jobs import Job, NdjsonWriter
from ..fhir import json
from ..fhir.outcome import outcome_of
from ..fhir.parameters import make_parameters
from ..fhir.pdex import CONSENT_CONSTRAINT, ENVELOPE, MATCH, NEWEST, NO_MATCH
from ..matches import Matches, NewMatch
from ..matching import Decision, Outcome
from ..member_match import MemberMatchRequest
from ..parties import PayerIdentity
from .groups import Bucket, GroupHead, with_members
from .request import FindIssues, KeptRequest, MemberBundle
from .store import MatchGroups

_REPORT_EVERY = 200


@dataclass(frozen=True, slots=True)
class BulkMatchSettings:
    """What the operation is told: the payer, its version, and the form of the answer."""

    responder: PayerIdentity
    fhir_base: str
    version: str = NEWEST
    envelope: bool = False

    @property
    def answers_with_groups(self) -> bool:
        """Whether the answer is Group NDJSON; before 2.2.0 it is the envelope alone."""
        return self.version == NEWEST

    @property
    def answers_with_envelope(self) -> bool:
        """Whether the Parameters envelope is among the files (pdex-138a)."""
        return self.envelope or not self.answers_with_groups


@dataclass(frozen=True, slots=True)
class BulkMatchWork:
    """Does bulk matches; one for all of a payer's threads.

    `decisions`, `judge` and `identify` are the payer's own: who is meant, whether the consent
    holds, and the business identifiers of its members.
    """

    settings: BulkMatchSettings
    decisions: Callable[[str], AbstractContextManager[Callable[[MemberMatchRequest], Decision]]]
    judge: Callable[[MemberMatchRequest, PayerIdentity | None], ConsentDecision]
    identify: Callable[[Sequence[str]], Mapping[str, tuple[str, str]]]
    requester_of: Callable[[str], PayerIdentity | None]
    submitted: Callable[[Job], Path]
    matches: Matches
    groups: MatchGroups
    audit: AuditLog
    clock: Clock
    issues: FindIssues | None = None
    """What else is wrong with a member's part of the request."""

    def write(
        self, job: Job, writer: NdjsonWriter, progress: Callable[[str], None]
    ) -> Mapping[str, Any]:
        """Write the Groups and keep the matched one; returns how many members went where."""
        request = KeptRequest.read(self.submitted(job))
        sorted_ = _Sorted(problems=[[one] for one in request.ignored])
        requester = self.requester_of(job.client_id)
        with self.decisions(job.client_id) as decide:
            for index, bundle in enumerate(request.bundles(self.issues)):
                writer.go_on()
                self._sort(bundle, decide, requester, request.repeated, sorted_)
                if index % _REPORT_EVERY == 0:
                    progress(f"{index} of {request.members} members")
        self._write_groups(job, requester, sorted_, writer)
        matched = sorted({f"Patient/{member}" for member, _ in sorted_.granted})
        details = {"counts": dict(sorted_.reasons), "attestation": dict(sorted_.attested)}
        self.audit.record("member-match", "bulk", "complete", exchange=job.id,
                          client=job.client_id, started=job.created, details=details,
                          subjects=matched)  # fmt: skip
        return {"counts": {code: len(b.members) for code, b in sorted_.buckets.items()}}

    def _sort(
        self,
        bundle: MemberBundle,
        decide: Callable[[MemberMatchRequest], Decision],
        requester: PayerIdentity | None,
        repeated: frozenset[str],
        sorted_: _Sorted,
    ) -> None:
        """Put one member into one bucket; no reason is told but in the audit (pdex-154c)."""
        code, member, reason = NO_MATCH, None, "request-not-conformant"
        if bundle.faults:
            sorted_.problems.append(list(bundle.faults))
        else:
            decision = decide(bundle.request)
            member, reason = decision.member_key, decision.reason
            if decision.outcome is Outcome.MATCH and member is not None:
                consent = self.judge(bundle.request, requester)
                reason = consent.reason
                sorted_.attested[consent.attestation or "given"] += 1
                code = MATCH if consent.granted else CONSENT_CONSTRAINT
                if consent.granted:
                    sorted_.granted.append((member, consent))
        with_coverage = bundle.patient_id in repeated and self.settings.version == NEWEST
        told = member if code == MATCH else None
        sorted_.buckets[code].add(bundle, told, with_coverage=with_coverage)
        sorted_.reasons[f"{code}:{reason}" if reason else code] += 1

    def _write_groups(
        self,
        job: Job,
        requester: PayerIdentity | None,
        sorted_: _Sorted,
        writer: NdjsonWriter,
    ) -> None:
        entries: list[dict[str, Any]] = []
        for code, bucket in sorted_.buckets.items():
            # Matched members always, the others when there are any (pdex 2.2.0, bulk page).
            if not bucket.members and code != MATCH:
                continue
            head = self._head(job, code, requester)
            group = with_members(head, bucket)
            if self.settings.answers_with_groups:
                writer.write("Group", json.write(group))
            entries.append({"name": ENVELOPE[code], "resource": group})
        if self.settings.answers_with_envelope:
            writer.write("Parameters", json.write(make_parameters(entries)))
        for issues in sorted_.problems:
            writer.write("OperationOutcome", json.write(outcome_of(issues)))
        self._keep(job, sorted_, entries[0]["resource"], self._head(job, MATCH, requester))

    def _keep(
        self, job: Job, sorted_: _Sorted, group: Mapping[str, Any], head: Mapping[str, Any]
    ) -> None:
        now = self.clock.now()
        members = [member for member, _ in sorted_.granted]
        identifiers = self.identify(members)
        # The later bundle's consent counts where two lead to the same member.
        found = {m: NewMatch(m, identifiers[m], consent) for m, consent in sorted_.granted}
        self.matches.keep_many(job.client_id, list(found.values()), now)
        self.groups.keep(job.client_id, head, json.write(group), members, now)

    def _head(self, job: Job, code: str, requester: PayerIdentity | None) -> dict[str, Any]:
        made = GroupHead(
            ident=group_id(job.id, code),
            identifier_system=f"{self.settings.fhir_base}/match-group",
            responder=self.settings.responder,
            requester=requester or PayerIdentity("", ""),
            made=self.clock.now().astimezone(UTC).date(),
        )
        return made.resource(code)


@dataclass(slots=True)
class _Sorted:
    """The members of one request as they were sorted, and what was wrong with any of them."""

    problems: list[list[dict[str, Any]]]
    buckets: dict[str, Bucket] = field(
        default_factory=lambda: {c: Bucket(c) for c in (MATCH, NO_MATCH, CONSENT_CONSTRAINT)}
    )
    granted: list[tuple[str, ConsentDecision]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    attested: Counter[str] = field(default_factory=Counter)


def group_id(job_id: str, code: str) -> str:
    """A Group's id: as unguessable as the job's, and the same when a job is done again."""
    return hashlib.sha256(f"{job_id}/{code}".encode()).hexdigest()[:32]
