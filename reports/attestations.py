"""Attestations: what the wire cannot show, answered by people who name their evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

from ..reference.errors import SettingsError
from ..reference.toml_files import read_toml
from .catalogue import Requirement, catalogue, requirement
from .results import RequirementResult, Results

ATTESTATION = "needs-attestation"
_HEAD = """\
# What no exchange can show, for a {role}. Answer the questions that you can answer, and take the
# hash marks away: `met` true or false, the evidence where it can be looked up, who says so, when.
# An answer is reported as attested, never as passed. What is left out stays not tested.
"""
_QUESTION = """
# {summary}
# {strength}, {source}
# ["{id}"]
# met = true
# evidence = ""
# by = ""
# on = {today}
"""


@dataclass(frozen=True, slots=True)
class Attestation:
    """One answer."""

    met: bool
    evidence: str
    by: str
    on: date


def questions(actor: str = "") -> tuple[Requirement, ...]:
    """The rows of the catalogue that people have to answer, of an actor or of all."""
    return tuple(
        row
        for row in catalogue()
        if row.testable == ATTESTATION and (not actor or row.actor in (actor, "both"))
    )


def template(actor: str, today: date) -> str:
    """A file of questions to be answered, each with the requirement it is about."""
    asked = (
        _QUESTION.format(summary=row.summary, strength=row.strength, source=row.source, id=row.id,
                         today=today.isoformat())
        for row in questions(actor)
    )  # fmt: skip
    return _HEAD.format(role=f"{actor} payer" if actor else "payer") + "".join(asked)


def read_attestations(path: Path) -> dict[str, Attestation]:
    """The answers in a TOML file by requirement; raises SettingsError naming file and key."""
    content = read_toml(path, "The attestations file")
    return {ident: _answer(ident, entry, path) for ident, entry in content.items()}


def attested(results: Results, answers: Mapping[str, Attestation]) -> Results:
    """The results with the answers: attested where the requirement is met, else a failure."""
    rows = tuple(_answered(row, answers.get(row.id)) for row in results.requirements)
    return replace(results, requirements=rows)


def _answer(ident: str, entry: Any, path: Path) -> Attestation:
    row = requirement(ident)
    if row is None or row.testable != ATTESTATION:
        raise SettingsError(
            f"{path}: {ident} is no question. payer-exchange attestations writes all there are."
        )
    known = {"met": bool, "evidence": str, "by": str, "on": date}
    if not isinstance(entry, Mapping) or set(entry) - {f.name for f in fields(Attestation)}:
        raise SettingsError(f"{path}: [{ident}] has the keys {', '.join(known)}, and no others.")
    for key, kind in known.items():
        value = entry.get(key)
        if not isinstance(value, kind) or value == "":
            raise SettingsError(f"{path}: [{ident}] {key} is missing or of another type.")
    return Attestation(**entry)


def _answered(row: RequirementResult, answer: Attestation | None) -> RequirementResult:
    if answer is None or row.verdict != "not_tested":
        return row
    told = f"{answer.evidence} ({answer.by}, {answer.on.isoformat()})"
    if answer.met:
        return replace(row, verdict="attested", reason=told)
    hard = row.strength.startswith("SHALL")
    verdict = "fail" if hard else "warn"
    return replace(row, verdict=verdict, reason=f"It is said not to be met: {told}")
