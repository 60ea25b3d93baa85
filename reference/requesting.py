"""The requesting payer: one call, and a member's record is asked for, fetched and stored.

What `$sdh.s2s.invoke-export` does: check, make a Task, then discover, authorize, match, export and
store in a thread of its own. No HTTP framework; a simulated payer puts one around it.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from .audit import AuditLog
from .clock import Clock, SystemClock, instant
from .errors import BadRequest, PayerExchangeError, RecordRejected, SettingsError
from .fhir import json
from .holdings import organization
from .http import Exchange, HttpClient
from .intake.archive import MODES, archived_bytes, document_id, papers
from .intake.ledger import Ledger
from .intake.stages import STAGES, Intake, IntakeSettings, verify_files
from .intake.staging import Retrieved, Staging
from .intake.transform import TAG_SYSTEM
from .parties import PayerIdentity
from .registration.servers import (
    EXPORT_METHODS,
    Registered,
    Server,
    ServerRegistry,
    register_document,
)
from .requesting_exchange import Conversation
from .requesting_request import InvokeRequest, check_consent, payor_fault, read_invoke
from .requesting_store import Records, single_reference_identifier
from .requesting_trace import PhaseEvent, Trace
from .store.repository import Repository
from .target import Target
from .tasks import (
    COMPLETED,
    FAILED,
    RUNNING,
    TAKEN_BACK,
    ExchangeCancelled,
    ExchangeTask,
    Tasks,
)

__all__ = ["Interrupted", "PhaseEvent", "RequestingPayer", "RequestingSettings"]

_log = logging.getLogger(__name__)
_IN_PARAMETERS = "Parameters.parameter.where(name='{}')"


class Interrupted(Exception):  # noqa: N818 - it is what happened
    """The process stops in the middle of an exchange, which goes on when it starts again."""


@dataclass(frozen=True, slots=True)
class RequestingSettings:
    """What a requesting payer is told about itself."""

    fhir_base: str
    """The FHIR base URL that others see."""
    identity: PayerIdentity
    """How consents and coverages name this payer."""
    data_dir: Path
    """Where files are staged while an exchange runs."""
    patient_system: str = "https://requesting-payer.example.org/member-id"
    """Reference System used by Target Patient: a local Patient has exactly one such identifier."""
    responder_identifier_system: str = ""
    """The system under which source ids are kept as identifiers; empty: the source's FHIR base."""
    tag_system: str = TAG_SYSTEM
    """The system of the `migrated` tag."""
    archive_mode: str = "seed"
    """seed: the Binary inside the DocumentReference; binary: beside it, named by attachment.url."""
    export_method: str = "export"
    """export, everything or search, unless the server definition says otherwise."""
    accepted_status: int = 200
    """What an accepted invoke-export is answered with: 200, or 202."""
    exchange_threads: int = 4
    """How many exchanges run at the same time."""
    timeout_s: float = 30.0
    """How long to wait for a connection and for each next byte, in seconds."""
    verify_tls: bool | str = True
    """Whether certificates are checked; or the file of the authorities to check them against."""
    admin_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """The bearer token of the admin API."""
    operator_token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    """The bearer token of the FHIR API."""

    def check(self) -> None:
        """Raise SettingsError naming the setting that cannot be so."""
        for name, allowed in (("archive_mode", MODES), ("export_method", EXPORT_METHODS),
                              ("accepted_status", (200, 202))):  # fmt: skip
            if getattr(self, name) not in allowed:
                raise SettingsError(f"{name} is one of {', '.join(map(str, allowed))}.")


