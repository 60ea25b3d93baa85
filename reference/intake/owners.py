"""Whose each received line is, where files hold many members' resources mixed.

A line is a member's by the Patient it is about. What names no Patient is found by what it points at
(a Provenance by its targets), else by what points at it (a Binary by its document). What leads to
several members, or is of a type that members share, belongs to none of them and is stored once.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import RecordRejected
from ..fhir import json
from ..fhir.references import binary_urls, patient_of, references_in
from .reading import FOREIGN, NOT_CONFORMING, SHARED, TWICE, line_fault, read_resource
from .transform import own_key

# Owners are numbers of members; these stand for what has none.
EVERYBODY, UNKNOWN, NOBODY = -1, -2, -3
UNOWNED = "A resource names no member, and nothing of one member leads to it."
# One sorted line: its "Type/id", its owner, its fault, and the keys that may tell an unknown owner.
Sorted = tuple[str, int, str, tuple[str, ...]]
Place = tuple[int, int]


def sort_line(body: bytes, kind: str, members: Mapping[str, int], base: str) -> Sorted:
    """Whose a line of a file of a type is, as far as the line itself tells."""
    try:
        resource = read_resource(body)
    except RecordRejected as error:
        return "", NOBODY, str(error), ()
    key = f"{resource['resourceType']}/{resource['id']}"
    fault, patient = line_fault(resource, kind), patient_of(resource)
    if patient:
        owner = members.get(patient, NOBODY)
        if owner == NOBODY:
            return key, NOBODY, fault if resource["resourceType"] != kind else FOREIGN, ()
        return key, EVERYBODY if kind in SHARED else owner, fault, ()
    if kind in SHARED or fault:
        return key, EVERYBODY if kind in SHARED else NOBODY, fault, ()
    return key, UNKNOWN, "", tuple(_leads(resource, base))


def _leads(resource: Mapping[str, Any], base: str) -> list[str]:
    """The keys that a resource without a Patient points at; of a Provenance only its targets."""
    part = resource.get("target") if resource["resourceType"] == "Provenance" else resource
    keys = (own_key(text, base) for text in (*references_in(part), *binary_urls(resource)))
    return ["/".join(key) for key in keys if key]


@dataclass(slots=True)
class Sorting:
    """The owner of every received key and of every line, and why lines are turned away."""

    owners: dict[str, int] = field(default_factory=dict)
    lines: list[array[int]] = field(default_factory=list)
    """By file, the owner of each line; UNKNOWN for those with a fault."""
    counts: list[list[int]] = field(default_factory=list)
    """By file, how many lines came at a time."""
    faults: dict[Place, tuple[str, int]] = field(default_factory=dict)
    _open: dict[str, tuple[Place, tuple[str, ...]]] = field(default_factory=dict)
    _unfit: Collection[int] = ()
    _aside: dict[Place, str] = field(default_factory=dict)

    def begin(self, unfit: Collection[int] = ()) -> None:
        """A new file comes; `unfit` has the numbers of its lines that are to be set aside."""
        self.lines.append(array("i"))
        self.counts.append([])
        self._unfit = unfit

    def take(self, lines: Iterable[Sorted]) -> None:
        """Add lines of the file that has begun."""
        here, before = self.lines[-1], len(self.lines[-1])
        for key, owner, fault, leads in lines:
            place = (len(self.lines) - 1, len(here))
            twice = TWICE if key in self.owners or key in self._open else ""
            here.append(UNKNOWN if fault or twice else owner)
            if fault or twice:
                self.faults[place] = fault or twice, owner
                continue
            if len(here) in self._unfit:
                self._aside[place] = key
            if owner == UNKNOWN:
                self._open[key] = place, leads
            else:
                self.owners[key] = owner
        self.counts[-1].append(len(here) - before)

    def follow(self) -> re.Pattern[bytes] | None:
        """Give owners to what leads to them; returns what to look for to find the rest.

        That is a pattern of the keys that may point at what still has no owner, or None.
        """
        while found := {key: o for key, (_, leads) in self._open.items()
                        if (o := self._led(leads)) != UNKNOWN}:  # fmt: skip
            self._settle(found)
        if not self._open:
            return None
        kinds = "|".join(sorted({key.partition("/")[0] for key in self._open}))
        return re.compile(rf'"(?:[^"\\]*/)?((?:{kinds})/[A-Za-z0-9.-]{{1,64}})"'.encode())

    def finish(self, referrers: Mapping[str, set[int]]) -> None:
        """Give owners to what was pointed at, and turn away what nothing leads to."""
        self._settle({key: _one(referrers[key]) for key in self._open if referrers.get(key)})
        self.follow()
        for place, _ in self._open.values():
            self.faults[place] = UNOWNED, NOBODY
        self._open.clear()

    def set_aside(self) -> None:
        """Turn away what does not conform, now that it is known whose it is."""
        for (file, line), key in self._aside.items():
            owner = self.lines[file][line]
            if owner != UNKNOWN:
                self.faults[file, line] = NOT_CONFORMING, owner
                self.lines[file][line] = UNKNOWN
                del self.owners[key]

    def is_open(self, key: str) -> bool:
        """Whether a received key has no owner yet."""
        return key in self._open

    def _led(self, leads: tuple[str, ...]) -> int:
        owners = {self.owners[key] for key in leads if key in self.owners}
        return _one(owners - {EVERYBODY})

    def _settle(self, found: Mapping[str, int]) -> None:
        for key, owner in found.items():
            (file, line), _ = self._open.pop(key)
            self.owners[key] = self.lines[file][line] = owner


def pointed_at(body: bytes, pattern: re.Pattern[bytes]) -> list[str]:
    """The keys in a line that a pattern looks for."""
    plain = json.write(json.read(body)) if b"\\/" in body else body
    return [text.decode() for text in pattern.findall(plain)]


def _one(owners: set[int]) -> int:
    """The only owner; EVERYBODY for several, UNKNOWN for none."""
    if not owners:
        return UNKNOWN
    return next(iter(owners)) if len(owners) == 1 else EVERYBODY
