"""The stages of storage, in their order, for what one exchange brought."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from ..clock import Clock
from ..errors import ExportFailed, RecordRejected
from ..fhir import json
from ..fhir.ndjson import file_lines, lines_of
from ..store.facts import stored, stored_line
from ..store.repository import Key, Repository, Row, Selection, Stored, sortable
from .archive import archive_file, archived_bytes, document_id, document_of, papers
from .crew import Crew
from .deletions import deleted_keys
from .digest import digest_of
from .ledger import Imported, Ledger, Quarantined
from .quarantine import Quarantine
from .reading import NOT_CONFORMING, SHARED, Line, read_lines
from .staging import Retrieved, StagedFile, sha256_of
from .transform import Origin, local_id, normal, restore, transform
from .vouching import import_provenance, provenance_id

# Each is recorded when it is done (SD-40).
STAGES = ("retrieved", "archived", "transformed", "stored", "linked", "vouched")
_BATCH = 500


@dataclass(frozen=True, slots=True)
class IntakeSettings:
    """What the stages are told."""

    own_organization: str
    tag_system: str
    archive_mode: str


class Intake:
    """Takes received files through the stages; every stage may be done twice."""

    def __init__(
        self,
        repository: Repository,
        ledger: Ledger,
        quarantine: Quarantine,
        clock: Clock,
        settings: IntakeSettings,
    ) -> None:
        self._repository = repository
        self.ledger = ledger
        self.quarantine = quarantine
        self._clock = clock
        self.settings = settings
        self._steps: tuple[Callable[[Retrieved, Path], None], ...] = (
            self.archive, self.transform, self.store, self.link, self.vouch,
        )  # fmt: skip

    def run(
        self, found: Retrieved, folder: Path, stage: str, reached: Callable[[str], None]
    ) -> None:
        """Do what comes after a stage, and tell each one that is reached."""
        done = STAGES.index(stage)
        for name, step in zip(STAGES[done + 1 :], self._steps[done:], strict=True):
            step(found, folder)
            reached(name)

    def origin(self, found: Retrieved) -> Origin:
        """Where a retrieval's resources come from, and whose they become."""
        return Origin(
            issuer=found.issuer,
            base=found.source_base,
            identifier_system=found.identifier_system,
            tag_system=self.settings.tag_system,
            source_patient=found.source_patient,
            local_patient=found.local_patient,
        )

    # Stages

    def archive(self, found: Retrieved, folder: Path, *, partial: bool = False) -> None:
        """Keep every file untouched."""
        for file in found.files:
            archive_file(
                self._repository,
                found,
                file,
                folder / file.name,
                mode=self.settings.archive_mode,
                now=self._clock.now(),
                partial=partial,
            )

    def transform(self, found: Retrieved, folder: Path) -> None:
        """Write every good line as a local resource, and turn bad lines away with their reason.

        Raises ExportFailed when the member's own Patient is not among them, or is linked to
        another member here.
        """
        origin = self.origin(found)
        self.ledger.begin(found.task_id)
        self.quarantine.check(found.task_id, _outputs(found), folder, Crew())
        keys = {line.key for _, line in self._lines(found, folder) if not line.fault}
        self._check_patient(keys, origin)
        known = keys | self.ledger.known(origin.issuer, origin.imported_patient)
        (folder / "transformed").mkdir(exist_ok=True)
        seen: set[Key] = set()
        for file in _outputs(found):
            lines = self._read(found, file, file_lines(folder / file.name), seen)
            self._transform_file(found, file, lines, folder / "transformed", known)

    def store(self, found: Retrieved, folder: Path) -> None:
        """Store the local resources; those that are there already, byte for byte, stay."""
        origin = self.origin(found)
        for file in _outputs(found):
            rows = file_lines(folder / "transformed" / file.name)
            while batch := list(islice(rows, _BATCH)):
                self._put_changed([stored_line(line, now=self._clock.now()) for line in batch])
        self._forget_deleted(found, folder, origin)

    def link(self, found: Retrieved, _folder: Path) -> None:
        """Link the local Patient to the imported one, which has its link since it was made."""
        wanted = link_to(self.origin(found).imported_patient)
        self._change_links(
            found.local_patient, lambda links: links if wanted in links else [*links, wanted]
        )

    def vouch(self, found: Retrieved, _folder: Path) -> None:
        """Give every imported resource a Provenance; one that is as new as its resource stays."""
        entries = self.ledger.of(found.task_id)
        while batch := list(islice(entries, _BATCH)):
            resources = self._dates([entry.key for entry in batch])
            vouched = self._dates([("Provenance", provenance_id(*e.key)) for e in batch])
            self._repository.put_many(
                self._provenance(entry, found)
                for entry in batch
                if vouched.get(("Provenance", provenance_id(*entry.key)), "")
                < resources.get(entry.key, "~")
            )

    # The way back

    def take_back(self, found: Retrieved) -> int:
        """Remove what only this exchange brought, its archive too; returns how many resources."""
        keys = self.ledger.only_of(found.task_id)
        vouchers = [("Provenance", provenance_id(*key)) for key in keys]
        paper_keys = [r.key for r in self._papers(found.task_id)]
        removed = self._repository.forget(keys)
        self._repository.forget(vouchers + paper_keys)
        imported = self.origin(found).imported_patient
        if ("Patient", imported) in keys:
            gone = f"Patient/{imported}"
            self._change_links(
                found.local_patient,
                lambda links: [e for e in links if e.get("other", {}).get("reference") != gone],
            )
        self.ledger.begin(found.task_id)
        self.quarantine.forget(found.task_id)
        return removed

    # Later

    def take_in(self, found: Retrieved, resource: dict[str, Any], exchange: str, file: str) -> None:
        """Store one received resource beside what is there, with its Provenance.

        What came under its key since stays. What points at it still does so by its URL at the
        source, until the record is asked for again.
        """
        origin, key = self.origin(found), (resource["resourceType"], resource["id"])
        known = {key, *self.ledger.known(origin.issuer, origin.imported_patient)}
        entry = _entry(found, key, origin, document_of(exchange, file))
        self.ledger.add([entry])
        local = json.write(transform(resource, origin, known.__contains__))
        if self._repository.get(*entry.key) is None:
            self._put_changed([stored_line(local, now=self._clock.now())])
            self._repository.put_many([self._provenance(entry, found)])

    # Digests

    def stored_digest(self, found: Retrieved) -> str:
        """The digest of what is stored of an exchange, in the source's own terms."""
        origin = self.origin(found)
        sources = self.ledger.source_ids(origin.issuer, origin.imported_patient)
        keys = [entry.key for entry in self.ledger.of(found.task_id)]
        return digest_of(
            restore(json.read_exact(row.body), origin, sources.get)
            for row in self._repository.by_keys(keys)
        )

    def archived_digest(self, found: Retrieved) -> str:
        """The digest of what the archived originals hold, lines that were turned away left out."""
        origin = self.origin(found)
        seen: set[Key] = set()
        lines = (
            line
            for file in _outputs(found)
            for line in self._read(found, file, lines_of([self._archived(found, file)]), seen)
        )
        return digest_of(normal(json.read_exact(x.body), origin) for x in lines if not x.fault)

    # Parts

    def _lines(self, found: Retrieved, folder: Path) -> Iterator[tuple[StagedFile, Line]]:
        seen: set[Key] = set()
        for file in _outputs(found):
            for line in self._read(found, file, file_lines(folder / file.name), seen):
                yield file, line

    def _read(
        self, found: Retrieved, file: StagedFile, lines: Iterable[bytes], seen: set[Key]
    ) -> Iterator[Line]:
        aside = self.quarantine.set_aside(found.task_id, file.name)
        return read_lines(lines, file.kind, found.source_patient, seen, aside)

    def _check_patient(self, keys: set[Key], origin: Origin) -> None:
        if ("Patient", origin.source_patient) not in keys:
            raise ExportFailed("The export holds no Patient resource of the matched member.")
        others = self.ledger.local_patients(origin.imported_patient) - {origin.local_patient}
        if others:
            raise RecordRejected(
                "The matched member's records are linked to another local member already. "
                "Clear up which of the two it is before asking again."
            )

    def _transform_file(
        self,
        found: Retrieved,
        file: StagedFile,
        lines: Iterable[Line],
        folder: Path,
        known: set[Key],
    ) -> None:
        origin = self.origin(found)
        document = document_id(found.task_id, file)
        entries, turned_away = [], []
        with (folder / file.name).open("wb") as stream:
            for line in lines:
                if line.fault:
                    turned_away.append(
                        Quarantined(found.task_id, file.name, line.number, line.fault, line.body)
                    )
                    continue
                local = transform(json.read_exact(line.body), origin, known.__contains__)
                stream.write(json.write(local) + b"\n")
                entries.append(_entry(found, line.key, origin, document))
        self.ledger.add(entries, turned_away)
        otherwise = {q.line for q in turned_away if q.reason != NOT_CONFORMING}
        self.quarantine.settle(
            found.task_id, file.name, lambda n: None if n in otherwise else found.task_id
        )

    def _put_changed(self, batch: list[Stored]) -> None:
        keys = [(r.type, r.id) for r in batch]
        present = {r.key: r for r in self._repository.by_keys(keys)}
        owners = self.ledger.owners(keys)
        now = sortable(self._clock.now())
        self._repository.put_many(
            replace(
                r,
                compartment=owners[r.type, r.id],
                last_updated=now,
                version=_next_version(present.get((r.type, r.id))),
            )
            for r in batch
            if (r.type, r.id) not in present or present[r.type, r.id].body != r.body
        )

    def _provenance(self, entry: Imported, found: Retrieved) -> Stored:
        resource = import_provenance(
            *entry.key,
            source_url=f"{found.source_base}/{entry.type}/{entry.source_id}",
            source_organization=found.organization_id,
            own_organization=self.settings.own_organization,
            local_patient=found.local_patient,
            recorded=found.received,
        )
        row = stored(resource, json.write(resource), now=self._clock.now())
        return replace(row, compartment=_home(found, self.origin(found)))

    def _dates(self, keys: list[Key]) -> dict[Key, str]:
        return {r.key: r.last_updated for r in self._repository.by_keys(keys, bodies=False)}

    def _change_links(self, local_patient: str, change: Callable[[list[Any]], list[Any]]) -> None:
        """Change nothing of the local Patient but its links."""
        row = self._repository.get("Patient", local_patient)
        if row is None:
            return
        patient = json.read_exact(row.body)
        links = change(patient.get("link", []))
        if links == patient.get("link", []):
            return
        patient = {**{k: v for k, v in patient.items() if k != "link"},
                   **({"link": links} if links else {})}  # fmt: skip
        facts = stored(patient, json.write(patient), now=self._clock.now())
        self._repository.put_many([replace(facts, version=row.version + 1)])

    def _papers(self, task_id: str) -> Iterator[Row]:
        selection = Selection(papers(task_id), ["DocumentReference", "Binary"])
        return self._repository.rows(selection, bodies=False)

    def _archived(self, found: Retrieved, file: StagedFile) -> bytes:
        found_bytes = archived_bytes(self._repository, document_id(found.task_id, file))
        return gzip.decompress(found_bytes) if found_bytes[:2] == b"\x1f\x8b" else found_bytes

    def _forget_deleted(self, found: Retrieved, folder: Path, origin: Origin) -> None:
        """Remove what the source says it has deleted since (Bulk Data, `deleted`)."""
        gone = [
            (key[0], local_id(origin.issuer, *key))
            for file in found.files
            if file.role == "deleted"
            for line in file_lines(folder / file.name)
            for key in deleted_keys(line, origin.base)
        ]
        own = [k for k, owner in self.ledger.owners(gone).items() if owner]
        self._repository.forget([*own, *(("Provenance", provenance_id(*key)) for key in own)])
        self.ledger.drop(own)


def link_to(imported_patient: str) -> dict[str, Any]:
    """The link from a local Patient to an imported one."""
    return {"other": {"reference": f"Patient/{imported_patient}"}, "type": "seealso"}


def verify_files(found: Retrieved, folder: Path) -> bool:
    """Whether the staged files are still there, byte for byte."""
    return all(
        (folder / f.name).is_file() and sha256_of(folder / f.name) == f.sha256 for f in found.files
    )


def _outputs(found: Retrieved) -> list[StagedFile]:
    return [file for file in found.files if file.role == "output"]


def _entry(found: Retrieved, key: Key, origin: Origin, document: str) -> Imported:
    kind, ident = key
    return Imported(
        task_id=found.task_id,
        type=kind,
        local_id=local_id(origin.issuer, kind, ident),
        source_id=ident,
        issuer=origin.issuer,
        compartment="" if kind in SHARED else _home(found, origin),
        local_patient=origin.local_patient,
        document=document,
    )


def _home(found: Retrieved, origin: Origin) -> str:
    """The compartment of the member; what several members share is in none."""
    return origin.imported_patient if found.source_patient else ""


def _next_version(row: Row | None) -> int:
    return row.version + 1 if row else 1
