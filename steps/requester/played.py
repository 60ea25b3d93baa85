"""The responding payer that the judge plays: every call is kept, every answer is the script's.

Paths, tokens and ids are random in each exchange, so that a requester that guesses, or keeps what
it learned from another payer, is seen.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from ...reference.http import Exchange
from .bulk import GroupBook
from .calls import Answer, Call, as_fhir, as_json, refusal
from .jobs import Job, parameters_of
from .records import PlayedMember, Record
from .script import Script
from .udap import PlayedUdap

_BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_MATCH = "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"
_GROUPS = "http://hl7.org/fhir/us/davinci-pdex/OperationDefinition/BulkMemberMatch"
_DATA = "http://hl7.org/fhir/us/davinci-atr/OperationDefinition/davinci-data-export"
# What a transactionTime says in the first round, and in one that comes later.
TIMES = ("2026-01-02T03:04:05Z", "2026-04-02T03:04:05Z")
Make = Callable[[Call], Answer]


class Visit:
    """One exchange under a script: what the payer knows in it, and every call made."""

    def __init__(self, script: Script, main: str, files: str, version: str = "2.2.0") -> None:
        self.script, self.main, self.file_host, self.version = script, main, files, version
        self.members = [PlayedMember() for _ in script.members or ("",)]
        self.records = {m.patient_id: Record.of(m, script, files) for m in self.members}
        self.calls: list[Call] = []
        self.tokens: dict[str, float] = {}
        self.jobs: list[Job] = []
        self.round, self.knocks = 0, 0
        self.udap: PlayedUdap | None = None
        self.key_set: Exchange | None = None
        self.fetch_keys: Callable[[str], Exchange] | None = None
        self.lock = threading.Lock()
        self._base = f"/{secrets.token_hex(5)}/r4"
        below = self._base if script.relative_token_endpoint else ""
        self._token = f"{below}/{secrets.token_hex(5)}"
        self._page = secrets.token_urlsafe(12)
        self.book = GroupBook(script, self.members)

    @property
    def member(self) -> PlayedMember:
        """The member of an exchange of one, the first one of several."""
        return self.members[0]

    @property
    def fhir_base(self) -> str:
        """The FHIR base of the played payer in this exchange."""
        return self.main + self._base

    @property
    def token_url(self) -> str:
        """Where tokens are given."""
        return self.main + self._token

    @property
    def next_page(self) -> str:
        """Where the second page of a search is; random in each exchange."""
        return f"{self.fhir_base}/Patient?more={self._page}"

    def of(self, *places: str) -> list[Call]:
        """The calls to places, in order."""
        return [call for call in self.calls if call.place in places]

    def exports(self) -> list[Job]:
        """The exports of data that were started."""
        return [job for job in self.jobs if not job.place]

    def held(self) -> dict[str, int]:
        """How many resources of each type the requester has when it took in all it was given."""
        found: dict[str, int] = {}
        for member in self.book.matched() if self.script.is_bulk else self.members:
            for kind, count in self.records[member.patient_id].counts(self.round).items():
                found[kind] = found.get(kind, 0) + count
        return found

    def answer(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, *,
        with_certificate: bool = False,
    ) -> Answer:  # fmt: skip
        """Answer a call and keep both."""
        place, make = self._route(method, urlsplit(url).path)
        sent = Exchange(method, url, dict(headers), body, time.time())
        with self.lock:
            self.calls.append(Call(place, sent, self.round, with_certificate))
            found = make(self.calls[-1])
        sent.status, sent.headers, sent.body = found.status, dict(found.headers), found.body
        sent.elapsed_s = time.time() - sent.started
        return found

    def _route(self, method: str, path: str) -> tuple[str, Make]:
        base, patient = self._base, f"{self._base}/Patient/{self.member.patient_id}"
        matched = f"{base}/Group/{self.book.matched_id}"
        places: dict[str, tuple[str, Make]] = {
            f"{base}/.well-known/smart-configuration": ("smart", self._smart),
            f"{base}/metadata": ("metadata", self._metadata),
            self._token: ("token", self._give_token),
            f"{base}/Patient/$member-match": ("match", self._guarded(self._match)),
            f"{base}/Patient": ("search", self._guarded(self._search)),
            patient: ("read", self._guarded(self._read)),
            f"{patient}/$export": ("kick-off", self._guarded(self._kick_off)),
            f"{base}/Patient/$export": ("kick-off", self._guarded(self._kick_off)),
            f"{base}/Group/$bulk-member-match": ("bulk-match", self._guarded(self._bulk_match)),
            f"{matched}/$davinci-data-export": ("group-export",
                                                self._guarded(self._group_kick_off)),
        }  # fmt: skip
        if self.udap and self.udap.is_offered:
            places[f"{base}/.well-known/udap"] = ("udap", self._udap)
            places[self.udap.path] = ("register", self._register)
        if path in places:
            return places[path]
        found = (job.route(method, path) for job in self.jobs)
        routed = next((place for place in found if place), None)
        if routed:
            return routed
        if path.startswith(f"{base}/Group/"):
            return "other-group", lambda _call: refusal(404, "not-found")
        return "elsewhere", lambda _call: refusal(404, "not-found")

    # Discovery and tokens

    def _smart(self, _call: Call) -> Answer:
        relative = self._token.removeprefix(f"{self._base}/")
        url = relative if self.script.relative_token_endpoint else self.token_url
        return as_json({
            "token_endpoint": url,
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": [self.script.auth],
            "token_endpoint_auth_signing_alg_values_supported": list(self.script.algorithms),
            "scopes_supported": ["system/*.rs", _MATCH, _GROUPS],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        })  # fmt: skip

    def _metadata(self, _call: Call) -> Answer:
        searched = [{"code": "read"}, {"code": "search-type"}]
        patient = {
            "type": "Patient",
            "interaction": searched,
            "operation": [
                {"name": "member-match", "definition": _MATCH},
                {"name": "export", "definition": f"{_BULK}patient-export"},
            ],
        }
        group = {
            "type": "Group",
            "interaction": searched,
            "operation": [
                {"name": "bulk-member-match", "definition": _GROUPS},
                {"name": "davinci-data-export", "definition": _DATA},
            ],
        }
        return as_fhir({
            "resourceType": "CapabilityStatement", "status": "active", "kind": "instance",
            "date": "2026-01-01", "fhirVersion": "4.0.1", "format": ["json"],
            "rest": [{"mode": "server", "resource": [patient, group]}],
        })  # fmt: skip

    def _udap(self, _call: Call) -> Answer:
        assert self.udap is not None
        return as_json(self.udap.document(self.main + self.udap.path))

    def _register(self, call: Call) -> Answer:
        assert self.udap is not None
        told = call.json()
        sent = told.get("software_statement") if isinstance(told, dict) else None
        registered = {"client_id": self.udap.client_id, "software_statement": sent}
        return as_json(registered, status=201)

    def _give_token(self, call: Call) -> Answer:
        token = secrets.token_urlsafe(24)
        self.tokens[token] = time.monotonic() + self.script.token_life_s
        self._look_at_keys(call)
        asked = " ".join(call.form.get("scope", []))
        # The scope of the match is granted as it is: what is scripted is about data.
        scope = self.script.granted if self.script.granted and "system/" in asked else asked
        extras = {"id_token": "x.y.z", "foo": [1]} if self.script.token_extras else {}
        return as_json({"access_token": token, "token_type": "bearer", "scope": scope,
                        "expires_in": self.script.token_life_s, **extras},
                       headers={"Cache-Control": "no-store"})  # fmt: skip

    def _look_at_keys(self, call: Call) -> None:
        """Fetch the key set that an assertion names, once, where the script says so."""
        if self.fetch_keys and self.key_set is None and (url := call.key_set_url()):
            self.key_set = self.fetch_keys(url)

    def _is_let_in(self, call: Call) -> bool:
        scheme, _, token = call.header("Authorization").partition(" ")
        until = self.tokens.get(token, 0.0) if scheme.lower() == "bearer" else 0.0
        return until > time.monotonic()

    def _guarded(self, make: Make) -> Make:
        return lambda call: make(call) if self._is_let_in(call) else refusal(401, "login")

    # Match and retrieval

    def _match(self, _call: Call) -> Answer:
        if self.script.match_status != 200:
            return refusal(self.script.match_status, "not-found")
        found = [{"name": "MemberIdentifier", "valueIdentifier": self.member.identifier()}]
        if not self.script.identifier_alone:
            reference = {"reference": f"Patient/{self.member.patient_id}"}
            found.append({"name": "MemberId", "valueReference": reference})
        return as_fhir({"resourceType": "Parameters", "parameter": found})

    def _search(self, call: Call) -> Answer:
        """The Patient; in pages, where the script says so, by a link that cannot be guessed."""
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        if self.script.paged and call.query.get("more") != [self._page]:
            return as_fhir({**bundle, "link": [{"relation": "next", "url": self.next_page}]})
        patient = self._record.patient
        bundle["entry"] = [{"fullUrl": f"{self.fhir_base}/Patient/{patient['id']}",
                            "resource": patient, "search": {"mode": "match"}}]  # fmt: skip
        return as_fhir(bundle)

    @property
    def _record(self) -> Record:
        return self.records[self.member.patient_id]

    def _read(self, _call: Call) -> Answer:
        return as_fhir(self._record.patient)

    def _kick_off(self, call: Call) -> Answer:
        job = self._job("", call)
        if not self.script.empty:
            job.hold(self._record.content(granted=self.script.granted), "Observation")
        return Answer(202, headers={"Content-Location": job.status_url})

    def _bulk_match(self, call: Call) -> Answer:
        self.book.read(call.json())
        job = self._job("match-", call)
        job.hold(self.book.answer(self.version), "Group")
        return Answer(202, headers={"Content-Location": job.status_url})

    def _group_kick_off(self, call: Call) -> Answer:
        """The records of the matched members; with `_since` what is newer than the round before."""
        job = self._job("", call)
        later = self.round if "_since" in parameters_of(call) else 0
        content: dict[str, list[dict[str, Any]]] = {}
        for member in self.book.matched():
            found = self.records[member.patient_id]
            for kind, resources in (found.new() if later else found.content(self.round)).items():
                content.setdefault(kind, []).extend(resources)
        job.hold(content, "Observation")
        if later:
            job.tell_deleted(k for m in self.book.matched()
                             for k in self.records[m.patient_id].gone)  # fmt: skip
        return Answer(202, headers={"Content-Location": job.status_url})

    def _job(self, place: str, call: Call) -> Job:
        delivery = self.script.match if place else self.script.export
        job = Job(place, call.exchange.url, delivery, self.main, self.file_host, self._is_let_in)
        job.moment = TIMES[min(self.round, 1)]
        job.allows_pages = parameters_of(call).get("allowPartialManifests") in ([True], ["true"])
        self.jobs.append(job)
        return job
