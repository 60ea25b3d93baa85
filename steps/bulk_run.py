"""The bulk half of a run: batches of members submitted once, their Groups, and Group exports."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..reference.fhir.pdex import (
    CONSENT_CONSTRAINT,
    ENVELOPE,
    MATCH,
    NO_MATCH,
    PAYER_TO_PAYER,
    RESULT_CODES,
    SUBMITTED_COVERAGE,
    SUBMITTED_PATIENT,
)
from ..reference.target import AccessToken
from .delivered import Export, export_parameters
from .verdicts import CannotTell, NotApplicable

if TYPE_CHECKING:
    from .run import TargetRun

# Which Group a request of the truth table must lead to.
BUCKETS = {"match": MATCH, "no-match": NO_MATCH, "many": NO_MATCH, "consent": CONSENT_CONSTRAINT}
BULK_MATCH, DATA_EXPORT = "bulk-member-match", "davinci-data-export"
_EXTRAS = {"versionId": "7", "lastUpdated": "2026-01-01T00:00:00Z",
           "security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                         "code": "N"}]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Submitted:
    """One MemberBundle as it was sent, and the Group it belongs into."""

    name: str
    patient: Mapping[str, Any]
    coverage: Mapping[str, Any]
    bucket: str
    member: str | None
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of an answered Group."""

    code: str
    reference: str
    patient_id: str
    coverage: Mapping[str, Any] | None
    member: Mapping[str, Any]


