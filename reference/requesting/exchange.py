"""The requesting payer's side of the conversation: discovery, token, match, retrieval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from ..answered import issue_codes
from ..asking import member_match_parameters
from ..egress import normal_origin
from ..errors import (
    ConsentRefused,
    ExportFailed,
    ManyMatches,
    NoMatch,
    OutcomeReturned,
    TargetError,
)
from ..fhir import json
from ..fhir.parameters import make_parameters
from ..fhir.references import split_reference
from ..http import Exchange
from ..intake.staging import LineFiles, Staging
from ..registration.servers import Server
from ..target import BUSY_TRIES, AccessToken, Target
from .request import InvokeRequest
from .search import searched
from .trace import Phase, Trace

_MAX_PAGES = 100_000
CONSENT_REFUSED = "The source payer cannot honour the Consent."
_REFUSALS: dict[str, tuple[type[TargetError], str]] = {
    "multiple-matches": (ManyMatches, "The source payer found more than one such member."),
    "duplicate": (ManyMatches, "The source payer found more than one such member."),
    "suppressed": (ConsentRefused, CONSENT_REFUSED),
    "business-rule": (ConsentRefused, CONSENT_REFUSED),
}
NO_MATCH = (
    "The source payer found no single member it can answer for. "
    "Check the demographics and the card number, then ask again."
)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Matched:
    """What the source payer knows the member by."""

    identifier: tuple[str, str]
    patient: str = ""

    @property
    def binding(self) -> str:
        """What a token is bound to the member with."""
        return self.patient or self.identifier[1]


class Conversation:
    """One exchange with one source payer; `check` raises when the exchange is to stop."""

    def __init__(
        self,
        server: Server,
        target: Target,
        trace: Trace,
        check: Callable[[], None],
        *,
        export_limit_s: float,
    ) -> None:
        self._limit = export_limit_s
        self.server = server
        self.target = target
        target.token_tries = BUSY_TRIES
        self._trace = trace
        self._check = check

    def authorize(self) -> AccessToken:
        """A token for the match, its endpoint discovered if need be."""
        return self.target.token(self.server.match_scope)

    def match(self, request: InvokeRequest) -> Matched:
        """Submit the member; raises NoMatch, ManyMatches or ConsentRefused on a 422.

        A refusal is final: it is never asked again (mm-9 to mm-11).
        """
        body = member_match_parameters(
            request.match.patient,
            request.match.coverage_to_match,
            request.match.consent,
            request.match.coverage_to_link,
        )
        self._trace.event("member-match", "request", "sent", direction="out",
                          operation="member-match")  # fmt: skip
        exchange = self._renewing(
            lambda: self.target.post("Patient/$member-match", body, self.authorize())
        )
        self._trace.event("member-match", "response", "received", direction="in",
                          operation="member-match", status=exchange.status)  # fmt: skip
        if exchange.status == 422:
            raise _refusal(exchange)
        return _read_match(self.target.read_json(self.target.expect(exchange, 200)))

    def find_patient(self, matched: Matched) -> Matched:
        """The match with the Patient's id, searched by the identifier when there was none."""
        if matched.patient:
            return matched
        query = urlencode({"identifier": "|".join(matched.identifier)})
        found = [r["id"] for bundle in self.pages(f"Patient?{query}", matched)
                 for r in _resources(bundle) if r.get("resourceType") == "Patient"]  # fmt: skip
        if len(found) != 1:
            raise NoMatch(
                "The source payer matched the member but does not find the Patient by the "
                "identifier it gave."
            )
        return Matched(matched.identifier, str(found[0]))

    def token(self, matched: Matched) -> AccessToken:
        """A token for the member's data."""
        return self.target.token(
            self.server.data_scope, member=matched.binding, binding=self.server.member_binding
        )

    # Retrieval

    def offers(self, method: str) -> bool | None:
        """Whether the CapabilityStatement names what a method needs; None when it does not tell.

        A client looks there before it asks (pdex-195, pdex-238). Which method is used stays what
        was set up, and the answer to the request decides: a statement may lag behind its payer.
        """
        try:
            statement = self.target.read_json(self.target.get("metadata"))
        except TargetError:
            return None
        patient = [r for rest in _listed_in(statement, "rest") for r in _listed_in(rest, "resource")
                   if r.get("type") == "Patient"]  # fmt: skip
        if not patient:
            return None
        if method == "search":
            names = [i.get("code") for r in patient for i in _listed_in(r, "interaction")]
            return "search-type" in names
        operations = [o for r in patient for o in _listed_in(r, "operation")]
        told = {str(operation.get("name")).lstrip("$") for operation in operations}
        return not told.isdisjoint((method, f"patient-{method}"))

    def retrieve(
        self,
        method: str,
        matched: Matched,
        pairs: Iterable[tuple[str, str]],
        staging: Staging,
        phase: Phase,
    ) -> None:
        """Bring the member's record into the staging folder, by export, everything or search."""
        ways = {"export": self.export, "everything": self.everything, "search": self.search}
        ways[method](matched, pairs, staging, phase)

    def export(
        self, matched: Matched, pairs: Iterable[tuple[str, str]], staging: Staging, phase: Phase
    ) -> None:
        """Kick off, wait, download every file, and release the job whatever happens."""
        parameters = make_parameters(
            [
                {"name": "patient",
                 "valueReference": {"reference": f"Patient/{matched.patient}"}},
                *(export_parameter(name, value) for name, value in pairs),
            ]
        )  # fmt: skip
        exchange = self._renewing(
            lambda: self.target.kick_off("Patient/$export", self.token(matched), parameters)
        )
        status_url = self.target.expect(exchange, 202).header("Content-Location")
        if not status_url:
            raise ExportFailed("The source payer took the export and told no Content-Location.")
        try:
            result = self.target.await_export(
                status_url,
                lambda: self.token(matched),
                limit_s=self._limit,
                on_poll=lambda x: self._polled(x, phase),
            )
            phase.details |= {"polls": result.polls, "waited_s": round(result.seconds, 3)}
            self._download(result.manifest, matched, staging, phase)
        finally:
            self._release(status_url, matched)

    def everything(
        self, matched: Matched, pairs: Iterable[tuple[str, str]], staging: Staging, phase: Phase
    ) -> None:
        """All pages of `$everything`, gathered into one file a type."""
        self._gather(staging, self._pages_of_everything(matched, dict(pairs), phase))

    def search(
        self, matched: Matched, pairs: Iterable[tuple[str, str]], staging: Staging, phase: Phase
    ) -> None:
        """What searches by member find, with all it refers to, gathered into one file a type."""
        self._gather(
            staging, searched(matched.patient, dict(pairs), lambda u: self.pages(u, matched),
                              lambda u: self._read(u, matched), phase)
        )  # fmt: skip

    def pages(self, url: str, matched: Matched) -> Iterator[Mapping[str, Any]]:
        """The Bundles of a searchset, each `next` followed on the payer's own origin only."""
        seen: set[str] = set()
        while url:
            if url in seen or len(seen) >= _MAX_PAGES:
                raise ExportFailed("The source payer's pages go round in a circle.")
            seen.add(url)
            bundle = self._bundle(url, matched)
            yield bundle
            url = _next_url(bundle)
            if url and not self.target.is_own_origin(self.target.absolute(url)):
                raise ExportFailed("A page of the source payer leads to another origin.")

    # Parts

    def _pages_of_everything(
        self, matched: Matched, wanted: Mapping[str, str], phase: Phase
    ) -> Iterator[Mapping[str, Any]]:
        query = urlencode({n: v for n, v in wanted.items() if n in ("_type", "_since")})
        url = f"Patient/{matched.patient}/$everything" + (f"?{query}" if query else "")
        for number, bundle in enumerate(self.pages(url, matched), 1):
            resources = list(_resources(bundle))
            phase.tell("page received", pages=number, resources=len(resources))
            yield from resources

    @staticmethod
    def _gather(staging: Staging, resources: Iterable[Mapping[str, Any]]) -> None:
        files = LineFiles(staging)
        try:
            for resource in resources:
                files.add(resource)
            files.finish()
        finally:
            files.close()

    def _read(self, url: str, matched: Matched) -> Mapping[str, Any] | None:
        exchange = self._renewing(lambda: self.target.get(url, self.token(matched)))
        if exchange.status in (403, 404, 410):
            return None
        resource = json.read_exact(self.target.expect(exchange, 200).body)
        return resource if isinstance(resource, dict) else None

    def _bundle(self, url: str, matched: Matched) -> Mapping[str, Any]:
        self._check()
        exchange = self._renewing(lambda: self.target.get(url, self.token(matched)))
        self.target.expect(exchange, 200)
        try:
            bundle = json.read_exact(exchange.body)
        except ValueError as error:
            raise ExportFailed("A page of the source payer is not JSON.") from error
        if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
            raise ExportFailed("A page of the source payer is no Bundle.")
        return bundle

    def _polled(self, exchange: Exchange, phase: Phase) -> None:
        self._check()
        phase.tell(exchange.header("X-Progress")[:100] or "waiting", status=exchange.status)

    def _download(
        self, manifest: Mapping[str, Any], matched: Matched, staging: Staging, phase: Phase
    ) -> None:
        needs_token = manifest.get("requiresAccessToken") is not False
        listed = list(_listed(manifest))
        for number, (role, entry) in enumerate(listed, 1):
            self._check()
            file = self._file(role, entry, matched, staging, needs_token=needs_token)
            phase.tell(f"{file.kind} received", file=number, files=len(listed), lines=file.lines)

    def _file(
        self,
        role: str,
        entry: Mapping[str, Any],
        matched: Matched,
        staging: Staging,
        *,
        needs_token: bool,
    ) -> Any:
        url = self.target.absolute(entry["url"])
        own = self.target.is_own_origin(url)
        if not own and normal_origin(url) not in self.server.origins():
            raise ExportFailed(
                f"A file of the export lies at {normal_origin(url)}, which the server definition "
                "does not allow. Add it to file_origins if it is right."
            )
        kind = entry["type"] if role != "deleted" else "Bundle"
        for last in (False, True):
            token = self.token(matched) if needs_token and own else None
            try:
                _, chunks = self.target.download(url, token)
                return staging.take(kind, chunks, count=entry.get("count"), role=role)
            except ExportFailed as error:
                if error.status != 401 or last:
                    raise
                self.target.forget_tokens()
        raise AssertionError

    def _release(self, status_url: str, matched: Matched) -> None:
        """Let the job go; that it cannot be reached for this changes nothing of the outcome."""
        try:
            self.target.delete(status_url, self.token(matched))
        except TargetError:
            self._trace.event("export", "release", "failed")

    def _renewing(self, ask: Callable[[], Exchange]) -> Exchange:
        """The answer; when the token is refused, that of a second try with a new one.

        A payer that is busy is waited for, as slowly as it asks.
        """
        exchange = self.target.when_free(ask)
        if exchange.status != 401:
            return exchange
        self.target.forget_tokens()
        return self.target.when_free(ask)


