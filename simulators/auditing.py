"""The audit of a responding payer at its edge: each answer with a member's data, each refusal.

One small row an answer, written before the answer leaves: what cannot be recorded is not disclosed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from flask import Response, g, request

from ..reference.audit import AuditLog
from ..reference.audit_event import KINDS, REQUEST, audit_event
from ..reference.fhir import json
from ..reference.parties import PayerIdentity
from ..reference.retrieval import window_of
from ..reference.trust.tokens import Grant
from .answers import fhir_answer

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
# What each route discloses: the phase and the interaction. A status or a manifest discloses
# nothing of a member; a match and a token keep a record of their own when they are answered.
_DISCLOSING = {
    "read": ("export", "read"),
    "search": ("export", "search-type"),
    "search_post": ("export", "search-type"),
    "everything": ("export", "operation"),
    "docref": ("export", "operation"),
    "export": ("export", "operation"),
    "export_one": ("export", "operation"),
    "export_group": ("export", "operation"),
    "data_export": ("export", "operation"),
    "file": ("export", "read"),
    "read_group": ("member-match", "read"),
    "vread_group": ("member-match", "vread"),
    "history_group": ("member-match", "history-instance"),
    "search_group": ("member-match", "search-type"),
    "search_group_post": ("member-match", "search-type"),
}
_REFUSING = {
    **_DISCLOSING,
    "member_match": ("member-match", "operation"),
    "bulk_match": ("member-match", "operation"),
    "status": ("export", "read"),
    "delete": ("export", "delete"),
}


def granted_to(grant: Grant) -> Grant:
    """The grant, remembered as whose request this is."""
    g.audit_grant = grant
    return grant


def keep_audit(audit: AuditLog, response: Response) -> None:
    """Record an answer that discloses something, or a refusal; raises when that cannot be done."""
    name = (request.endpoint or "").rpartition(".")[2]
    refused = response.status_code >= 400
    told = (_REFUSING if refused else _DISCLOSING).get(name)
    # Polled too early is no refusal of data, and would fill the record.
    if told is None or (name == "status" and response.status_code == 429):
        return
    phase, interaction = told
    grant: Grant | None = g.get("audit_grant")
    audit.record(
        phase,
        REQUEST,
        "refused" if refused else "disclosed",
        exchange=_job(response),
        reason=_reason(response) if refused else "",
        client=grant.client_id if grant else "",
        details={"route": name, "status": response.status_code, "interaction": interaction},
        # A stranger's guesses are no references of this payer's.
        subjects=() if refused else _subjects(name, grant),
    )


def audit_events(audit: AuditLog, observer: PayerIdentity) -> Response:
    """A page of the AuditEvents, newest first, for the admin API alone."""
    count, start = window_of(list(request.args.items()), 100)
    found, total = audit.told(
        KINDS,
        subject=request.args.get("patient", ""),
        exchange=request.args.get("exchange", ""),
        count=count,
        start=start,
    )
    entries = [{"resource": audit_event(r, r["subjects"], observer)} for r in found]
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": total}
    return fhir_answer(json.write({**bundle, "entry": entries} if entries else bundle))


def _reason(response: Response) -> str:
    """The first issue code of a refusal, or its status: words of ours, never what was sent."""
    try:
        found = json.read(response.get_data())
        return str(found["issue"][0]["code"])
    except (ValueError, KeyError, IndexError, TypeError):
        return str(response.status_code)


def _job(response: Response) -> str:
    """The job that a request started or is about."""
    started = response.headers.get("Content-Location", "").rpartition("/export-status/")[2]
    asked = str(started or (request.view_args or {}).get("job_id", ""))
    # What is no id was made up by whoever asked, and may hold what no database takes.
    return asked if _ID.fullmatch(asked) else ""


def _subjects(name: str, grant: Grant | None) -> Iterator[str]:
    arguments = request.view_args or {}
    if grant and grant.member:
        yield f"Patient/{grant.member}"
    ident = arguments.get("ident")
    if name in ("everything", "export_one"):
        yield f"Patient/{ident}"
    elif name in ("export_group", "data_export", "read_group", "vread_group", "history_group"):
        yield f"Group/{ident}"
    elif name == "read":
        yield f"{arguments.get('kind')}/{ident}"
    elif name in ("search", "search_post", "docref"):
        patient = request.args.get("patient", "").removeprefix("Patient/")
        if _ID.fullmatch(patient):
            yield f"Patient/{patient}"
