"""Many members in one batch: opt-ins, bulk match, one export a Group, and the proof that it fits.

What must come of it is told by the population that both payers' members were made from: who is
matched, with whom, and that no line of one member's record lies in another's.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from typing import Any

from rich.console import Console

from ..reference.intake.conformance import OFF
from ..reference.intake.quarantine import Quarantine
from ..reference.intake.transform import local_id
from ..reference.population.population import Population
from ..reference.requesting.batches import MATCHED, NO_MATCH
from ..reference.store.repository import Selection
from ..simulators.assembly import RunningResponder
from ..simulators.requesting_assembly import (
    Joiner,
    RunningRequester,
    joiners,
    keep_joiners,
    registration_of,
    strangers,
)

_PORTION = 500
_NAMED_AT_MOST = 5
# What each resource of the population carries: the id of the one member it is about.
_MARKER = re.compile(rb"\bm\d{7}\b")
_OPT_INS = {"resourceType": "Parameters",
            "parameter": [{"name": "optIns", "valueBoolean": True}]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """The responding payer of a batch, which may run in another process."""

    fhir_base: str
    registration: Mapping[str, Any] = field(repr=False)
    """The document by which the requesting payer knows it."""
    truth: Callable[[], dict[str, Any]]
    population: Population | None
    """What its members were made from; None: they are somebody's own."""

    @classmethod
    def of(cls, responder: RunningResponder, auth: str) -> Source:
        """One that runs in this process."""
        registration = registration_of(responder, auth)
        return cls(responder.fhir_base, registration, responder.truth, responder.population)


