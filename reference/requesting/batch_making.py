"""A batch as it is taken in: a Task for each member, written in portions, whoever else is wrong.

What one member lacks is that member's affair: its Task fails with the reason, nothing is sent for
it, and the others go on.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ..errors import BadRequest
from ..fhir import json
from ..intake.bulk_ledger import portions
from ..registration.servers import Server
from ..store.repository import Row
from ..tasks import PART, RUNNING, ExchangeTask
from .batch_request import Export, Partition
from .batches import FAILED, Batches, Member
from .request import InvokeRequest, check_consent, payor_fault
from .run import Rooms
from .settings import reference_to
from .store import reference_identifiers

BATCH = "p2p-batch-"
COLLECTED = "collected"
NO_SERVER = (
    "No server is registered under this sourceIssuerUrl. Register the source payer first, with its "
    "exact issuer URL."
)
NO_PATIENT = "There is no such local Patient."
RUNNING_ALREADY = "An exchange for this member with this payer is running. Wait for its Task."
WITHDRAWN = "The member has withdrawn the permission. Nothing is asked for without a new one."
_NOWHERE = -1


def identifier_fault(patient: Mapping[str, object], system: str) -> str:
    """Why a local Patient cannot be exchanged for, or an empty text."""
    if len(reference_identifiers(patient, system)) == 1:
        return ""
    return f"The local Patient must carry exactly one identifier of the system {system}."


@dataclass(slots=True)
class _Known:
    """What is known of the members of one portion, each read once."""

    patients: Mapping[str, Row]
    imported: set[str]
    withdrawn: set[str]
    running: set[tuple[str, str]]
    last: Mapping[tuple[str, str], str]


@dataclass(slots=True)
class BatchMaker:
    """Takes the members of one batch in."""

    rooms: Rooms
    batches: Batches
    since_last: bool = False
    ident: str = field(default_factory=lambda: f"{BATCH}{secrets.token_hex(8)}")
    count: int = 0
    _servers: dict[str, Server | None] = field(default_factory=dict)

    def make(self, requests: Iterable[InvokeRequest], export: Export) -> str:
        """The id of the batch, once every member has a Task; raises BadRequest for no member."""
        settings, tasks = self.rooms.settings, self.rooms.tasks
        own = reference_to(settings.identity)
        request = {"export": [list(pair) for pair in export]}
        tasks.create_many([tasks.new(self.ident, "", "", owner={}, requester=own, request=request)])
        partition = Partition(self.ident, settings.batch_size)
        for some in portions(requests):
            self._add(some, partition)
        for part in partition.parts:
            self.batches.keep(part)
        tasks.reach(self.ident, COLLECTED)
        return self.ident

    def _add(self, requests: Sequence[InvokeRequest], partition: Partition) -> None:
        known, tasks, members = self._known(requests), [], []
        for request in requests:
            fault = self._fault(request, known)
            known.running.add((request.local_patient, request.issuer))
            last = known.last.get((request.issuer, request.local_patient), "")
            number = _NOWHERE if fault else partition.place(request.issuer, last)
            task = self._task(request, fault)
            tasks.append(task)
            members.append(Member(task.id, self.ident, number, request.local_patient,
                                  FAILED if fault else ""))  # fmt: skip
        self.rooms.tasks.create_many(tasks)
        self.batches.add(members)
        consents = ((r.match.consent, task) for r, task in zip(requests, tasks, strict=True))
        self.rooms.records.keep_consents((c, t.id, t.local_patient) for c, t in consents)

    def _known(self, requests: Sequence[InvokeRequest]) -> _Known:
        rooms, patients = self.rooms, sorted({r.local_patient for r in requests})
        keys = [("Patient", patient) for patient in patients]
        return _Known(
            {row.id: row for row in rooms.repository.by_keys(keys)},
            {ident for _, ident in rooms.ledger.owners(keys)},
            rooms.opt_ins.withdrawn(patients),
            rooms.tasks.asked(patients, *RUNNING),
            self.batches.last_times(patients) if self.since_last else {},
        )

    def _fault(self, request: InvokeRequest, known: _Known) -> str:
        """Why nothing is asked for this member, or an empty text."""
        patient, server = known.patients.get(request.local_patient), self._server(request.issuer)
        if server is None:
            return NO_SERVER
        if patient is None or request.local_patient in known.imported:
            return NO_PATIENT
        if request.local_patient in known.withdrawn:
            return WITHDRAWN
        if (request.local_patient, request.issuer) in known.running:
            return RUNNING_ALREADY
        own = self.rooms.settings
        return identifier_fault(json.read(patient.body), own.patient_system) or (
            payor_fault(request, server, own.identity) or self._consent_fault(request, server)
        )

    def _consent_fault(self, request: InvokeRequest, server: Server) -> str:
        try:
            check_consent(request, server, self.rooms.settings.identity, self.rooms.clock.now())
        except BadRequest as error:
            return str(error)
        return ""

    def _task(self, request: InvokeRequest, fault: str) -> ExchangeTask:
        self.count += 1
        server = self._server(request.issuer)
        return self.rooms.tasks.new(
            f"{self.ident}{PART}{self.count:06}",
            request.local_patient,
            request.issuer,
            owner=reference_to(server.organization) if server else {},
            requester=reference_to(self.rooms.settings.identity),
            request=request.as_json(),
            fault=fault,
        )

    def _server(self, issuer: str) -> Server | None:
        if issuer not in self._servers:
            self._servers[issuer] = self.rooms.servers.find(issuer)
        return self._servers[issuer]
