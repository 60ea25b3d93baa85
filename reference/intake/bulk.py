"""What one bulk export brought of many members, taken in at once.

The stages are those of one member, and so are the stored bytes; but each file is archived once,
read twice, and written in portions. What is held in memory is the keys of one export and a few
portions of its lines. A stage that breaks off is done again, which changes nothing that is there.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from pathlib import Path

from ..clock import Clock
from ..fhir import json
from ..fhir.ndjson import file_lines
from ..store.facts import stored
from ..store.repository import Key, Repository, Row, Stored, sortable
from .archive import archive_pieces, document_id
from .bulk_ledger import BulkLedger, portions
from .crew import Crew, Job, local_lines, sort_lines
from .deletions import deleted_keys
from .ledger import Ledger
from .owners import EVERYBODY, Sorting, pointed_at
from .quick_store import QuickStore, quick_store
from .rewriting import LocalLine, Part
from .stages import IntakeSettings, link_to
from .staging import Retrieved, StagedFile
from .transform import local_id
from .vouching import provenance_id

BULK_STAGES = ("retrieved", "archived", "stored", "linked")
NO_PATIENT = "The export holds no Patient resource of the matched member."
LINKED_ELSEWHERE = (
    "The matched member's records are linked to another local member already. "
    "Clear up which of the two it is before asking again."
)
# Lines to a worker at a time, and lines to a transaction.
_JOB, _TRANSACTION = 1_000, 10_000
Refuse = Callable[[Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class BulkMember:
    """One member of a matched Group: the Task, the Patient at the source, the Patient here."""

    task_id: str
    source_patient: str
    local_patient: str


@dataclass(frozen=True, slots=True)
class BulkRetrieved:
    """All that came of one matched Group, and where it came from."""

    batch_id: str
    issuer: str
    source_base: str
    organization_id: str
    identifier_system: str
    received: str
    members: tuple[BulkMember, ...]
    files: tuple[StagedFile, ...]
    gone: tuple[str, ...] = ()
    """Matched Patients whose exchange was stopped: nothing of theirs is kept."""

    @property
    def outputs(self) -> list[StagedFile]:
        """The files that hold the members' resources."""
        return [file for file in self.files if file.role == "output"]

    def of(self, member: BulkMember) -> Retrieved:
        """What came of one member; the files are the batch's."""
        return replace(self.papers, task_id=member.task_id, source_patient=member.source_patient,
                       local_patient=member.local_patient, files=())  # fmt: skip

    @property
    def papers(self) -> Retrieved:
        """The same as the archive reads it: of the batch, not of one member."""
        return Retrieved(self.batch_id, self.issuer, self.source_base, "", "", self.organization_id,
                         self.identifier_system, self.received, self.files)  # fmt: skip


