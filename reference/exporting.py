"""Exports as a client sees them: kick-off, status, files, manifest, and whose they are.

One engine serves `Patient/$export`, `Patient/[id]/$export`, `Group/[id]/$export` and
`Group/[id]/$davinci-data-export`; they differ in whose records they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from .bulk_match.store import MatchGroups
from .clock import Clock, instant
from .errors import BadRequest
from .export.jobs import COMPLETE, EXPORT, FAILED, ExportJobs, Job
from .export.redaction import lines_without
from .export.release import Releases
from .export.request import ExportRequest, read_export_request
from .fhir.outcome import issue
from .fhir.pdex import NEWEST, PAYER_TO_PAYER
from .limits import Limits
from .matches import Matches
from .retrieval import NOT_FOUND, Access, require_scope
from .trust.scopes import readable_types
from .trust.tokens import Grant

_CAP_YEARS = 5
Pairs = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose records an export is asked for: one member's, a Group's, or all that are reachable.

    `payer_to_payer` is `$davinci-data-export`, with the parameters of ATR.
    """

    member: str | None = None
    group: str | None = None
    payer_to_payer: bool = False


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file to send: as it lies there, or what may still be sent of it."""

    path: Path
    lines: Iterator[bytes] | None


class Exports:
    """The exports of one responding payer, each seen by its own client only."""

    def __init__(
        self,
        jobs: ExportJobs,
        releases: Releases,
        matches: Matches,
        groups: MatchGroups,
        clock: Clock,
        version: str = NEWEST,
        limits: Limits | None = None,
    ) -> None:
        self.jobs = jobs
        self._releases = releases
        self._repository = releases.repository
        self._matches = matches
        self._groups = groups
        self._clock = clock
        self._most = (limits or Limits()).running_jobs
        self.version = version

    def kick_off(
        self, access: Access, request_url: str, pairs: Pairs, asked: Asked, *, lenient: bool
    ) -> Job:
        """Start an export; returns its job.

        Raises BadRequest: 400 naming a parameter, 403 without scope, 404 for a member or a Group
        out of reach, 429 with too many jobs.
        """
        require_scope(access, "Patient", "r")
        if asked.group:
            # Whoever exports a Group learns who is in it (Bulk Data, scope-18).
            require_scope(access, "Group", "r")
        members = self._members(access, asked)
        if asked.payer_to_payer:
            pairs = _without_export_type(pairs)
        wanted = read_export_request(pairs, types=self._releases.exportable_types(),
                                     lenient=lenient)  # fmt: skip
        chosen, problems = _chosen(members, wanted, forgiving=asked.payer_to_payer)
        _require_types(access, wanted)
        self.check_room(access.client_id)
        content = {
            "pairs": [list(pair) for pair in (*pairs, *self._clamped(wanted))],
            "members": chosen,
            "scopes": sorted(access.scopes),
            "lenient": lenient,
            "problems": problems,
        }
        return self.jobs.start(access.client_id, request_url, content, kind=EXPORT)

    def job(self, grant: Grant, job_id: str) -> Job:
        """The client's own job; raises BadRequest 404 for any other.

        A token bound to a member opens no job about others, and a finished job ends with the
        consents of the members whose records it holds (pdex-156).
        """
        job = self.jobs.find(job_id, grant.client_id)
        if job is not None and not self._may_see(grant, job):
            job = None
        if job is None:
            raise BadRequest("There is no such export.", status=404, code="not-found")
        return job

    def file(self, access: Access, job: Job, name: str) -> ExportFile:
        """A file of a finished job.

        Raises BadRequest: 404 when there is none, 403 without a scope for its type (pdex-188).
        """
        path = self.jobs.file(job, name)
        if path is None or not path.is_file():
            raise BadRequest("There is no such file.", status=404, code="not-found")
        kind = next(f["type"] for f in job.result["files"] if f["name"] == name)
        if job.kind == EXPORT and kind != "OperationOutcome":
            require_scope(access, kind, "r")
        gone = self._gone(job)
        return ExportFile(path, lines_without(path, gone, self._repository) if gone else None)

    def manifest(self, job: Job, file_url: Callable[[str], str]) -> dict[str, Any]:
        """The manifest of a finished job (Bulk Data 2.0.0).

        Raises BadRequest 500 for a job that failed.
        """
        if job.state == FAILED:
            raise BadRequest("The export failed. Start it again.", status=500, code="exception")
        assert job.state == COMPLETE
        files = job.result["files"]
        listed = [
            {"type": f["type"], "url": file_url(f["name"]), "count": f["count"]} for f in files
        ]
        if self._gone(job):
            # Lines will be left out of the files: a count is an option, and a wrong one is none.
            listed = [{k: v for k, v in entry.items() if k != "count"} for entry in listed]
        roles = [f["role"] for f in files]
        return {
            "transactionTime": job.transaction_time,
            "request": job.request,
            "requiresAccessToken": True,
            **{
                role: [f for f, its in zip(listed, roles, strict=True) if its == role]
                for role in ("output", "deleted", "error")
            },
        }

    def _may_see(self, grant: Grant, job: Job) -> bool:
        if grant.member is not None and set(job.content.get("members", ())) - {grant.member}:
            return False
        gone = self._gone(job)
        if not gone or len(gone) < len(job.result["members"]):
            return True
        self.jobs.remove(job)
        return False

    def _gone(self, job: Job) -> frozenset[str]:
        """The members whose records a job's files hold and whose consent has ended since."""
        ended = self._matches.ended(job.client_id, self._clock.now())
        return (
            frozenset(ended.intersection(job.result.get("members", ()))) if ended else frozenset()
        )

    def _members(self, access: Access, asked: Asked) -> list[str]:
        """Whom the export may hold: consent is asked again at the kick-off (pdex-156)."""
        if asked.group is not None:
            if self._groups.find(access.client_id, asked.group) is None:
                raise BadRequest(NOT_FOUND, status=404, code="not-found")
            held = self._groups.members(asked.group)
            if access.members.only not in (None, *held):
                raise BadRequest(NOT_FOUND, status=404, code="not-found")
            return access.members.among(held)
        if asked.member is None:
            return sorted(access.members)
        if asked.member not in access.members:
            raise BadRequest(NOT_FOUND, status=404, code="not-found")
        return [asked.member]

    def _clamped(self, wanted: ExportRequest) -> list[tuple[str, str]]:
        """2.1.0 raises a `_since` of more than five years ago; 2.2.0 leaves it (pdex-173)."""
        if self.version != "2.1.0" or wanted.since is None:
            return []
        floor = _years_before(self._clock.now(), _CAP_YEARS)
        return [("_since", instant(floor))] if wanted.since < floor else []

    def check_room(self, client_id: str) -> None:
        """Raise BadRequest 429 when too many jobs of a client run."""
        if self._most and self.jobs.running(client_id) >= self._most:
            raise BadRequest("Too many exports run for you. Wait for one to end.", status=429,
                             code="throttled", headers={"Retry-After": "5"})  # fmt: skip


