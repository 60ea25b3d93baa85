"""Whether received lines are what they claim to be, told at intake by the profile validator."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from ..fhir import json
from ..validation.findings import Finding
from ..validation.tables import standard
from ..validation.validator import Validator
from .crew import Block

# What does not conform is stored unseen; is stored and told; is set aside until somebody decides.
MODES = (OFF, REPORT, QUARANTINE) = ("off", "report", "quarantine")
# The record hangs on it: its references, its compartment and the link from the local Patient.
_NEVER_SET_ASIDE = frozenset({"Patient"})
# A resource that is wrong all over says enough by so many findings.
_MOST_FINDINGS = 20
# Checks are made when they are first needed, by whichever exchange is first.
_lock = threading.Lock()
Packages = tuple[str, ...]
Job = tuple[Packages, Block]


class Unfit(NamedTuple):
    """A line that has errors: how many lines of the block stand before it, and what was found."""

    before: int
    findings: str


class Checked(NamedTuple):
    """The lines of a block: how many, and those that have errors."""

    lines: int
    unfit: list[Unfit]


def check_block(job: Job) -> Checked:
    """Which lines of a block do not conform to the profiles they claim, or else to their type."""
    packages, block = job
    found, count = [], 0
    with _lock:
        validator = _validator(packages)
        for index, body in enumerate(block.lines()):
            count += 1
            if told := faults_of(validator, body):
                found.append(Unfit(index, as_text(told)))
    return Checked(count, found)


def faults_of(validator: Validator, body: bytes) -> list[Finding]:
    """The errors of one resource as bytes."""
    return [one for one in validator.validate_bytes(body) if one.severity == "error"]


def faults(packages: Packages, body: bytes) -> list[Finding]:
    """The errors of one resource as bytes, by the shipped tables and packages before them."""
    with _lock:
        return faults_of(_validator(packages), body)


def may_be_set_aside(kind: str) -> bool:
    """Whether a resource of a type can be left out of a record until somebody has looked at it."""
    return kind not in _NEVER_SET_ASIDE


def as_text(found: Iterable[Finding]) -> str:
    """Findings as they are kept: rules and places, and nothing that a record says."""
    told = [_told(one) for one in found]
    return json.write(told[:_MOST_FINDINGS]).decode()


def _told(one: Finding) -> dict[str, Any]:
    return {"id": one.id, "rule": one.rule, "path": one.path, "expected": one.expected,
            "actual": one.actual, "profile": one.profile}  # fmt: skip


@cache
def _validator(packages: Packages) -> Validator:
    """One a process: its checks are made once and kept."""
    return Validator(standard(tuple(map(Path, packages))))
