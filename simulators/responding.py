"""The simulated responding payer: the FHIR API, the token endpoint and the admin API in Flask."""

from __future__ import annotations

import logging
from collections.abc import Callable
from urllib.parse import urlsplit

from cheroot import wsgi
from flask import Blueprint, Flask, Request, Response, request
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException

from ..reference.errors import BadRequest, SettingsError
from ..reference.event_log import tell
from ..reference.fhir import json, media
from ..reference.fhir.outcome import operation_outcome
from ..reference.responding import RespondingPayer
from ..reference.retrieval import Access, Page
from ..reference.trust.authorization import OAuthError
from ..reference.trust.tokens import Grant
from .answers import (
    HTTP_ERRORS,
    MAX_BODY,
    NO_STORE,
    fhir_answer,
    form_pairs,
    http_date,
    http_error,
    json_answer,
    json_body,
    operation_pairs,
    preferences,
    query_pairs,
    refusal,
    require_acceptable,
)
from .auditing import granted_to, keep_audit
from .discovery import capability_statement, davinci_configuration, smart_configuration
from .exporting import INTERNAL_ROOT, ExportRoutes, require_single_member
from .groups import GroupRoutes
from .openapi import add_openapi
from .peers import peer_certificate, require_certificate
from .responding_admin import admin_api
from .trust_routes import TrustRoutes, form_fields
from .udap_routes import UdapRoutes

_log = logging.getLogger(__name__)

# Where the payer answers itself, whatever address others know it by.
INTERNAL_TOKEN = "/oauth/token"  # noqa: S105 - a path

After = Callable[[Request, Response], Response]


