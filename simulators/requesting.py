"""The simulated requesting payer in Flask: invoke-export, Tasks, records and the admin API."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Response, request

from ..reference.errors import BadRequest, RecordRejected, SettingsError
from ..reference.event_log import tell
from ..reference.fhir import json, media
from ..reference.fhir.ndjson import lines_of
from ..reference.fhir.outcome import operation_outcome
from ..reference.opt_in import event_from_json
from ..reference.parties import PayerIdentity
from ..reference.registration.servers import Registered, Server
from ..reference.requesting import RequestingPayer
from ..reference.secret import Secret
from ..reference.store.repository import Row
from ..reference.trust.keys import public_set
from .answers import (
    HTTP_ERRORS,
    MAX_BODY,
    NO_STORE,
    fhir_answer,
    http_error,
    json_answer,
    json_body,
    query_pairs,
    refusal,
)
from .auditing import audit_events
from .key_publishing import CACHE_CONTROL
from .openapi import add_openapi

_log = logging.getLogger(__name__)
_INVOKE_BULK = "http://payer-to-payer-exchange/OperationDefinition/invoke-bulk-export"
_INVOKE = "http://payer-to-payer-exchange/OperationDefinition/invoke-export"
_CONTROL = frozenset({"_format", "_pretty"})


class RequestingSimulator:
    """A requesting payer behind HTTP."""

    def __init__(self, payer: RequestingPayer) -> None:
        self.payer = payer
        self.app = Flask(__name__)
        self.app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
        root = urlsplit(payer.settings.fhir_base).path.rstrip("/")
        self.app.register_blueprint(self._fhir(), url_prefix=root or None)
        self.app.register_blueprint(self._admin(), url_prefix="/admin")
        self.app.add_url_rule("/.well-known/jwks.json", "jwks", self.jwks)
        add_openapi(self.app, "payer-exchange: a simulated requesting payer")
        self._set_up_errors()
        self.app.after_request(_finish)

    # Routes

    def _fhir(self) -> Blueprint:
        fhir = Blueprint("fhir", __name__)
        route = fhir.add_url_rule
        post = ["POST"]
        route("/metadata", "metadata", self.metadata)
        for name in ("$sdh.s2s.invoke-export", "$invoke-export"):
            route(f"/Patient/{name}", f"invoke{len(name)}", self.invoke, methods=post)
        route("/Patient/$invoke-bulk-export", "invoke_bulk", self.invoke_bulk, methods=post)
        route("/Patient/<ident>/$everything", "everything", self.everything)
        route("/Task", "tasks", self.tasks)
        route("/Task/<ident>", "task", self.task)
        route("/Task/<ident>", "change_task", self.change_task, methods=["PUT"])
        route("/Task/<ident>", "cancel_task", self.cancel, methods=["DELETE"])
        route("/Task/<ident>/$cancel", "cancel", self.cancel, methods=post)
        route("/Task/<ident>/$take-back", "take_back", self.take_back, methods=post)
        route("/", "search_all", self.search)
        route("/<kind>", "search", self.search)
        route("/<kind>/<ident>", "read", self.read)
        return fhir

    def _admin(self) -> Blueprint:
        admin = Blueprint("admin", __name__)
        admin.before_request(self._require_admin)
        route = admin.add_url_rule
        route("/servers", "servers", self.servers, methods=["GET", "POST"])
        route("/registration", "registration", self.registration, methods=["POST"])
        route("/records", "records", self.keep_records, methods=["POST"])
        route("/opt-ins", "opt_ins", self.opt_ins, methods=["GET", "POST"])
        route("/opt-ins/<patient>/withdraw", "withdraw", self.withdraw, methods=["POST"])
        route("/audit", "audit", self.audit)
        route("/AuditEvent", "audit_events", self.audit_events)
        route("/work-list", "work_list", self.work_list)
        route("/batches/<ident>", "batch", self.batch)
        route("/nonconforming", "nonconforming", self.nonconforming)
        route("/nonconforming/<task>/<file>/<int:line>", "set_aside", self.set_aside)
        route("/nonconforming/<task>/release", "release", self.release, methods=["POST"])
        route("/duties", "duties", self.duties)
        route("/ask-what-is-due", "ask_due", self.ask_due, methods=["POST"])
        return admin

    # Exchange

    def metadata(self) -> Response:
        return fhir_answer(json.write(_capabilities(self.payer)))

    def invoke(self) -> Response:
        self._require_operator()
        return self._accepted(self.payer.invoke_export(json_body()))

    def invoke_bulk(self) -> Response:
        self._require_operator()
        return self._accepted(self.payer.invoke_bulk_export(json_body()))

    def _accepted(self, task: dict[str, Any]) -> Response:
        """The answer to an operation that goes on in its Task."""
        place = f"Task/{task['id']}"
        status = self.payer.settings.accepted_status
        headers = {"Content-Location": place}
        if status == 202:
            headers["Location"] = f"{self.payer.settings.fhir_base}/{place}"
        return fhir_answer(json.write(task), status=status, headers=headers)

    def task(self, ident: str) -> Response:
        self._require_operator()
        return fhir_answer(json.write(self.payer.tasks.get(ident).resource()))

    def tasks(self) -> Response:
        self._require_operator()
        found = self.payer.tasks.search(_conditions())
        return self._bundle((t["resourceType"], t["id"], json.write(t)) for t in found)

    def change_task(self, ident: str) -> Response:
        self._require_operator()
        body = json_body()
        if body.get("resourceType") != "Task" or body.get("id") != ident:
            raise BadRequest("The body must be this Task.", code="structure", expression="Task.id")
        if body.get("status") != "cancelled":
            raise BadRequest("A Task can be changed to cancelled only.", status=422,
                             code="business-rule", expression="Task.status")  # fmt: skip
        return self.cancel(ident)

    def cancel(self, ident: str) -> Response:
        self._require_operator()
        return fhir_answer(json.write(self.payer.cancel(ident).resource()))

    def take_back(self, ident: str) -> Response:
        self._require_operator()
        self.payer.take_back(ident)
        return self.task(ident)

    # Records

    def read(self, kind: str, ident: str) -> Response:
        self._require_operator()
        return fhir_answer(self.payer.records.read(kind, ident).body)

    def search(self, kind: str = "") -> Response:
        self._require_operator()
        return self._rows(self.payer.records.search(kind, _conditions()))

    def everything(self, ident: str) -> Response:
        """The Patient's own compartment; `_collated=true` adds the imported ones (SD-42)."""
        self._require_operator()
        wanted = dict(_conditions())
        unknown = sorted(set(wanted) - {"_collated"})
        if unknown or wanted.get("_collated", "false") not in ("true", "false"):
            raise BadRequest("$everything takes _collated, true or false.", code="not-supported",
                             expression="_collated")  # fmt: skip
        records = self.payer.records
        collated = wanted.get("_collated") == "true"
        compartments = records.compartments_to_release(ident, collated=collated)
        return self._rows(records.of_compartments(compartments))

    # Admin

    def jwks(self) -> Response:
        """The public halves of the keys this payer signs with."""
        keys = {}
        for server in self.payer.servers.all():
            jwk = server.credentials().jwk
            if jwk:
                keys[jwk.get("kid")] = jwk
        return json_answer(public_set(*keys.values()), headers={"Cache-Control": CACHE_CONTROL})

    def servers(self) -> Response:
        if request.method == "GET":
            return json_answer([_public(server) for server in self.payer.servers.all()])
        return json_answer(_told(self.payer.register({"servers": [json_body()]})), status=201)

    def registration(self) -> Response:
        return json_answer(_told(self.payer.register(json_body())), status=201)

    def keep_records(self) -> Response:
        if media.media_type(request.content_type) not in (media.FHIR_NDJSON, "application/ndjson"):
            raise BadRequest(f"Send the records as {media.FHIR_NDJSON}.", status=415,
                             code="structure")  # fmt: skip
        stored = self.payer.keep_local(lines_of([request.get_data()]))
        return json_answer({"stored": stored}, status=201)

    def opt_ins(self) -> Response:
        if request.method == "GET":
            return json_answer([found.as_json() for found in self.payer.opt_ins.of()])
        found, task = self.payer.opt_in(event_from_json(json_body()))
        return json_answer({**found.as_json(), "task": f"Task/{task}" if task else None},
                           status=201)  # fmt: skip

    def duties(self) -> Response:
        now = self.payer.clock.now()
        return json_answer([duty.as_json(now) for duty in self.payer.calendar.duties()])

    def ask_due(self) -> Response:
        return json_answer({"batches": self.payer.ask_what_is_due()})

    def withdraw(self, patient: str) -> Response:
        return json_answer({"withdrawn": self.payer.opt_ins.withdraw(patient)})

    def audit(self) -> Response:
        return json_answer(self.payer.audit.records(request.args.get("exchange")))

    def audit_events(self) -> Response:
        return audit_events(self.payer.audit, self.payer.settings.identity)

    def work_list(self) -> Response:
        return json_answer([asdict(item) for item in self.payer.opt_ins.work_list()])

    def batch(self, ident: str) -> Response:
        """What a batch has come to, in counts."""
        self.payer.tasks.get(ident)
        return json_answer(self.payer.batch_summary(ident))

    def nonconforming(self) -> Response:
        """Received lines that do not conform, without a word of what they say."""
        task, state = (request.args.get(name, "") for name in ("task", "state"))
        found = self.payer.quarantine.of(task, state)
        return json_answer([line.as_json() for line in found])

    def set_aside(self, task: str, file: str, line: int) -> Response:
        """One line that was set aside, byte for byte."""
        for held in self.payer.ledger.quarantined(task):
            if (held.file, held.line) == (file, line):
                return Response(held.body, mimetype="application/octet-stream")
        raise BadRequest("No such line was set aside.", status=404, code="not-found")

    def release(self, task: str) -> Response:
        """Store lines after all: those that are named, or else those that conform by now."""
        self.payer.tasks.get(task)
        body = json_body()
        lines = body.get("lines", [])
        if set(body) - {"lines"} or not isinstance(lines, list) or not all(map(_is_place, lines)):
            raise BadRequest('Send {"lines": [{"file": "...", "line": 1}]}, or {} to check all '
                             "lines of the Task again.", code="structure")  # fmt: skip
        releases = self.payer.releases
        places = {(line["file"], line["line"]) for line in lines}
        count = releases.release(task, places) if lines else releases.check_again(task)
        return json_answer({"released": count})

    # Parts

    def _rows(self, rows: Iterable[Row]) -> Response:
        return self._bundle((row.type, row.id, row.body) for row in rows)

    def _bundle(self, resources: Iterable[tuple[str, str, bytes]]) -> Response:
        """A searchset with each resource in its own bytes."""
        base = self.payer.settings.fhir_base
        entries = [
            b'{"fullUrl":%b,"resource":%b}' % (json.write(f"{base}/{kind}/{ident}"), body)
            for kind, ident, body in resources
        ]
        head = b'{"resourceType":"Bundle","type":"searchset","total":%d' % len(entries)
        return fhir_answer(head + (b',"entry":[' + b",".join(entries) + b"]}" if entries else b"}"))

    def _require_operator(self) -> None:
        settings = self.payer.settings
        if not _bears(settings.operator_token, settings.admin_token):
            raise BadRequest("Send the operator's token as Authorization: Bearer.", status=401,
                             code="login", headers={"WWW-Authenticate": "Bearer"})  # fmt: skip

    def _require_admin(self) -> None:
        if not _bears(self.payer.settings.admin_token):
            raise BadRequest("The admin API needs its own token.", status=401, code="login",
                             headers={"WWW-Authenticate": "Bearer"})  # fmt: skip

    # Errors

    def _set_up_errors(self) -> None:
        register = self.app.register_error_handler
        register(BadRequest, refusal)
        for kind in (SettingsError, RecordRejected):
            register(kind, lambda error: refusal(BadRequest(str(error), status=422)))
        for status, text in HTTP_ERRORS:
            register(status, http_error(text))
        register(Exception, _broken)


