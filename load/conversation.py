"""One client's talk with one target, step by step: token, match, export, pages; all measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date
from time import perf_counter
from typing import Any
from urllib.parse import urljoin

from ..reference.errors import ExportFailed, ManyMatches, NoMatch
from ..reference.http import Exchange
from ..reference.settings import TargetSettings
from ..reference.target import AccessToken, ExportResult, Target, identifier_query
from .delivery import Delivery, since
from .downloading import Downloader
from .members import ExpectedMember, TruthTable
from .meter import Meter
from .permission import Permission
from .sampling import judge
from .scenario import Downloads

_EXPORT_LIMIT_S = 300.0
_MOST_PAGES = 500


class Conversation:
    """What one requesting payer can ask of one target."""

    def __init__(
        self,
        target: Target,
        asked: TargetSettings,
        truth: TruthTable,
        meter: Meter,
        uninterrupted: Callable[[Callable[[], str]], str] = lambda work: work(),
        downloads: Downloads | None = None,
        matched: dict[str, str] | None = None,
    ) -> None:
        """`uninterrupted` does a kick-off to its end, so that its job can always be deleted.

        `downloads` is how the files of exports are downloaded: whole, once, one after the other
        unless it says more. With `matched`, whom a client has matched and its tokens are kept
        there and in the target from journey to journey; without, every client comes anew.
        """
        self.target, self.auth, self.truth, self.meter = target, asked.auth, truth, meter
        self._uninterrupted, self._may_go = uninterrupted, Permission(asked)
        # Where nobody is matched, as at a Bulk Data server, nothing is asked for a match either.
        self.first_scope = asked.auth.match_scope if truth.members else asked.auth.data_scope
        self.bulk_scope = asked.auth.bulk_scope(asked.pdex_version)
        self._results = Downloader(target, meter, self._may_go)
        self._exports = Downloader(target, meter, self._may_go, downloads)
        self._matched = matched
        self.impatient = False
        """Whether this client polls without waiting as it is told: it must be refused."""

    def begin(self) -> None:
        """Come anew: with no token, unless this client keeps what it has."""
        if self._matched is None:
            self.target.forget_tokens()

    def today(self) -> date:
        """The day on which Consents are made."""
        return self.target.clock.now().astimezone(UTC).date()

    def compare(self, check: str, found: Delivery, members: Sequence[ExpectedMember]) -> None:
        """Hold a sampled delivery to the truth table and to the judge's own checks."""
        problems = {member.problem_with(found.keys) for member in members}
        self.meter.check(check, " ".join(sorted(problems - {""})))
        if found.judged:
            judge(found.judged, self.meter)

    def exported(
        self,
        operation: str,
        token: Callable[[], AccessToken],
        body: Mapping[str, Any] | None = None,
        *,
        step: str = "kick-off",
        by_get: bool = False,
        sampled: bool,
        kept: list[bytes] | None = None,
    ) -> Delivery:
        """Kick off, wait, download every file and delete the job, which goes when it fails too."""
        begun, jobs = perf_counter(), list[str]()
        body = None if by_get else body or {"resourceType": "Parameters"}

        def kick_off() -> str:
            jobs.append(self._kicked_off(operation, token, body, step))
            return jobs[0]

        try:
            location = self._uninterrupted(kick_off)
            result = self._awaited(location, token)
            self.meter.measure("time-to-manifest", since(begun))
            self.meter.measure("polls", result.polls)
            access = token() if result.manifest.get("requiresAccessToken") is not False else None
            # What a match comes to is read, and no load: once and whole.
            files = self._exports if kept is None else self._results
            delivery = files.all(result.manifest, access, sampled=sampled, kept=kept)
            errors = len(result.manifest.get("error", []))
            problem = f"{errors} error files." * bool(errors)
            self.meter.check("export-has-no-error-files", problem)
        finally:
            for job in jobs:
                self._delete(job, token)
        return delivery

    def match(self, member: ExpectedMember) -> str:
        """The member's id at the target, asked for unless it is kept."""
        if self._matched is None:
            return self.asked(member)
        if member.patient_id not in self._matched:
            self._matched[member.patient_id] = self.asked(member)
        return self._matched[member.patient_id]

    def asked(self, member: ExpectedMember) -> str:
        """The member's id at the target; raises ManyMatches when it is another's."""
        body = self.truth.match_body(member, self.today())
        with self.meter.step("match", 200):
            token = self.target.token(self.auth.match_scope)
            exchange = self.target.post("Patient/$member-match", body, token)
            self.target.expect(exchange, 200)
        ident = self._member_id(self.target.read_json(exchange))
        wrong = "" if ident == member.patient_id else "The match answers with another Patient."
        self.meter.check("match-is-the-truth", wrong)
        if wrong:  # nobody's record is asked for by mistake
            raise ManyMatches(wrong)
        return ident

    def _member_id(self, answer: Mapping[str, Any]) -> str:
        parameters = {p.get("name"): p for p in answer.get("parameter", [])}
        reference = parameters.get("MemberId", {}).get("valueReference", {}).get("reference", "")
        if reference:
            return str(reference).rstrip("/").rsplit("/", 1)[-1]
        identifier = parameters.get("MemberIdentifier", {}).get("valueIdentifier", {})
        query = identifier_query(identifier)
        with self.meter.step("search", 200):
            found = self.target.get(query, self.target.token(self.auth.data_scope))
            entries = self.target.read_json(self.target.expect(found, 200)).get("entry", [])
        if len(entries) != 1:
            raise NoMatch("The identifier of the match leads to no single Patient.")
        return str(entries[0]["resource"]["id"])

    def member_token(self, ident: str) -> AccessToken:
        """A token that is bound to the member, as the settings say."""
        auth = self.auth
        return self.target.token(auth.data_scope, member=ident, binding=auth.member_binding)

    def _kicked_off(
        self,
        operation: str,
        token: Callable[[], AccessToken],
        body: Mapping[str, Any] | None,
        step: str,
    ) -> str:
        access = token()
        with self.meter.step(step, 202):
            begun = self.target.kick_off(operation, access, body)
            location = self.target.expect(begun, 202).header("Content-Location")
        if not location:
            raise ExportFailed("The kick-off names no Content-Location.", status=202)
        location = urljoin(begun.url, location)
        self._may_go.check(location)
        return location

    def _awaited(self, location: str, token: Callable[[], AccessToken]) -> ExportResult:
        begun, waited, statuses = perf_counter(), False, list[int]()

        def polled(exchange: Exchange) -> None:
            statuses.append(exchange.status)
            # X-Progress is free text; that a job still waits is told by the word for it alone.
            nonlocal waited
            if not waited and "queue" not in exchange.header("X-Progress").lower():
                waited = True
                self.meter.measure("queue-wait", since(begun))

        # Being told to wait is no error of the target; that it was not obeyed would be ours.
        step = "status-impatient" if self.impatient else "status"
        with self.meter.step(step, 200, 202, 429, 503):
            found = self.target.await_export(
                location, token, limit_s=_EXPORT_LIMIT_S, on_poll=polled
            )
        if self.impatient and statuses.count(202) + statuses.count(429) > 1:
            missing = "A client that polled before Retry-After was not refused by 429."
            self.meter.check("early-polls-are-refused", missing * (429 not in statuses))
        return found

    def _delete(self, status_url: str, token: Callable[[], AccessToken]) -> None:
        access = token()
        # Of a job that failed there may be nothing left to delete.
        with self.meter.step("delete", 202, 404):
            self.target.expect(self.target.delete(status_url, access), 202, 404)

    def entries(self, url: str, ident: str, step: str) -> Iterator[Mapping[str, Any]]:
        token, seen = self.member_token(ident), set[str]()
        with self.meter.step(step, 200):
            while url and url not in seen and len(seen) < _MOST_PAGES:
                self._may_go.check(self.target.absolute(url))
                seen.add(url)
                page = self.target.read_json(self.target.expect(self.target.get(url, token), 200))
                yield from page.get("entry", [])
                links = page.get("link", [])
                url = next((str(x.get("url")) for x in links if x.get("relation") == "next"), "")