class BulkIntake:
    """Takes the files of bulk exports through the stages; every stage may be done twice."""

    def __init__(
        self,
        repository: Repository,
        ledger: Ledger,
        bulk_ledger: BulkLedger,
        clock: Clock,
        settings: IntakeSettings,
        *,
        workers: int = 0,
    ) -> None:
        self._repository = repository
        self._ledger = ledger
        self.ledger = bulk_ledger
        self._clock = clock
        self._settings = settings
        self._crew = Crew(workers)

    def run(
        self,
        found: BulkRetrieved,
        folder: Path,
        stage: str,
        reached: Callable[[str], None],
        refuse: Refuse,
    ) -> None:
        """Do what comes after a stage, and tell each one that is reached.

        `refuse` is told, by Task, why nothing of a member can be stored; the others go on.
        """
        steps: tuple[Callable[[], None], ...] = (
            lambda: self.archive(found, folder),
            lambda: self.store(found, folder, refuse),
            lambda: self.link(found),
        )
        done = BULK_STAGES.index(stage)
        for name, step in zip(BULK_STAGES[done + 1 :], steps[done:], strict=True):
            step()
            reached(name)

    def close(self) -> None:
        """Let the worker processes go."""
        self._crew.close()

    # Stages

    def archive(self, found: BulkRetrieved, folder: Path, *, partial: bool = False) -> None:
        """Keep every file untouched, once for all its members."""
        for file in found.files:
            archive_pieces(
                self._repository,
                found.papers,
                file,
                folder / file.name,
                mode=self._settings.archive_mode,
                now=self._clock.now(),
                partial=partial,
            )

    def store(self, found: BulkRetrieved, folder: Path, refuse: Refuse) -> None:
        """Sort the lines by member, make them local, and store what is new or has changed."""
        self.ledger.begin(
            [m.task_id for m in found.members], found.batch_id, [f.name for f in found.files]
        )
        sorting, part = self.sort(found, folder)
        refused = self._refused(found, part)
        refuse({found.members[n].task_id: why for n, why in refused.items()})
        part = replace(part, refused=frozenset((*refused, *_gone(found))))
        path = _written(part, folder)
        with quick_store(self.ledger.engine) as quick:
            for some in _gathered(self._made_local(found, folder, sorting, path, part)):
                self._keep(found, some, quick)
        for number, file in enumerate(found.outputs):
            self._turn_away(found, file, folder, sorting, number)
        self._forget_deleted(found, folder)

    def sort(self, found: BulkRetrieved, folder: Path) -> tuple[Sorting, Part]:
        """Whose each line is; and the part, with the owners of all keys known of its members."""
        part = self._part(found)
        path, sorting = _written(part, folder), Sorting()
        for file in found.outputs:
            sorting.begin()
            for answer in self._crew.each(sort_lines, _all_lines(path, folder, file)):
                sorting.take(answer)
        if pattern := sorting.follow():
            sorting.finish(_referrers(found, folder, sorting, pattern))
        return sorting, replace(part, owners=self._with_known(part, sorting.owners))

    def link(self, found: BulkRetrieved) -> None:
        """Link local Patients to the imported ones, for members of whom something is stored."""
        for some in portions(found.members):
            brought = self.ledger.stored([m.task_id for m in some])
            wanted = {
                m.local_patient: local_id(found.issuer, "Patient", m.source_patient)
                for m in some
                if brought[m.task_id]
            }
            rows = self._repository.by_keys([("Patient", local) for local in wanted])
            now = self._clock.now()
            linked = [row for r in rows if (row := _linked(r, wanted[r.id], now))]
            self._repository.put_many(linked)

    # Parts

    def _part(self, found: BulkRetrieved) -> Part:
        everyone = [(m.source_patient, m.local_patient) for m in found.members]
        return Part(
            found.issuer,
            found.source_base,
            found.identifier_system,
            self._settings.tag_system,
            (*everyone, *((source, "") for source in found.gone)),
            {},
            found.organization_id,
            self._settings.own_organization,
            found.received,
        )

    def _with_known(self, part: Part, owners: dict[str, int]) -> dict[str, int]:
        """The owners, with those of what came in earlier exchanges."""
        numbers = {
            local_id(part.issuer, "Patient", source): number
            for number, (source, _) in enumerate(part.members)
        }
        for key, compartment in self.ledger.known(part.issuer, list(numbers)):
            owners.setdefault("/".join(key), numbers.get(compartment, EVERYBODY))
        return owners

    def _refused(self, found: BulkRetrieved, part: Part) -> dict[int, str]:
        """The members of whom nothing can be stored, and why."""
        imported = [
            local_id(found.issuer, "Patient", member.source_patient) for member in found.members
        ]
        linked = self.ledger.linked(imported)
        refused = {}
        for number, member in enumerate(found.members):
            if part.owners.get(f"Patient/{member.source_patient}") != number:
                refused[number] = NO_PATIENT
            elif linked.get(imported[number], set()) - {member.local_patient}:
                refused[number] = LINKED_ELSEWHERE
        return refused

    def _made_local(
        self, found: BulkRetrieved, folder: Path, sorting: Sorting, path: Path, part: Part
    ) -> Iterator[tuple[str, list[LocalLine]]]:
        """The good lines of all files, a few at a time, with the document they are archived in."""
        for number, file in enumerate(found.outputs):
            jobs = _good_lines(path, folder, file, sorting.lines[number], part.refused)
            document = document_id(found.batch_id, file)
            for lines in self._crew.each(local_lines, jobs):
                yield document, lines

    def _keep(
        self, found: BulkRetrieved, some: list[tuple[str, list[LocalLine]]], store: QuickStore
    ) -> None:
        """Write down and store a portion; the ledger first, so that all of it can be taken back."""
        entries = [_entry(found, line, document) for document, lines in some for line in lines]
        lines = [line for _, lines in some for line in lines]
        present = self._present([(line.type, line.local_id) for line in lines], bodies=True)
        new = [x for x in lines if _body(present.get((x.type, x.local_id))) != x.body]
        rows = chain(self._rows(new, present), self._vouchers(lines, new, found.organization_id))
        if store.writes and not present:
            store.put(entries, list(rows))
        else:
            self.ledger.add(entries)
            self._repository.put_many(rows)

    def _rows(self, lines: Iterable[LocalLine], present: Mapping[Key, Row]) -> Iterator[Stored]:
        now = sortable(self._clock.now())
        for line in lines:
            row = present.get((line.type, line.local_id))
            yield Stored(
                line.type,
                line.local_id,
                line.body,
                line.compartment,
                now,
                line.service_date,
                line.marks,
                line.references,
                row.version + 1 if row else 1,
            )

    def _vouchers(
        self, lines: list[LocalLine], new: list[LocalLine], organization: str
    ) -> Iterator[Stored]:
        """The Provenance of what is new or has changed, and of what has none."""
        now, fresh = sortable(self._clock.now()), {(x.type, x.local_id) for x in new}
        old = [x for x in lines if (x.type, x.local_id) not in fresh]
        vouched = self._present([("Provenance", provenance_id(x.type, x.local_id)) for x in old])
        for line in lines:
            ident = provenance_id(line.type, line.local_id)
            if (line.type, line.local_id) in fresh or ("Provenance", ident) not in vouched:
                yield Stored("Provenance", ident, line.voucher, line.compartment, now,
                             references=self._organizations(line, organization))  # fmt: skip

    def _organizations(self, line: LocalLine, organization: str) -> tuple[Key, ...]:
        """What a Provenance points at outside; told once a member, with the Patient's own."""
        named = (organization, self._settings.own_organization) if line.type == "Patient" else ()
        return tuple(("Organization", ident) for ident in named)

    def _present(self, keys: list[Key], *, bodies: bool = False) -> dict[Key, Row]:
        return {row.key: row for row in self._repository.by_keys(keys, bodies=bodies)}

    def _turn_away(
        self, found: BulkRetrieved, file: StagedFile, folder: Path, sorting: Sorting, number: int
    ) -> None:
        """Keep the bad lines of a file for a person to look at, with the member's Task if known."""
        faults = {line: fault for (of, line), fault in sorting.faults.items() if of == number}
        if not faults:
            return
        rows = (
            {"task_id": _task(found, faults[line][1]), "file": file.name, "line": line + 1,
             "reason": faults[line][0], "body": body}
            for line, body in enumerate(file_lines(folder / file.name)) if line in faults
        )  # fmt: skip
        for some in portions(rows):
            self.ledger.add([], some)

    def _forget_deleted(self, found: BulkRetrieved, folder: Path) -> None:
        """Remove what the source has deleted of these members since (Bulk Data, `deleted`)."""
        homes = {local_id(found.issuer, "Patient", m.source_patient) for m in found.members}
        for file in found.files:
            lines = file_lines(folder / file.name) if file.role == "deleted" else iter(())
            keys = (key for line in lines for key in deleted_keys(line, found.source_base))
            for some in portions(keys):
                gone = [(kind, local_id(found.issuer, kind, ident)) for kind, ident in some]
                own = [k for k, home in self._ledger.owners(gone).items() if home in homes]
                vouchers = [("Provenance", provenance_id(*key)) for key in own]
                self._repository.forget([*own, *vouchers])
                self._ledger.drop(own)