def _is_place(line: Any) -> bool:
    return (isinstance(line, dict) and set(line) == {"file", "line"}
            and isinstance(line["file"], str) and isinstance(line["line"], int))  # fmt: skip


def _broken(error: Exception) -> Response:
    # The type alone: a message could hold what was sent.
    tell(_log, logging.ERROR, "answer-failed", error=type(error).__name__,
         route=str(request.endpoint))  # fmt: skip
    outcome = operation_outcome("The payer could not answer.", code="exception")
    return fhir_answer(json.write(outcome), status=500)


def _finish(response: Response) -> Response:
    for header, value in NO_STORE.items():
        response.headers.setdefault(header, value)
    return response


def _bears(*tokens: Secret) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    given = token.strip().encode()
    return scheme.lower() == "bearer" and any(
        hmac.compare_digest(given, expected.reveal().encode()) for expected in tokens
    )


def _conditions() -> list[tuple[str, str]]:
    return [(name, value) for name, value in query_pairs() if name not in _CONTROL]


def _told(found: Registered) -> dict[str, Any]:
    return {"servers": [_public(server) for server in found.servers]}


def _public(server: Server) -> dict[str, Any]:
    """A server definition without what must not be shown."""
    return {
        "name": server.name,
        "issuer": server.issuer,
        "fhir_base": server.fhir_base,
        "client_id": server.client_id,
        "auth_method": server.auth_method,
        "export_method": server.export_method,
        "organization": _identity(server.organization),
    }


def _identity(identity: PayerIdentity) -> dict[str, str]:
    return asdict(identity)


def _capabilities(payer: RequestingPayer) -> dict[str, Any]:
    """What a requesting payer offers: invoke-export, its Tasks, the records it holds."""
    operations = [
        {"name": name, "definition": _INVOKE} for name in ("sdh.s2s.invoke-export", "invoke-export")
    ]
    operations.append({"name": "invoke-bulk-export", "definition": _INVOKE_BULK})
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "kind": "instance",
        "date": payer.clock.now().date().isoformat(),
        "software": {"name": "payer-exchange"},
        "implementation": {
            "description": "A simulated requesting payer",
            "url": payer.settings.fhir_base,
        },
        "fhirVersion": "4.0.1",
        "format": [media.FHIR_JSON, "json"],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {
                        "type": "Patient",
                        "interaction": [{"code": "read"}, {"code": "search-type"}],
                        "operation": operations,
                    },
                    {
                        "type": "Task",
                        "interaction": [{"code": c} for c in ("read", "search-type", "update")],
                    },
                ],
            }
        ],
    }
