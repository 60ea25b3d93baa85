"""One member's way through the exchange as a requesting payer goes it, measured step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import urljoin

from ..reference.errors import (
    ExportFailed,
    ManyMatches,
    NoMatch,
    PayerExchangeError,
    SettingsError,
)
from ..reference.http import Exchange
from ..reference.settings import TargetSettings
from ..reference.target import AccessToken, ExportResult, Target, identifier_query
from .bulk import BulkJourney
from .downloading import Delivery, Downloader, Downloads, since
from .exchanging import ExchangeJourney
from .members import ExpectedMember, TruthTable
from .permission import Permission
from .sampling import judge

_EXPORT_LIMIT_S = 300.0
_MOST_PAGES = 500
# What reading an answer of another shape than the guides say can raise.
_ODD_SHAPES = (ValueError, KeyError, IndexError, TypeError, AttributeError)


class Meter(Protocol):
    """Where a journey tells what it measures."""

    def step(self, name: str, *accepted: int) -> AbstractContextManager[None]:
        """Name the requests made inside, and the statuses that are no error."""

    def measure(self, name: str, value: float, *, octets: int = 0, resources: int = 0) -> None:
        """Keep one value: milliseconds, or a count."""

    def broken(self, name: str, reason: str) -> None:
        """Keep that a measure came to no value."""

    def check(self, name: str, problem: str) -> None:
        """Keep the verdict of a check; an empty problem is a pass."""

    def __call__(self, exchange: Exchange) -> None:
        """Keep one exchange of the HTTP client, under the step that asked for it."""


class Journey:
    """The journeys of one requesting payer at one target."""

    def __init__(
        self,
        target: Target,
        asked: TargetSettings,
        truth: TruthTable,
        meter: Meter,
        uninterrupted: Callable[[Callable[[], str]], str] = lambda work: work(),
        downloads: Downloads | None = None,
        matched: dict[str, str] | None = None,
        *,
        exchange: ExchangeJourney | None = None,
    ) -> None:
        """`uninterrupted` does a kick-off to its end, so that its job can always be deleted.

        `downloads` is how the files of exports are downloaded: whole, once, one after the other
        unless it says more. With `matched`, whom a client has matched and its tokens are kept
        there and in the target from journey to journey; without, every client comes anew.
        `exchange` goes the journeys that a requesting payer makes.
        """
        self.target, self._auth, self._truth, self.meter = target, asked.auth, truth, meter
        self._uninterrupted, self._may_go = uninterrupted, Permission(asked)
        self._group = asked.group
        # Where nobody is matched, as at a Bulk Data server, nothing is asked for a match either.
        self._first_scope = asked.auth.match_scope if truth.members else asked.auth.data_scope
        self._results = Downloader(target, meter, self._may_go)
        self._exports = Downloader(target, meter, self._may_go, downloads)
        self._matched, self._exchange = matched, exchange
        self.impatient = False
        """Whether this client polls without waiting as it is told: it must be refused."""
        self.bulk_scope = asked.auth.bulk_scope(asked.pdex_version)

    def today(self) -> date:
        """The day on which Consents are made."""
        return self.target.clock.now().astimezone(UTC).date()

    def ready(self) -> None:
        """Ask for the token of the first step, for all whose clients keep it."""
        try:
            self.target.token(self._first_scope)
        except PayerExchangeError as error:
            self.meter.broken("token", str(error))

    def go(self, name: str, members: Sequence[ExpectedMember], *, sampled: bool) -> None:
        """Go the journey of that name; those of one member take the first."""
        whole = "job" if name in ("export", "data-export") else f"{name}-job"
        with self._whole(whole) as started:
            way: Callable[[Sequence[ExpectedMember], bool], Delivery] = getattr(
                self, f"_go_{name.replace('-', '_')}"
            )
            found = way(members, sampled)
            self.meter.measure(
                whole, since(started), octets=found.octets, resources=found.resources
            )

    def _go_token(self, _: Sequence[ExpectedMember], _sampled: bool) -> Delivery:
        self.target.token(self._first_scope)
        return Delivery(sampled=False)

    def _go_match(self, members: Sequence[ExpectedMember], _sampled: bool) -> Delivery:
        self._asked(members[0])
        return Delivery(sampled=False)

    def _go_search(self, members: Sequence[ExpectedMember], _sampled: bool) -> Delivery:
        """Token, match, member-bound token, and a search of the member's claims."""
        ident = self._match(members[0])
        url = f"ExplanationOfBenefit?patient=Patient/{ident}"
        found = Delivery(sampled=False)
        found.resources = sum(1 for _ in self._entries(url, ident, "search"))
        return found

    def _go_export(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        """Token, match, member-bound token, export, download and clean-up of one member."""
        ident = self._match(members[0])
        token = lambda: self._token(ident)  # noqa: E731 - a way to ask for it anew
        found = self.exported(f"Patient/{ident}/$export", token, sampled=sampled)
        if sampled:
            self.compare("export-is-the-truth", found, members[:1])
        return found

    def _go_everything(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        """Token, match, member-bound token, and every page of `$everything` of one member."""
        ident = self._match(members[0])
        found = Delivery(sampled)
        for entry in self._entries(f"Patient/{ident}/$everything", ident, "everything"):
            found.resources += 1
            if sampled:
                found.keep(entry.get("resource"))
        if sampled:
            self.compare("everything-is-the-truth", found, members[:1])
        return found

    def _go_data_export(self, _: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        """An export as any Bulk Data server knows it: of a Group that is there, or of everybody."""
        found = self.exported(
            f"Group/{self._group}/$export" if self._group else "Patient/$export",
            lambda: self.target.token(self._auth.data_scope),
            by_get=True,
            sampled=sampled,
        )
        if sampled:
            other = sum(not key or "None" in key.split("/") for key in found.keys)
            said = f"{other} lines are no resources." * bool(other)
            self.meter.check("lines-are-resources", said)
        return found

    def _go_bulk_match(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        return BulkJourney(self, self._truth, self._auth).match(members, sampled=sampled)[1]

    def _go_bulk_export(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        bulk = BulkJourney(self, self._truth, self._auth)
        return bulk.export(members, "davinci-data-export", sampled=sampled)

    def _go_group_export(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        return BulkJourney(self, self._truth, self._auth).export(members, "export", sampled=sampled)

    def _go_exchange(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        return self._requesting().one(members[0], self.today(), sampled=sampled)

    def _go_bulk_exchange(self, members: Sequence[ExpectedMember], sampled: bool) -> Delivery:
        return self._requesting().many(members, self.today(), sampled=sampled)

    def _requesting(self) -> ExchangeJourney:
        if self._exchange is None:
            raise SettingsError("No requesting payer is named that could be told to exchange.")
        return self._exchange

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

    @contextmanager
    def _whole(self, name: str) -> Iterator[float]:
        """The moment a journey begins; one that cannot go on is a broken measure, not a crash."""
        if self._matched is None:  # a client who comes anew
            self.target.forget_tokens()
        try:
            yield perf_counter()
        except PayerExchangeError as error:
            self.meter.broken(name, str(error))
        except _ODD_SHAPES as error:
            kind = type(error).__name__
            self.meter.broken(name, f"An answer has not the shape that the guides say ({kind}).")

    def _match(self, member: ExpectedMember) -> str:
        if self._matched is None:
            return self._asked(member)
        if member.patient_id not in self._matched:
            self._matched[member.patient_id] = self._asked(member)
        return self._matched[member.patient_id]

    def _asked(self, member: ExpectedMember) -> str:
        body = self._truth.match_body(member, self.today())
        with self.meter.step("match", 200):
            token = self.target.token(self._auth.match_scope)
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
            found = self.target.get(query, self.target.token(self._auth.data_scope))
            entries = self.target.read_json(self.target.expect(found, 200)).get("entry", [])
        if len(entries) != 1:
            raise NoMatch("The identifier of the match leads to no single Patient.")
        return str(entries[0]["resource"]["id"])

    def _token(self, ident: str) -> AccessToken:
        auth = self._auth
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

    def _entries(self, url: str, ident: str, step: str) -> Iterator[Mapping[str, Any]]:
        token, seen = self._token(ident), set[str]()
        with self.meter.step(step, 200):
            while url and url not in seen and len(seen) < _MOST_PAGES:
                self._may_go.check(self.target.absolute(url))
                seen.add(url)
                page = self.target.read_json(self.target.expect(self.target.get(url, token), 200))
                yield from page.get("entry", [])
                links = page.get("link", [])
                url = next((str(x.get("url")) for x in links if x.get("relation") == "next"), "")
