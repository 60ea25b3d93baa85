"""The requesting payer's own records beside the imported ones, and what of both may leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..clock import Clock
from ..errors import BadRequest
from ..fhir import json
from ..fhir.search import Condition, condition
from ..intake.archive import papers
from ..intake.ledger import Ledger
from ..parties import PayerIdentity
from ..registration.servers import ServerRegistry
from ..store.facts import stored, stored_line
from ..store.repository import Repository, Row, Selection


class Records:
    """Local and imported records of one requesting payer, apart from each other."""

    def __init__(
        self, repository: Repository, ledger: Ledger, servers: ServerRegistry, clock: Clock
    ) -> None:
        self.repository = repository
        self._ledger = ledger
        self._servers = servers
        self._clock = clock

    def keep_local(self, lines: Iterable[bytes]) -> int:
        """Store this payer's own resources, as they are; returns how many.

        Raises RecordRejected for one that cannot be stored; then none is.
        """
        now = self._clock.now()
        return self.repository.put_many([stored_line(line, now=now) for line in lines])

    def keep(self, resource: Mapping[str, Any], compartment: str | None = None) -> None:
        """Store one resource, in a compartment of its own if one is named."""
        row = stored(resource, json.write(resource), now=self._clock.now())
        if compartment is not None:
            row = replace(row, compartment=compartment, references=())
        self.repository.put_many([row])

    def keep_consents(self, consents: Iterable[tuple[Mapping[str, Any], str, str]]) -> None:
        """Store the Consent of each (Consent, Task, local Patient) with the papers of the Task."""
        now, rows = self._clock.now(), []
        for consent, task_id, patient in consents:
            own = {**consent, "id": task_id, "patient": {"reference": f"Patient/{patient}"}}
            row = stored(own, json.write(own), now=now)
            rows.append(replace(row, compartment=papers(task_id), references=()))
        self.repository.put_many(rows)

    def read(self, kind: str, ident: str) -> Row:
        """The resource; raises BadRequest 404 when there is none."""
        row = self.repository.get(kind, ident)
        if row is None:
            raise BadRequest("There is no such resource.", status=404, code="not-found")
        return row

    def search(self, kind: str, pairs: Sequence[tuple[str, str]]) -> list[Row]:
        """The resources of a type, or of any when `kind` is empty, that meet all conditions.

        Raises BadRequest for a parameter the type does not have.
        """
        conditions = [_known(kind, name, value) for name, value in pairs]
        selection = Selection(types=[kind] if kind else None)
        return [
            row
            for row in self.repository.rows(selection)
            if all(c.holds(json.read(row.body)) for c in conditions)
        ]

    def everything(self, patient: str) -> Iterator[Row]:
        """One Patient's compartment and what it shares with others; nothing that is linked.

        Raises BadRequest 404 for a Patient that is not there.
        """
        self.read("Patient", patient)
        return self.of_compartments([patient])

    def of_compartments(self, compartments: Sequence[str]) -> Iterator[Row]:
        """The resources of some compartments, each shared one they refer to once."""
        shared = set()
        for compartment in compartments:
            yield from self.repository.rows(Selection(compartment))
            shared |= self.repository.shared_by(compartment)
        for row in self.repository.by_keys(sorted(shared)):
            if row.compartment == "":
                yield row

    def compartments_to_release(
        self,
        local_patient: str,
        *,
        collated: bool,
        recipient: PayerIdentity | None = None,
        omission_agreed: bool = True,
    ) -> list[str]:
        """Whose records leave when another payer asks for a local member (SD-42).

        The local compartment alone; collated, the imported ones as well. What came from the
        recipient does not go back there when that omission is agreed.
        """
        self.read("Patient", local_patient)
        if not collated:
            return [local_patient]
        imported = self._ledger.imported_patients(local_patient)
        kept = [
            patient
            for patient, issuer in sorted(imported.items())
            if not (omission_agreed and recipient and self._is_from(issuer, recipient))
        ]
        return [local_patient, *kept]

    def _is_from(self, issuer: str, payer: PayerIdentity) -> bool:
        server = self._servers.find(issuer)
        source = server.organization if server else None
        return source is not None and (source.system, source.value) == (payer.system, payer.value)


def reference_identifiers(patient: Mapping[str, Any], system: str) -> list[str]:
    """The values of a local Patient's identifiers of the reference system."""
    identifiers = patient.get("identifier")
    return [
        str(i["value"])
        for i in (identifiers if isinstance(identifiers, list) else [])
        if isinstance(i, Mapping) and i.get("system") == system and i.get("value")
    ]


def _known(kind: str, name: str, value: str) -> Condition:
    found = condition(kind, name, value)
    if found is None:
        raise BadRequest("The search has a parameter that this type does not support.",
                         code="not-supported")  # fmt: skip
    return found