def _gathered(
    answers: Iterable[tuple[str, list[LocalLine]]],
) -> Iterator[list[tuple[str, list[LocalLine]]]]:
    """Portions for one transaction each.

    Their keys are hashes and touch pages all over the indexes, so that few large transactions
    write far less than many small ones.
    """
    found: list[tuple[str, list[LocalLine]]] = []
    held = 0
    for answer in answers:
        found.append(answer)
        held += len(answer[1])
        if held >= _TRANSACTION:
            yield found
            found, held = [], 0
    if found:
        yield found


def _all_lines(path: Path, folder: Path, file: StagedFile) -> Iterator[Job]:
    for bodies in portions(file_lines(folder / file.name), _JOB):
        yield str(path), file.kind, bodies, []


def _good_lines(
    path: Path, folder: Path, file: StagedFile, owners: Sequence[int], out: Container[int]
) -> Iterator[Job]:
    """The lines that have an owner of whom something is stored."""
    good = (
        (body, owner)
        for body, owner in zip(file_lines(folder / file.name), owners, strict=True)
        if owner >= EVERYBODY and owner not in out
    )
    for some in portions(good, _JOB):
        yield str(path), file.kind, [body for body, _ in some], [owner for _, owner in some]


def _referrers(
    found: BulkRetrieved, folder: Path, sorting: Sorting, pattern: re.Pattern[bytes]
) -> dict[str, set[int]]:
    """Who points at what has no owner yet."""
    referrers: dict[str, set[int]] = {}
    for number, file in enumerate(found.outputs):
        lines = zip(file_lines(folder / file.name), sorting.lines[number], strict=True)
        for body, owner in lines:
            for key in pointed_at(body, pattern) if owner >= EVERYBODY else ():
                if sorting.is_open(key):
                    referrers.setdefault(key, set()).add(owner)
    return referrers