def _without_export_type(pairs: Pairs) -> Pairs:
    """The parameters but exportType, which PDex wants and fixes (pdex-118, pdex-171)."""
    values = [value for name, value in pairs if name == "exportType"]
    if values != [PAYER_TO_PAYER]:
        raise BadRequest(
            f"exportType must be given once and be {PAYER_TO_PAYER}.",
            code="not-supported" if values else "required",
            expression="exportType",
        )
    return [pair for pair in pairs if pair[0] != "exportType"]


def _chosen(
    members: list[str], wanted: ExportRequest, *, forgiving: bool
) -> tuple[list[str], list[dict[str, Any]]]:
    """The members that `patient` leaves, and an issue for each it names in vain.

    ATR has what is invalid ignored and told of; Bulk Data has it refused.
    """
    if wanted.patients is None:
        return members, []
    reached, named = set(members), dict.fromkeys(wanted.patients)
    missing = [ident for ident in named if ident not in reached]
    if missing and not forgiving:
        raise BadRequest("patient names somebody this export cannot hold.",
                         code="not-found", expression="patient")  # fmt: skip
    text = "patient names somebody this Group does not hold. It was left out of account."
    problem = issue(text, code="not-found", severity="warning", expression="patient")
    return [m for m in members if m in named], [problem for _ in missing]


def _require_types(access: Access, asked: ExportRequest) -> None:
    """An explicit `_type` outside the scope fails the kick-off (SMART scopes in bulk export)."""
    allowed = readable_types(access.scopes)
    if asked.types is not None and allowed is not None and not set(asked.types) <= allowed:
        raise BadRequest(
            "_type names a type that the token has no scope for.",
            status=403,
            code="forbidden",
            expression="_type",
            headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
        )


def _years_before(moment: datetime, years: int) -> datetime:
    day = 28 if (moment.month, moment.day) == (2, 29) else moment.day
    return moment.replace(year=moment.year - years, day=day)