class RequestingPayer:
    """One requesting payer: its members, the source payers it knows, and its exchanges."""

    def __init__(
        self,
        settings: RequestingSettings,
        engine: Engine,
        *,
        clock: Clock | None = None,
        sleep: Callable[[float], None] | None = None,
        on_phase: Callable[[PhaseEvent], None] | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
    ) -> None:
        settings.check()
        self.settings = _with_organization(settings)
        self.clock = clock or SystemClock()
        self.repository = Repository(engine)
        self.servers = ServerRegistry(engine)
        self.ledger = Ledger(engine)
        self.tasks = Tasks(engine, self.clock)
        self.audit = AuditLog(engine, "requesting", self.clock)
        self.records = Records(self.repository, self.ledger, self.servers, self.clock)
        own = self.settings.identity.organization_id
        self.intake = Intake(
            self.repository,
            self.ledger,
            self.clock,
            IntakeSettings(own, settings.tag_system, settings.archive_mode),
        )
        self.after_stage: Callable[[str], None] = lambda _stage: None
        self._sleep = sleep
        self._on_phase = on_phase
        self._on_exchange = on_exchange
        self._invoking = threading.Lock()
        self._closing = threading.Event()
        self._wake: dict[str, threading.Event] = {}
        self._futures: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(settings.exchange_threads, thread_name_prefix="exchange")
        self._keep_organization(self.settings.identity)

    # Registration

    def register_server(self, server: Server) -> Server:
        """Store a source payer's definition and its Organization; twice changes nothing."""
        identity = server.organization
        if not identity.organization_id:
            identity = replace(identity, organization_id=_organization_id(identity))
        registered = self.servers.register(replace(server, organization=identity))
        self._keep_organization(identity)
        return registered

    def register(self, document: Mapping[str, Any]) -> Registered:
        """Register all of a document {"servers": [...]}, or raise SettingsError and none of it."""
        found = register_document(document, servers=self.servers)
        return replace(found, servers=tuple(map(self.register_server, found.servers)))

    def keep_local(self, lines: Iterable[bytes]) -> int:
        """Store this payer's own resources, given as JSON bytes; returns how many."""
        return self.records.keep_local(lines)

    # Exchange

    def invoke_export(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The new Task, requested; the exchange goes on in a thread of its own.

        Raises BadRequest naming the parameter, before anything is sent: 400 or 422 for a bad
        request or a Consent that does not permit it, 404 for an unknown local Patient, 409 while
        the same exchange is running.
        """
        request = read_invoke(parameters)
        server = self._server(request)
        self._check_local_patient(request.local_patient)
        check_consent(request, server, self.settings.identity, self.clock.now())
        with self._invoking:
            if self.tasks.running(request.local_patient, request.issuer):
                raise BadRequest(
                    "An exchange for this member with this payer is running. Wait for its Task.",
                    status=409, code="conflict",
                )  # fmt: skip
            task = self._new_task(request, server)
        self._submit(task.id)
        return task.resource()

    def wait(self, task_id: str, timeout_s: float | None = None) -> ExchangeTask:
        """The Task once its exchange has ended; raises TimeoutError when it takes longer."""
        future = self._futures.get(task_id)
        if future is not None:
            future.result(timeout_s)
        return self.tasks.get(task_id)

    def cancel(self, task_id: str) -> ExchangeTask:
        """The Task, cancelled; raises BadRequest 409 when it has ended or is being stored."""
        if not self.tasks.cancel(task_id):
            raise BadRequest(
                "The Task has ended or its records are being stored. Take the import back instead.",
                status=409,
                code="conflict",
            )
        if task_id in self._wake:
            self._wake[task_id].set()
        return self.tasks.get(task_id)

    def resume(self) -> list[str]:
        """Go on with what a stopped process left unfinished; returns the ids of those Tasks."""
        unfinished = [task.id for task in self.tasks.all(*RUNNING) if task.id not in self._futures]
        for task_id in unfinished:
            self._submit(task_id)
        return unfinished

    def take_back(self, task_id: str) -> int:
        """Remove all that an import alone brought; returns how many resources that is.

        Raises BadRequest 409 unless the Task is completed.
        """
        task = self.tasks.get(task_id)
        if task.status != COMPLETED:
            raise BadRequest("Only a completed import can be taken back.", status=409,
                             code="conflict")  # fmt: skip
        removed = self.intake.take_back(self.retrieved(task_id))
        self.tasks.set_outputs(task_id, [])
        self.tasks.finish(task_id, TAKEN_BACK, f"The import was taken back: {removed} resources.")
        self.audit.record("storage", "take-back", "done", exchange=task_id,
                          details={"counts": {"removed": removed}})  # fmt: skip
        return removed

    # What is known of an exchange

    def retrieved(self, task_id: str) -> Retrieved:
        """What came in an exchange; raises BadRequest 409 when nothing has."""
        content = self.tasks.get(task_id).retrieved
        if not content:
            raise BadRequest("Nothing was received for this Task.", status=409, code="conflict")
        return Retrieved.from_json(content)

    def trace(self, task_id: str) -> list[dict[str, Any]]:
        """The phase records of an exchange, in order."""
        return [r for r in self.audit.records(task_id) if r["event"] == "phase"]

    def stored_digest(self, task_id: str) -> str:
        """The digest of what is stored of an exchange, told in the source's own ids."""
        return self.intake.stored_digest(self.retrieved(task_id))

    def archived_digest(self, task_id: str) -> str:
        """The digest of what the archive holds; equal to the stored one unless data was lost."""
        return self.intake.archived_digest(self.retrieved(task_id))

    def archived_files(self, task_id: str) -> dict[str, bytes]:
        """The archived bytes by file name; with the digests of `retrieved` they can be proved."""
        found = self.retrieved(task_id)
        return {
            file.name: archived_bytes(self.repository, document_id(task_id, file))
            for file in found.files
        }

    def close(self) -> None:
        """Stop; running exchanges end where they are and go on with `resume`."""
        self._closing.set()
        for event in self._wake.values():
            event.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # Parts

    def _server(self, request: InvokeRequest) -> Server:
        server = self.servers.find(request.issuer)
        if server is None:
            raise BadRequest(
                "No server is registered under this sourceIssuerUrl. Register the source payer "
                "first, with its exact issuer URL.",
                status=422,
                code="not-found",
                expression=_IN_PARAMETERS.format("sourceIssuerUrl"),
            )
        return server

    def _check_local_patient(self, ident: str) -> None:
        where = _IN_PARAMETERS.format("localPatient")
        row = self.repository.get("Patient", ident)
        if row is None:
            raise BadRequest("There is no such local Patient.", status=422, code="not-found",
                             expression=where)  # fmt: skip
        if not single_reference_identifier(json.read(row.body), self.settings.patient_system):
            raise BadRequest(
                "The local Patient must carry exactly one identifier of the system "
                f"{self.settings.patient_system}.",
                status=422,
                code="business-rule",
                expression=where,
            )

    def _new_task(self, request: InvokeRequest, server: Server) -> ExchangeTask:
        task = self.tasks.create(
            request.local_patient,
            request.issuer,
            owner=_reference_to(server.organization),
            requester=_reference_to(self.settings.identity),
            request=request.as_json(),
        )
        consent = {
            **request.match.consent,
            "id": task.id,
            "patient": {"reference": f"Patient/{request.local_patient}"},
        }
        self.records.keep(consent, papers(task.id))
        return task

    def _submit(self, task_id: str) -> None:
        self._wake[task_id] = threading.Event()
        self._futures[task_id] = self._pool.submit(self._run, task_id)

    def _run(self, task_id: str) -> None:
        staging = Staging(self.settings.data_dir / "staging" / task_id)
        try:
            self.tasks.start(task_id)
            self._exchange(self.tasks.get(task_id), staging)
        except Interrupted:
            return
        except ExchangeCancelled:
            self._drop(task_id, staging)
        except PayerExchangeError as error:
            self._fail(task_id, staging, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the Task must tell of it
            # The type alone: a message could hold what was received.
            _log.error("exchange %s failed: %s", task_id, type(error).__name__)
            self._fail(task_id, staging, f"The exchange broke ({type(error).__name__}).")

    def _exchange(self, task: ExchangeTask, staging: Staging) -> None:
        request = InvokeRequest.from_json(task.local_patient, task.issuer, task.request)
        server = self.servers.find(task.issuer)
        if server is None:
            raise SettingsError("The source payer is no longer registered.")
        trace = Trace(self.audit, self.clock, task.id, server.client_id, self._on_phase)
        if not task.stage or not self._is_staged(task, staging):
            self._retrieve(task.id, request, server, staging, trace)
        self._store(task.id, staging, trace)
        staging.discard()

    def _is_staged(self, task: ExchangeTask, staging: Staging) -> bool:
        return verify_files(Retrieved.from_json(task.retrieved), staging.folder)

    def _retrieve(
        self, task_id: str, request: InvokeRequest, server: Server, staging: Staging, trace: Trace
    ) -> None:
        staging.clear()
        with trace.phase("registration", "source payer found"):
            self._check_parties(request, server)
        with trace.phase("opt-in", "consent is in force") as phase:
            check_consent(request, server, self.settings.identity, self.clock.now())
            phase.details["consent"] = "permit"
        with trace.phase("request", "exchange requested") as phase:
            phase.details["operation"] = "invoke-export"
            http = HttpClient(
                timeout_s=self.settings.timeout_s,
                observer=self._on_exchange,
                verify=self.settings.verify_tls,
            )
        try:
            target = self._target(task_id, server, http)
            talk = Conversation(server, target, trace, lambda: self._check_running(task_id))
            self._ask(task_id, request, talk, staging, trace)
        finally:
            http.close()

    def _ask(
        self,
        task_id: str,
        request: InvokeRequest,
        talk: Conversation,
        staging: Staging,
        trace: Trace,
    ) -> None:
        with trace.phase("authorization", "token obtained"):
            talk.authorize()
        self._check_running(task_id)
        with trace.phase("member-match", "member matched"):
            matched = talk.find_patient(talk.match(request))
        self._check_running(task_id)
        method = talk.server.export_method or self.settings.export_method
        with trace.phase("export", "records received") as phase:
            try:
                getattr(talk, method)(matched, request.export, staging, phase)
            finally:
                # Known as soon as it is on the disk, so that a failure can archive what came.
                found = self._found(task_id, request, talk.server, matched.patient, staging)
                self.tasks.keep_retrieved(task_id, found.as_json())
            phase.details |= {"counts": _line_counts(found), "files": len(found.files),
                              "operation": method}  # fmt: skip
        self.tasks.reach(task_id, STAGES[0])
        self._stage_reached(STAGES[0])

    def _store(self, task_id: str, staging: Staging, trace: Trace) -> None:
        found = self.retrieved(task_id)
        with trace.phase("storage", "records stored") as phase:
            self._check_organization(found.organization_id)
            self.intake.run(
                found,
                staging.folder,
                self.tasks.get(task_id).stage,
                lambda stage: self._reach(task_id, stage),
            )
            phase.details["counts"] = self.ledger.counts(task_id)
            phase.details["withheld"] = self.ledger.reasons(task_id)
        self._close_task(found)

    def _close_task(self, found: Retrieved) -> None:
        task_id = found.task_id
        imported = self.intake.origin(found).imported_patient
        documents = [f"DocumentReference/{document_id(task_id, f)}" for f in found.files]
        self.tasks.set_outputs(
            task_id,
            [*(("documentreference", d) for d in documents), ("patient", f"Patient/{imported}")],
        )
        for note in _warnings(found, self.ledger.reasons(task_id)):
            self.tasks.note(task_id, note)
        stored = sum(self.ledger.counts(task_id).values())
        self.tasks.finish(task_id, COMPLETED, f"{stored} resources were received and stored.")

    def _reach(self, task_id: str, stage: str) -> None:
        self.tasks.reach(task_id, stage)
        self._stage_reached(stage)

    def _stage_reached(self, stage: str) -> None:
        self.after_stage(stage)
        if self._closing.is_set():
            raise Interrupted

    def _found(
        self,
        task_id: str,
        request: InvokeRequest,
        server: Server,
        source_patient: str,
        staging: Staging,
    ) -> Retrieved:
        return Retrieved(
            task_id=task_id,
            issuer=server.issuer,
            source_base=server.fhir_base.rstrip("/"),
            source_patient=source_patient,
            local_patient=request.local_patient,
            organization_id=server.organization.organization_id,
            identifier_system=self.settings.responder_identifier_system
            or server.fhir_base.rstrip("/"),
            received=instant(self.clock.now()),
            files=tuple(staging.files),
        )

    def _target(self, task_id: str, server: Server, http: HttpClient) -> Target:
        wake = self._wake[task_id]

        def sleep(seconds: float) -> None:
            if self._sleep:
                self._sleep(seconds)
            else:
                wake.wait(seconds)
            self._check_running(task_id)

        return Target(
            server.fhir_base,
            http,
            server.credentials(),
            token_url=server.token_url,
            clock=self.clock,
            sleep=sleep,
        )

    def _check_running(self, task_id: str) -> None:
        """Raise when the exchange is to stop: its Task is cancelled, or this payer closes."""
        if self._closing.is_set():
            raise Interrupted
        if self.tasks.get(task_id).status not in RUNNING:
            raise ExchangeCancelled

    def _check_parties(self, request: InvokeRequest, server: Server) -> None:
        self._check_organization(server.organization.organization_id)
        fault = payor_fault(request, server, self.settings.identity)
        if fault:
            raise RecordRejected(fault)

    def _check_organization(self, ident: str) -> None:
        """Raise RecordRejected unless the source payer's Organization is here (SD-50)."""
        if not ident or self.repository.get("Organization", ident) is None:
            raise RecordRejected(
                "There is no Organization resource of the source payer, which Provenance must "
                "name. Register the source payer again, or restore the Organization."
            )

    def _fail(self, task_id: str, staging: Staging, note: str) -> None:
        """Keep what had arrived apart, marked as partial, and tell the Task."""
        task = self.tasks.get(task_id)
        if task.retrieved:
            found = Retrieved.from_json(task.retrieved)
            if task.stage:
                self.intake.take_back(found)
            files = tuple(f for f in found.files if (staging.folder / f.name).is_file())
            partial = replace(found, files=files)
            self.intake.archive(partial, staging.folder, partial=True)
            self.tasks.set_outputs(
                task_id,
                [("documentreference", f"DocumentReference/{document_id(task_id, f)}")
                 for f in files],
            )  # fmt: skip
        self.tasks.finish(task_id, FAILED, note)
        staging.discard()

    def _drop(self, task_id: str, staging: Staging) -> None:
        """Leave nothing of a cancelled exchange but its Task."""
        task = self.tasks.get(task_id)
        if task.retrieved:
            self.intake.take_back(Retrieved.from_json(task.retrieved))
        staging.discard()

    def _keep_organization(self, identity: PayerIdentity) -> None:
        body = json.write(organization(identity))
        row = self.repository.get("Organization", identity.organization_id)
        if row is None:
            self.records.keep_local([body])


def _with_organization(settings: RequestingSettings) -> RequestingSettings:
    identity = settings.identity
    if identity.organization_id:
        return settings
    return replace(settings, identity=replace(identity, organization_id=_organization_id(identity)))


def _organization_id(identity: PayerIdentity) -> str:
    """An id made of the payer's identifier, so that registering twice makes one Organization."""
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in identity.value)
    return f"payer-{kept}".lower()[:64]


def _reference_to(identity: PayerIdentity) -> dict[str, Any]:
    return {"reference": f"Organization/{identity.organization_id}", **identity.reference()}


def _line_counts(found: Retrieved) -> dict[str, int]:
    counts: dict[str, int] = {}
    for file in found.files:
        if file.role == "output":
            counts[file.kind] = counts.get(file.kind, 0) + file.lines
    return counts


def _warnings(found: Retrieved, turned_away: Mapping[str, int]) -> list[str]:
    notes = []
    problems = sum(file.lines for file in found.files if file.role == "error")
    if problems:
        notes.append(
            f"The source payer reported {problems} problems with the export: what was stored may "
            "be incomplete. Its reports are in the archive."
        )
    for reason, count in turned_away.items():
        notes.append(f"{count} received lines were not stored. {reason}")
    return notes
