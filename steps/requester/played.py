"""The responding payer that the judge plays: every call is kept, every answer is the script's.

Paths, tokens and ids are random in each exchange, so that a requester that guesses, or keeps what
it learned from another payer, is seen.
"""

from __future__ import annotations

import gzip
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ...reference.fhir import media
from ...reference.http import Exchange
from .records import PlayedMember, lines, record
from .script import Script

_BULK = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_MATCH = "http://hl7.org/fhir/us/davinci-hrex/OperationDefinition/member-match"


@dataclass(frozen=True, slots=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the requester: what place of the played payer it was to, and all of it."""

    place: str
    exchange: Exchange

    def header(self, name: str) -> str:
        """A header that was sent, whatever its case; empty when absent."""
        sent = self.exchange.request_headers
        return next((v for k, v in sent.items() if k.lower() == name.lower()), "")

    @property
    def form(self) -> dict[str, list[str]]:
        """The fields of a form that was sent."""
        return parse_qs(self.exchange.request_body.decode("utf-8", "replace"), True)

    @property
    def query(self) -> dict[str, list[str]]:
        """The query of the address."""
        return parse_qs(urlsplit(self.exchange.url).query, True)

    def json(self) -> Any:
        """The JSON that was sent; None when it is none."""
        try:
            return json.loads(self.exchange.request_body)
        except ValueError:
            return None


class Visit:
    """One exchange under a script: what the payer knows in it, and every call made."""

    def __init__(self, script: Script, member: PlayedMember, main: str, files: str) -> None:
        self.script, self.member = script, member
        self.main, self.file_host = main, files
        self.calls: list[Call] = []
        self.tokens: dict[str, float] = {}
        self.lock = threading.Lock()
        self._base = f"/{secrets.token_hex(5)}/r4"
        below = self._base if script.relative_token_endpoint else ""
        self._token = f"{below}/{secrets.token_hex(5)}"
        self._status, self._moved = f"/{secrets.token_hex(8)}", f"/{secrets.token_hex(8)}"
        self._waits = list(script.waiting)
        self._files: dict[str, tuple[str, bytes]] = {}
        self._make_files()

    @property
    def fhir_base(self) -> str:
        """The FHIR base of the played payer in this exchange."""
        return self.main + self._base

    @property
    def token_url(self) -> str:
        """Where tokens are given."""
        return self.main + self._token

    @property
    def status_url(self) -> str:
        """Where the export is polled."""
        return self.main + self._status

    def of(self, place: str) -> list[Call]:
        """The calls to a place, in order."""
        return [call for call in self.calls if call.place == place]

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a call and keep both."""
        place, make = self._route(method, urlsplit(url).path)
        sent = Exchange(method, url, dict(headers), body, time.time())
        with self.lock:
            self.calls.append(Call(place, sent))
            found = make(self.calls[-1])
        sent.status, sent.headers, sent.body = found.status, dict(found.headers), found.body
        sent.elapsed_s = time.time() - sent.started
        return found

    def _route(self, method: str, path: str) -> tuple[str, Callable[[Call], Answer]]:
        base, patient = self._base, f"{self._base}/Patient/{self.member.patient_id}"
        places: dict[str, tuple[str, Callable[[Call], Answer]]] = {
            f"{base}/.well-known/smart-configuration": ("smart", self._smart),
            f"{base}/metadata": ("metadata", self._metadata),
            self._token: ("token", self._give_token),
            f"{base}/Patient/$member-match": ("match", self._guarded(self._match)),
            f"{base}/Patient": ("search", self._guarded(self._search)),
            patient: ("read", self._guarded(self._read)),
            f"{patient}/$export": ("kick-off", self._guarded(self._kick_off)),
            f"{base}/Patient/$export": ("kick-off", self._guarded(self._kick_off)),
            self._status: ("delete" if method == "DELETE" else "status",
                           self._guarded(self._poll)),
        }  # fmt: skip
        if path in places:
            return places[path]
        if path in self._files:
            return "file", self._file
        if path.startswith(self._moved):
            return "moved", lambda _call: Answer(
                307, headers={"Location": self.file_host + path.removeprefix(self._moved)}
            )
        return "elsewhere", lambda _call: _refusal(404, "not-found")

    # Discovery and tokens

    def _smart(self, _call: Call) -> Answer:
        relative = self._token.removeprefix(f"{self._base}/")
        url = relative if self.script.relative_token_endpoint else self.token_url
        return _json({
            "token_endpoint": url,
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": list(self.script.algorithms),
            "scopes_supported": ["system/*.rs", _MATCH],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": ["client-confidential-asymmetric", "permission-v1", "permission-v2"],
        })  # fmt: skip

    def _metadata(self, _call: Call) -> Answer:
        operations = [{"name": "member-match", "definition": _MATCH},
                      {"name": "export", "definition": f"{_BULK}patient-export"}]  # fmt: skip
        patient = {"type": "Patient", "interaction": [{"code": "read"}, {"code": "search-type"}],
                   "operation": operations}  # fmt: skip
        return _fhir({
            "resourceType": "CapabilityStatement", "status": "active", "kind": "instance",
            "date": "2026-01-01", "fhirVersion": "4.0.1", "format": ["json"],
            "rest": [{"mode": "server", "resource": [patient]}],
        })  # fmt: skip

    def _give_token(self, call: Call) -> Answer:
        token = secrets.token_urlsafe(24)
        self.tokens[token] = time.monotonic() + self.script.token_life_s
        asked = " ".join(call.form.get("scope", []))
        # The scope of the match is granted as it is: what is scripted is about data.
        scope = self.script.granted if self.script.granted and "system/" in asked else asked
        extras = {"id_token": "x.y.z", "foo": [1]} if self.script.token_extras else {}
        return _json({"access_token": token, "token_type": "bearer", "scope": scope,
                      "expires_in": self.script.token_life_s, **extras},
                     headers={"Cache-Control": "no-store"})  # fmt: skip

    def _guarded(self, make: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        def answer(call: Call) -> Answer:
            scheme, _, token = call.header("Authorization").partition(" ")
            until = self.tokens.get(token, 0.0) if scheme.lower() == "bearer" else 0.0
            return make(call) if until > time.monotonic() else _refusal(401, "login")

        return answer

    # Match and retrieval

    def _match(self, _call: Call) -> Answer:
        if self.script.match_status != 200:
            return _refusal(self.script.match_status, "not-found")
        found = [{"name": "MemberIdentifier", "valueIdentifier": self.member.identifier()}]
        if not self.script.identifier_alone:
            reference = {"reference": f"Patient/{self.member.patient_id}"}
            found.append({"name": "MemberId", "valueReference": reference})
        return _fhir({"resourceType": "Parameters", "parameter": found})

    def _search(self, _call: Call) -> Answer:
        patient = record(self.member)["Patient"][0]
        entry = {"fullUrl": f"{self.fhir_base}/Patient/{patient['id']}", "resource": patient,
                 "search": {"mode": "match"}}  # fmt: skip
        return _fhir({"resourceType": "Bundle", "type": "searchset", "entry": [entry]})

    def _read(self, _call: Call) -> Answer:
        return _fhir(record(self.member)["Patient"][0])

    def _kick_off(self, _call: Call) -> Answer:
        return Answer(202, headers={"Content-Location": self.status_url})

    def _poll(self, call: Call) -> Answer:
        if call.exchange.method == "DELETE":
            return Answer(202)
        if self._waits:
            waiting = self._waits.pop(0)
            if waiting.status == 202:
                return Answer(202, headers=waiting.headers())
            return _refusal(waiting.status, waiting.issue or "throttled", waiting.headers())
        if self.script.export_fails:
            return _refusal(500, "processing")
        return _json(self.manifest())

    def manifest(self) -> dict[str, Any]:
        """The manifest of the export."""
        output = [
            {"type": kind, "url": self._public(path),
             "count": body.count(b'"resourceType"') + (7 if self.script.wrong_count else 0)}
            for path, (kind, body) in self._files.items()
        ]  # fmt: skip
        extras = {"extension": {"https://example.org/made-up": 1}, "madeUp": True}
        return {
            "transactionTime": "2026-01-02T03:04:05Z",
            "request": f"{self.fhir_base}/Patient/$export",
            "requiresAccessToken": self.script.requires_token,
            "output": output,
            "error": [],
            **(extras if self.script.manifest_extras else {}),
        }

    def _public(self, path: str) -> str:
        if self.script.redirected_files:
            return f"{self.main}{self._moved}{path}"
        return (self.file_host if self.script.foreign_files else self.main) + path

    # Files

    def _make_files(self) -> None:
        found = {} if self.script.empty else record(self.member)
        for kind, resources in found.items():
            if kind not in self._granted_types():
                continue
            if self.script.extensions:
                resources = [_with_extensions(r) for r in resources]  # noqa: PLW2901
            if self.script.without_meta:
                resources = [{k: v for k, v in r.items() if k != "meta"}  # noqa: PLW2901
                             for r in resources]  # fmt: skip
            parts = self.script.files_of_a_type if kind == "Observation" else 1
            for part in range(parts):
                body = lines(resources[part::parts])
                body = body.removesuffix(b"\n") if self.script.no_last_newline else body
                self._files[f"/{secrets.token_hex(12)}"] = (kind, body)

    def _granted_types(self) -> set[str]:
        """The types that the scripted scope opens: all of them without one."""
        granted = self.script.granted or "system/*.rs"
        kinds = {s.partition("/")[2].partition(".")[0] for s in granted.split()}
        return set(record(self.member)) if "*" in kinds else kinds

    @property
    def served(self) -> dict[str, int]:
        """How many resources of each type the files hold."""
        found: dict[str, int] = {}
        for kind, body in self._files.values():
            found[kind] = found.get(kind, 0) + body.count(b'"resourceType"')
        return found

    def _file(self, call: Call) -> Answer:
        guarded = self.script.requires_token and not self.script.redirected_files
        if guarded and self._guarded(lambda _: Answer(200))(call).status != 200:
            return _refusal(401, "login")
        kind, body = self._files[urlsplit(call.exchange.url).path]
        if self.script.truncated and kind == "Observation":
            body = body[: len(body) * 2 // 3]
        headers = {"Content-Type": media.FHIR_NDJSON}
        if self.script.gzip and "gzip" in call.header("Accept-Encoding").lower():
            return Answer(200, gzip.compress(body), {**headers, "Content-Encoding": "gzip"})
        return Answer(200, body, headers)


class PlayedPayer:
    """Two hosts on loopback: the payer's own, and another that only holds files."""

    def __init__(self, port: int = 0) -> None:
        self.visit: Visit | None = None
        self._servers = [self._serve(port), self._serve(0)]

    def begin(self, script: Script) -> Visit:
        """Start an exchange: from now on every call belongs to it."""
        main, files = (f"http://127.0.0.1:{s.server_address[1]}" for s in self._servers)
        self.visit = Visit(script, PlayedMember(), main, files)
        return self.visit

    def close(self) -> None:
        """Stop answering."""
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def _serve(self, port: int) -> ThreadingHTTPServer:
        played = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _any(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                host = f"http://127.0.0.1:{self.server.server_address[1]}"  # type: ignore[index]
                visit = played.visit
                found = (
                    visit.answer(self.command, host + self.path, dict(self.headers), body)
                    if visit
                    else _refusal(404, "not-found")
                )
                self.send_response(found.status)
                for name, value in found.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(found.body)))
                self.end_headers()
                self.wfile.write(found.body)

            do_GET = do_POST = do_DELETE = do_PUT = do_HEAD = _any  # noqa: N815 - the library's

            def log_message(self, *_arguments: Any) -> None:
                """Nothing: addresses hold ids."""

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return server


def _with_extensions(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource with what a consumer may not know, and may not stumble over."""
    extension = {"url": "https://example.org/StructureDefinition/made-up", "valueString": "x"}
    absent = {"extension": [{
        "url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
        "valueCode": "unknown"}]}  # fmt: skip
    found = {**resource, "extension": [extension]}
    if resource["resourceType"] == "Condition":
        found.pop("recordedDate")
        found["_recordedDate"] = absent
    return found


def _json(content: Any, *, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(
        200, json.dumps(content).encode(), {"Content-Type": media.JSON, **(headers or {})}
    )


def _fhir(content: Any) -> Answer:
    return Answer(200, json.dumps(content).encode(), {"Content-Type": media.FHIR_JSON})


def _refusal(status: int, code: str, headers: Mapping[str, str] | None = None) -> Answer:
    outcome = {"resourceType": "OperationOutcome",
               "issue": [{"severity": "error", "code": code}]}  # fmt: skip
    told = {"Content-Type": media.FHIR_JSON, **(headers or {})}
    if status == 401:
        told["WWW-Authenticate"] = "Bearer"
    return Answer(status, json.dumps(outcome).encode(), told)
