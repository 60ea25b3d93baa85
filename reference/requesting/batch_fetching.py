"""The part of a batch that is spoken with the source payer: bulk match, then one export a Group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from ..clock import instant
from ..errors import BadRequest, SettingsError
from ..http import Exchange, HttpClient
from ..intake.bulk_ledger import portions
from ..intake.staging import StagedFile, Staging, sha256_of
from ..registration.servers import Server
from ..target import Target
from ..tasks import IN_PROGRESS, PART, RUNNING, ExchangeTask
from . import batches as outcome
from . import tasks_end
from .batch_making import WITHDRAWN
from .batch_request import export_pairs
from .batches import DONE, Batches, Member, Part
from .bulk_match import BulkConversation, Submission
from .exchange import CONSENT_REFUSED, NO_MATCH
from .reconcile import Reconciled, reconcile
from .request import InvokeRequest, check_consent
from .run import Rooms
from .trace import PhaseEvent, Trace

MATCHED, RETRIEVED = "matched", "retrieved"


class PartFetcher:
    """Brings parts to the stage where all they are is in the staging folder."""

    def __init__(
        self,
        rooms: Rooms,
        batches: Batches,
        check: Callable[[str], None],
        reached: Callable[[str], None],
        sleep: Callable[[str, float], None],
        on_phase: Callable[[PhaseEvent], None] | None,
        on_exchange: Callable[[Exchange], None] | None,
    ) -> None:
        self._rooms = rooms
        self._batches = batches
        self._check = check
        self._reached = reached
        self._sleep = sleep
        self._on_phase = on_phase
        self._on_exchange = on_exchange

    def fetch(self, part: Part) -> Part:
        """The part with its files, or done when there is nothing to store.

        What is in the staging folder already, byte for byte, is not asked for again.
        """
        if part.stage == RETRIEVED and _is_staged(part, folder_of(self._rooms, part)):
            return part
        server = self._rooms.servers.find(part.issuer)
        if server is None:
            raise SettingsError("The source payer is no longer registered.")
        http = self._rooms.settings.client(server, self._on_exchange)
        try:
            talk = self._conversation(part, server, http)
            if not part.stage:
                part = self._match(part, talk)
            return self._export(part, talk)
        finally:
            http.close()

    # Match

    def _match(self, part: Part, talk: BulkConversation) -> Part:
        members = {_ident(m): m for some in self._batches.members(part.batch_id, part.number)
                   for m in some if not m.outcome}  # fmt: skip
        submissions = list(self._submissions(members, talk.server))
        staging = Staging(folder_of(self._rooms, part) / "match")
        staging.clear()
        talk.scope = talk.server.bulk_match_scope or self._rooms.settings.bulk_match_scope
        with self._trace(part, talk.server).phase("member-match", "members were matched") as phase:
            phase.details["operation"] = "bulk-member-match"
            groups = talk.bulk_match(submissions, staging, phase) if submissions else []
            found = reconcile({s.ident for s in submissions}, groups)
            phase.details["counts"] = _counts(found)
        self._settle(members, found)
        staging.discard()
        return self._keep(replace(part, stage=MATCHED, note=_unknown(found)))

    def _submissions(self, members: Mapping[str, Member], server: Server) -> Iterator[Submission]:
        """The members who may still be asked for, their Tasks in progress."""
        by_task = {member.task_id: ident for ident, member in members.items()}
        for some in portions(by_task):
            tasks = self._rooms.tasks.of(some, *RUNNING)
            withdrawn = self._rooms.opt_ins.withdrawn([t.local_patient for t in tasks])
            read = [(t, InvokeRequest.from_json(t.local_patient, t.issuer, t.request))
                    for t in tasks]  # fmt: skip
            faults = {t.id: self._fault(r, server, withdrawn) for t, r in read}
            self._fail([(t, faults[t.id]) for t in tasks if faults[t.id]], outcome.FAILED)
            going = [(t, r) for t, r in read if not faults[t.id]]
            self._rooms.tasks.finish_many([replace(t, status=IN_PROGRESS) for t, _ in going])
            yield from (Submission(by_task[t.id], r.match) for t, r in going)

    def _fault(self, request: InvokeRequest, server: Server, withdrawn: set[str]) -> str:
        """Why a member is not asked for now: time has passed since the batch was made."""
        if request.local_patient in withdrawn:
            return WITHDRAWN
        own = self._rooms.settings.identity
        try:
            check_consent(request, server, own, self._rooms.clock.now())
        except BadRequest as error:
            return str(error)
        return ""

    def _settle(self, members: Mapping[str, Member], found: Reconciled) -> None:
        """Write every member's outcome; who is not matched comes on the work list."""
        for group in found.matched:
            self._batches.decide(
                replace(members[i], outcome=outcome.MATCHED, group_id=group.id, source_patient=p)
                for i, p in group.patients.items()
            )
        ends = (
            (outcome.NO_MATCH, dict.fromkeys(sorted(found.no_match), NO_MATCH)),
            (outcome.CONSTRAINED, dict.fromkeys(sorted(found.constrained), CONSENT_REFUSED)),
            (outcome.UNRECONCILED, found.faults),
        )
        for kind, faults in ends:
            texts = {members[ident].task_id: text for ident, text in faults.items()}
            tasks = self._rooms.tasks.of(sorted(texts), *RUNNING)
            self._fail([(task, texts[task.id]) for task in tasks], kind)

    def _fail(self, ended: Iterable[tuple[ExchangeTask, str]], kind: str) -> None:
        tasks_end.fail(self._rooms, self._batches, list(ended), kind)

    # Export

    def _export(self, part: Part, talk: BulkConversation) -> Part:
        groups = sorted({m.group_id for some in self._batches.members(part.batch_id, part.number)
                         for m in some if m.outcome == outcome.MATCHED})  # fmt: skip
        if not groups:
            return self._keep(replace(part, stage=DONE))
        asked = self._rooms.tasks.get(part.batch_id).request["export"]
        folder, received, talk.scope = folder_of(self._rooms, part), [], ""
        method = talk.server.bulk_export_method or self._rooms.settings.bulk_export_method
        for number, group in enumerate(groups):
            self._check(part.batch_id)
            staging = Staging(folder, f"{part.number:04}-{number}-")
            with self._trace(part, talk.server).phase("export", "records were received") as phase:
                phase.details["operation"] = method
                pairs = export_pairs(asked, part.since)
                moment = talk.export_group(group, method, pairs, staging, phase)
            received.append({"group": group, "stage": RETRIEVED, "transaction_time": moment,
                             "received": instant(self._rooms.clock.now()),
                             "files": [asdict(file) for file in staging.files]})  # fmt: skip
        return self._keep(replace(part, stage=RETRIEVED, received=received))

    # Parts

    def _keep(self, part: Part) -> Part:
        self._batches.keep(part)
        self._reached(part.stage)
        return part

    def _trace(self, part: Part, server: Server) -> Trace:
        return Trace(self._rooms.audit, self._rooms.clock, part.batch_id, server.client_id,
                     self._on_phase)  # fmt: skip

    def _conversation(self, part: Part, server: Server, http: HttpClient) -> BulkConversation:
        target = Target(
            server.fhir_base,
            http,
            server.credentials(),
            token_url=server.token_url,
            own_origins=server.own_origins(),
            scopes=server.scopes(),
            remember=partial(self._rooms.servers.set_client_id, server.issuer),
            clock=self._rooms.clock,
            sleep=lambda seconds: self._sleep(part.batch_id, seconds),
        )
        return BulkConversation(server, target, self._trace(part, server),
                                lambda: self._check(part.batch_id),
                                export_limit_s=self._rooms.settings.export_limit_s)  # fmt: skip


def folder_of(rooms: Rooms, part: Part) -> Path:
    """Where the files of a part lie until they are stored."""
    return rooms.settings.data_dir / "staging" / part.batch_id / f"{part.number:04}"


def _is_staged(part: Part, folder: Path) -> bool:
    files = (StagedFile(**file) for group in part.received for file in group["files"])
    return all(
        (folder / f.name).is_file() and sha256_of(folder / f.name) == f.sha256 for f in files
    )


def _ident(member: Member) -> str:
    """What a member is submitted as: a number, which tells nothing of the member."""
    return f"m-{member.task_id.rpartition(PART)[2]}"


def _counts(found: Reconciled) -> dict[str, int]:
    return {
        "matched": sum(len(group.patients) for group in found.matched),
        "no-match": len(found.no_match),
        "consent-constrained": len(found.constrained),
        "unreconciled": len(found.faults),
    }


def _unknown(found: Reconciled) -> str:
    if not found.unknown:
        return ""
    return f"{found.unknown} entries of the source payer's answer lead to nobody who was submitted."
