"""An exchange under way: its thread, its phases, and how it ends."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

from sqlalchemy import Engine

from ..audit import AuditLog
from ..clock import Clock, instant
from ..errors import PayerExchangeError, RecordRejected, SettingsError
from ..event_log import tell
from ..http import Exchange, HttpClient
from ..intake.archive import document_id
from ..intake.ledger import Ledger
from ..intake.quarantine import Quarantine, notes
from ..intake.stages import STAGES, Intake, IntakeSettings, verify_files
from ..intake.staging import Retrieved, Staging
from ..opt_in import OptIns
from ..registration.servers import Server, ServerRegistry
from ..store.repository import Repository
from ..target import Target
from ..tasks import COMPLETED, FAILED, RUNNING, ExchangeCancelled, ExchangeTask, Tasks
from .exchange import Conversation, Matched
from .request import InvokeRequest, check_consent, payor_fault
from .settings import RequestingSettings
from .store import Records
from .trace import PhaseEvent, Trace

_log = logging.getLogger(__name__)


class Interrupted(Exception):
    """The process stops in the middle of an exchange, which goes on when it starts again."""


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a requesting payer keeps, all of it in one database."""

    settings: RequestingSettings
    engine: Engine
    clock: Clock
    repository: Repository
    servers: ServerRegistry
    ledger: Ledger
    tasks: Tasks
    audit: AuditLog
    records: Records
    opt_ins: OptIns
    intake: Intake

    @classmethod
    def open(cls, settings: RequestingSettings, engine: Engine, clock: Clock) -> Rooms:
        """The rooms in a database; what is missing in it is made."""
        repository, servers, ledger = Repository(engine), ServerRegistry(engine), Ledger(engine)
        own = settings.identity.organization_id
        quarantine = Quarantine(engine, settings.profile_check, settings.profile_packages)
        return cls(
            settings,
            engine,
            clock,
            repository,
            servers,
            ledger,
            Tasks(engine, clock),
            AuditLog(engine, "requesting", clock),
            Records(repository, ledger, servers, clock),
            OptIns(engine, servers, clock),
            Intake(
                repository,
                ledger,
                quarantine,
                clock,
                IntakeSettings(own, settings.tag_system, settings.archive_mode),
            ),
        )


