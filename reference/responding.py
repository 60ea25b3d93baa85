"""The responding payer's decisions, in calls to the rooms: values in, values out, no HTTP.

A simulated payer puts HTTP around it; the judge never imports it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Engine

from .attestation import attestation_gap
from .audit import AuditLog
from .bulk_match.request import read_bulk_request
from .bulk_match.search import search_groups
from .bulk_match.store import MatchGroups, StoredGroup
from .bulk_match.work import BulkMatchSettings, BulkMatchWork
from .clock import Clock, SystemClock
from .consent import ConsentDecision, evaluate
from .duties import Duty, responder_duties
from .errors import BadRequest
from .export.jobs import EXPORT, ExportJobs, Job, NdjsonWriter
from .export.queue import offers
from .export.release import Releases
from .export.work import ExportWork
from .exporting import Asked, Exports
from .fhir import json
from .fhir.hrex import MEMBER_MATCH
from .fhir.outcome import outcome_of
from .fhir.pdex import BULK_MATCH_SCOPES
from .guarded import GuardedMatch
from .match_profile import check_profile, issues_of, issues_of_member
from .matches import Matches, NewMatch
from .matching import Decision, MatchRequest, Outcome, decide, load_strategy
from .matching.guard import MatchGuard
from .matching.registry import MemberRegistry
from .member_match import MemberMatchRequest, answer, member_identifier, no_match, read_request
from .parties import PayerIdentity
from .reach import Reach
from .registration.clients import ClientRegistry
from .responding_settings import RespondingSettings
from .retrieval import NOT_FOUND, Access, Page, Retrieval, require_scope
from .schedule import Clocks
from .store.repository import Repository
from .trust.assertions import ReplayStore
from .trust.attempts import FailedAttempts
from .trust.authorization import AuthorizationServer
from .trust.remote import PublishedKeys, RemoteKeys, fetch_jwks
from .trust.tokens import Grant, TokenStore
from .trust.udap.authenticating import UdapAuthentication
from .trust.udap.registering import UdapRegistration
from .trust.udap.statements import Statements

BULK_MATCH = "bulk-match"


class RespondingPayer:
    """One responding payer: its members, its clients and what it sends to whom."""

    def __init__(
        self,
        settings: RespondingSettings,
        engine: Engine,
        *,
        clock: Clock | None = None,
        fetch: Callable[[str], PublishedKeys] | None = None,
    ) -> None:
        self.settings = settings
        self._engine = engine
        self.clock = clock or SystemClock()
        own = settings.identity.organization_id
        self.repository = Repository(
            engine, common=[("Organization", own)] if own else (), clock=self.clock
        )
        self.registry = MemberRegistry(engine)
        self.matches = Matches(engine)
        self.groups = MatchGroups(engine)
        self.clients = ClientRegistry(engine)
        self.audit = AuditLog(engine, "responding", self.clock)
        self.strategy = load_strategy(settings.strategy)
        # Looked up at each call: what decides may be changed while the payer runs.
        guard = MatchGuard(engine, settings.limits)
        self.guarded = GuardedMatch(guard, lambda *asked: self.match(*asked), self.audit,
                                    self.clock)  # fmt: skip
        self.releases = Releases(self.repository, settings.scope, settings.fhir_base)
        self._open_to_clients(fetch)
        self._open_records()

    def _open_to_clients(self, fetch: Callable[[str], PublishedKeys] | None) -> None:
        """What lets a client in: tokens, assertions, certificates."""
        told, udap = self.settings, self.settings.udap
        tokens = TokenStore(self._engine, lifetime_s=told.token_lifetime_s)
        replay = ReplayStore(self._engine)
        fetch = fetch or partial(fetch_jwks, rules=told.egress(), tls=told.tls)
        self.authorization = AuthorizationServer(
            told.token_url,
            self.clients,
            tokens,
            replay,
            self.matches,
            self.clock,
            RemoteKeys(fetch, self.clock).get,
            FailedAttempts(self._engine, told.limits),
            UdapAuthentication(udap, told.token_url, replay) if udap else None,
        )
        self.udap = (
            UdapRegistration(udap, self.clients, tokens, Statements(udap, replay), self.clock)
            if udap
            else None
        )

    def _open_records(self) -> None:
        """What a client who is in reads and exports."""
        told = self.settings
        self.retrieval = Retrieval(
            self.repository,
            self.releases,
            self.clock,
            fhir_base=told.fhir_base,
            organization_id=told.identity.organization_id,
            count=told.page_size,
        )
        self.jobs = ExportJobs(
            self._engine,
            told.data_dir / "exports",
            self.clock,
            {EXPORT: self._write_export, BULK_MATCH: self._write_bulk_match},
            threads=told.export_threads,
            elsewhere=offers(self._engine),
        )
        self.exports = Exports(
            self.jobs, self.releases, self.matches, self.groups, self.clock, told.pdex_version,
            told.limits,
        )  # fmt: skip

    def access(self, grant: Grant) -> Access:
        """What a token opens now: consent is asked again at every request (pdex-156)."""
        members = Reach(self.matches, grant.client_id, self.clock.now(), grant.member)
        return Access(grant.client_id, grant.scopes, members)

    # Member match

    def member_match(self, grant: Grant, body: Mapping[str, Any]) -> dict[str, Any]:
        """The out-parameters of `$member-match`.

        Raises BadRequest: 403 without the operation's scope, 400 or 422 for a bad request, 422 for
        no match, several, or a consent that cannot be honoured (mm-8 to mm-12), 429 for one that
        was tried too often (mm-7).
        """
        self._require_scope(grant, MEMBER_MATCH)
        request = self._read_match(body)
        decision = self.guarded.one(request, grant.client_id)
        self._audit_match(grant.client_id, decision)
        if decision.outcome is not Outcome.MATCH or decision.member_key is None:
            raise no_match(decision.outcome)
        consent = self.judge_consent(request, self.requester_of(grant.client_id))
        if not consent.granted:
            self.audit.record("member-match", "consent", "refused", reason=consent.reason,
                              client=grant.client_id)  # fmt: skip
            raise BadRequest(
                "The Consent cannot be complied with by this payer.",
                status=422,
                code="suppressed",
                expression="Parameters.parameter.where(name='Consent').resource",
                issues=issues_of(body, "Consent") if self.settings.check_profiles else (),
            )
        return self._answer_match(grant.client_id, decision.member_key, consent)

    def _read_match(self, body: Mapping[str, Any]) -> MemberMatchRequest:
        """The request; raises BadRequest, with all that its profile does not allow."""
        try:
            request = read_request(body)
        except BadRequest as error:
            if error.status == 422 and self.settings.check_profiles:
                error.issues = issues_of(body)
            raise
        if self.settings.check_profiles:
            check_profile(body)
        return request

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

    def requester_of(self, client_id: str) -> PayerIdentity | None:
        """The payer behind a client: told by its registration, never by what it submits."""
        client = self.clients.find(client_id)
        return client.organization if client else None

    def judge_consent(
        self, request: MemberMatchRequest, requester: PayerIdentity | None
    ) -> ConsentDecision:
        """Whether the consent submitted with a match is honoured, for the payer that asks."""
        if requester is None:
            return ConsentDecision(granted=False, reason="client-unknown")
        decision = evaluate(
            request.consent,
            member=str(request.patient.get("id")),
            requester=requester,
            responder=self.settings.identity,
            now=self.clock.now(),
            segmented=self.settings.scope.segmented,
        )
        gap = attestation_gap(request.coverage_to_link, requester, self.clock.now())
        if gap and decision.granted and self.settings.require_attestation:
            decision = ConsentDecision(granted=False, reason=gap)
        return replace(decision, attestation=gap)

    def identify(self, members: Sequence[str]) -> dict[str, tuple[str, str]]:
        """The business identifier this payer knows each of its members by."""
        rows = self.repository.by_keys([("Patient", member) for member in members])
        base = self.settings.fhir_base
        return {row.id: member_identifier(json.read(row.body), base) for row in rows}

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

    # Bulk match and Groups

    def bulk_match(self, grant: Grant, request_url: str, body: bytes) -> Job:
        """Start a `$bulk-member-match`; returns its job.

        Raises BadRequest: 403 without the operation's scope, 400, 413 or 422 for a request that
        is none (pdex-148, pdex-398), 429 with too many jobs or failed matches.
        """
        self._require_scope(grant, *BULK_MATCH_SCOPES.values())
        self.guarded.check_client(grant.client_id)
        with json.without_collection():
            found = json.read_large_object(body)
            kept = read_bulk_request(found, self.settings.most_members).kept()
            del found
        self.exports.check_room(grant.client_id)
        return self.jobs.start(grant.client_id, request_url, {}, kind=BULK_MATCH,
                               submitted=kept)  # fmt: skip

    def group(self, grant: Grant, ident: str) -> StoredGroup:
        """The client's own matched Group (pdex-161, pdex-163).

        Raises BadRequest: 403 without the scope, 404 for any other Group.
        """
        require_scope(self.access(grant), "Group", "r")
        found = self.groups.find(grant.client_id, ident)
        if found is None:
            raise BadRequest(NOT_FOUND, status=404, code="not-found")
        return found

    def search_groups(
        self, grant: Grant, pairs: Sequence[tuple[str, str]], *, strict: bool
    ) -> Page:
        """A page of the client's own matched Groups; raises BadRequest 403 without the scope."""
        require_scope(self.access(grant), "Group", "s")
        return search_groups(
            self.groups.of(grant.client_id),
            pairs,
            url=f"{self.settings.fhir_base}/Group",
            count=self.settings.page_size,
            strict=strict,
        )

    # Export

    def kick_off(
        self,
        grant: Grant,
        request_url: str,
        pairs: Sequence[tuple[str, str]],
        *,
        asked: Asked,
        lenient: bool = False,
    ) -> Job:
        """Start an export; as `Exports.kick_off`."""
        return self.exports.kick_off(self.access(grant), request_url, pairs, asked, lenient=lenient)

    def wait(self) -> timedelta:
        """How long a client is asked to wait between two polls."""
        return timedelta(seconds=self.settings.retry_after_s)

    def duties(self) -> Iterator[Duty]:
        """How fast each request was answered that is finished (cms0057-respond-1bd)."""
        return responder_duties(self.audit.records(), Clocks(self.settings.time_zone))

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

    def _write_export(
        self, job: Job, writer: NdjsonWriter, progress: Callable[[str], None]
    ) -> Mapping[str, Any]:
        own = self.settings.identity.organization_id
        work = ExportWork(self.releases, self.matches, self.audit, self.clock, own)
        # A run that goes on from a checkpoint finds them written.
        for problem in () if writer.resumed else job.content.get("problems", ()):
            writer.write("OperationOutcome", json.write(outcome_of([problem])))
        return work.write(job, writer, progress)

    def _write_bulk_match(
        self, job: Job, writer: NdjsonWriter, progress: Callable[[str], None]
    ) -> Mapping[str, Any]:
        settings = self.settings
        work = BulkMatchWork(
            BulkMatchSettings(settings.identity, settings.fhir_base, settings.pdex_version,
                              settings.parameters_envelope),
            decisions=self.guarded.many,
            judge=self.judge_consent,
            identify=self.identify,
            requester_of=self.requester_of,
            submitted=self.jobs.submitted,
            matches=self.matches,
            groups=self.groups,
            audit=self.audit,
            clock=self.clock,
            issues=issues_of_member if settings.check_profiles else None,
        )  # fmt: skip
        return work.write(job, writer, progress)

    @staticmethod
    def _require_scope(grant: Grant, *scopes: str) -> None:
        """Raise BadRequest 403 unless one of an operation's scopes is granted."""
        if not grant.scopes & set(scopes):
            raise BadRequest(
                f"The token has no scope for the operation. Ask for {scopes[-1]}.",
                status=403,
                code="forbidden",
                headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
            )

    def _today(self) -> date:
        return self.clock.now().astimezone(UTC).date()

    def _answer_match(
        self, client_id: str, member: str, consent: ConsentDecision
    ) -> dict[str, Any]:
        identifier = self.identify([member])[member]
        found = NewMatch(member, identifier, consent)
        self.matches.keep_many(client_id, [found], self.clock.now())
        self.audit.record("member-match", "answer", "match", client=client_id,
                          details={"consent": consent.policy,
                                   "attestation": consent.attestation or "given"},
                          subjects=[f"Patient/{member}"])  # fmt: skip
        return answer(
            {"system": identifier[0], "value": identifier[1]},
            f"{self.settings.fhir_base}/Patient/{member}",
            self.settings.pdex_version,
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