@dataclass(slots=True)
class BulkMatch:
    """One bulk match: what was sent, and the job from its kick-off to its last byte."""

    export: Export
    submitted: tuple[Submitted, ...]

    @property
    def groups(self) -> list[dict[str, Any]]:
        """The Groups of the answer, of Group files or else of the envelope."""
        files = list(self.export.resources("Group"))
        return files or [resource for _, resource in self.enveloped()]

    @property
    def envelopes(self) -> list[Mapping[str, Any]]:
        """The Parameters of the answer: of a file, or the answer itself as in 2.1.0."""
        if self.export.manifest.get("resourceType") == "Parameters":
            return [self.export.manifest]
        return list(self.export.resources("Parameters"))

    def enveloped(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The named Groups of the envelopes."""
        for envelope in self.envelopes:
            entries = envelope.get("parameter")
            for entry in entries if isinstance(entries, list) else []:
                resource = entry.get("resource") if isinstance(entry, dict) else None
                if isinstance(resource, dict):
                    yield str(entry.get("name")), resource

    def group(self, code: str) -> dict[str, Any] | None:
        """The Group with that code, or None."""
        return next((g for g in self.groups if code_of(g) == code), None)

    def matched(self) -> dict[str, Any]:
        """The matched Group; raises CannotTell when the answer holds none."""
        found = self.group(MATCH)
        if found is None:
            raise CannotTell("The bulk match answered with no Group of matched members.")
        return found

    def entries(self) -> list[Entry]:
        """Every member of every Group."""
        return [entry for group in self.groups for entry in entries_of(group)]


class BulkRun:
    """What the target does for many members; each batch is submitted once."""

    def __init__(self, run: TargetRun) -> None:
        self._run = run

    @property
    def is_offered(self) -> bool:
        """Whether the CapabilityStatement declares the bulk match."""
        return self._run.declares("Group", BULK_MATCH)

    def require(self, operation: str = BULK_MATCH) -> None:
        """Raise NotApplicable unless the target declares a bulk operation on Group."""
        if not self._run.declares("Group", operation):
            raise NotApplicable(f"The target does not declare {operation} on Group.")

    def token(self, purpose: str = "match") -> AccessToken:
        """A token for the bulk match, or for the data of its Groups."""
        auth = self._run.settings.target.auth
        return self._run.target.token(auth.bulk_scope(self._run.settings.target.pdex_version)
                                      if purpose == "match" else auth.data_scope)  # fmt: skip

    def match(self, batch: str) -> BulkMatch:
        """The bulk match of a batch, by name; raises NotApplicable when it is not offered."""
        self.require()
        return self._run.once(("bulk-match", batch), lambda: self._match(self._batch(batch)))

    def match_names(self, *names: str) -> BulkMatch:
        """The bulk match of some requests of the truth table."""
        self.require()
        key = ("bulk-match-of", *names)
        return self._run.once(key, lambda: self._match([self.submitted(n) for n in names]))

    def submitted(self, name: str, **changes: Mapping[str, Any]) -> Submitted:
        """A request as one MemberBundle, its Patient or Coverage changed."""
        wanted = {**self._run.request(name), **changes}
        if "patient" not in changes:
            wanted |= _with_own_id(wanted, f"submitted-{name}"[:64])
        body = self._run.match_body(name, wanted)
        return Submitted(
            name, wanted["patient"], wanted["coverage_to_match"], BUCKETS[wanted["expect"]],
            wanted.get("member"), body,
        )  # fmt: skip

    def send(self, parameters: Mapping[str, Any] | bytes, **options: Any) -> Any:
        """The raw answer to a bulk match."""
        token = options.pop("token", None) or self.token()
        headers = options.pop("headers", {"Prefer": "respond-async"})
        url = f"Group/${BULK_MATCH}"
        return self._run.target.post(url, parameters, token, headers=headers)

    def export(self, batch: BulkMatch, **options: str) -> Export:
        """The `$davinci-data-export` of a matched Group, to the last byte."""
        self.require(DATA_EXPORT)
        ident = str(batch.matched().get("id"))
        key = ("group-export", ident, *(f"{k}={v}" for k, v in sorted(options.items())))
        return self._run.once(key, lambda: self.start(ident, options))

    def start(self, ident: str, options: Mapping[str, str], operation: str = DATA_EXPORT) -> Export:
        """A new export of a Group."""
        parameters = export_parameters(options)
        if operation == DATA_EXPORT:
            parameters = for_payers(parameters)
        url = f"Group/{ident}/${operation}"
        started = Export(self._run.target.kick_off(url, self.token("data"), parameters))
        return self._run.follow(started, lambda: self.token("data"))

    def kick_off_of(self, name: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """The URL and body that export the Group of one member, matched for it."""
        self.require(DATA_EXPORT)
        ident = self.match_names(name).matched().get("id")
        return f"Group/{ident}/${DATA_EXPORT}", for_payers(parameters)

    # Batches

    @cached_property
    def _batches(self) -> Mapping[str, Callable[[], Sequence[Submitted]]]:
        return {
            "known answers": self._known_answers,
            "matched members": lambda: [self.submitted(n) for n in ("unique", "every-claim")],
            "unknown members": lambda: [self.submitted("unknown")],
            "one member": lambda: [self.submitted("unique")],
            "a member with extras": self._with_extras,
            "a member with two cards": self._two_cards,
        }

    def _batch(self, name: str) -> Sequence[Submitted]:
        return self._batches[name]()

    def _known_answers(self) -> Sequence[Submitted]:
        usable = [r["name"] for r in self._run.members.get("requests", []) if not r.get("needs")]
        if not usable:
            raise CannotTell("The truth table has no match requests.")
        return [self.submitted(name) for name in usable]

    def _with_extras(self) -> Sequence[Submitted]:
        patient = copy.deepcopy(dict(self.submitted("unique").patient))
        patient["meta"] = {**_EXTRAS, "tag": [{"system": "http://example.org/tag", "code": "kept"}]}
        patient["contained"] = [{"resourceType": "Organization", "id": "inner", "name": "Inner"}]
        patient["managingOrganization"] = {"reference": "#inner"}
        patient["identifier"] = [{"system": "http://example.org/new-plan", "value": "own-number"}]
        return [self.submitted("unique", patient=patient)]

    def _two_cards(self) -> Sequence[Submitted]:
        first = self.submitted("two-coverages")
        unknown = copy.deepcopy(dict(self._run.request("unknown-coverage")["coverage_to_match"]))
        unknown["beneficiary"] = {"reference": f"Patient/{first.patient['id']}"}
        unknown["id"] = "another-card"
        second = self.submitted(
            "unknown-coverage", patient=first.patient, coverage_to_match=unknown
        )
        return [first, second]

    def _match(self, submitted: Sequence[Submitted]) -> BulkMatch:
        started = Export(self.send(bundles(submitted)))
        return BulkMatch(self._run.follow(started, self.token), tuple(submitted))


def _with_own_id(wanted: Mapping[str, Any], ident: str) -> dict[str, Any]:
    """A request's Patient under an id that no other request has, and the Coverage that names it.

    A truth table may give several requests the same Patient id; in one batch it is the key.
    """
    coverage = {**wanted["coverage_to_match"], "beneficiary": {"reference": f"Patient/{ident}"}}
    return {"patient": {**wanted["patient"], "id": ident}, "coverage_to_match": coverage}


def for_payers(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an export with the exportType of payer-to-payer (pdex-171)."""
    kind = {"name": "exportType", "valueCanonical": PAYER_TO_PAYER}
    return {**parameters, "parameter": [kind, *parameters.get("parameter", [])]}


def bundles(submitted: Iterable[Submitted]) -> dict[str, Any]:
    """The Parameters of a bulk match (pdex-parameters-multi-member-match-bundle-in)."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "MemberBundle", "part": s.body["parameter"]} for s in submitted],
    }


def code_of(group: Mapping[str, Any]) -> str:
    """The match result code of a Group; empty when it has none."""
    code = group.get("code")
    codings = code.get("coding") if isinstance(code, Mapping) else None
    for coding in codings if isinstance(codings, list) else []:
        if isinstance(coding, Mapping) and coding.get("system") == RESULT_CODES:
            return str(coding.get("code", ""))
    return ""


def entries_of(group: Mapping[str, Any]) -> Iterator[Entry]:
    """The members of a Group, each with what its extensions point at."""
    contained = {
        c.get("id"): c for c in group.get("contained") or [] if isinstance(c, Mapping)
    }  # fmt: skip
    for member in group.get("member") or []:
        entity = member.get("entity") if isinstance(member, Mapping) else None
        if isinstance(entity, Mapping):
            coverage = _pointed(entity, SUBMITTED_COVERAGE)
            yield Entry(
                code_of(group),
                str(entity.get("reference", "")),
                _pointed(entity, SUBMITTED_PATIENT),
                contained.get(coverage) if coverage else None,
                member,
            )


def envelope_name(code: str) -> str:
    """The output parameter that holds the Group of a code."""
    return ENVELOPE.get(code, "")


def _pointed(entity: Mapping[str, Any], url: str) -> str:
    for extension in entity.get("extension") or []:
        if isinstance(extension, Mapping) and extension.get("url") == url:
            value = extension.get("valueReference")
            reference = value.get("reference") if isinstance(value, Mapping) else ""
            return str(reference or "").removeprefix("#")
    return ""
