"""The requesting payer: one call, and a member's record is asked for, fetched and stored.

What `$sdh.s2s.invoke-export` does: check, make a Task, then discover, authorize, match, export and
store in a thread of its own. No HTTP framework; a simulated payer puts one around it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine

from ..clock import Clock, SystemClock
from ..errors import BadRequest
from ..fhir import json
from ..http import Exchange
from ..intake.archive import archived_bytes, document_id
from ..intake.releasing import Releases
from ..intake.staging import Retrieved
from ..opt_in import OptIn, OptInEvent
from ..parties import PayerIdentity
from ..registration.servers import Registered, Server, register_document
from ..tasks import COMPLETED, PART, TAKEN_BACK, ExchangeTask
from .batch import BatchExchanges
from .batch_making import (
    BATCH,
    NO_PATIENT,
    NO_SERVER,
    RUNNING_ALREADY,
    WITHDRAWN,
    BatchMaker,
    identifier_fault,
)
from .batch_request import Export, read_bulk_invoke
from .batch_summary import opt_in_requests, summary
from .batches import Batches
from .calendar import Calendar
from .from_opt_in import request_parameters
from .request import InvokeRequest, check_consent, read_invoke
from .run import Exchanges, Rooms
from .settings import RequestingSettings, reference_to, with_organization
from .store import reference_identifiers
from .trace import PhaseEvent

_IN_PARAMETERS = "Parameters.parameter.where(name='{}')"


class RequestingPayer:
    """One requesting payer: its members, the source payers it knows, and its exchanges.

    `sleep` waits between polls, `on_phase` watches the phases, `on_exchange` every HTTP exchange.
    """

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
        self.settings = settings.checked()
        self.clock = clock or SystemClock()
        self._engine = engine
        rooms = Rooms.open(self.settings, engine, self.clock)
        self.repository = rooms.repository
        self.servers = rooms.servers
        self.ledger = rooms.ledger
        self.tasks = rooms.tasks
        self.audit = rooms.audit
        self.records = rooms.records
        self.opt_ins = rooms.opt_ins
        self.intake = rooms.intake
        self.quarantine = rooms.intake.quarantine
        self.releases = Releases(rooms.intake, self._source_of)
        self.exchanges = Exchanges(rooms, sleep=sleep, on_phase=on_phase, on_exchange=on_exchange)
        self.batches = Batches(engine)
        self.bulk = BatchExchanges(
            rooms, self.batches, sleep=sleep, on_phase=on_phase, on_exchange=on_exchange
        )
        self._rooms = rooms
        self.calendar = Calendar(self)
        self._invoking = threading.Lock()
        self._keep_organization(self.settings.identity)

    # Registration and opt-in

    def register_server(self, server: Server) -> Server:
        """Store a source payer's definition and its Organization; twice changes nothing.

        What waited on the work list for this payer is taken off it.
        """
        identity = with_organization(server.organization)
        registered = self.servers.register(replace(server, organization=identity))
        self._keep_organization(identity)
        self.opt_ins.look_again()
        self.audit.record("registration", "server", "registered", client=server.client_id)
        return registered

    def register(self, document: Mapping[str, Any]) -> Registered:
        """Register all of a document {"servers": [...]}, or raise SettingsError and none of it."""
        found = register_document(document, servers=self.servers)
        return replace(found, servers=tuple(map(self.register_server, found.servers)))

    def keep_local(self, lines: Iterable[bytes]) -> int:
        """Store this payer's own resources, given as JSON bytes; returns how many."""
        return self.records.keep_local(lines)

    def opt_in(self, event: OptInEvent, *, start: bool = True) -> tuple[OptIn, str]:
        """The stored opt-in, and the id of the Task it starts if its source payer is known.

        Raises BadRequest for an unknown local Patient, or for a request that cannot be made of it.
        """
        self._check_local_patient(event.local_patient, "local_patient")
        found = self.opt_ins.record(event)
        education = "recorded" if event.education else "missing"
        self.audit.record("opt-in", "stored", "known" if found.issuer else "unknown-payer",
                          details={"education": education})  # fmt: skip
        if not (start and found.issuer):
            return found, ""
        return found, str(self.invoke_export(self.parameters_for(found))["id"])

    def parameters_for(self, found: OptIn) -> dict[str, Any]:
        """The invoke-export body that an opt-in stands for.

        Raises BadRequest 409 while its source payer is not known.
        """
        server = self.servers.find(found.issuer)
        if server is None:
            raise BadRequest("The source payer of this opt-in is on the work list.", status=409,
                             code="conflict")  # fmt: skip
        patient = json.read(self.records.read("Patient", found.event.local_patient).body)
        [number] = reference_identifiers(patient, self.settings.patient_system)
        return request_parameters(found, patient, server, self.settings.identity, number)

    # Exchange

    def invoke_export(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The new Task, requested; the exchange goes on in a thread of its own.

        Raises BadRequest naming the parameter, before anything is sent: 400 or 422 for a bad
        request or a Consent that does not permit it, 409 while the same exchange is running.
        """
        request = read_invoke(parameters)
        server = self._server(request)
        self._check_local_patient(request.local_patient, _IN_PARAMETERS.format("localPatient"))
        self._check_opt_in(request.local_patient)
        check_consent(request, server, self.settings.identity, self.clock.now())
        with self._invoking:
            if self.tasks.running(request.local_patient, request.issuer):
                raise BadRequest(RUNNING_ALREADY, status=409, code="conflict")
            task = self._new_task(request, server)
        self.exchanges.submit(task.id)
        return task.resource()

    def invoke_bulk_export(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The Task of a new batch; a Task for each member is a part of it.

        Raises BadRequest naming the parameter for a body that is no such request. What is wrong
        with one member (its Consent, its source payer) fails that member's Task alone.
        """
        asked = read_bulk_invoke(parameters)
        requests = opt_in_requests(self) if asked.opt_ins else asked.members
        batch = self.invoke_bulk(requests, asked.export, since_last=asked.since_last)
        return self.tasks.get(batch).resource()

    def invoke_bulk(
        self,
        requests: Iterable[InvokeRequest],
        export: Export = (),
        *,
        since_last: bool = False,
    ) -> str:
        """The id of a new batch, once each member has a Task; memory does not grow with them.

        With `since_last` each export asks for what changed since the last one of its members.
        """
        with self._invoking:
            maker = BatchMaker(self._rooms, self.batches, since_last)
            batch = maker.make(requests, tuple(export))
        self.bulk.submit(batch)
        return batch

    def ask_what_is_due(self) -> list[str]:
        """The ids of the batches that ask for all that the regulation's clocks make due now."""
        return self.calendar.ask()

    def batch_summary(self, batch_id: str) -> dict[str, Any]:
        """How many members of a batch had which outcome, and how many lines came of it."""
        return summary(self.batches, self.bulk.store.ledger, self.intake.quarantine, batch_id)

    def batch_digests(self, batch_id: str) -> Iterator[tuple[str, str, str]]:
        """(Task, digest of what is stored, digest of what the archive holds) of each member.

        The batch's own Task stands for what its members share.
        """
        return self.bulk.store.digests(batch_id)

    def wait(self, task_id: str, timeout_s: float | None = None) -> ExchangeTask:
        """The Task once its exchange has ended; raises TimeoutError when it takes longer."""
        self.exchanges.wait(task_id, timeout_s)
        self.bulk.wait(task_id.partition(PART)[0], timeout_s)
        return self.tasks.get(task_id)

    def cancel(self, task_id: str) -> ExchangeTask:
        """The Task, cancelled, a batch with all its members.

        Raises BadRequest 409 when it has ended or is being stored.
        """
        if not self.tasks.cancel(task_id):
            raise BadRequest(
                "The Task has ended or its records are being stored. Take the import back instead.",
                status=409,
                code="conflict",
            )
        self.exchanges.wake(task_id)
        if task_id.startswith(BATCH) and PART not in task_id:
            self.bulk.cancel(task_id)
        return self.tasks.get(task_id)

    def resume(self) -> list[str]:
        """Go on with what a stopped process left unfinished; returns the ids of those Tasks."""
        unfinished = [t for t in self.tasks.unfinished() if not self.exchanges.knows(t)]
        for task_id in unfinished:
            self.exchanges.submit(task_id)
        return [*unfinished, *self.bulk.resume()]

    def take_back(self, task_id: str) -> int:
        """Remove all that an import alone brought; returns how many resources that is.

        Raises BadRequest 409 unless the Task is completed.
        """
        if self.tasks.get(task_id).status != COMPLETED:
            raise BadRequest("Only a completed import can be taken back.", status=409,
                             code="conflict")  # fmt: skip
        removed = self.intake.take_back(self.retrieved(task_id))
        self.tasks.set_outputs(task_id, [])
        self.tasks.finish(task_id, TAKEN_BACK, f"The import was taken back: {removed} resources.")
        self.audit.record("storage", "take-back", "done", exchange=task_id,
                          details={"counts": {"removed": removed}})  # fmt: skip
        return removed

    def close(self) -> None:
        """Stop and give back the connections; running exchanges go on with `resume`."""
        self.exchanges.close()
        self.bulk.close()
        self._engine.dispose()

    # What is known of an exchange

    def retrieved(self, task_id: str) -> Retrieved:
        """What came in an exchange; raises BadRequest 409 when nothing has."""
        content = self.tasks.get(task_id).retrieved
        if not content:
            raise BadRequest("Nothing was received for this Task.", status=409, code="conflict")
        return Retrieved.from_json(content)

    def _source_of(self, task_id: str, file: str) -> Retrieved:
        """What came in an exchange; for what a batch's members share, where its file came from."""
        if task_id.startswith(BATCH) and PART not in task_id:
            return self.bulk.store.source_of(task_id, file)
        return self.retrieved(task_id)

    def trace(self, task_id: str) -> list[dict[str, Any]]:
        """The phase records of an exchange, in order (SD-11)."""
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

    # Parts

    def _server(self, request: InvokeRequest) -> Server:
        server = self.servers.find(request.issuer)
        if server is None:
            raise BadRequest(
                NO_SERVER,
                status=422,
                code="not-found",
                expression=_IN_PARAMETERS.format("sourceIssuerUrl"),
            )
        return server

    def _check_local_patient(self, ident: str, where: str) -> None:
        row = self.repository.get("Patient", ident)
        if row is None or self.ledger.owners([row.key]):
            raise BadRequest(NO_PATIENT, status=422, code="not-found",
                             expression=where)  # fmt: skip
        fault = identifier_fault(json.read(row.body), self.settings.patient_system)
        if fault:
            raise BadRequest(fault, status=422, code="business-rule", expression=where)

    def _check_opt_in(self, local_patient: str) -> None:
        if self.opt_ins.is_withdrawn(local_patient):
            raise BadRequest(
                WITHDRAWN,
                status=422,
                code="suppressed",
                expression=_IN_PARAMETERS.format("localPatient"),
            )

    def _new_task(self, request: InvokeRequest, server: Server) -> ExchangeTask:
        task = self.tasks.create(
            request.local_patient,
            request.issuer,
            owner=reference_to(server.organization),
            requester=reference_to(self.settings.identity),
            request=request.as_json(),
        )
        self.records.keep_consents([(request.match.consent, task.id, request.local_patient)])
        return task

    def _keep_organization(self, identity: PayerIdentity) -> None:
        if self.repository.get("Organization", identity.organization_id) is None:
            self.keep_local([json.write(identity.organization())])
