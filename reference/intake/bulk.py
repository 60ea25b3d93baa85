"""What one bulk export brought of many members, taken in at once.

The stages are those of one member, and so are the stored bytes; but each file is archived once,
read twice, and written in portions. What is held in memory is the keys of one export and a few
portions of its lines. A stage that breaks off is done again, which changes nothing that is there.
"""

from __future__ import annotations

import re
import secrets
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..fhir import json
from ..fhir.ndjson import file_lines
from ..store.facts import stored
from ..store.repository import Key, Repository, Row, Stored, sortable
from .archive import archive_pieces, document_id
from .bulk_ledger import BulkLedger, portions
from .crew import Block, Crew, Job, blocks, local_lines, sort_lines
from .deletions import deleted_keys
from .ledger import Ledger
from .owners import EVERYBODY, Sorting, pointed_at
from .quarantine import Quarantine
from .quick_store import QuickStore, quick_store
from .reading import NOT_CONFORMING
from .rewriting import Packed, Part
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
# Lines to a transaction.
_TRANSACTION = 10_000
_NO_OWNERS = array("i")
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
        quarantine: Quarantine,
        clock: Clock,
        settings: IntakeSettings,
        *,
        workers: int = 0,
    ) -> None:
        self._repository = repository
        self._ledger = ledger
        self.ledger = bulk_ledger
        self._quarantine = quarantine
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
        self._quarantine.check(found.batch_id, found.outputs, folder, self._crew)
        sorting, part = self.sort(found, folder)
        refused = self._refused(found, part)
        refuse({found.members[n].task_id: why for n, why in refused.items()})
        part = replace(part, refused=frozenset((*refused, *_gone(found))))
        path = _written(part, folder)
        with quick_store(self.ledger.engine) as quick:
            for some in _gathered(self._made_local(found, folder, sorting, path)):
                self._keep(found, some, quick)
        for number, file in enumerate(found.outputs):
            self._turn_away(found, file, folder, sorting, number)
        self._forget_deleted(found, folder)

    def sort(self, found: BulkRetrieved, folder: Path) -> tuple[Sorting, Part]:
        """Whose each line is; and the part, with the owners of all keys known of its members."""
        part = self._part(found)
        path, sorting = _written(part, folder), Sorting()
        for file in found.outputs:
            sorting.begin(self._quarantine.set_aside(found.batch_id, file.name))
            jobs = ((str(path), file.kind, "", b, _NO_OWNERS) for b in blocks(folder / file.name))
            for answer in self._crew.each(sort_lines, jobs):
                sorting.take(answer)
        if pattern := sorting.follow():
            sorting.finish(_referrers(found, folder, sorting, pattern))
        sorting.set_aside()
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
            (*(m.task_id for m in found.members), *("" for _ in found.gone), found.batch_id),
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
        self, found: BulkRetrieved, folder: Path, sorting: Sorting, path: Path
    ) -> Iterator[Packed]:
        """The good lines of all files, a few at a time, as the rows that are written of them."""
        for number, file in enumerate(found.outputs):
            owners, document = sorting.lines[number], document_id(found.batch_id, file)
            stretches = zip(blocks(folder / file.name), sorting.counts[number], strict=True)
            jobs = _jobs(str(path), file.kind, document, stretches, owners)
            yield from self._crew.each(local_lines, jobs)

    def _keep(self, found: BulkRetrieved, made: Packed, store: QuickStore) -> None:
        """Write down and store a portion; the ledger first, so that all of it can be taken back."""
        keys = [(row[1], row[2]) for row in made.rows]
        organizations = (found.organization_id, self._settings.own_organization)
        if store.writes and not store.holds_any(keys):
            homes = [row[0] for row in made.rows if row[1] == "Patient"]
            outward = [(home, "Organization", ident) for home in homes for ident in organizations]
            store.put(made, outward, sortable(self._clock.now()))
        else:
            self.ledger.add(made.entries)
            present = self._present(keys, bodies=True)
            self._repository.put_many(self._changed(made, present, organizations))

    def _changed(
        self, made: Packed, present: Mapping[Key, Row], organizations: Sequence[str]
    ) -> Iterator[Stored]:
        """What is not there as it came, with its Provenance; and Provenance that is missing."""
        rows = list(zip(made.rows, made.references, made.vouchers, strict=True))
        same = {row[1:3] for row, _, _ in rows
                if (there := present.get(row[1:3])) and there.body == row[5]}  # fmt: skip
        vouched = self._present([v[1:3] for row, _, v in rows if row[1:3] in same])
        named = tuple(("Organization", ident) for ident in organizations)
        now = sortable(self._clock.now())
        for row, references, voucher in rows:
            if row[1:3] not in same:
                yield _stored(row, references, now, present.get(row[1:3]))
            if row[1:3] not in same or voucher[1:3] not in vouched:
                yield _stored(voucher, named if row[1] == "Patient" else (), now, None)

    def _present(self, keys: list[Key], *, bodies: bool = False) -> dict[Key, Row]:
        return {row.key: row for row in self._repository.by_keys(keys, bodies=bodies)}

    def _turn_away(
        self, found: BulkRetrieved, file: StagedFile, folder: Path, sorting: Sorting, number: int
    ) -> None:
        """Keep the bad lines of a file for a person to look at, with the member's Task if known.

        Of a member whose exchange was stopped nothing is kept.
        """
        gone = _gone(found)
        faults = {line: fault for (of, line), fault in sorting.faults.items()
                  if of == number and fault[1] not in gone}  # fmt: skip
        self._quarantine.settle(
            found.batch_id, file.name,
            lambda line: _held_by(found, sorting, (number, line - 1)),
        )  # fmt: skip
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


