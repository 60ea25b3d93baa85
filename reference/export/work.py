"""What a thread does for an export job: write the members' releases, and who transmitted them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any

from ..audit import AuditLog
from ..clock import Clock, instant
from ..fhir import json
from ..fhir.outcome import outcome_of
from ..fhir.search import PARAMETERS
from ..matches import Matches
from ..store.repository import Key
from ..trust.scopes import readable_types
from .jobs import Job, NdjsonWriter
from .provenance import transmitter_provenance
from .release import ReleaseRequest, Releases
from .request import ExportRequest, read_export_request
from .scope import Tally

# Types that several members can share, so that an export of many writes them once.
_SHARED = frozenset({"Location", "Medication", "Organization", "Practitioner", "PractitionerRole"})
_IN_COMPARTMENT = frozenset(PARAMETERS) - _SHARED


@dataclass(frozen=True, slots=True)
class ExportWork:
    """Does export jobs; one for all of a payer's threads."""

    releases: Releases
    matches: Matches
    audit: AuditLog
    clock: Clock
    organization_id: str

    def write(
        self, job: Job, writer: NdjsonWriter, progress: Callable[[str], None]
    ) -> Mapping[str, Any]:
        """Write the job's members, and return what was released and withheld, and of whom.

        Consent is asked again for each member at the moment of writing (pdex-156, pdex-167).
        """
        asked = read_export_request(
            [(name, value) for name, value in job.content["pairs"]],
            types=self.releases.exportable_types(),
            lenient=job.content["lenient"],
        )
        state = _State(asked, _types(frozenset(job.content["scopes"]), asked), writer)
        members = job.content["members"]
        for index, member in enumerate(members):
            reached = self.matches.of(job.client_id, self.clock.now())
            if member in reached:
                self._write_member(member, reached[member].consent.policy, state)
            progress(f"{index + 1} of {len(members)} members")
        for ignored in asked.ignored:
            writer.write("OperationOutcome", json.write(outcome_of([ignored])))
        tally = state.tally.as_json()
        self.audit.record("export", "written", "complete", exchange=job.id, client=job.client_id,
                          details=tally)  # fmt: skip
        return {"tally": tally, "members": state.written}

    def _write_member(self, member: str, policy: str, state: _State) -> None:
        asked = state.asked
        request = ReleaseRequest(
            member,
            policy,
            types=state.types,
            since=asked.since,
            until=asked.until,
            filters=asked.filters,
        )
        today = self.clock.now().astimezone(UTC).date()
        rows = self.releases.facts(request, today, state.tally)
        sent: list[Key] = []
        for released in self.releases.bodies(rows, request, state.tally):
            sent.append((released.type, released.id))
            if sent[-1] not in state.shared:
                state.writer.write(released.type, released.body)
            if released.type not in _IN_COMPARTMENT:
                state.shared.add(sent[-1])
        state.written.append(member)
        if sent and (state.types is None or "Provenance" in state.types):
            self._write_provenance(member, sent, state)

    def _write_provenance(self, member: str, sent: list[Key], state: _State) -> None:
        now = instant(self.clock.now())
        for provenance in transmitter_provenance(member, sent, self.organization_id, now):
            state.writer.write("Provenance", json.write(provenance))
            state.tally.released["Provenance"] += 1


@dataclass(slots=True)
class _State:
    """One job under way."""

    asked: ExportRequest
    types: frozenset[str] | None
    writer: NdjsonWriter
    tally: Tally = field(default_factory=Tally)
    shared: set[Key] = field(default_factory=set)
    written: list[str] = field(default_factory=list)


def _types(scopes: frozenset[str], asked: ExportRequest) -> frozenset[str] | None:
    """The types that are both asked for and within the scopes; None stands for all."""
    allowed = readable_types(scopes)
    wanted = None if asked.types is None else frozenset(asked.types)
    if allowed is None:
        return wanted
    return allowed if wanted is None else wanted & allowed
