"""The responding payer's admin API: clients and their vetting, withdrawals, the audit record."""

from __future__ import annotations

import hmac
from typing import Any

from flask import Blueprint, Response, request

from ..reference.errors import BadRequest
from ..reference.registration.clients import client_from_json
from ..reference.responding import RespondingPayer
from .answers import json_answer, json_body
from .auditing import audit_events


def admin_api(payer: RespondingPayer) -> Blueprint:
    """The routes of the admin API; every one needs the payer's admin token."""
    api = _AdminApi(payer)
    admin = Blueprint("admin", __name__)
    route = admin.add_url_rule
    route("/clients", "clients", api.clients, methods=["GET", "POST"])
    route("/clients/<client_id>/<state>", "state", api.state, methods=["POST"])
    route("/members/<member>/withdraw", "withdraw", api.withdraw, methods=["POST"])
    route("/resources/<kind>/<ident>", "delete", api.delete, methods=["DELETE"])
    route("/audit", "audit", api.audit)
    route("/AuditEvent", "audit_events", api.audit_events)
    route("/duties", "duties", api.duties)
    route("/withheld/<kind>/<ident>", "withheld", api.withheld)
    return admin


class _AdminApi:
    def __init__(self, payer: RespondingPayer) -> None:
        self._payer = payer

    def clients(self) -> Response:
        self._check_token()
        if request.method == "GET":
            return json_answer([_public(client) for client in self._payer.clients.all()])
        client = self._payer.clients.register(client_from_json(json_body()))
        return json_answer(_public(client), status=201)

    def state(self, client_id: str, state: str) -> Response:
        self._check_token()
        if state == "suspended":
            self._payer.suspend(client_id)
        else:
            self._payer.clients.set_state(client_id, state)
        return Response(status=204)

    def withdraw(self, member: str) -> Response:
        self._check_token()
        return json_answer({"ended": self._payer.withdraw_consent(member)})

    def delete(self, kind: str, ident: str) -> Response:
        self._check_token()
        if not self._payer.repository.forget([(kind, ident)]):
            raise BadRequest("This payer holds no such resource.", status=404, code="not-found")
        return Response(status=204)

    def audit(self) -> Response:
        self._check_token()
        return json_answer(self._payer.audit.records(request.args.get("exchange")))

    def audit_events(self) -> Response:
        self._check_token()
        return audit_events(self._payer.audit, self._payer.settings.identity)

    def duties(self) -> Response:
        self._check_token()
        now = self._payer.clock.now()
        return json_answer([duty.as_json(now) for duty in self._payer.duties()])

    def withheld(self, kind: str, ident: str) -> Response:
        self._check_token()
        reason = self._payer.why_withheld(kind, ident, request.args.get("policy", "regular"))
        return json_answer({"reason": reason})

    def _check_token(self) -> None:
        expected = f"Bearer {self._payer.settings.admin_token.reveal()}".encode()
        if not hmac.compare_digest(request.headers.get("Authorization", "").encode(), expected):
            raise BadRequest("The admin API needs its own token.", status=401, code="login")


def _public(client: Any) -> dict[str, Any]:
    return {
        "client_id": client.client_id,
        "name": client.name,
        "state": client.state,
        "scopes": list(client.scopes),
        "organization": {"system": client.organization.system, "value": client.organization.value},
    }
