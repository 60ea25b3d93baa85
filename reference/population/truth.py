"""The truth table: what is held of whom, what may leave, and what each request must come to."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from ..loaded_elements import LoadedElements
from .chart import Entry, iso
from .named import NAMED, SPECIAL
from .requests import match_requests

if TYPE_CHECKING:
    from .people import Person
    from .population import Population

SCHEMA = "payer-exchange/members/1"
# Beyond this a member is told in counts and a digest: a hot spot would be a file of its own.
_MOST_TOLD = 5_000


def truth_table(
    population: Population,
    responding_payer: dict[str, Any],
    requesting_payer: dict[str, Any],
    detail: int,
) -> dict[str, Any]:
    """Return members.json as one value."""
    told = max(SPECIAL, detail)
    return {
        **table_head(population, responding_payer, requesting_payer),
        "members": [
            member_truth(population, index, told=index < told)
            for index in range(population.members)
        ],
        "requests": match_requests(population, responding_payer),
    }


def table_head(
    population: Population,
    responding_payer: dict[str, Any],
    requesting_payer: dict[str, Any],
) -> dict[str, Any]:
    """Return what stands above the members."""
    return {
        "schema": SCHEMA,
        "seed": population.seed,
        "as_of": population.as_of.isoformat(),
        "responding_payer": responding_payer,
        "requesting_payer": requesting_payer,
    }


def member_truth(population: Population, index: int, *, told: bool) -> dict[str, Any]:
    """Return one member of the table, each resource told or only counted."""
    member = MemberTruth(told=told)
    for entry in population.entries(index):
        member.see(entry)
    return member.told_of(population.person(index))


class MemberTruth:
    """Gathers the truth of one member while the entries pass by."""

    def __init__(self, *, told: bool) -> None:
        self.patient: dict[str, Any] = {}
        self.coverages: list[dict[str, Any]] = []
        self._told = told
        self._counts: dict[str, int] = {}
        self._resources: dict[str, dict[str, Any]] = {}
        self._elements = LoadedElements()
        self._digest = sha256()

    def see(self, entry: Entry) -> None:
        """Take one entry into account."""
        self._counts[entry.kind] = self._counts.get(entry.kind, 0) + 1
        self._digest.update(entry.body + b"\n")
        if entry.kind == "Patient":
            self.patient = orjson.loads(entry.body)
        elif entry.kind == "Coverage":
            self.coverages.append(orjson.loads(entry.body))
        if self._told and len(self._resources) < _MOST_TOLD:
            self._resources[f"{entry.kind}/{entry.id}"] = self._resource(entry)

    def told_of(self, person: Person) -> dict[str, Any]:
        """Return the member's row once every entry has been seen."""
        named = person.index < SPECIAL
        return {
            "key": person.key,
            "index": person.index,
            "patient_id": person.patient_id,
            "patient": self.patient,
            "coverages": self.coverages,
            "purpose": NAMED[person.index].purpose if named else "One of many.",
            "plain": not named,
            "record": self._record(),
        }

    def _record(self) -> dict[str, Any]:
        """Return counts and digest, and each resource where they are few enough to tell."""
        counts = dict(sorted(self._counts.items()))
        record: dict[str, Any] = {"counts": counts, "sha256": self._digest.hexdigest()}
        if self._told and len(self._resources) < _MOST_TOLD:
            record["resources"] = self._resources
            record["elements"] = self._elements.told()
        return record

    def _resource(self, entry: Entry) -> dict[str, Any]:
        elements = self._elements.add(orjson.loads(entry.body), entry.expect)
        return {**_resource_truth(entry), "elements": elements}


def _resource_truth(entry: Entry) -> dict[str, Any]:
    return {
        "sha256": sha256(entry.body).hexdigest(),
        "expect": entry.expect,
        "reason": entry.reason,
        "service_date": iso(entry.served) if entry.served else None,
        "last_updated": entry.updated,
        "prior_authorization": "-pa-" in entry.id and entry.kind == "ExplanationOfBenefit",
    }