def _written(part: Part, folder: Path) -> Path:
    """Where worker processes read the part; a new name each time, since they remember it."""
    path = folder / f"part-{secrets.token_hex(8)}.json"
    part.write(path)
    return path


def _gone(found: BulkRetrieved) -> range:
    """The numbers of the members whose exchange was stopped; they follow the others."""
    return range(len(found.members), len(found.members) + len(found.gone))


def _task(found: BulkRetrieved, owner: int) -> str:
    return found.members[owner].task_id if 0 <= owner < len(found.members) else found.batch_id


def _entry(found: BulkRetrieved, line: LocalLine, document: str) -> tuple[str, ...]:
    """A row of the ledger, in the order of its columns."""
    task, local = found.batch_id, ""
    if line.compartment:
        member = found.members[line.owner]
        task, local = member.task_id, member.local_patient
    return (task, line.type, line.local_id, line.source_id, found.issuer, line.compartment, local,
            document)  # fmt: skip


def _body(row: Row | None) -> bytes | None:
    return row.body if row else None


def _linked(row: Row, imported: str, now: datetime) -> Stored | None:
    """A local Patient with its link to an imported one; None when it has it."""
    patient = json.read_exact(row.body)
    links, wanted = patient.get("link", []), link_to(imported)
    if wanted in links:
        return None
    body = json.write({**{k: v for k, v in patient.items() if k != "link"},
                       "link": [*links, wanted]})  # fmt: skip
    return replace(stored(json.read(body), body, now=now), version=row.version + 1)