def _gathered(answers: Iterable[Packed]) -> Iterator[Packed]:
    """Portions for one transaction each.

    Their keys are hashes and touch pages all over the indexes, so that few large transactions
    write far less than many small ones.
    """
    found = Packed([], [], [], [])
    for answer in answers:
        for name in Packed._fields:
            getattr(found, name).extend(getattr(answer, name))
        if len(found.rows) >= _TRANSACTION:
            yield found
            found = Packed([], [], [], [])
    if found.rows:
        yield found


def _jobs(
    path: str,
    kind: str,
    document: str,
    stretches: Iterable[tuple[Block, int]],
    owners: array[int],
) -> Iterator[Job]:
    """A job for each block of a file, with the owners of its lines."""
    start = 0
    for block, lines in stretches:
        yield path, kind, document, block, owners[start : start + lines]
        start += lines


def _stored(
    row: tuple[Any, ...], references: tuple[Key, ...], moment: str, before: Row | None
) -> Stored:
    compartment, kind, ident, service, marks, body = row
    version = before.version + 1 if before else 1
    return Stored(kind, ident, body, compartment, moment, service, marks, references, version)


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


def _held_by(found: BulkRetrieved, sorting: Sorting, place: tuple[int, int]) -> str | None:
    """Whose Task tells of a line that does not conform; nobody's if it is kept for no other."""
    fault, owner = sorting.faults.get(place, ("", sorting.lines[place[0]][place[1]]))
    if owner in _gone(found) or fault not in ("", NOT_CONFORMING):
        return None
    return _task(found, owner)


def _linked(row: Row, imported: str, now: datetime) -> Stored | None:
    """A local Patient with its link to an imported one; None when it has it."""
    patient = json.read_exact(row.body)
    links, wanted = patient.get("link", []), link_to(imported)
    if wanted in links:
        return None
    body = json.write({**{k: v for k, v in patient.items() if k != "link"},
                       "link": [*links, wanted]})  # fmt: skip
    return replace(stored(json.read(body), body, now=now), version=row.version + 1)
