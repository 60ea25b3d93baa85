"""The simulated responding payer: the FHIR API, the token endpoint and the admin API in Flask."""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO, Any
from urllib.parse import urlsplit

from flask import Blueprint, Flask, Request, Response, request
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from ..reference.errors import BadRequest, SettingsError
from ..reference.export.jobs import COMPLETE, FAILED, Job
from ..reference.export.request import parameter_pairs
from ..reference.fhir import json, media
from ..reference.fhir.outcome import operation_outcome
from ..reference.registration.clients import client_from_json
from ..reference.responding import RespondingPayer
from ..reference.retrieval import Access, Page
from ..reference.trust.authorization import OAuthError
from ..reference.trust.tokens import Grant
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
from .discovery import capability_statement, davinci_configuration, smart_configuration

_log = logging.getLogger(__name__)
_CHUNK = 1 << 18

# Where the payer answers itself, whatever address others know it by.
INTERNAL_ROOT, INTERNAL_TOKEN = "/fhir", "/oauth/token"

After = Callable[[Request, Response], Response]


class RespondingSimulator:
    """A responding payer behind HTTP. `after` lets a defect change any answer, by endpoint name."""

    def __init__(self, payer: RespondingPayer) -> None:
        self.payer = payer
        self.after: list[tuple[str, After]] = []
        self.app = Flask(__name__)
        self.app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
        self._mount()
        self.app.register_blueprint(self._admin(), url_prefix="/admin")
        self._set_up_errors()
        self.app.before_request(_refuse_nul)
        self.app.after_request(self._finish)

    # Routes

    def _mount(self) -> None:
        """Answer at the payer's own addresses, and at the public ones where they differ.

        A reverse proxy may pass its path on or take it off.
        """
        settings = self.payer.settings
        public = urlsplit(settings.fhir_base).path.rstrip("/")
        self.app.register_blueprint(self._fhir(), url_prefix=INTERNAL_ROOT)
        if public != INTERNAL_ROOT:
            self.app.register_blueprint(self._fhir(), url_prefix=public or None, name="public")
        self.app.register_blueprint(self._outside())

    def _fhir(self) -> Blueprint:
        fhir = Blueprint("fhir", __name__)
        route = fhir.add_url_rule
        post = ["POST"]
        route("/metadata", "metadata", self.metadata)
        route("/.well-known/smart-configuration", "smart", self.smart)
        route("/.well-known/davinci-configuration", "davinci", self.davinci)
        route("/Patient/$member-match", "member_match", self.member_match, methods=post)
        route("/Patient/$export", "export", self.export, methods=["GET", *post])
        route("/Patient/<ident>/$export", "export_one", self.export, methods=["GET", *post])
        route("/Patient/<ident>/$everything", "everything", self.everything,
              methods=["GET", *post])  # fmt: skip
        route("/DocumentReference/$docref", "docref", self.docref, methods=["GET", *post])
        route("/export-status/<job_id>", "status", self.status)
        route("/export-status/<job_id>", "delete", self.delete, methods=["DELETE"])
        route("/export-files/<job_id>/<name>", "file", self.file)
        route("/<kind>/_search", "search_post", self.search_post, methods=post)
        route("/<kind>", "search", self.search)
        route("/<kind>/<ident>", "read", self.read)
        return fhir

    def _outside(self) -> Blueprint:
        outside = Blueprint("outside", __name__)
        paths = {INTERNAL_TOKEN, urlsplit(self.payer.settings.token_url).path}
        for path in sorted(paths):
            outside.add_url_rule(path, "token", self.token, methods=["POST"])
        outside.add_url_rule("/.well-known/davinci-configuration", "davinci", self.davinci)
        return outside

    def _admin(self) -> Blueprint:
        admin = Blueprint("admin", __name__)
        route = admin.add_url_rule
        route("/clients", "clients", self.admin_clients, methods=["GET", "POST"])
        route("/clients/<client_id>/<state>", "state", self.admin_state, methods=["POST"])
        route("/members/<member>/withdraw", "withdraw", self.admin_withdraw, methods=["POST"])
        route("/audit", "audit", self.admin_audit)
        route("/withheld/<kind>/<ident>", "withheld", self.admin_withheld)
        return admin

    # Discovery

    def metadata(self) -> Response:
        return fhir_answer(json.write(capability_statement(self.payer)))

    def smart(self) -> Response:
        return json_answer(smart_configuration(self.payer))

    def davinci(self) -> Response:
        return json_answer(davinci_configuration(self.payer))

    def absent(self, **_arguments: str) -> Response:
        """The answer at an address where there is nothing."""
        raise BadRequest("There is nothing at this address.", status=404, code="not-found")

    # Authorization

    def token(self) -> Response:
        if media.media_type(request.content_type) != media.FORM:
            raise OAuthError(400, "invalid_request", f"Send the form as {media.FORM}.")
        form = {name: request.form.getlist(name) for name in request.form}
        answer, client = self.payer.authorization.token(form, request.headers.get("Authorization"))
        self.payer.audit.record("authorization", "token", "granted", client=client)
        return json_answer(answer, headers={"Pragma": "no-cache"})

    def grant(self) -> Grant:
        """What the caller's token allows; raises BadRequest 401 without a good one."""
        header = request.headers.get("Authorization")
        found = self.payer.authorization.authorize(header)
        if found is None:
            challenge = 'Bearer error="invalid_token"' if header else "Bearer"
            raise BadRequest("Send a valid access token as Authorization: Bearer.", status=401,
                             code="login", headers={"WWW-Authenticate": challenge})  # fmt: skip
        return found

    def access(self) -> Access:
        return self.payer.access(self.grant())

    # Operations

    def member_match(self) -> Response:
        self._require_single_member()
        grant = self.grant()
        _require_acceptable()
        return fhir_answer(json.write(self.payer.member_match(grant, json_body())))

    def export(self, ident: str | None = None) -> Response:
        self._require_single_member()
        grant = self.grant()
        preferences = media.preferences(request.headers.getlist("Prefer"))
        if "respond-async" not in preferences:
            raise BadRequest("An export is asynchronous: send Prefer: respond-async.",
                             code="not-supported")  # fmt: skip
        _require_acceptable(media.FHIR_NDJSON)
        pairs = _operation_pairs()
        job = self.payer.kick_off(
            grant,
            self._request_url(),
            pairs,
            member=ident,
            lenient=preferences.get("handling") == "lenient",
        )
        return Response(
            status=202,
            headers={"Content-Location": f"{self.payer.settings.fhir_base}/export-status/{job.id}"},
        )

    def status(self, job_id: str) -> Response:
        job = self.payer.job(self.grant(), job_id)
        wait = self.payer.wait()
        if job.state in (COMPLETE, FAILED):
            return self._manifest(job)
        seconds = str(max(1, int(wait.total_seconds())))
        if self.payer.jobs.polled_too_soon(job, wait):
            raise BadRequest("Polled before Retry-After. Wait as long as it says.", status=429,
                             code="throttled", headers={"Retry-After": seconds})  # fmt: skip
        return Response(status=202, headers={"Retry-After": seconds, "X-Progress": job.progress})

    def delete(self, job_id: str) -> Response:
        self.payer.jobs.remove(self.payer.job(self.grant(), job_id))
        return Response(status=202)

    def file(self, job_id: str, name: str) -> Response:
        path = self.payer.export_file(self.grant(), job_id, name)
        # Opened before the answer begins: a job that is deleted meanwhile is still sent whole.
        stream = path.open("rb")
        answer = Response(
            _chunks(stream),
            mimetype=media.FHIR_NDJSON,
            headers={"Content-Length": str(os.fstat(stream.fileno()).st_size)},
            direct_passthrough=True,
        )
        answer.call_on_close(stream.close)
        return answer

    def everything(self, ident: str) -> Response:
        self._require_single_member()
        access = self.access()
        _require_acceptable()
        return self._bundle(self.payer.retrieval.everything(access, ident, _operation_pairs()))

    def docref(self) -> Response:
        access = self.access()
        _require_acceptable()
        pairs = _operation_pairs()
        names = {"patient": "patient", "start": "date", "end": "date", "type": "type"}
        prefixes = {"start": "ge", "end": "le"}
        if "patient" not in dict(pairs):
            raise BadRequest("$docref needs patient.", code="required", expression="patient")
        known = [(names[n], prefixes.get(n, "") + v) for n, v in pairs if n in names]
        return self._bundle(
            self.payer.retrieval.search(access, "DocumentReference", known, strict=False)
        )

    def search(self, kind: str) -> Response:
        return self._search(kind, query_pairs())

    def search_post(self, kind: str) -> Response:
        if media.media_type(request.content_type) != media.FORM:
            raise BadRequest(f"Send the search as {media.FORM}.", status=415, code="structure")
        form = [(n, v) for n in request.form for v in request.form.getlist(n)]
        return self._search(kind, query_pairs() + form)

    def read(self, kind: str, ident: str) -> Response:
        access = self.access()
        _require_acceptable()
        body, row = self.payer.retrieval.read(access, kind, ident)
        etag = f'W/"{row.version}"'
        if request.headers.get("If-None-Match") == etag:
            return Response(status=304, headers={"ETag": etag})
        return fhir_answer(
            body, headers={"ETag": etag, "Last-Modified": _http_date(row.last_updated)}
        )

    # Admin

    def admin_clients(self) -> Response:
        self._require_admin()
        if request.method == "GET":
            return json_answer([_public(client) for client in self.payer.clients.all()])
        client = self.payer.clients.register(client_from_json(json_body()))
        return json_answer(_public(client), status=201)

    def admin_state(self, client_id: str, state: str) -> Response:
        self._require_admin()
        if state == "suspended":
            self.payer.suspend(client_id)
        else:
            self.payer.clients.set_state(client_id, state)
        return Response(status=204)

    def admin_withdraw(self, member: str) -> Response:
        self._require_admin()
        return json_answer({"ended": self.payer.withdraw_consent(member)})

    def admin_audit(self) -> Response:
        self._require_admin()
        return json_answer(self.payer.audit.records(request.args.get("exchange")))

    def admin_withheld(self, kind: str, ident: str) -> Response:
        self._require_admin()
        reason = self.payer.why_withheld(kind, ident, request.args.get("policy", "regular"))
        return json_answer({"reason": reason})

    # Parts

    def _search(self, kind: str, pairs: list[tuple[str, str]]) -> Response:
        access = self.access()
        _require_acceptable()
        preferences = media.preferences(request.headers.getlist("Prefer"))
        strict = preferences.get("handling") == "strict"
        return self._bundle(self.payer.retrieval.search(access, kind, pairs, strict=strict))

    def _bundle(self, page: Page) -> Response:
        return fhir_answer(self.payer.retrieval.bundle(page))

    def _manifest(self, job: Job) -> Response:
        base = f"{self.payer.settings.fhir_base}/export-files/{job.id}"
        manifest = self.payer.manifest(job, lambda name: f"{base}/{name}")
        return json_answer(manifest, headers={"Expires": _http_date(job.expires)})

    def _request_url(self) -> str:
        path = request.full_path.rstrip("?")
        public = urlsplit(self.payer.settings.fhir_base).path.rstrip("/")
        root = public if public and path.startswith(f"{public}/") else INTERNAL_ROOT
        return self.payer.settings.fhir_base + path.removeprefix(root)

    def _require_single_member(self) -> None:
        if not self.payer.settings.single_member:
            raise BadRequest("Single-member exchange is switched off here.", status=404,
                             code="not-supported")  # fmt: skip

    def _require_admin(self) -> None:
        expected = f"Bearer {self.payer.settings.admin_token}".encode()
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected):
            raise BadRequest("The admin API needs its own token.", status=401, code="login")

    # Errors and what every answer carries

    def _set_up_errors(self) -> None:
        self.app.register_error_handler(BadRequest, refusal)
        self.app.register_error_handler(OAuthError, self._oauth_error)
        self.app.register_error_handler(
            SettingsError, lambda error: refusal(BadRequest(str(error), status=422))
        )
        for status, text in HTTP_ERRORS:
            self.app.register_error_handler(status, http_error(text))
        self.app.register_error_handler(HTTPException, http_error("The request cannot be served."))
        self.app.register_error_handler(OperationalError, self._busy)
        self.app.register_error_handler(Exception, self._broken)

    def _oauth_error(self, error: OAuthError) -> Response:
        self.payer.audit.record("authorization", "token", "refused", reason=error.reason)
        headers = (
            {"WWW-Authenticate": "Basic"}
            if (error.status == 401 and request.headers.get("Authorization"))
            else {}
        )
        content = {"error": error.error, "error_description": error.description}
        return json_answer(content, status=error.status, headers=headers)

    def _busy(self, error: OperationalError) -> Response:
        _log.warning("the database did not answer: %s at %s", type(error.orig), request.endpoint)
        return refusal(BadRequest("The payer is busy. Try again.", status=503, code="transient",
                                  headers={"Retry-After": "5"}))  # fmt: skip

    def _broken(self, error: Exception) -> Response:
        # The type alone: a message could hold what was sent.
        _log.error("an answer failed: %s at %s", type(error).__name__, request.endpoint)
        outcome = operation_outcome("The payer could not answer.", code="exception")
        return fhir_answer(json.write(outcome), status=500)

    def _finish(self, response: Response) -> Response:
        name = (request.endpoint or "").rpartition(".")[2]
        for endpoint, change in self.after:
            if endpoint in ("*", name):
                response = change(request, response)
        for header, value in NO_STORE.items():
            response.headers.setdefault(header, value)
        return response


