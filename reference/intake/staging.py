"""Files as they arrive: written under another name, synced, renamed, and checked to be whole."""

from __future__ import annotations

import hashlib
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import ExportFailed
from ..fhir import json
from ..fhir.ndjson import file_lines

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One whole file in the staging folder; `role` is output, error or deleted."""

    name: str
    kind: str
    lines: int
    sha256: str
    role: str = "output"


@dataclass(frozen=True, slots=True)
class Retrieved:
    """All that came of one member, and where it came from."""

    task_id: str
    issuer: str
    source_base: str
    source_patient: str
    local_patient: str
    organization_id: str
    identifier_system: str
    received: str
    files: tuple[StagedFile, ...]

    def as_json(self) -> dict[str, Any]:
        """The same as plain objects, to be kept with the Task."""
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Retrieved:
        """What `as_json` gave."""
        files = tuple(StagedFile(**file) for file in content["files"])
        return cls(**{**content, "files": files})


class Staging:
    """The staging folder of one exchange."""

    def __init__(self, folder: Path, prefix: str = "") -> None:
        """`prefix` begins the names of the files, where one archive holds those of several."""
        self.folder = folder
        self._prefix = prefix
        self.files: list[StagedFile] = []
        folder.mkdir(parents=True, exist_ok=True)

    def take(
        self, kind: str, chunks: Iterable[bytes], *, count: int | None, role: str = "output"
    ) -> StagedFile:
        """The file, once all of it is on the disk.

        Raises ExportFailed when its last line is cut off or it has not the lines it was promised
        to have; nothing of it is left then.
        """
        name = f"{self._prefix}{len(self.files):04}-{kind}.ndjson"
        part = self.folder / f"{name}.part"
        digest = hashlib.sha256()
        try:
            with part.open("wb") as stream:
                for chunk in chunks:
                    digest.update(chunk)
                    stream.write(chunk)
                _settle(stream)
            lines = _counted(part, count)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        part.rename(self.folder / name)
        found = StagedFile(name, kind, lines, digest.hexdigest(), role)
        self.files.append(found)
        return found

    def path(self, file: StagedFile) -> Path:
        """Where a file lies."""
        return self.folder / file.name

    def clear(self) -> None:
        """Empty the folder, as before everything is fetched again."""
        self.discard()
        self.files = []
        self.folder.mkdir(parents=True)

    def discard(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)


class LineFiles:
    """Resources that come one by one, gathered into one NDJSON file a type."""

    def __init__(self, staging: Staging) -> None:
        self._staging = staging
        self._open: dict[str, IO[bytes]] = {}

    def add(self, resource: Mapping[str, Any]) -> None:
        """Write one resource, its decimals as they were read."""
        kind = str(resource.get("resourceType", "unknown"))
        kind = kind if kind.isalnum() else "unknown"
        if kind not in self._open:
            self._open[kind] = (self._staging.folder / f"{kind}.gathering").open("wb")
        self._open[kind].write(json.write(resource) + b"\n")

    def finish(self) -> None:
        """Hand every file to the staging folder."""
        for kind, stream in sorted(self._open.items()):
            stream.close()
            path = self._staging.folder / f"{kind}.gathering"
            self._staging.take(kind, _chunks(path), count=None)
            path.unlink()
        self._open = {}

    def close(self) -> None:
        """Close what is open without keeping it."""
        for stream in self._open.values():
            stream.close()


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    for chunk in _chunks(path):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk


def _settle(stream: IO[bytes]) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _counted(path: Path, promised: int | None) -> int:
    lines, last = 0, b""
    try:
        for line in file_lines(path):
            lines, last = lines + 1, line
    except (EOFError, OSError, zlib.error) as error:
        raise ExportFailed("A file of the export is compressed and breaks off.") from error
    if last and not _is_whole(path, last):
        raise ExportFailed("A file of the export breaks off in its last line.")
    if promised is not None and promised != lines:
        raise ExportFailed(
            f"A file of the export has {lines} lines, and the manifest promises {promised}."
        )
    return lines


def _is_whole(path: Path, last: bytes) -> bool:
    """Whether the last line is complete: it ends with a line end, or is JSON as it stands."""
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        if stream.read(1) == b"\n":
            return True
    try:
        json.read(last)
    except ValueError:
        return False
    return True
