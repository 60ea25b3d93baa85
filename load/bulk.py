"""Many members at once: the bulk match, and the export of the Group that it makes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..reference.errors import ManyMatches, NoMatch
from ..reference.fhir import json
from ..reference.fhir.pdex import PAYER_TO_PAYER
from ..reference.requesting.bulk_match import Submission
from ..reference.requesting.reconcile import reconcile
from .conversation import Conversation
from .delivery import Delivery
from .members import ExpectedMember


class BulkJourney:
    """The way of a whole batch of one requesting payer, told to the meter of its conversation."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk

    def match(self, members: Sequence[ExpectedMember]) -> tuple[list[str], Delivery]:
        """The Groups of matched members, each of them compared, and what came to tell them.

        Raises ManyMatches when a member is led to another Patient: nobody's record is asked for by
        mistake.
        """
        target, today = self._talk.target, self._talk.today()
        asked = {f"m{number}": member for number, member in enumerate(members)}
        body = {
            "resourceType": "Parameters",
            "parameter": [
                Submission(ident, self._talk.truth.match_request(member, today)).parameter()
                for ident, member in asked.items()
            ],
        }
        lines: list[bytes] = []
        found = self._talk.exported(
            "Group/$bulk-member-match", lambda: target.token(self._talk.bulk_scope),
            body, step="bulk-match", sampled=False, kept=lines,
        )  # fmt: skip
        told = reconcile(asked.keys(), _groups(lines))
        patients = {k: v for group in told.matched for k, v in group.patients.items()}
        wrong = _problem(asked, patients)
        self._talk.meter.check("bulk-match-is-the-truth", wrong)
        if wrong:
            raise ManyMatches(wrong)
        return [group.id for group in told.matched], found

    def export(
        self, members: Sequence[ExpectedMember], operation: str, *, sampled: bool
    ) -> Delivery:
        """The records of all members, to the last byte; the lines of a sample are compared."""
        target, scope = self._talk.target, self._talk.auth.data_scope
        groups = self.match(members)[0]
        if len(groups) != 1:
            raise NoMatch("The bulk match leads to no single Group.")
        kind = [{"name": "exportType", "valueCanonical": PAYER_TO_PAYER}]
        body: dict[str, Any] = {"resourceType": "Parameters"}
        if operation == "davinci-data-export":
            body["parameter"] = kind
        found = self._talk.exported(
            f"Group/{groups[0]}/${operation}", lambda: target.token(scope), body, sampled=sampled
        )
        if sampled:
            self._talk.compare("bulk-export-is-the-truth", found, members)
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
