"""Whether all that came of many members is stored as it was received, told member by member."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from ..fhir import json
from ..fhir.ndjson import file_lines
from ..store.repository import Key, Repository
from .archive import file_pieces
from .bulk import BulkIntake, BulkRetrieved
from .digest import resource_digest
from .ledger import Ledger
from .owners import EVERYBODY, UNKNOWN
from .rewriting import Part
from .transform import local_id, normal, restore


@dataclass(slots=True)
class Digests:
    """Compares the archive with the store, one part of a batch at a time."""

    repository: Repository
    ledger: Ledger
    intake: BulkIntake
    _sources: dict[str, dict[Key, str]] = field(default_factory=dict)

    def of(self, found: BulkRetrieved) -> Iterator[tuple[str, str, str]]:
        """(Task, digest of what is stored, digest of what is archived) of each member.

        The two are equal unless data was lost or changed. What members share stands last, under
        the batch's Task, and is compared by what this part brought of it.
        """
        with TemporaryDirectory(prefix="payer-exchange-") as name:
            archived, part = self._archived(found, Path(name))
        for number, member in enumerate(found.members):
            yield member.task_id, self._stored(member.task_id, part, number), _of(archived[number])
        shared = archived[EVERYBODY]
        yield found.batch_id, self._shared(part, shared), _of(shared)

    def _archived(
        self, found: BulkRetrieved, folder: Path
    ) -> tuple[dict[int, dict[str, str]], Part]:
        """What the archive holds of each owner: the digest of each "Type/id"."""
        for file in found.outputs:
            with (folder / file.name).open("wb") as stream:
                for piece in file_pieces(self.repository, found.batch_id, file):
                    stream.write(piece)
        sorting, part = self.intake.sort(found, folder)
        owners: dict[int, dict[str, str]] = {n: {} for n in range(EVERYBODY, len(part.members))}
        for number, file in enumerate(found.outputs):
            lines = zip(file_lines(folder / file.name), sorting.lines[number], strict=True)
            for body, owner in lines:
                if owner != UNKNOWN:
                    resource = normal(json.read_exact(body), part.origin(owner))
                    key = f"{resource['resourceType']}/{resource['id']}"
                    owners[owner][key] = resource_digest(resource)
        return owners, part

    def _stored(self, task_id: str, part: Part, owner: int) -> str:
        entries = list(self.ledger.of(task_id))
        return self._digest([entry.key for entry in entries], part, owner)

    def _shared(self, part: Part, keys: Iterable[str]) -> str:
        pairs = (key.split("/") for key in keys)
        local = [(kind, local_id(part.issuer, kind, ident)) for kind, ident in pairs]
        return self._digest(local, part, EVERYBODY)

    def _digest(self, keys: list[Key], part: Part, owner: int) -> str:
        sources = self._source_ids(part)
        found = {}
        for row in self.repository.by_keys(keys):
            resource = restore(json.read_exact(row.body), part.origin(owner), sources.get)
            found[f"{resource['resourceType']}/{resource['id']}"] = resource_digest(resource)
        return _of(found)

    def _source_ids(self, part: Part) -> dict[Key, str]:
        """The source id of each local (type, id) that the part's references may name."""
        if part.received not in self._sources:
            pairs = (key.split("/") for key in part.owners)
            self._sources = {part.received: {
                (kind, local_id(part.issuer, kind, ident)): ident for kind, ident in pairs
            }}  # fmt: skip
        return self._sources[part.received]


def _of(found: dict[str, str]) -> str:
    lines = sorted(f"{key} {digest}\n" for key, digest in found.items())
    return sha256("".join(lines).encode()).hexdigest()
