"""One member's way through the exchange as a requesting payer goes it, measured step by step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC
from time import perf_counter
from typing import Any, Protocol
from urllib.parse import urljoin

from ..reference.errors import ExportFailed, ManyMatches, NoMatch, PayerExchangeError
from ..reference.fhir import json
from ..reference.fhir.ndjson import lines_of
from ..reference.settings import AuthSettings
from ..reference.target import AccessToken, ExportResult, Target, identifier_query
from .members import ExpectedMember, TruthTable
from .target import refuse_elsewhere

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


@dataclass(slots=True)
class Delivery:
    """What has arrived so far, counted; the keys only when they are to be compared."""

    sampled: bool
    octets: int = 0
    resources: int = 0
    keys: set[str] = field(default_factory=set)

    def take(self, line: bytes) -> None:
        """Count one line, and keep its key in a sampled delivery."""
        self.resources += 1
        if self.sampled:
            self.keys.add(_key(json.read(line)))


class Journey:
    """The journeys of one requesting payer at one target."""

    def __init__(self, target: Target, auth: AuthSettings, truth: TruthTable, meter: Meter) -> None:
        self._target, self._auth, self._truth, self._meter = target, auth, truth, meter

    def export(self, member: ExpectedMember, *, sampled: bool) -> None:
        """Token, match, member-bound token, export, download and clean-up of one member."""
        with self._whole("job") as started:
            ident = self._match(member)
            begun = perf_counter()
            result = self._manifest(ident)
            self._meter.measure("time-to-manifest", _since(begun))
            self._meter.measure("polls", result.polls)
            delivery = self._download(result.manifest, ident, sampled=sampled)
            self._delete(result.status_url, ident)
            self._meter.measure(
                "job", _since(started), octets=delivery.octets, resources=delivery.resources
            )
            if sampled:
                self._meter.check("export-is-the-truth", member.problem_with(delivery.keys))

    def everything(self, member: ExpectedMember, *, sampled: bool) -> None:
        """Token, match, member-bound token, and every page of `$everything` of one member."""
        with self._whole("everything-job") as started:
            ident = self._match(member)
            delivery = Delivery(sampled)
            for entry in self._entries(f"Patient/{ident}/$everything", ident):
                delivery.resources += 1
                delivery.keys.add(_key(entry.get("resource")))
            self._meter.measure("everything-job", _since(started), resources=delivery.resources)
            if sampled:
                self._meter.check("everything-is-the-truth", member.problem_with(delivery.keys))

    @contextmanager
    def _whole(self, name: str) -> Iterator[float]:
        """The moment a journey begins; one that cannot go on is a broken measure, not a crash."""
        # Every journey is that of a client who comes anew: no token of an earlier one is kept.
        self._target.forget_tokens()
        try:
            yield perf_counter()
        except PayerExchangeError as error:
            self._meter.broken(name, str(error))
        except _ODD_SHAPES as error:
            kind = type(error).__name__
            self._meter.broken(name, f"An answer has not the shape that the guides say ({kind}).")

    def _match(self, member: ExpectedMember) -> str:
        body = self._truth.match_body(member, self._target.clock.now().astimezone(UTC).date())
        with self._meter.step("match", 200):
            token = self._target.token(self._auth.match_scope)
            exchange = self._target.post("Patient/$member-match", body, token)
            self._target.expect(exchange, 200)
        ident = self._member_id(self._target.read_json(exchange))
        wrong = "" if ident == member.patient_id else "The match answers with another Patient."
        self._meter.check("match-is-the-truth", wrong)
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
        with self._meter.step("search", 200):
            found = self._target.get(query, self._target.token(self._auth.data_scope))
            entries = self._target.read_json(self._target.expect(found, 200)).get("entry", [])
        if len(entries) != 1:
            raise NoMatch("The identifier of the match leads to no single Patient.")
        return str(entries[0]["resource"]["id"])

    def _token(self, ident: str) -> AccessToken:
        auth = self._auth
        return self._target.token(auth.data_scope, member=ident, binding=auth.member_binding)

    def _manifest(self, ident: str) -> ExportResult:
        token = self._token(ident)
        with self._meter.step("kick-off", 202):
            begun = self._target.kick_off(
                f"Patient/{ident}/$export", token, {"resourceType": "Parameters"}
            )
            location = self._target.expect(begun, 202).header("Content-Location")
        if not location:
            raise ExportFailed("The kick-off names no Content-Location.", status=202)
        location = urljoin(begun.url, location)
        refuse_elsewhere(location)
        # Being told to wait is no error of the target; that it was not obeyed would be ours.
        with self._meter.step("status", 200, 202, 429, 503):
            return self._target.await_export(
                location, lambda: self._token(ident), limit_s=_EXPORT_LIMIT_S
            )

    def _download(self, manifest: Mapping[str, Any], ident: str, *, sampled: bool) -> Delivery:
        delivery = Delivery(sampled)
        token = self._token(ident) if manifest.get("requiresAccessToken") is not False else None
        with self._meter.step("file", 200):
            for entry in manifest.get("output", []):
                self._file(entry, token, delivery)
        problem = f"{len(manifest.get('error', []))} error files." if manifest.get("error") else ""
        self._meter.check("export-has-no-error-files", problem)
        return delivery

    def _file(
        self, entry: Mapping[str, Any], token: AccessToken | None, delivery: Delivery
    ) -> None:
        url = self._target.absolute(str(entry["url"]))
        refuse_elsewhere(url)
        lines, octets, started = delivery.resources, delivery.octets, perf_counter()
        chunks = self._target.download(url, token)[1]
        for line in lines_of(self._watched(chunks, started, delivery)):
            delivery.take(line)
        lines, octets = delivery.resources - lines, delivery.octets - octets
        self._meter.measure("download", _since(started), octets=octets, resources=lines)
        wrong = "" if entry.get("count", lines) == lines else "A file is not as long as announced."
        self._meter.check("file-has-the-announced-count", wrong)

    def _watched(
        self, chunks: Iterator[bytes], started: float, delivery: Delivery
    ) -> Iterator[bytes]:
        """The chunks, counted; the moment of the first one is measured."""
        first = True
        for chunk in chunks:
            if first:
                self._meter.measure("time-to-first-byte", _since(started))
            first = False
            delivery.octets += len(chunk)
            yield chunk

    def _delete(self, status_url: str, ident: str) -> None:
        with self._meter.step("delete", 202):
            self._target.expect(self._target.delete(status_url, self._token(ident)), 202)

    def _entries(self, url: str, ident: str) -> Iterator[Mapping[str, Any]]:
        token, seen = self._token(ident), set[str]()
        with self._meter.step("everything", 200):
            while url and url not in seen and len(seen) < _MOST_PAGES:
                refuse_elsewhere(self._target.absolute(url))
                seen.add(url)
                page = self._target.read_json(
                    self._target.expect(self._target.get(url, token), 200)
                )
                yield from page.get("entry", [])
                links = page.get("link", [])
                url = next((str(x.get("url")) for x in links if x.get("relation") == "next"), "")


def _key(resource: Any) -> str:
    if not isinstance(resource, Mapping):
        return ""
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def _since(started: float) -> float:
    return (perf_counter() - started) * 1000
