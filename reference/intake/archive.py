"""The untouched originals: each file a Binary, each Binary inside a DocumentReference.

As the seed has it, the NDJSON is Base64 in `Binary.data`, and that Binary is Base64 again in
`DocumentReference.content.attachment.data`. The mode `binary` keeps the Binary beside and names it
by `attachment.url`: less than two thirds of the size.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from ..clock import instant
from ..fhir import json
from ..fhir.media import FHIR_NDJSON
from ..store.facts import stored
from ..store.repository import Repository
from .staging import Retrieved, StagedFile

MODES = ("seed", "binary")
# A file of an export of many members is archived in pieces of so many bytes.
PIECE = 4 << 20
# A multiple of three, so that pieces encoded one by one are the encoding of the whole.
_PIECE = 3 << 18


def papers(task_id: str) -> str:
    """The compartment of an exchange's own documents: nobody's record, so never exported."""
    return f"exchange.{task_id}"


def document_id(task_id: str, file: StagedFile) -> str:
    """The id of the DocumentReference that archives a file: the same whenever it is asked."""
    return document_of(task_id, file.name)


def document_of(task_id: str, name: str) -> str:
    """The same by the name of the file."""
    return "arc-" + hashlib.sha256(f"{task_id}/{name}".encode()).hexdigest()[:40]


def archive_file(
    repository: Repository,
    found: Retrieved,
    file: StagedFile,
    path: Path,
    *,
    mode: str,
    now: datetime,
    partial: bool = False,
) -> str:
    """Archive one file and return the id of its DocumentReference; one that is there is kept.

    A partial archive is what had arrived of an export that failed.
    """
    ident = document_id(found.task_id, file)
    if repository.get("DocumentReference", ident) is not None:
        return ident
    binary_id = ident.replace("arc-", "bin-")
    if mode == "binary":
        body = b"".join(_binary(binary_id, path))
        _put(repository, found, {"resourceType": "Binary", "id": binary_id}, body, now)
        attachment = b'{"contentType":"%b","url":"Binary/%b"}' % (
            FHIR_NDJSON.encode(), binary_id.encode())  # fmt: skip
    else:
        data = b"".join(_base64(_binary(binary_id, path)))
        attachment = b'{"contentType":"%b","data":"%b"}' % (FHIR_NDJSON.encode(), data)
    head = _document(ident, found, file, now, partial=partial)
    body = json.write(head)[:-1] + b',"content":[{"attachment":' + attachment + b"}]}"
    _put(repository, found, head, body, now)
    return ident


def archive_pieces(
    repository: Repository,
    found: Retrieved,
    file: StagedFile,
    path: Path,
    *,
    mode: str,
    now: datetime,
    partial: bool = False,
) -> int:
    """Archive one file, a large one in pieces that follow each other; returns how many.

    The pieces together are the file byte for byte, and memory does not grow with it.
    """
    size = path.stat().st_size
    starts = range(0, size, PIECE) or range(1)
    for number, start in enumerate(starts):
        part = replace(file, name=piece_name(file, number))
        held = path.parent / f"{part.name}.piece"
        with path.open("rb") as whole, held.open("wb") as piece:
            whole.seek(start)
            piece.write(whole.read(PIECE))
        archive_file(repository, found, part, held, mode=mode, now=now, partial=partial)
        held.unlink()
    return len(starts)


def piece_name(file: StagedFile, number: int) -> str:
    """The name of a piece of a file; the first has the file's own."""
    return f"{file.name}.{number}" if number else file.name


def file_pieces(repository: Repository, task_id: str, file: StagedFile) -> Iterator[bytes]:
    """The bytes of an archived file, piece by piece."""
    for number in count():
        ident = document_id(task_id, replace(file, name=piece_name(file, number)))
        if repository.get("DocumentReference", ident) is None:
            return
        yield archived_bytes(repository, ident)


def archived_bytes(repository: Repository, document: str) -> bytes:
    """The bytes of the file that a DocumentReference archives, in either mode."""
    row = repository.get("DocumentReference", document)
    assert row is not None, "a Task names only documents that are stored"
    attachment = json.read(row.body)["content"][0]["attachment"]
    if "data" in attachment:
        binary = json.read(base64.b64decode(attachment["data"]))
    else:
        kept = repository.get("Binary", attachment["url"].partition("/")[2])
        assert kept is not None, "the Binary is stored before its document"
        binary = json.read(kept.body)
    return base64.b64decode(binary["data"])


def _document(
    ident: str, found: Retrieved, file: StagedFile, now: datetime, *, partial: bool
) -> dict[str, Any]:
    what = "Problems reported with an export" if file.role == "error" else file.kind
    head: dict[str, Any] = {
        "resourceType": "DocumentReference",
        "id": ident,
        "meta": {"lastUpdated": instant(now)},
        "status": "current",
        "date": found.received,
        "custodian": {"reference": f"Organization/{found.organization_id}"},
        "description": f"{what} as received, NDJSON",
        "context": {"related": [{"reference": f"Task/{found.task_id}"}]},
    }
    if partial:
        head["docStatus"] = "preliminary"
        head["description"] += "; partial: the export failed and nothing of it was imported"
    return head


def _put(
    repository: Repository, found: Retrieved, head: dict[str, Any], body: bytes, now: datetime
) -> None:
    row = stored({"resourceType": head["resourceType"], "id": head["id"]}, body, now=now)
    repository.put_many([replace(row, compartment=papers(found.task_id), references=())])


def _binary(ident: str, path: Path) -> Iterator[bytes]:
    """A Binary resource in pieces, so that only the last encoding is ever held as a whole."""
    head = {"resourceType": "Binary", "id": ident, "contentType": FHIR_NDJSON}
    yield json.write(head)[:-1] + b',"data":"'
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield base64.b64encode(piece)
    yield b'"}'


def _base64(pieces: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for piece in pieces:
        rest += piece
        whole = len(rest) - len(rest) % 3
        yield base64.b64encode(rest[:whole])
        rest = rest[whole:]
    yield base64.b64encode(rest)
