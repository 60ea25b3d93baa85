"""What is done for an export job: write the members' releases, and who transmitted them."""

from __future__ import annotations

import base64
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from ..audit import AuditLog
from ..clock import Clock
from ..fhir import json
from ..fhir.dates import parse_moment
from ..fhir.outcome import outcome_of
from ..matches import Matches
from ..store.repository import Row
from ..store.tombstones import Tombstone
from ..trust.scope_filters import both
from ..trust.scopes import filters, readable_types
from .bulk import BulkRelease, BulkRequest, NumberSet
from .files import DELETED, NdjsonWriter
from .provenance import ProvenanceLines
from .release import Releases
from .request import ExportRequest, read_export_request
from .rows import Job, JobMembers
from .scope import Tally

# Members whose consent is asked and whose records are read at once.
_MEMBERS = 200
# One Bundle of what was deleted names at most so many, so that no line grows with the export.
_DELETED = 1000
# A run that dies loses about so much.
_CHECKPOINT_S = 5.0


@dataclass(frozen=True, slots=True)
class ExportWork:
    """Does export jobs; one for all of a payer's threads."""

    releases: Releases
    matches: Matches
    audit: AuditLog
    clock: Clock
    organization_id: str
    checkpoint_s: float = _CHECKPOINT_S
    """How often what is written so far is made to last."""

    def write(
        self, job: Job, writer: NdjsonWriter, progress: Callable[[str], None]
    ) -> Mapping[str, Any]:
        """Write the job's members, and return what was released and withheld, and of whom.

        Consent is asked again for each batch of members just before it is written (pdex-156,
        pdex-167).
        """
        asked = read_export_request(
            [(name, value) for name, value in job.content["pairs"]],
            types=self.releases.exportable_types(),
            lenient=job.content["lenient"],
        )
        run = _Run(self, job, asked, writer)
        members = job.content["members"]
        total, saved = len(members), time.monotonic()
        for batch in _batches(_after(members, run.done), _MEMBERS):
            run.write(batch)
            progress(f"{run.done} of {total} members")
            if time.monotonic() - saved > self.checkpoint_s:
                writer.checkpoint(run.state())
                saved = time.monotonic()
        for ignored in asked.ignored:
            writer.write("OperationOutcome", json.write(outcome_of([ignored])))
        tally, left_out = run.tally.as_json(), frozenset(run.left_out)
        told = (f"Patient/{member}" for member in members if member not in left_out)
        self.audit.record("export", "written", "complete", exchange=job.id, client=job.client_id,
                          started=job.created, details=tally, subjects=told)  # fmt: skip
        return {"tally": tally, "left_out": run.left_out}


class _Run:
    """One run of a job: where it stands, and what it has still to remember."""

    def __init__(
        self, work: ExportWork, job: Job, asked: ExportRequest, writer: NdjsonWriter
    ) -> None:
        before = writer.resumed or {}
        self._work, self._job, self._asked, self._writer = work, job, asked, writer
        self._types = _types(frozenset(job.content["scopes"]), asked)
        self.done: int = before.get("done", 0)
        self.left_out: list[str] = list(before.get("left_out", ()))
        self.tally = _tally(before.get("tally", {}))
        self._lines = ProvenanceLines(work.organization_id)
        narrowed = both(asked.filters, filters(job.content["scopes"], "r"))
        request = BulkRequest(self._types, asked.since, asked.until, narrowed, job.bound)
        sent = NumberSet(zlib.decompress(base64.b64decode(before["sent"])) if before else b"")
        self._bulk = BulkRelease(work.releases, request, writer, self.tally, sent)

    def state(self) -> dict[str, Any]:
        """What a later run has to know to go on from here."""
        return {
            "done": self.done,
            "left_out": self.left_out,
            "tally": self.tally.as_json(),
            "sent": base64.b64encode(zlib.compress(bytes(self._bulk.sent), 1)).decode(),
        }

    def write(self, batch: list[str]) -> None:
        """Write the records of some members, as far as their consents reach now."""
        now = self._work.clock.now()
        reached = self._work.matches.among(self._job.client_id, batch, now)
        self.left_out += [member for member in batch if member not in reached]
        policies = {member: match.consent.policy for member, match in reached.items()}
        vouched = self._types is None or "Provenance" in self._types
        for member, sent in self._bulk.members(policies, now.astimezone(UTC).date()):
            if sent and vouched:
                self._write_provenance(member, sent)
        if self._asked.since is not None:
            self._write_deleted(policies, now)
        self.done += len(batch)

    def _write_provenance(self, member: str, sent: list[bytes]) -> None:
        # Nothing in a delivery is newer than its transaction time (bulk-man-02).
        for line in self._lines.lines(member, sent, self._job.transaction_time):
            self._writer.write("Provenance", line)
            self.tally.released["Provenance"] += 1

    def _write_deleted(self, policies: Mapping[str, str], now: datetime) -> None:
        """Tell what left the members' records since, as far as it could have been sent before."""
        since, until = self._asked.since, parse_moment(self._job.transaction_time)
        assert since is not None
        assert until is not None
        gone: dict[str, list[str]] = {}
        for stone in self._work.releases.repository.deleted(list(policies), since, until):
            if self._may_be_told(stone, policies[stone.compartment], now):
                gone.setdefault(stone.compartment, []).append(f"{stone.type}/{stone.id}")
        for urls in gone.values():
            for part in _batches(urls, _DELETED):
                self._writer.write("Bundle", json.write(_deletions(part)), DELETED)

    def _may_be_told(self, stone: Tombstone, policy: str, now: datetime) -> bool:
        if self._types is not None and stone.type not in self._types:
            return False
        row = Row(0, stone.compartment, stone.type, stone.id, 1, "", stone.service_date,
                  stone.marks)  # fmt: skip
        reason = self._work.releases.scope.withheld(row, policy, now.astimezone(UTC).date())
        # Of what was never to be known, not even the end is told.
        return reason not in ("sensitive", "type-not-in-scope")


def _deletions(urls: Iterable[str]) -> dict[str, Any]:
    """A transaction that deletes, as Bulk Data tells it."""
    entries = [{"request": {"method": "DELETE", "url": url}} for url in urls]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def _tally(before: Mapping[str, Mapping[str, int]]) -> Tally:
    return Tally(**{name: Counter(counts) for name, counts in before.items()})


def _after(members: JobMembers | list[str], count: int) -> Iterator[str]:
    return members.after(count) if isinstance(members, JobMembers) else iter(members[count:])


def _batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    found = iter(items)
    while batch := list(islice(found, size)):
        yield batch


def _types(scopes: frozenset[str], asked: ExportRequest) -> frozenset[str] | None:
    """The types that are both asked for and within the scopes; None stands for all."""
    allowed = readable_types(scopes)
    wanted = None if asked.types is None else frozenset(asked.types)
    if allowed is None:
        return wanted
    return allowed if wanted is None else wanted & allowed