@dataclass(slots=True)
class Proof:
    """What came of a batch, against what must come of it."""

    members: int
    batch: str
    """The id of its Task."""
    summary: dict[str, Any]
    wrong_outcomes: Counter[str] = field(default_factory=Counter)
    unequal_digests: int = 0
    foreign_markers: int = 0
    markers: int = 0
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether every member came to what the truth table says, whole and unmixed."""
        return not (self.wrong_outcomes or self.unequal_digests or self.foreign_markers
                    or self.summary["turned_away"] or self.summary["problems"])  # fmt: skip


def move_many(source: Source, requester: RunningRequester, members: int, console: Console) -> Proof:
    """Let members join in one batch, strangers among them, and check what came of it."""
    payer = requester.payer
    today = payer.clock.now().date()
    payer.register(source.registration)
    expected: dict[str, str] = {}
    with _step(console, "opt-in", f"{members:,} members and some strangers opt in"):
        for some in _portions(_joiners(source, members, today)):
            keep_joiners(payer, (joiner for joiner, _ in some))
            payer.opt_ins.record_many([joiner.event for joiner, _ in some])
            expected |= {joiner.local_patient: key for joiner, key in some}
    started = time.monotonic()
    with _step(console, "batch", "matched, exported, received and stored in"):
        batch = str(payer.invoke_bulk_export(_OPT_INS)["id"])
        payer.wait(batch)
    proof = Proof(len(expected), batch, payer.batch_summary(batch),
                  seconds=time.monotonic() - started)  # fmt: skip
    with _step(console, "proof", "every member, every digest and every marker was looked at"):
        owners = _check_outcomes(requester, batch, expected, proof)
        proof.unequal_digests = sum(1 for _, a, b in payer.batch_digests(batch) if a != b)
        if source.population is not None:
            _check_markers(requester, source.fhir_base, owners, proof)
    return proof


def tell(proof: Proof, console: Console) -> None:
    """Say what was received, what was stored, and what the proof came to."""
    told = proof.summary
    outcomes = ", ".join(f"{n:,} {name}" for name, n in told["outcomes"].items() if n)
    rate = told["received"] / proof.seconds if proof.seconds else 0
    console.print(f"Members: {proof.members:,}; {outcomes}.", highlight=False)
    console.print(f"Resources: {told['received']:,} received, {told['stored']:,} stored in "
                  f"{proof.seconds:.1f} s ({rate:,.0f}/s).", highlight=False)  # fmt: skip
    for reason, count in told["turned_away"].items():
        console.print(f"Turned away: {count:,} lines. {reason}", highlight=False)
    for what, count in proof.wrong_outcomes.items():
        console.print(f"[red]{count:,} members: {what}.[/red]", highlight=False)
    markers = (
        f"Markers: {proof.markers:,} seen, {proof.foreign_markers:,} of another member."
        if proof.markers
        else "What was loaded carries no markers to look for."
    )
    console.print(f"Digests: {proof.unequal_digests:,} unequal. {markers}", highlight=False)


def tell_nonconforming(quarantine: Quarantine, console: Console) -> None:
    """Say how many resources do not conform, what became of them, and which rules they break."""
    if quarantine.mode == OFF:
        return
    found = quarantine.of()
    states = Counter(line.state for line in found)
    told = ", ".join(f"{n:,} {state}" for state, n in sorted(states.items())) or "none"
    console.print(f"Resources that do not conform to their profile: {told}.", highlight=False)
    rules = Counter((f["rule"], f["path"]) for line in found for f in line.as_json()["findings"])
    for (rule, path), count in rules.most_common(_NAMED_AT_MOST):
        console.print(f"  {count:,} x {rule} at {path}", highlight=False)


def _joiners(source: Source, members: int, today: date) -> Iterator[tuple[Joiner, str]]:
    """Each who joins, and the member they must be matched with; strangers with nobody."""
    population = source.population
    if population is None:
        truth = source.truth()
        ids = {m["key"]: m["patient_id"] for m in truth["members"]}
        for joiner in joiners(truth, today):
            yield joiner, ids[joiner.key]
        return
    for number, person in enumerate(islice(population.people(), members), 1):
        told = {"key": person.key, "patient": person.patient(),
                "coverages": person.coverage_dicts()}  # fmt: skip
        for joiner in joiners({"members": [told]}, today, first=number):
            yield joiner, person.patient_id
    for joiner in strangers(max(1, members // 100), today, first=members + 1):
        yield joiner, ""


def _check_outcomes(
    requester: RunningRequester, batch: str, expected: dict[str, str], proof: Proof
) -> dict[str, bytes]:
    """Count the members whose outcome is another than it must be; {imported Patient: marker}."""
    owners: dict[str, bytes] = {}
    missing = set(expected)
    for some in requester.payer.batches.members(batch):
        for member in some:
            missing.discard(member.local_patient)
            wanted = expected.get(member.local_patient, "")
            found = (member.outcome, member.source_patient if member.outcome == MATCHED else "")
            if found != ((MATCHED, wanted) if wanted else (NO_MATCH, "")):
                right = "matched" if wanted else "no match"
                proof.wrong_outcomes[f"{member.outcome or 'nothing'} instead of {right}"] += 1
            owners[member.source_patient] = member.source_patient.encode()
    if missing:
        proof.wrong_outcomes["no Task"] += len(missing)
    return owners


def _check_markers(
    requester: RunningRequester, issuer: str, owners: dict[str, bytes], proof: Proof
) -> None:
    """Every stored resource names the one member in whose compartment it lies."""
    compartments = {local_id(issuer, "Patient", ident): marker for ident, marker in owners.items()}
    for row in requester.payer.repository.rows(Selection()):
        own = compartments.get(row.compartment)
        if own is None:
            continue
        found = set(_MARKER.findall(row.body))
        proof.markers += len(found)
        proof.foreign_markers += len(found - {own})


def _portions(found: Iterator[tuple[Joiner, str]]) -> Iterator[list[tuple[Joiner, str]]]:
    portion: list[tuple[Joiner, str]] = []
    for joiner in found:
        portion.append(joiner)
        if len(portion) == _PORTION:
            yield portion
            portion = []
    if portion:
        yield portion


@contextmanager
def _step(console: Console, name: str, text: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(f"{name} ..."):
        yield
    console.print(f"  {name:14} [green]done[/green]  {text} "
                  f"[dim]{time.monotonic() - started:.1f} s[/dim]", highlight=False)  # fmt: skip