class RespondingSimulator:
    """A responding payer behind HTTP. `after` lets a defect change any answer, by endpoint name.

    `listening` lets one change how its server listens, where it has one of its own.
    """

    def __init__(self, payer: RespondingPayer) -> None:
        self.payer = payer
        self.trust = TrustRoutes(payer)
        self.udap = UdapRoutes(payer)
        self.after: list[tuple[str, After]] = []
        self.listening: list[Callable[[wsgi.Server], None]] = []
        self.app = Flask(__name__)
        self.app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
        self._mount()
        self.app.register_blueprint(admin_api(payer), url_prefix="/admin")
        add_openapi(self.app, "payer-exchange: a simulated responding payer")
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
        route("/.well-known/udap", "udap", self.udap.metadata)
        route("/Patient/$member-match", "member_match", self.member_match, methods=post)
        route("/Patient/<ident>/$everything", "everything", self.everything,
              methods=["GET", *post])  # fmt: skip
        route("/DocumentReference/$docref", "docref", self.docref, methods=["GET", *post])
        # Asked for at each request, for a defect may change it.
        ExportRoutes(self.payer, lambda: self.grant()).add_to(route)
        GroupRoutes(self.payer, lambda: self.grant()).add_to(route)
        route("/<kind>/_search", "search_post", self.search_post, methods=post)
        route("/<kind>", "search", self.search)
        route("/<kind>/<ident>", "read", self.read)
        return fhir

    def _outside(self) -> Blueprint:
        outside = Blueprint("outside", __name__)
        paths = {INTERNAL_TOKEN, urlsplit(self.payer.settings.token_url).path}
        for path in sorted(paths):
            outside.add_url_rule(path, "token", self.token, methods=["POST"])
        self.trust.add_to(outside, INTERNAL_TOKEN)
        self.udap.add_to(outside, INTERNAL_TOKEN)
        outside.add_url_rule("/.well-known/davinci-configuration", "davinci", self.davinci)
        return outside

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
        header = request.headers.get("Authorization")
        require_certificate(self.payer.settings, at_token_endpoint=True)
        answer, client = self.payer.authorization.token(form_fields(), header, peer_certificate())
        self.payer.audit.record("authorization", "token", "granted", client=client)
        return json_answer(answer, headers={"Pragma": "no-cache"})

    def grant(self) -> Grant:
        """What the caller's token allows; raises BadRequest 401 without a good one."""
        header = request.headers.get("Authorization")
        require_certificate(self.payer.settings)
        found = self.payer.authorization.authorize(header, peer_certificate())
        if found is None:
            challenge = 'Bearer error="invalid_token"' if header else "Bearer"
            raise BadRequest("Send a valid access token as Authorization: Bearer.", status=401,
                             code="login", headers={"WWW-Authenticate": challenge})  # fmt: skip
        return granted_to(found)

    def access(self) -> Access:
        return self.payer.access(self.grant())

    # Operations

    def member_match(self) -> Response:
        require_single_member(self.payer)
        grant = self.grant()
        require_acceptable()
        return fhir_answer(json.write(self.payer.member_match(grant, json_body())))

    def everything(self, ident: str) -> Response:
        require_single_member(self.payer)
        access = self.access()
        require_acceptable()
        return self._bundle(self.payer.retrieval.everything(access, ident, operation_pairs()))

    def docref(self) -> Response:
        access = self.access()
        require_acceptable()
        pairs = operation_pairs()
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
        return self._search(kind, query_pairs() + form_pairs())

    def read(self, kind: str, ident: str) -> Response:
        access = self.access()
        require_acceptable()
        body, row = self.payer.retrieval.read(access, kind, ident)
        etag = f'W/"{row.version}"'
        if request.headers.get("If-None-Match") == etag:
            return Response(status=304, headers={"ETag": etag})
        return fhir_answer(
            body, headers={"ETag": etag, "Last-Modified": http_date(row.last_updated)}
        )

    # Parts

    def _search(self, kind: str, pairs: list[tuple[str, str]]) -> Response:
        access = self.access()
        require_acceptable()
        strict = preferences().get("handling") == "strict"
        return self._bundle(self.payer.retrieval.search(access, kind, pairs, strict=strict))

    def _bundle(self, page: Page) -> Response:
        return fhir_answer(self.payer.retrieval.bundle(page))

    # Errors and what every answer carries

    def _set_up_errors(self) -> None:
        self.app.register_error_handler(BadRequest, self._refused)
        self.app.register_error_handler(OAuthError, self._oauth_error)
        self.app.register_error_handler(
            SettingsError, lambda error: refusal(BadRequest(str(error), status=422))
        )
        for status, text in HTTP_ERRORS:
            self.app.register_error_handler(status, http_error(text))
        self.app.register_error_handler(HTTPException, http_error("The request cannot be served."))
        self.app.register_error_handler(OperationalError, self._busy)
        self.app.register_error_handler(Exception, self._broken)

    def _refused(self, error: BadRequest) -> Response:
        """A refusal in the words of the place: OAuth's beside the FHIR base, else FHIR's."""
        if request.blueprint != "outside":
            return refusal(error)
        content = {"error": "invalid_request", "error_description": str(error)}
        return json_answer(content, status=error.status, headers=error.headers)

    def _oauth_error(self, error: OAuthError) -> Response:
        self.payer.audit.record("authorization", "token", "refused", reason=error.reason)
        headers = dict(error.headers)
        if error.status == 401 and request.headers.get("Authorization"):
            headers.setdefault("WWW-Authenticate", "Basic")
        content = {"error": error.error, "error_description": error.description}
        return json_answer(content, status=error.status, headers=headers)

    def _busy(self, error: OperationalError) -> Response:
        tell(_log, logging.WARNING, "database-busy", error=type(error.orig).__name__,
             route=str(request.endpoint))  # fmt: skip
        return refusal(BadRequest("The payer is busy. Try again.", status=503, code="transient",
                                  headers={"Retry-After": "5"}))  # fmt: skip

    def _broken(self, error: Exception) -> Response:
        # The type alone: a message could hold what was sent.
        tell(_log, logging.ERROR, "answer-failed", error=type(error).__name__,
             route=str(request.endpoint))  # fmt: skip
        outcome = operation_outcome("The payer could not answer.", code="exception")
        return fhir_answer(json.write(outcome), status=500)

    def _finish(self, response: Response) -> Response:
        name = (request.endpoint or "").rpartition(".")[2]
        for endpoint, change in self.after:
            if endpoint in ("*", name):
                response = change(request, response)
        for header, value in NO_STORE.items():
            response.headers.setdefault(header, value)
        keep_audit(self.payer.audit, response)
        tell(_log, logging.INFO, "answered", route=name, method=request.method,
             status=response.status_code)  # fmt: skip
        return response


def _refuse_nul() -> None:
    """No id, name or value holds NUL, and a database may break on it."""
    values = [request.path, *(text for pair in request.args.items(multi=True) for text in pair)]
    if media.media_type(request.content_type) == media.FORM:
        request.get_data()  # kept, so that whoever wants the body finds it still there
        values += [text for pair in request.form.items(multi=True) for text in pair]
    if any("\0" in value for value in values):
        raise BadRequest("The request holds a character that is none.", code="invalid")
