"""The whole exchange between two payers: the requesting one is asked for it, until its Task ends.

What lies between is theirs: this client sees when a Task was begun and when it ended, and, of a
requesting payer that opens its admin API, how long it took what it received in.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

from ..reference.egress import EgressRules
from ..reference.errors import ExportFailed, NoMatch, SettingsError
from ..reference.fhir import json, media
from ..reference.fhir.dates import parse_moment
from ..reference.fhir.parameters import make_parameters
from ..reference.http import Exchange, HttpClient
from ..reference.secret import Secret
from ..reference.settings import Settings
from .delivery import Delivery
from .members import ExpectedMember, TruthTable
from .meter import Meter
from .permission import Permission

_RUNNING = ("draft", "requested", "received", "accepted", "ready", "in-progress", "on-hold")
_LIMIT_S = 300.0
# The wait between two looks at a Task: it grows from the first to the second.
_WAITS_S = (0.1, 1.0)
# So many members of a batch are looked up in what the requesting payer holds.
_LOOKED_UP = 3
# What is rewritten when it is stored, and what is vouched for anew.
_OTHER_THERE = frozenset({"Patient", "Provenance"})


@dataclass(frozen=True, slots=True)
class RequestingSide:
    """A requesting payer that this client may tell to exchange."""

    fhir_base: str
    operator_token: Secret
    """Opens its operations, its Tasks and its records."""
    admin_token: Secret | None
    """Opens its admin API, where it has ours."""
    members: Mapping[str, str] = field(repr=False)
    """Its Patient's id for each member of the truth table, by the member's key."""


def read_side(file: Path) -> RequestingSide:
    """What `simulate requesting-payer --config-out` writes; raises SettingsError for another."""
    try:
        told = json.read(file.read_bytes())
        return RequestingSide(
            str(told["fhir_base"]).rstrip("/"),
            Secret(str(told["operator_token"])),
            Secret(str(told["admin_token"])) if told.get("admin_token") else None,
            {str(key): str(ident) for key, ident in told["members"].items()},
        )
    except (OSError, ValueError) as error:
        raise SettingsError(f"{file} cannot be read as JSON.") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{file} must hold fhir_base, operator_token and members (keys of the truth table with "
            "this payer's Patient ids), as simulate requesting-payer --config --config-out writes."
        ) from error


def open_requesting(
    settings: Settings,
    side: RequestingSide,
    truth: TruthTable,
    meter: Meter,
    *,
    uninterrupted: Callable[[Callable[[], str]], str],
) -> ExchangeJourney:
    """The way of one operator with a connection of its own; the meter sees its requests too.

    Raises SettingsError where no load may go.
    """
    Permission(settings.target).check(side.fhir_base)
    http = HttpClient(
        EgressRules(typed=side.fhir_base),
        timeout_s=settings.target.timeout_s,
        observer=meter,
        tls=settings.target.tls.files(settings),
    )
    issuer = settings.target.fhir_base
    return ExchangeJourney(side, http, issuer, truth, meter, uninterrupted=uninterrupted)


class ExchangeJourney:
    """Exchanges of one operator at a requesting payer, told to a meter."""

    def __init__(
        self,
        side: RequestingSide,
        http: HttpClient,
        issuer: str,
        truth: TruthTable,
        meter: Meter,
        *,
        uninterrupted: Callable[[Callable[[], str]], str],
    ) -> None:
        """`issuer` is the source payer by the name under which the requesting one knows it."""
        self._side, self._http, self._issuer, self._truth = side, http, issuer, truth
        self._meter, self._uninterrupted = meter, uninterrupted

    def close(self) -> None:
        """Give back the connection."""
        self._http.close()

    def one(self, member: ExpectedMember, today: date, *, sampled: bool) -> Delivery:
        """One member's exchange to its end; raises ExportFailed when its Task does not complete."""
        body = make_parameters(self._asked(member, today))
        task = self._ended("Patient/$sdh.s2s.invoke-export", body)
        found = self._taken_in(task)
        if sampled:
            self._check_held([member], "exchange-is-the-truth")
        return found

    def many(self, members: Sequence[ExpectedMember], today: date, *, sampled: bool) -> Delivery:
        """A batch's exchange to its end; raises ExportFailed when its Task does not complete."""
        asked = [{"name": "member", "part": self._asked(m, today)} for m in members]
        task = self._ended("Patient/$invoke-bulk-export", make_parameters(asked))
        found = self._taken_in(task)
        if sampled:
            self._check_held(members[:_LOOKED_UP], "bulk-exchange-is-the-truth")
        return found

    def _asked(self, member: ExpectedMember, today: date) -> list[dict[str, Any]]:
        asked = self._truth.match_request(member, today)
        match = {
            "MemberPatient": asked.patient,
            "CoverageToMatch": asked.coverage_to_match,
            "CoverageToLink": asked.coverage_to_link,
            "Consent": asked.consent,
        }
        parts = [{"name": name, "resource": found} for name, found in match.items()]
        return [
            {"name": "localPatient", "valueReference": {"reference": self._local(member)}},
            {"name": "sourceIssuerUrl", "valueString": self._issuer},
            {"name": "memberMatch", "part": parts},
        ]

    def _local(self, member: ExpectedMember) -> str:
        if member.key not in self._side.members:
            raise NoMatch("The requesting payer's file names no Patient for a member.")
        return f"Patient/{self._side.members[member.key]}"

    def _ended(self, operation: str, body: Mapping[str, Any]) -> str:
        """The id of a Task that was begun and has completed; one that is left is cancelled."""
        begun = list[str]()

        def invoke() -> str:
            with self._meter.step("invoke", 200, 201, 202):
                answer = self._fhir("POST", operation, json.write(body))
            begun.append(_task_id(answer))
            return begun[0]

        status = _RUNNING[0]
        try:
            status = self._awaited(self._uninterrupted(invoke))
        finally:
            for ident in begun if status in _RUNNING else ():
                with self._meter.step("cancel", 200, 202, 204, 404, 409):
                    self._fhir("DELETE", f"Task/{ident}")
        if status != "completed":
            raise ExportFailed(f"The exchange's Task ended as {status}.")
        return begun[0]

    def _awaited(self, ident: str) -> str:
        """The status of a Task once it no longer runs; raises ExportFailed after five minutes."""
        end, (wait, most) = perf_counter() + _LIMIT_S, _WAITS_S
        while perf_counter() < end:
            time.sleep(wait)
            wait = min(wait * 1.5, most)
            with self._meter.step("task", 200):
                status = str(self._fhir("GET", f"Task/{ident}").json_object().get("status"))
            if status not in _RUNNING:
                return status
        raise ExportFailed(f"The exchange's Task has not ended in {_LIMIT_S:.0f} seconds.")

    def _taken_in(self, task: str) -> Delivery:
        """What was stored, as the admin API tells it; nothing where it is not open."""
        found = Delivery(sampled=False)
        for record in self._stored(task):
            stored = sum(record["details"].get("counts", {}).values())
            started, ended = (parse_moment(record[name]) for name in ("started", "ended"))
            if started and ended:
                took = (ended - started).total_seconds() * 1000
                self._meter.measure("intake", took, resources=stored)
            found.resources += stored
        return found

    def _stored(self, task: str) -> Iterator[Mapping[str, Any]]:
        if self._side.admin_token is None:
            return
        origin = self._side.fhir_base.rpartition("/")[0]
        with self._meter.step("audit", 200):
            answer = self._ask("GET", f"{origin}/admin/audit?exchange={task}",
                               self._side.admin_token)  # fmt: skip
        told = json.read(answer.body)
        yield from (r for r in told if (r["phase"], r["event"]) == ("storage", "phase"))

    def _check_held(self, members: Sequence[ExpectedMember], name: str) -> None:
        """Whether the requesting payer holds as much of each type as was to be delivered."""
        for member in members:
            with self._meter.step("held", 200):
                held = self._fhir("GET", f"{self._local(member)}/$everything?_collated=true")
            entries = held.json_object().get("entry", [])
            kinds = [e.get("resource", {}).get("resourceType") for e in entries]
            wanted = [key.partition("/")[0] for key in member.delivered]
            short = [
                f"{wanted.count(kind) - kinds.count(kind)} {kind}"
                for kind in sorted({*wanted} - _OTHER_THERE)
                if kinds.count(kind) < wanted.count(kind)
            ]
            said = (
                f"The requesting payer does not hold all of a record: {', '.join(short)} missing."
            )
            self._meter.check(name, said * bool(short))

    def _fhir(self, method: str, path: str, body: bytes = b"") -> Exchange:
        return self._ask(method, f"{self._side.fhir_base}/{path}", self._side.operator_token, body)

    def _ask(self, method: str, url: str, token: Secret, body: bytes = b"") -> Exchange:
        headers = {"Accept": media.FHIR_JSON, "Authorization": f"Bearer {token.reveal()}"}
        if body:
            headers["Content-Type"] = media.FHIR_JSON
        found = self._http.request(method, url, headers=headers, body=body)
        if method != "DELETE" and found.status not in (200, 201, 202):
            raise ExportFailed(
                f"The requesting payer answered {found.status}.", status=found.status
            )
        return found


def _task_id(answer: Exchange) -> str:
    """The Task of an operation: where its answer says it is, else the Task that the answer is."""
    place = answer.header("Content-Location") or answer.header("Location")
    ident = place.rstrip("/").rpartition("Task/")[2] or str(answer.json_object().get("id", ""))
    if not ident:
        raise ExportFailed("The requesting payer names no Task.", status=answer.status)
    return ident