def _listed_in(content: Mapping[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    """The objects in a list of an object, whatever else is there."""
    found = content.get(name)
    for entry in found if isinstance(found, list) else ():
        if isinstance(entry, Mapping):
            yield entry


def _refusal(exchange: Exchange) -> TargetError:
    for code in issue_codes(exchange):
        if code in _REFUSALS:
            kind, text = _REFUSALS[code]
            return kind(text, status=422)
    return NoMatch(NO_MATCH, status=422)


def _read_match(answer: Mapping[str, Any]) -> Matched:
    entries = answer.get("parameter")
    listed = entries if isinstance(entries, list) else []
    found = {e.get("name"): e for e in listed if isinstance(e, dict)}
    identifier = found.get("MemberIdentifier", {}).get("valueIdentifier")
    if not isinstance(identifier, dict) or not isinstance(identifier.get("value"), str):
        raise OutcomeReturned("The source payer matched the member and told no MemberIdentifier.")
    reference = found.get("MemberId", {}).get("valueReference")
    key = split_reference(reference.get("reference")) if isinstance(reference, dict) else None
    patient = key[1] if key and key[0] == "Patient" else ""
    return Matched((str(identifier.get("system", "")), identifier["value"]), patient)


def export_parameter(name: str, value: str) -> dict[str, str]:
    """A parameter of a kick-off."""
    return {"name": name, "valueInstant" if name in ("_since", "_until") else "valueString": value}


def _listed(manifest: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The files of a manifest; raises ExportFailed when it is none."""
    if not isinstance(manifest.get("output"), list):
        raise ExportFailed("The export's manifest has no output list.")
    for role in ("output", "error", "deleted"):
        entries = manifest.get(role) or []
        for entry in entries if isinstance(entries, list) else [None]:
            if not isinstance(entry, dict) or not isinstance(entry.get("url"), str):
                raise ExportFailed(f"An entry of the manifest's {role} list has no url.")
            kind = entry.get("type") or ("OperationOutcome" if role == "error" else "Bundle")
            count = entry.get("count")
            if not isinstance(kind, str) or not kind.isalnum():
                raise ExportFailed(f"An entry of the manifest's {role} list has no type.")
            whole = isinstance(count, int) and not isinstance(count, bool)
            yield role, {**entry, "type": kind, "count": count if whole else None}


def _resources(bundle: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = bundle.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        search = entry.get("search") if isinstance(entry, dict) else None
        is_outcome = isinstance(search, dict) and search.get("mode") == "outcome"
        if isinstance(resource, dict) and not is_outcome:
            yield resource


def _next_url(bundle: Mapping[str, Any]) -> str:
    links = bundle.get("link")
    for link in links if isinstance(links, list) else ():
        if isinstance(link, dict) and link.get("relation") == "next":
            return str(link.get("url", ""))
    return ""
