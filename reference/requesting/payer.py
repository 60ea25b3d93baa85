"""The requesting payer: one call, and a member's record is asked for, fetched and stored.

What `$sdh.s2s.invoke-export` does: check, make a Task, then discover, authorize, match, export and
store in a thread of its own. No HTTP framework; a simulated payer puts one around it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine

from ..clock import Clock, SystemClock
from ..errors import BadRequest
from ..fhir import json
from ..holdings import organization
from ..http import Exchange
from ..intake.archive import archived_bytes, document_id, papers
from ..intake.staging import Retrieved
from ..opt_in import OptIn, OptInEvent, request_parameters
from ..parties import PayerIdentity
from ..registration.servers import Registered, Server, register_document
from ..tasks import COMPLETED, RUNNING, TAKEN_BACK, ExchangeTask
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
        self.exchanges = Exchanges(rooms, sleep=sleep, on_phase=on_phase, on_exchange=on_exchange)
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
                raise BadRequest(
                    "An exchange for this member with this payer is running. Wait for its Task.",
                    status=409, code="conflict",
                )  # fmt: skip
            task = self._new_task(request, server)
        self.exchanges.submit(task.id)
        return task.resource()

    def wait(self, task_id: str, timeout_s: float | None = None) -> ExchangeTask:
        """The Task once its exchange has ended; raises TimeoutError when it takes longer."""
        self.exchanges.wait(task_id, timeout_s)
        return self.tasks.get(task_id)

    def cancel(self, task_id: str) -> ExchangeTask:
        """The Task, cancelled; raises BadRequest 409 when it has ended or is being stored."""
        if not self.tasks.cancel(task_id):
            raise BadRequest(
                "The Task has ended or its records are being stored. Take the import back instead.",
                status=409,
                code="conflict",
            )
        self.exchanges.wake(task_id)
        return self.tasks.get(task_id)

    def resume(self) -> list[str]:
        """Go on with what a stopped process left unfinished; returns the ids of those Tasks."""
        unfinished = [t.id for t in self.tasks.all(*RUNNING) if not self.exchanges.knows(t.id)]
        for task_id in unfinished:
            self.exchanges.submit(task_id)
        return unfinished

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
        self._engine.dispose()

    # What is known of an exchange

    def retrieved(self, task_id: str) -> Retrieved:
        """What came in an exchange; raises BadRequest 409 when nothing has."""
        content = self.tasks.get(task_id).retrieved
        if not content:
            raise BadRequest("Nothing was received for this Task.", status=409, code="conflict")
        return Retrieved.from_json(content)

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
                "No server is registered under this sourceIssuerUrl. Register the source payer "
                "first, with its exact issuer URL.",
                status=422,
                code="not-found",
                expression=_IN_PARAMETERS.format("sourceIssuerUrl"),
            )
        return server

    def _check_local_patient(self, ident: str, where: str) -> None:
        row = self.repository.get("Patient", ident)
        if row is None or self.ledger.owners([row.key]):
            raise BadRequest("There is no such local Patient.", status=422, code="not-found",
                             expression=where)  # fmt: skip
        system = self.settings.patient_system
        if len(reference_identifiers(json.read(row.body), system)) != 1:
            raise BadRequest(
                f"The local Patient must carry exactly one identifier of the system {system}.",
                status=422,
                code="business-rule",
                expression=where,
            )

    def _check_opt_in(self, local_patient: str) -> None:
        if self.opt_ins.is_withdrawn(local_patient):
            raise BadRequest(
                "The member has withdrawn the permission. Nothing is asked for without a new one.",
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
        consent = {
            **request.match.consent,
            "id": task.id,
            "patient": {"reference": f"Patient/{request.local_patient}"},
        }
        self.records.keep(consent, papers(task.id))
        return task

    def _keep_organization(self, identity: PayerIdentity) -> None:
        if self.repository.get("Organization", identity.organization_id) is None:
            self.keep_local([json.write(organization(identity))])
