"""FHIR packages as they are published: a .tgz, a folder, or a folder of a FHIR package cache."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import PayerExchangeError

_KINDS = ("StructureDefinition", "ValueSet", "CodeSystem", "Questionnaire")
# No published package comes near; an archive that unpacks to more is no package.
_MOST_BYTES = 400_000_000


# The packages of the shipped tables, in the order of their rows.
SHIPPED = (
    "hl7.fhir.r4.core-4.0.1",
    "hl7.fhir.us.core-3.1.1",
    "hl7.fhir.us.core-6.1.0",
    "hl7.fhir.us.core-7.0.0",
    "hl7.fhir.us.davinci-hrex-1.1.0",
    "hl7.fhir.us.davinci-hrex-1.2.0",
    "hl7.fhir.us.carin-bb-2.0.0",
    "hl7.fhir.us.carin-bb-2.1.0",
    "hl7.fhir.us.carin-bb-2.2.0",
    "hl7.fhir.us.davinci-pdex-2.0.0",
    "hl7.fhir.us.davinci-pdex-2.1.0",
    "hl7.fhir.us.davinci-pdex-2.2.0",
    "hl7.fhir.us.davinci-pas-2.0.1",
    "hl7.fhir.us.davinci-pas-2.2.1",
)


class UnreadablePackage(PayerExchangeError):
    """The file is no FHIR package. The sentence names it and says what to give instead."""


@dataclass(frozen=True)
class Package:
    """What a package defines, and which package that is."""

    name: str
    version: str
    sha256: str
    depends: dict[str, str]
    resources: list[dict[str, Any]]

    @property
    def label(self) -> str:
        """The name and the version, as FHIR writes them."""
        return f"{self.name}#{self.version}"


def read_package(path: Path) -> Package:
    """A package from a .tgz or a folder. Raises UnreadablePackage."""
    try:
        return _read(path)
    except (OSError, ValueError, EOFError, zlib.error, tarfile.TarError) as error:
        raise UnreadablePackage(
            f"{path} is not a FHIR package. Give a .tgz as published, or a folder with its files."
        ) from error


def _read(path: Path) -> Package:
    digest = hashlib.sha256()
    about: dict[str, Any] = {}
    resources = []
    for name, content in _files(path, digest):
        value = json.loads(content)
        if not isinstance(value, dict):
            continue
        if name == "package.json":
            about = value
        elif value.get("resourceType") in _KINDS and isinstance(value.get("url"), str):
            resources.append(value)
    if not about and not resources:
        raise ValueError("nothing of a package inside")
    return Package(
        str(about.get("name") or path.name),
        str(about.get("version") or "0"),
        digest.hexdigest(),
        dict(about.get("dependencies") or {}),
        resources,
    )


def _files(path: Path, digest: Any) -> Iterator[tuple[str, bytes]]:
    if path.is_dir():
        yield from _in_folder(path, digest)
        return
    content = path.read_bytes()
    digest.update(content)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        left = _MOST_BYTES
        for member in archive:
            left -= member.size
            if left < 0:
                raise ValueError("too large")
            if member.isfile() and _is_definition(PurePosixPath(member.name)):
                opened = archive.extractfile(member)
                yield PurePosixPath(member.name).name, opened.read() if opened else b""


def _in_folder(path: Path, digest: Any) -> Iterator[tuple[str, bytes]]:
    inner = path / "package"
    for file in sorted((inner if inner.is_dir() else path).glob("*.json")):
        if not file.name.startswith("."):
            content = file.read_bytes()
            digest.update(file.name.encode() + b"\0" + content)
            yield file.name, content


def _is_definition(name: PurePosixPath) -> bool:
    return (
        name.suffix == ".json"
        and not name.name.startswith(".")
        and len(name.parts) <= 2
        and name.parts[0] in ("package", name.name)
    )
