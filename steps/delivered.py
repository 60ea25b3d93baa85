"""What an export brought: its kick-off, its polls, its manifest, and every file with its lines."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..reference.http import Exchange
from ..reference.target import ExportResult
from .verdicts import CannotTell


@dataclass(frozen=True)
class DeliveredFile:
    """One downloaded file of an export."""

    type: str
    url: str
    count: int | None
    exchange: Exchange
    lines: tuple[bytes, ...]
    raw_ends_with_newline: bool
    has_carriage_return: bool
    failure: str = ""

    @cached_property
    def resources(self) -> list[dict[str, Any]]:
        """The lines as resources, read once; a line that is no JSON object is left out."""
        return [r for r in map(_resource, self.lines) if r is not None]


@dataclass(slots=True)
class Export:
    """One export from its kick-off to its last byte."""

    kick_off: Exchange
    polls: list[Exchange] = field(default_factory=list)
    result: ExportResult | None = None
    files: list[DeliveredFile] = field(default_factory=list)
    failure: str = ""

    @property
    def manifest(self) -> Mapping[str, Any]:
        """The manifest; raises CannotTell when there is none."""
        if self.result is None:
            raise CannotTell(self.failure or "The export came to no manifest.")
        return self.result.manifest

    @property
    def last_poll(self) -> Exchange:
        """The answer that brought the manifest; raises CannotTell when none did."""
        if self.result is None or not self.polls:
            raise CannotTell(self.failure or "The export came to no manifest.")
        return self.polls[-1]

    def resources(self, *types: str) -> Iterator[dict[str, Any]]:
        """The delivered resources, of the types given or all; error files are left out."""
        for file in self.files:
            if file.type != "OperationOutcome":
                for resource in file.resources:
                    if not types or resource.get("resourceType") in types:
                        yield resource


def export_parameters(options: Mapping[str, str]) -> dict[str, Any]:
    """The Parameters body of a kick-off."""
    entries = [
        {"name": name, **_value(name, value)}
        for name, text in options.items()
        # A semicolon stands for the same parameter once more.
        for value in text.split(";")
    ]
    return {"resourceType": "Parameters", **({"parameter": entries} if entries else {})}


def _value(name: str, value: str) -> dict[str, Any]:
    if name == "patient":
        return {"valueReference": {"reference": value}}
    if value in ("true", "false"):
        return {"valueBoolean": value == "true"}
    return {"valueInstant" if name in ("_since", "_until") else "valueString": value}


def entries_in(manifest: Mapping[str, Any], section: str) -> list[Mapping[str, Any]]:
    """The objects in a list of a JSON object; empty when there is no such list."""
    found = manifest.get(section)
    return [e for e in found if isinstance(e, Mapping)] if isinstance(found, list) else []


def _resource(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