class Exchanges:
    """The exchanges of one payer, each in a thread of its own."""

    def __init__(
        self,
        rooms: Rooms,
        *,
        sleep: Callable[[float], None] | None = None,
        on_phase: Callable[[PhaseEvent], None] | None = None,
        on_exchange: Callable[[Exchange], None] | None = None,
    ) -> None:
        self._rooms = rooms
        self._settings = rooms.settings
        self._tasks = rooms.tasks
        self._sleep = sleep
        self._on_phase = on_phase
        self._on_exchange = on_exchange
        self._closing = threading.Event()
        self._wake: dict[str, threading.Event] = {}
        self._futures: dict[str, Future[None]] = {}
        self._pool = ThreadPoolExecutor(
            rooms.settings.exchange_threads, thread_name_prefix="exchange"
        )
        self.after_stage: Callable[[str], None] = lambda _stage: None

    def submit(self, task_id: str) -> None:
        """Let a thread do the exchange of a Task."""
        self._wake[task_id] = threading.Event()
        self._futures[task_id] = self._pool.submit(self._run, task_id)

    def knows(self, task_id: str) -> bool:
        """Whether the Task's exchange was started by this process."""
        return task_id in self._futures

    def wait(self, task_id: str, timeout_s: float | None) -> None:
        """Return when the exchange has ended; raises TimeoutError when it takes longer."""
        if task_id in self._futures:
            self._futures[task_id].result(timeout_s)

    def wake(self, task_id: str) -> None:
        """End the wait between two polls, so that a cancelled exchange stops at once."""
        if task_id in self._wake:
            self._wake[task_id].set()

    def close(self) -> None:
        """Stop; running exchanges end where they are and can be submitted again."""
        self._closing.set()
        for event in self._wake.values():
            event.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    # How it goes and how it ends

    def _run(self, task_id: str) -> None:
        staging = Staging(self._settings.data_dir / "staging" / task_id)
        try:
            self._tasks.start(task_id)
            self._exchange(self._tasks.get(task_id), staging)
        except Interrupted:
            return
        except ExchangeCancelled:
            self._drop(task_id, staging)
        except PayerExchangeError as error:
            self._fail(task_id, staging, str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, the Task must tell of it
            # The type alone: a message could hold what was received.
            tell(
                _log, logging.ERROR, "exchange-failed", exchange=task_id, error=type(error).__name__
            )
            self._fail(task_id, staging, f"The exchange broke ({type(error).__name__}).")

    def _exchange(self, task: ExchangeTask, staging: Staging) -> None:
        request = InvokeRequest.from_json(task.local_patient, task.issuer, task.request)
        server = self._rooms.servers.find(task.issuer)
        if server is None:
            raise SettingsError("The source payer is no longer registered.")
        trace = Trace(
            self._rooms.audit, self._rooms.clock, task.id, server.client_id, self._on_phase
        )
        if not task.stage or not _is_staged(task, staging):
            self._prepare(task.id, request, server, staging, trace)
            self._retrieve(task.id, request, server, staging, trace)
        self._store(task.id, staging, trace)
        staging.discard()

    def _prepare(
        self, task_id: str, request: InvokeRequest, server: Server, staging: Staging, trace: Trace
    ) -> None:
        """The phases before anything is sent."""
        staging.clear()
        self._tasks.keep_retrieved(task_id, {})
        with trace.phase("registration", "the source payer is registered"):
            self._check_organization(server.organization.organization_id)
            fault = payor_fault(request, server, self._settings.identity)
            if fault:
                raise RecordRejected(fault)
        with trace.phase("opt-in", "the member's consent is in force") as phase:
            phase.details["education"] = self._rooms.opt_ins.education(
                request.local_patient, request.issuer
            )
            check_consent(request, server, self._settings.identity, self._rooms.clock.now())
        with trace.phase("request", "the exchange is requested") as phase:
            phase.details["operation"] = "invoke-export"

    def _retrieve(
        self, task_id: str, request: InvokeRequest, server: Server, staging: Staging, trace: Trace
    ) -> None:
        http = self._settings.client(server, self._on_exchange)
        try:
            target = self._target(task_id, server, http)
            talk = Conversation(
                server,
                target,
                trace,
                lambda: self._check_running(task_id),
                export_limit_s=self._settings.export_limit_s,
            )
            matched = self._match(task_id, request, talk, trace)
            self._export(task_id, request, talk, matched, staging, trace)
        finally:
            http.close()
        self._reach(task_id, STAGES[0])

    def _match(
        self, task_id: str, request: InvokeRequest, talk: Conversation, trace: Trace
    ) -> Matched:
        with trace.phase("authorization", "a token was obtained"):
            talk.authorize()
        self._check_running(task_id)
        with trace.phase("member-match", "the member was matched"):
            matched = talk.find_patient(talk.match(request))
        self._check_running(task_id)
        return matched

    def _export(
        self,
        task_id: str,
        request: InvokeRequest,
        talk: Conversation,
        matched: Matched,
        staging: Staging,
        trace: Trace,
    ) -> None:
        method = talk.server.export_method or self._settings.export_method
        with trace.phase("export", f"records were received by {method}") as phase:
            phase.details["offered"] = talk.offers(method)
            try:
                talk.retrieve(method, matched, request.export, staging, phase)
            finally:
                # Known as soon as it is on the disk, so that a failure can archive what came.
                found = self._found(task_id, request, talk.server, matched.patient, staging)
                self._tasks.keep_retrieved(task_id, found.as_json())
            phase.details |= {"counts": _line_counts(found), "files": len(found.files),
                              "operation": method}  # fmt: skip

    def _store(self, task_id: str, staging: Staging, trace: Trace) -> None:
        task = self._tasks.get(task_id)
        found = Retrieved.from_json(task.retrieved)
        ledger = self._rooms.ledger
        with trace.phase("storage", "records were stored") as phase:
            self._check_organization(found.organization_id)
            self._rooms.intake.run(
                found, staging.folder, task.stage, lambda stage: self._reach(task_id, stage)
            )
            phase.details["counts"] = ledger.counts(task_id)
            phase.details["withheld"] = ledger.reasons(task_id)
            phase.details["nonconforming"] = self._rooms.intake.quarantine.total(task_id)
        self._close_task(found)

    def _close_task(self, found: Retrieved) -> None:
        task_id, ledger = found.task_id, self._rooms.ledger
        imported = self._rooms.intake.origin(found).imported_patient
        self._tasks.set_outputs(task_id, [*_documents(found), ("patient", f"Patient/{imported}")])
        told = notes(self._rooms.intake.quarantine.total(task_id))
        for note in (*_warnings(found, ledger.reasons(task_id)), *told):
            self._tasks.note(task_id, note)
        stored = sum(ledger.counts(task_id).values())
        self._tasks.finish(task_id, COMPLETED, f"{stored} resources were received and stored.")

    def _fail(self, task_id: str, staging: Staging, note: str) -> None:
        """Keep what had arrived apart, marked as partial, and tell the Task."""
        task = self._tasks.get(task_id)
        if task.retrieved:
            found = Retrieved.from_json(task.retrieved)
            if task.stage:
                self._rooms.intake.take_back(found)
            files = tuple(f for f in found.files if (staging.folder / f.name).is_file())
            partial = replace(found, files=files)
            self._rooms.intake.archive(partial, staging.folder, partial=True)
            self._tasks.set_outputs(task_id, _documents(partial))
        self._tasks.finish(task_id, FAILED, note)
        staging.discard()

    def _drop(self, task_id: str, staging: Staging) -> None:
        """Leave nothing of a cancelled exchange but its Task."""
        task = self._tasks.get(task_id)
        if task.retrieved:
            self._rooms.intake.take_back(Retrieved.from_json(task.retrieved))
        staging.discard()

    # Parts

    def _reach(self, task_id: str, stage: str) -> None:
        self._tasks.reach(task_id, stage)
        self.after_stage(stage)
        if self._closing.is_set():
            raise Interrupted

    def _check_running(self, task_id: str) -> None:
        """Raise when the exchange is to stop: its Task is cancelled, or this payer closes."""
        if self._closing.is_set():
            raise Interrupted
        if self._tasks.get(task_id).status not in RUNNING:
            raise ExchangeCancelled

    def _check_organization(self, ident: str) -> None:
        """Raise RecordRejected unless the source payer's Organization is here (SD-50)."""
        if not ident or self._rooms.repository.get("Organization", ident) is None:
            raise RecordRejected(
                "There is no Organization resource of the source payer, which Provenance must "
                "name. Register the source payer again, or restore the Organization."
            )

    def _found(
        self,
        task_id: str,
        request: InvokeRequest,
        server: Server,
        source_patient: str,
        staging: Staging,
    ) -> Retrieved:
        base = server.fhir_base.rstrip("/")
        return Retrieved(
            task_id=task_id,
            issuer=server.issuer,
            source_base=base,
            source_patient=source_patient,
            local_patient=request.local_patient,
            organization_id=server.organization.organization_id,
            identifier_system=self._settings.responder_identifier_system or base,
            received=instant(self._rooms.clock.now()),
            files=tuple(staging.files),
        )

    def _target(self, task_id: str, server: Server, http: HttpClient) -> Target:
        wake = self._wake[task_id]

        def sleep(seconds: float) -> None:
            (self._sleep or wake.wait)(seconds)
            self._check_running(task_id)

        return Target(
            server.fhir_base,
            http,
            server.credentials(),
            token_url=server.token_url,
            own_origins=server.own_origins(),
            scopes=server.scopes(),
            remember=partial(self._rooms.servers.set_client_id, server.issuer),
            clock=self._rooms.clock,
            sleep=sleep,
        )


def _is_staged(task: ExchangeTask, staging: Staging) -> bool:
    return verify_files(Retrieved.from_json(task.retrieved), staging.folder)


def _documents(found: Retrieved) -> list[tuple[str, str]]:
    return [
        ("documentreference", f"DocumentReference/{document_id(found.task_id, file)}")
        for file in found.files
    ]


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
