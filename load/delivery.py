"""What a journey has brought: counted, and of a sample kept to be compared and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from ..reference.fhir import json
from .sampling import MOST_JUDGED, Key


@dataclass(slots=True)
class Delivery:
    """What has arrived so far, counted; keys and resources only when they are to be compared."""

    sampled: bool
    octets: int = 0
    resources: int = 0
    keys: set[str] = field(default_factory=set)
    found: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    """The resources of a sampled delivery, as long as they are few enough to be judged."""
    kept: list[bytes] | None = None

    def take(self, line: bytes) -> None:
        """Count one line, and keep its key in a sampled delivery."""
        self.resources += 1
        if self.kept is not None:
            self.kept.append(line)
        if self.sampled:
            self.keep(json.read(line))

    def keep(self, resource: Any) -> None:
        """Remember a resource of a sampled delivery, to be compared and judged."""
        key = key_of(resource)
        self.keys.add(key)
        if key and len(self.keys) <= MOST_JUDGED:
            kind, _, ident = key.partition("/")
            self.found[kind, ident] = resource

    @property
    def judged(self) -> dict[Key, Mapping[str, Any]]:
        """All resources, where the delivery is small enough for them to be judged; else none."""
        return self.found if len(self.found) == len(self.keys - {""}) else {}

    def add(self, other: Delivery) -> None:
        """Count another delivery with this one."""
        self.octets += other.octets
        self.resources += other.resources
        self.keys |= other.keys
        if len(self.keys) <= MOST_JUDGED:
            self.found |= other.found
        else:
            self.found.clear()
        if self.kept is not None:
            self.kept += other.kept or ()


def key_of(resource: Any) -> str:
    """`Type/id` of a resource; empty when it is none."""
    if not isinstance(resource, Mapping):
        return ""
    return f"{resource.get('resourceType')}/{resource.get('id')}"


def since(started: float) -> float:
    """Milliseconds since a moment of `perf_counter`."""
    return (perf_counter() - started) * 1000
