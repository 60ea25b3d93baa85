"""What a validation found, said so that two runs can be compared and no member is named."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .primitives import NAMES

SEVERITIES = ("error", "warning", "information")
_PLACES = 10
_INDEX = re.compile(r"/\d+(?=/|$)")
_CHOICES = [
    "value",
    "effective",
    "onset",
    "abatement",
    "deceased",
    "multipleBirth",
    "medication",
    "occurrence",
    "performed",
    "serviced",
    "timing",
    "allowed",
    "product",
    "diagnosis",
    "procedure",
    "location",
    "reported",
    "asNeeded",
    "rate",
    "dose",
    "scheduled",
    "event",
    "subject",
    "item",
    "entity",
    "characteristic",
    "source",
    "target",
    "due",
    "start",
    "born",
    "age",
    "defaultValue",
    "fixed",
    "pattern",
    "minValue",
    "maxValue",
    "author",
    "content",
    "detail",
    "statusReason",
    "used",
    "amount",
    "time",
    "collected",
    "fastingStatus",
    "additive",
    "identified",
]
_CHOICE = re.compile(rf"^({'|'.join(_CHOICES)})([A-Z]\w*)$")


@dataclass(frozen=True, slots=True)
class Finding:
    """One defect at one place. `expected` and `actual` name kinds and rules, never a value."""

    severity: str
    rule: str
    pointer: str
    type: str
    expected: str
    actual: str
    profile: str

    @property
    def path(self) -> str:
        """The place in FHIRPath, from the resource's type."""
        return self.type + "".join(_step(part) for part in self.pointer.split("/")[1:])

    @property
    def id(self) -> str:
        """The same for the same defect of the same element, in every resource and every run."""
        element = self.type + _INDEX.sub("", self.pointer)
        told = f"{self.severity}\n{self.rule}\n{element}\n{self.expected}\n{self.profile}"
        return hashlib.sha256(told.encode()).hexdigest()[:12]

    @property
    def sentence(self) -> str:
        """One plain sentence."""
        return f"{self.path} should be {self.expected}, but there is {self.actual}."


def _step(part: str) -> str:
    if part.isdigit():
        return f"[{part}]"
    choice = _CHOICE.match(part)
    if not choice:
        return f".{part.removeprefix('_')}"
    # Primitive types have small letters in FHIRPath, as in FHIR.
    small = choice[2][0].lower() + choice[2][1:]
    return f".{choice[1]}.ofType({small if small in NAMES else choice[2]})"


@dataclass
class Group:
    """The same finding at many places."""

    finding: Finding
    count: int = 0
    places: list[str] = field(default_factory=list)


class Tally:
    """Findings gathered: one entry a finding, with its count and its first ten places."""

    def __init__(self) -> None:
        self.groups: dict[str, Group] = {}

    def add(self, finding: Finding, place: str, count: int = 1) -> None:
        """Count a finding; `place` says which line of which file."""
        group = self.groups.setdefault(finding.id, Group(finding))
        group.count += count
        if len(group.places) < _PLACES:
            group.places.append(place + finding.pointer)

    def merge(self, others: Iterable[Group]) -> None:
        """Add what another process gathered, in its order."""
        for other in others:
            group = self.groups.setdefault(other.finding.id, Group(other.finding))
            group.count += other.count
            group.places += other.places[: _PLACES - len(group.places)]

    def sorted(self) -> list[Group]:
        """The worst first, then by element and rule."""
        return sorted(
            self.groups.values(),
            key=lambda g: (SEVERITIES.index(g.finding.severity), g.finding.path, g.finding.rule),
        )

    def count(self, severity: str) -> int:
        """How many places have findings of a severity."""
        return sum(g.count for g in self.groups.values() if g.finding.severity == severity)


def as_json(group: Group) -> dict[str, Any]:
    """A group as it stands in the report."""
    found = group.finding
    return {
        "id": found.id,
        "severity": found.severity,
        "rule": found.rule,
        "path": found.path,
        "pointer": found.pointer,
        "expected": found.expected,
        "actual": found.actual,
        "profile": found.profile,
        "sentence": found.sentence,
        "count": group.count,
        "places": group.places,
    }
