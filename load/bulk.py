"""Many members at once: the bulk match, and the export of the Group that it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..reference.errors import ManyMatches, NoMatch
from ..reference.fhir import json
from ..reference.fhir.pdex import PAYER_TO_PAYER
from ..reference.requesting.bulk_match import Submission
from ..reference.requesting.reconcile import reconcile
from ..reference.settings import AuthSettings
from .members import ExpectedMember, TruthTable

if TYPE_CHECKING:
    from .downloading import Delivery
    from .journey import Journey


class BulkJourney:
    """The way of a whole batch of one requesting payer, told to its journey's meter."""

    def __init__(self, journey: Journey, truth: TruthTable, auth: AuthSettings) -> None:
        self._journey, self._truth, self._auth = journey, truth, auth

    def match(
        self, members: Sequence[ExpectedMember], *, sampled: bool
    ) -> tuple[list[str], Delivery]:
        """The Groups of matched members, and what came to tell them.

        Raises ManyMatches when a member is led to another Patient: nobody's record is asked for by
        mistake.
        """
        target, today = self._journey.target, self._journey.today()
        asked = {f"m{number}": member for number, member in enumerate(members)}
        body = {
            "resourceType": "Parameters",
            "parameter": [
                Submission(ident, self._truth.match_request(member, today)).parameter()
                for ident, member in asked.items()
            ],
        }
        lines: list[bytes] = []
        found = self._journey.exported(
            "Group/$bulk-member-match", lambda: target.token(self._journey.bulk_scope),
            body, step="bulk-match", sampled=False, kept=lines,
        )  # fmt: skip
        del sampled  # the Groups are small: every one of them is compared
        told = reconcile(asked.keys(), _groups(lines))
        patients = {k: v for group in told.matched for k, v in group.patients.items()}
        wrong = _problem(asked, patients)
        self._journey.meter.check("bulk-match-is-the-truth", wrong)
        if wrong:
            raise ManyMatches(wrong)
        return [group.id for group in told.matched], found

    def export(
        self, members: Sequence[ExpectedMember], operation: str, *, sampled: bool
    ) -> Delivery:
        """The records of all members, to the last byte; the lines of a sample are compared."""
        target, scope = self._journey.target, self._auth.data_scope
        groups = self.match(members, sampled=sampled)[0]
        if len(groups) != 1:
            raise NoMatch("The bulk match leads to no single Group.")
        kind = [{"name": "exportType", "valueCanonical": PAYER_TO_PAYER}]
        body: dict[str, Any] = {"resourceType": "Parameters"}
        if operation == "davinci-data-export":
            body["parameter"] = kind
        found = self._journey.exported(
            f"Group/{groups[0]}/${operation}", lambda: target.token(scope), body, sampled=sampled
        )
        if sampled:
            self._journey.compare("bulk-export-is-the-truth", found, members)
        return found


def _problem(asked: Mapping[str, ExpectedMember], found: Mapping[str, str]) -> str:
    wrong = sum(found.get(ident) != member.patient_id for ident, member in asked.items())
    return f"{wrong} of {len(asked)} members are not matched, or to another Patient." * bool(wrong)


def _groups(lines: Sequence[bytes]) -> Iterator[Mapping[str, Any]]:
    """The Groups of the result: lines of their own, else those of an envelope."""
    read = [json.read(line) for line in lines]
    groups = [r for r in read if r.get("resourceType") == "Group"]
    if groups:
        yield from groups
        return
    for envelope in read:
        for parameter in envelope.get("parameter", []):
            yield parameter.get("resource", {})
