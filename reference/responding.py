"""The responding payer's decisions, in calls to the rooms: values in, values out, no HTTP.

A simulated payer puts HTTP around it; the judge never imports it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from .audit import AuditLog
from .clock import Clock, SystemClock
from .consent import ConsentDecision, evaluate
from .errors import BadRequest
from .export.jobs import COMPLETE, EXPORT, FAILED, ExportJobs, Job
from .export.release import Releases
from .export.request import ExportRequest, read_export_request
from .export.scope import DataScope
from .export.work import ExportWork
from .fhir import json
from .fhir.hrex import MEMBER_MATCH
from .fhir.search import elements
from .matches import Matches, NewMatch
from .matching import Decision, MatchRequest, Outcome, decide, load_strategy
from .matching.registry import MemberRegistry
from .member_match import MemberMatchRequest, answer, read_request
from .parties import PayerIdentity
from .registration.clients import ClientRegistry
from .retrieval import NOT_FOUND, Access, Retrieval, require_scope
from .store.repository import Repository
from .trust.assertions import ReplayStore
from .trust.authorization import AuthorizationServer
from .trust.remote import RemoteKeys, fetch_jwks
from .trust.scopes import readable_types
from .trust.tokens import LIFETIME_S, Grant, TokenStore

MAX_RUNNING_JOBS = 20


@dataclass(frozen=True, slots=True)
class RespondingSettings:
    """What a responding payer is told about itself."""

    fhir_base: str
    """The FHIR base URL that others see."""
    token_url: str
    """The token endpoint that others see: the audience of client assertions."""
    identity: PayerIdentity
    """How consents and coverages name this payer."""
    data_dir: Path
    """Where export files are written."""
    scope: DataScope = field(default_factory=DataScope)
    """What may leave."""
    strategy: str = "strict"
    """The matching strategy: a registered name, or module:Class."""
    token_lifetime_s: int = LIFETIME_S
    """How long an access token counts."""
    retry_after_s: int = 1
    """How long a client is asked to wait between two polls."""
    page_size: int = 100
    """Resources on a page of a search or `$everything` unless `_count` says otherwise."""
    export_threads: int = 2
    """How many export jobs are done at the same time."""
    single_member: bool = True
    """Whether the single-member operations are offered."""
    admin_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """The bearer token of the admin API."""


class RespondingPayer:
    """One responding payer: its members, its clients and what it sends to whom."""

    def __init__(
        self,
        settings: RespondingSettings,
        engine: Engine,
        *,
        clock: Clock | None = None,
        fetch: Callable[[str], Mapping[str, Any]] | None = None,
    ) -> None:
        self.settings = settings
        self._engine = engine
        self.clock = clock or SystemClock()
        own = settings.identity.organization_id
        self.repository = Repository(engine, common=[("Organization", own)] if own else ())
        self.registry = MemberRegistry(engine)
        self.matches = Matches(engine)
        self.clients = ClientRegistry(engine)
        self.audit = AuditLog(engine, "responding", self.clock)
        self.strategy = load_strategy(settings.strategy)
        self.releases = Releases(self.repository, settings.scope)
        self.authorization = AuthorizationServer(
            settings.token_url,
            self.clients,
            TokenStore(engine, lifetime_s=settings.token_lifetime_s),
            ReplayStore(engine),
            self.matches,
            self.clock,
            RemoteKeys(fetch or fetch_jwks, self.clock).get,
        )
        self.retrieval = Retrieval(
            self.repository,
            self.releases,
            self.clock,
            fhir_base=settings.fhir_base,
            organization_id=settings.identity.organization_id,
            count=settings.page_size,
        )
        self.jobs = ExportJobs(
            engine,
            settings.data_dir / "exports",
            self.clock,
            {
                EXPORT: ExportWork(
                    self.releases,
                    self.matches,
                    self.audit,
                    self.clock,
                    settings.identity.organization_id,
                ).write
            },
            threads=settings.export_threads,
        )

    def access(self, grant: Grant) -> Access:
        """What a token opens now: consent is asked again at every request (pdex-156)."""
        members = self.matches.of(grant.client_id, self.clock.now())
        if grant.member is not None:
            members = {m: match for m, match in members.items() if m == grant.member}
        return Access(grant.client_id, grant.scopes, members)

    # Member match

    def member_match(self, grant: Grant, body: Mapping[str, Any]) -> dict[str, Any]:
        """The out-parameters of `$member-match`.

        Raises BadRequest: 403 without the operation's scope, 400 or 422 for a bad request, 422 for
        no match, several, or a consent that cannot be honoured (mm-8 to mm-12).
        """
        if MEMBER_MATCH not in grant.scopes:
            raise BadRequest(
                f"The token has no scope for the operation. Ask for {MEMBER_MATCH}.",
                status=403,
                code="forbidden",
                headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
            )
        request = read_request(body)
        decision = self.match(request, grant.client_id)
        self._audit_match(grant.client_id, decision)
        if decision.outcome is not Outcome.MATCH or decision.member_key is None:
            raise _no_single_match(decision.outcome)
        consent = self.judge_consent(request, grant.client_id)
        if not consent.granted:
            self.audit.record("member-match", "consent", "refused", reason=consent.reason,
                              client=grant.client_id)  # fmt: skip
            raise BadRequest(
                "The Consent cannot be complied with by this payer.",
                status=422,
                code="suppressed",
                expression="Consent",
            )
        return self._answer_match(grant.client_id, decision.member_key, consent)

    def match(self, request: MemberMatchRequest, client_id: str) -> Decision:
        """Who is meant: the one decision function of single and bulk match."""
        return decide(
            MatchRequest(
                request.patient,
                request.coverage_to_match,
                request.coverage_to_link,
                request.consent,
                client_id,
            ),
            self.registry,
            self.strategy,
        )

    def judge_consent(self, request: MemberMatchRequest, client_id: str) -> ConsentDecision:
        """Whether the consent submitted with a match is honoured, for the client that asks."""
        client = self.clients.find(client_id)
        if client is None:
            return ConsentDecision(granted=False, reason="client-unknown")
        return evaluate(
            request.consent,
            member=str(request.patient.get("id")),
            requester=client.organization,
            responder=self.settings.identity,
            now=self.clock.now(),
            segmented=self.settings.scope.segmented,
        )

    def withdraw_consent(self, member: str) -> int:
        """The member takes the consent back: nobody reaches the record from now on."""
        return self.matches.withdraw(member, self.clock.now())

    def why_withheld(self, kind: str, ident: str, policy: str) -> str:
        """Why a resource does not leave under a consent policy; empty when it does leave.

        Raises BadRequest 404 when this payer holds no such resource.
        """
        row = self.repository.get(kind, ident)
        if row is None:
            raise BadRequest("This payer holds no such resource.", status=404, code="not-found")
        return self.settings.scope.withheld(row, policy, self._today())

    # Export

    def kick_off(
        self,
        grant: Grant,
        request_url: str,
        pairs: Sequence[tuple[str, str]],
        *,
        member: str | None,
        lenient: bool = False,
    ) -> Job:
        """Start an export of one member, or of all whom the token reaches.

        Raises BadRequest: 400 naming a parameter, 403 without scope, 404 for a member out of
        reach, 429 with too many jobs.
        """
        access = self.access(grant)
        require_scope(access, "Patient", "r")
        asked = read_export_request(pairs, types=self.releases.exportable_types(), lenient=lenient)
        members = self._exported_members(access, asked, member)
        _require_types(access, asked)
        if self.jobs.running(grant.client_id) >= MAX_RUNNING_JOBS:
            raise BadRequest("Too many exports run for you. Wait for one to end.", status=429,
                             code="throttled", headers={"Retry-After": "5"})  # fmt: skip
        content = {
            "pairs": [list(pair) for pair in pairs],
            "members": members,
            "scopes": sorted(grant.scopes),
            "lenient": lenient,
        }
        return self.jobs.start(grant.client_id, request_url, content)

    def job(self, grant: Grant, job_id: str) -> Job:
        """The client's own job; raises BadRequest 404 for any other.

        A token bound to a member opens no job about others, and a finished job ends with the
        consent of a member whose record it holds (pdex-156).
        """
        job = self.jobs.find(job_id, grant.client_id)
        if job is not None and not self._may_see(grant, job):
            job = None
        if job is None:
            raise BadRequest("There is no such export.", status=404, code="not-found")
        return job

    def _may_see(self, grant: Grant, job: Job) -> bool:
        if grant.member is not None and set(job.content["members"]) - {grant.member}:
            return False
        reached = self.matches.of(grant.client_id, self.clock.now())
        if set(job.result.get("members", ())) <= reached.keys():
            return True
        self.jobs.remove(job)
        return False

    def export_file(self, grant: Grant, job_id: str, name: str) -> Path:
        """A file of a finished job.

        Raises BadRequest: 404 when there is none, 403 without a scope for its type (pdex-188).
        """
        job = self.job(grant, job_id)
        path = self.jobs.file(job, name)
        if path is None or not path.is_file():
            raise BadRequest("There is no such file.", status=404, code="not-found")
        kind = next(f["type"] for f in job.result["files"] if f["name"] == name)
        if kind != "OperationOutcome":
            require_scope(self.access(grant), kind, "r")
        return path

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
        return {
            "transactionTime": job.transaction_time,
            "request": job.request,
            "requiresAccessToken": True,
            "output": [f for f in listed if f["type"] != "OperationOutcome"],
            "deleted": [],
            "error": [f for f in listed if f["type"] == "OperationOutcome"],
        }

    def wait(self) -> timedelta:
        """How long a client is asked to wait between two polls."""
        return timedelta(seconds=self.settings.retry_after_s)

    def suspend(self, client_id: str) -> None:
        """Suspend a client: its tokens end and its exports stop."""
        self.clients.set_state(client_id, "suspended")
        self.authorization.tokens.revoke_all(client_id)
        for job in self.jobs.of(client_id):
            self.jobs.remove(job)

    def close(self) -> None:
        """Stop and give back the connections; unfinished exports go on at the next start."""
        self.jobs.close()
        self.registry.close()
        self._engine.dispose()

    def _today(self) -> date:
        return self.clock.now().astimezone(UTC).date()

    def _answer_match(
        self, client_id: str, member: str, consent: ConsentDecision
    ) -> dict[str, Any]:
        row = self.repository.get("Patient", member)
        assert row is not None, "the registry knows only stored Patients"
        identifier = member_identifier(json.read(row.body), self.settings.fhir_base)
        found = NewMatch(member, identifier, consent)
        self.matches.keep_many(client_id, [found], self.clock.now())
        self.audit.record("member-match", "answer", "match", client=client_id,
                          details={"consent": consent.policy})  # fmt: skip
        return answer(
            {"system": identifier[0], "value": identifier[1]},
            f"{self.settings.fhir_base}/Patient/{member}",
        )

    def _audit_match(self, client_id: str, decision: Decision) -> None:
        self.audit.record(
            "member-match",
            "decision",
            decision.outcome.value,
            reason=decision.reason,
            client=client_id,
            details={"strategy": self.strategy.name, "version": self.strategy.version},
        )

    @staticmethod
    def _exported_members(access: Access, asked: ExportRequest, member: str | None) -> list[str]:
        if member is not None and member not in access.members:
            raise BadRequest(NOT_FOUND, status=404, code="not-found")
        reached = [member] if member is not None else sorted(access.members)
        if asked.patients is None:
            return reached
        if not set(asked.patients) <= set(reached):
            raise BadRequest("patient names somebody this export cannot hold.",
                             code="not-found", expression="patient")  # fmt: skip
        return [m for m in reached if m in asked.patients]


def member_identifier(patient: Mapping[str, Any], fhir_base: str) -> tuple[str, str]:
    """The business identifier a payer knows its member by: UMB, else MB, else one from the id."""
    found: dict[str, tuple[str, str]] = {}
    for identifier in elements(patient, ["identifier"]):
        system, value = (next(elements(identifier, [name]), None) for name in ("system", "value"))
        if not (isinstance(system, str) and isinstance(value, str) and system and value):
            continue
        for code in elements(identifier, ["type", "coding", "code"]):
            if code in ("UMB", "MB"):
                found.setdefault(code, (system, value))
    return found.get("UMB") or found.get("MB") or (f"{fhir_base}/member", str(patient["id"]))


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


def _no_single_match(outcome: Outcome) -> BadRequest:
    if outcome is Outcome.MULTIPLE:
        return BadRequest("More than one member fits what was submitted.", status=422,
                          code="multiple-matches")  # fmt: skip
    return BadRequest("No member fits what was submitted.", status=422, code="not-found")