def _refuse_nul() -> None:
    """No id, name or value holds NUL, and a database may break on it."""
    values = [request.path, *(text for pair in request.args.items(multi=True) for text in pair)]
    if media.media_type(request.content_type) == media.FORM:
        request.get_data()  # kept, so that whoever wants the body finds it still there
        values += [text for pair in request.form.items(multi=True) for text in pair]
    if any("\0" in value for value in values):
        raise BadRequest("The request holds a character that is none.", code="invalid")


def _public(client: Any) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "state": client.state,
        "scopes": list(client.scopes),
        "organization": {"system": client.organization.system, "value": client.organization.value},
    }


def _require_acceptable(*also: str) -> None:
    header = request.headers.get("Accept")
    if media.accepts_json(header, request.args.get("_format")):
        return
    if not any(media.media_type(part) in also for part in (header or "").split(",")):
        raise BadRequest(f"This payer answers in {media.FHIR_JSON}.", status=406,
                         code="not-supported")  # fmt: skip


def _operation_pairs() -> list[tuple[str, str]]:
    """The parameters of an operation: of the query, and of a Parameters body if there is one."""
    posted = request.method == "POST" and request.get_data()
    return query_pairs() + (parameter_pairs(json_body()) if posted else [])


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    with stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _http_date(text: str) -> str:
    return datetime.fromisoformat(text).strftime("%a, %d %b %Y %H:%M:%S GMT")
