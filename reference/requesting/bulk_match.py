"""The requesting payer's side of a bulk match: MemberBundles out, Groups back, one export a Group.

PDex 2.2.0; the answer of 2.1.0 (an envelope of Parameters, in a file or inline) is read as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import ExportFailed, OutcomeReturned, TargetError
from ..fhir import json
from ..fhir.ndjson import file_lines
from ..fhir.pdex import PAYER_TO_PAYER
from ..intake.staging import Staging
from ..member_match import MemberMatchRequest
from ..target import AccessToken
from .exchange import Conversation, Matched, export_parameter
from .trace import Phase

# A whole file is asked for so often before its failure is believed.
_TRIES = 3
# What cannot get better by asking again.
_FINAL = (400, 403, 404, 410)
_WHOLE_GROUP = Matched(("", ""))


@dataclass(frozen=True, slots=True)
class Submission:
    """One member to submit, under an id that no other member of the request has."""

    ident: str
    match: MemberMatchRequest

    def parameter(self) -> dict[str, Any]:
        """The MemberBundle, its resources about the one Patient with that id (mm-6)."""
        own = f"Patient/{self.match.patient.get('id')}"
        parts = (
            ("MemberPatient", self.match.patient, self.ident),
            ("CoverageToMatch", self.match.coverage_to_match, f"{self.ident}-match"),
            ("CoverageToLink", self.match.coverage_to_link, f"{self.ident}-link"),
            ("Consent", self.match.consent, f"{self.ident}-consent"),
        )
        return {
            "name": "MemberBundle",
            "part": [
                {"name": name,
                 "resource": {**_about(resource, own, f"Patient/{self.ident}"), "id": ident}}
                for name, resource, ident in parts
                if resource is not None
            ],
        }  # fmt: skip


class BulkConversation(Conversation):
    """One part of a batch with one source payer."""

    scope = ""

    def token(self, _matched: Matched) -> AccessToken:
        """A token for what is under way: the match, or the data of the whole Group."""
        return self.target.token(self.scope or self.server.data_scope)

    def bulk_match(
        self, members: Sequence[Submission], staging: Staging, phase: Phase
    ) -> list[dict[str, Any]]:
        """The Groups of the answer, whichever of its forms it has.

        Group files come before an envelope that repeats them (pdex-138b). Raises ExportFailed or
        OutcomeReturned when there is no such answer.
        """
        body = {"resourceType": "Parameters", "parameter": [m.parameter() for m in members]}
        answer = self._finished("Group/$bulk-member-match", body, staging, phase)
        if answer.get("resourceType") == "Parameters":
            return list(_enveloped(answer))
        lines = {kind: self._resources_of(staging, kind) for kind in ("Group", "Parameters")}
        groups = [g for g in lines["Group"] if g.get("resourceType") == "Group"]
        if groups:
            return groups
        return [group for envelope in lines["Parameters"] for group in _enveloped(envelope)]

    def export_group(
        self,
        group: str,
        method: str,
        pairs: Iterable[tuple[str, str]],
        staging: Staging,
        phase: Phase,
    ) -> str:
        """Bring the records of a matched Group into the staging folder; returns transactionTime."""
        parameters = [export_parameter(name, value) for name, value in pairs]
        if method == "davinci-data-export":
            kind = {"name": "exportType", "valueCanonical": PAYER_TO_PAYER}
            parameters.insert(0, kind)
        body = {"resourceType": "Parameters", "parameter": parameters} if parameters else None
        answer = self._finished(f"Group/{group}/${method}", body, staging, phase)
        return str(answer.get("transactionTime", ""))

    # Parts

    def _finished(
        self, operation: str, body: Mapping[str, Any] | None, staging: Staging, phase: Phase
    ) -> Mapping[str, Any]:
        """Kick off, wait, download every file; returns the manifest, or what came in its place."""
        exchange = self._renewing(
            lambda: self.target.kick_off(operation, self.token(_WHOLE_GROUP), body)
        )
        if exchange.status == 200:
            return self._inline(self.target.read_json(exchange))
        status_url = self.target.expect(exchange, 202).header("Content-Location")
        if not status_url:
            raise ExportFailed("The source payer took the request and told no Content-Location.")
        try:
            result = self.target.await_export(
                status_url,
                lambda: self.token(_WHOLE_GROUP),
                limit_s=self._limit,
                on_poll=lambda x: self._polled(x, phase),
            )
            phase.details |= {"polls": result.polls, "waited_s": round(result.seconds, 3)}
            if result.manifest.get("resourceType") == "Parameters":
                return result.manifest
            self._download(result.manifest, _WHOLE_GROUP, staging, phase)
            return result.manifest
        finally:
            self._release(status_url, _WHOLE_GROUP)

    @staticmethod
    def _inline(answer: Mapping[str, Any]) -> Mapping[str, Any]:
        if answer.get("resourceType") != "Parameters":
            raise OutcomeReturned("The source payer answered at once, with no bulk match result.",
                                  status=200)  # fmt: skip
        return answer

    def _file(self, *args: Any, **options: Any) -> Any:
        """One file; one that breaks off or is not what was promised is asked for again."""
        for last in (*[False] * (_TRIES - 1), True):
            try:
                return super()._file(*args, **options)
            except TargetError as error:
                if last or error.status in _FINAL:
                    raise
                self._check()
        raise AssertionError

    @staticmethod
    def _resources_of(staging: Staging, kind: str) -> Iterator[dict[str, Any]]:
        for file in staging.files:
            if file.kind == kind and file.role == "output":
                for line in file_lines(staging.path(file)):
                    yield _object(line)


def _object(line: bytes) -> dict[str, Any]:
    try:
        found = json.read(line)
    except ValueError as error:
        raise ExportFailed("A line of the bulk match result is not JSON.") from error
    return found if isinstance(found, dict) else {}


def _enveloped(envelope: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The Groups in MatchedMembers, NonMatchedMembers and ConsentConstrainedMembers."""
    entries = envelope.get("parameter")
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict) and resource.get("resourceType") == "Group":
            yield resource


def _about(value: Any, old: str, new: str) -> Any:
    """A resource with its references to one Patient changed."""
    if isinstance(value, list):
        return [_about(child, old, new) for child in value]
    if not isinstance(value, Mapping):
        return value
    return {
        name: new if name == "reference" and child == old else _about(child, old, new)
        for name, child in value.items()
    }
