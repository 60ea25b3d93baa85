"""Filling a responding payer: from the population, or from files that anybody made.

Whatever is a FHIR resource with an id is kept and served as it is. What cannot be kept is counted
with its reason, never dropped in silence.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from .errors import RecordRejected, SettingsError
from .fhir import json
from .fhir.hrex import SUBSCRIBER_RELATIONSHIP, V2_0203
from .fhir.ndjson import file_lines
from .fhir.references import references_in, split_reference
from .parties import PayerIdentity
from .responding import RespondingPayer
from .store.facts import stored_line
from .store.repository import Key, Selection, Stored

_BATCH = 2000
_NDJSON_SUFFIXES = (".ndjson", ".jsonl", ".ndjson.gz", ".jsonl.gz")


@dataclass(slots=True)
class Filled:
    """What a fill brought: resources by type, members, made coverages, and what was refused."""

    resources: Counter[str] = field(default_factory=Counter)
    members: int = 0
    coverages_made: int = 0
    refused: Counter[str] = field(default_factory=Counter)


def fill(
    payer: RespondingPayer,
    lines: Iterable[bytes],
    *,
    progress: Callable[[int], None] | None = None,
) -> Filled:
    """Store resources given as JSON bytes, then enrol every Patient among them.

    Provenance joins the compartment of what it is about; one that is about several members
    belongs to none and never leaves. A member without a Coverage gets one made.
    """
    filled = Filled()
    later: list[Stored] = []
    for batch in _batches(_facts(payer, lines, filled), _BATCH):
        payer.repository.put_many(r for r in batch if r.type != "Provenance")
        later += [r for r in batch if r.type == "Provenance"]
        if len(later) >= _BATCH:
            later = _put_provenance(payer, later, final=False)
        filled.resources.update(r.type for r in batch)
        if progress:
            progress(filled.resources.total())
    _put_provenance(payer, later, final=True)
    _put_own_organization(payer, filled)
    _assign_binaries(payer)
    _enrol(payer, filled)
    return filled


def read_paths(paths: Sequence[Path]) -> Iterator[bytes]:
    """Every resource in files and folders, as bytes: NDJSON (plain or gzip), JSON, Bundles, .tgz.

    Bundles are opened; an IG package's examples are read, its definitions are not. Raises
    SettingsError for a path that is not there or a file of another kind.
    """
    for path in paths:
        if path.is_dir():
            for child in sorted(p for p in path.rglob("*") if p.is_file()):
                if child.name.endswith((*_NDJSON_SUFFIXES, ".json", ".tgz")):
                    yield from _read_file(child)
        elif path.is_file():
            yield from _read_file(path)
        else:
            raise SettingsError(f"There is no file or folder {path} to load.")


def _read_file(path: Path) -> Iterator[bytes]:
    name = path.name.lower()
    if name.endswith(_NDJSON_SUFFIXES):
        yield from file_lines(path)
    elif name.endswith(".json"):
        yield from _unbundled(path.read_bytes())
    elif name.endswith((".tgz", ".tar.gz")):
        yield from _package_examples(path)
    else:
        raise SettingsError(f"{path} is neither NDJSON, JSON nor an IG package (.tgz).")


def _package_examples(path: Path) -> Iterator[bytes]:
    with tarfile.open(path) as package:
        for entry in package:
            if "/example/" in entry.name and entry.name.endswith(".json"):
                content = package.extractfile(entry)
                if content is not None:
                    yield from _unbundled(content.read())


def _unbundled(body: bytes) -> Iterator[bytes]:
    """The resource, or a Bundle's resources; what is no resource is passed on to be counted."""
    try:
        resource = json.read(body)
    except ValueError:
        yield body
        return
    if not isinstance(resource, dict) or "resourceType" not in resource:
        return
    if resource["resourceType"] != "Bundle":
        yield json.write(json.read_exact(body)) if b"\n" in body else body
        return
    for entry in json.read_exact(body).get("entry", []):
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield json.write(_with_id(entry))


def _with_id(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry's resource; one without an id takes it from a urn:uuid fullUrl."""
    resource = dict(entry["resource"])
    full_url = str(entry.get("fullUrl", ""))
    if "id" not in resource and full_url.startswith("urn:uuid:"):
        resource["id"] = full_url[len("urn:uuid:") :]
    return resource


def _facts(payer: RespondingPayer, lines: Iterable[bytes], filled: Filled) -> Iterator[Stored]:
    now = payer.clock.now()
    for line in lines:
        try:
            yield stored_line(line, now=now)
        except RecordRejected as error:
            filled.refused[str(error)] += 1


def _put_provenance(payer: RespondingPayer, waiting: list[Stored], *, final: bool) -> list[Stored]:
    """Store what finds its member; returns what has to wait for resources still to come."""
    targets = {(r.type, r.id): _targets(r) for r in waiting}
    owners = payer.repository.compartments_of(
        key for keys in targets.values() for key in keys if key[0] != "Patient"
    )
    ready, rest = [], []
    for resource in waiting:
        members = {
            key[1] if key[0] == "Patient" else owners.get(key, "?")
            for key in targets[resource.type, resource.id]
        }
        if "?" in members and not final:
            rest.append(resource)
            continue
        known = members - {"", "?"}
        compartment = known.pop() if len(known) == 1 else ""
        ready.append(_in_compartment(resource, compartment))
    payer.repository.put_many(ready)
    return rest


def _targets(resource: Stored) -> list[Key]:
    provenance = json.read(resource.body)
    found = map(split_reference, references_in({"target": provenance.get("target")}))
    return [key for key in found if key]


def _in_compartment(resource: Stored, compartment: str) -> Stored:
    return Stored(
        type=resource.type,
        id=resource.id,
        body=resource.body,
        compartment=compartment,
        last_updated=resource.last_updated,
        service_date=resource.service_date,
        marks=resource.marks,
        references=resource.references,
    )


def _put_own_organization(payer: RespondingPayer, filled: Filled) -> None:
    """The payer's own Organization, which Provenance names; made unless it was loaded."""
    identity = payer.settings.identity
    if payer.repository.get("Organization", identity.organization_id) is None:
        body = json.write(organization(identity))
        payer.repository.put_many([stored_line(body, now=payer.clock.now())])
        filled.resources["Organization"] += 1


def organization(identity: PayerIdentity) -> dict[str, Any]:
    """The Organization resource of a payer."""
    return {
        "resourceType": "Organization",
        "id": identity.organization_id,
        "identifier": [{"system": identity.system, "value": identity.value}],
        "active": True,
        "type": [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/organization-type",
                        "code": "pay",
                    }
                ]
            }
        ],
        "name": identity.name,
    }


def _assign_binaries(payer: RespondingPayer) -> None:
    """A Binary joins the compartment of the one member whose document names it."""
    wanted: dict[Key, set[str]] = {}
    for compartment, key in payer.repository.outward("Binary"):
        wanted.setdefault(key, set()).add(compartment)
    by_member: dict[str, list[Key]] = {}
    for key, members in wanted.items():
        if len(members) == 1:
            by_member.setdefault(next(iter(members)), []).append(key)
    for member, keys in by_member.items():
        payer.repository.assign(member, keys)


def _enrol(payer: RespondingPayer, filled: Filled) -> None:
    payer.registry.enrol_many(_members(payer, filled))


def _members(
    payer: RespondingPayer, filled: Filled
) -> Iterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    coverages: dict[str, list[dict[str, Any]]] = {}
    for row in payer.repository.rows(Selection(types=["Coverage"])):
        coverages.setdefault(row.compartment, []).append(json.read(row.body))
    made: list[Stored] = []
    for row in payer.repository.rows(Selection(types=["Patient"])):
        filled.members += 1
        held = coverages.pop(row.id, [])
        if not held:
            coverage = made_coverage(row.id, payer.settings.identity)
            held = [coverage]
            made.append(stored_line(json.write(coverage), now=payer.clock.now()))
        yield row.id, json.read(row.body), held
    payer.repository.put_many(made)
    filled.coverages_made = len(made)


def made_coverage(member: str, identity: PayerIdentity) -> dict[str, Any]:
    """A Coverage for a loaded member who has none: a card number made of the Patient's id."""
    return {
        "resourceType": "Coverage",
        "id": f"made-{member}"[:64],
        "status": "active",
        "identifier": [
            {
                "type": {"coding": [{"system": V2_0203, "code": "MB"}]},
                "system": f"{identity.system}/member-id",
                "value": member,
            }
        ],
        "subscriberId": member,
        "beneficiary": {"reference": f"Patient/{member}"},
        "relationship": {
            "coding": [
                {
                    "system": SUBSCRIBER_RELATIONSHIP,
                    "code": "self",
                }
            ]
        },
        "payor": [{"reference": f"Organization/{identity.organization_id}",
                   **identity.reference()}],
    }  # fmt: skip


def loaded_truth(
    payer: RespondingPayer, responding: Mapping[str, Any], requesting: Mapping[str, Any]
) -> dict[str, Any]:
    """The truth table of loaded members: what each record holds and what of it may leave."""
    members = []
    today = payer.clock.now().date()
    for row in payer.repository.rows(Selection(types=["Patient"])):
        members.append(_loaded_member(payer, row.id, json.read(row.body), today))
    return {
        "schema": "payer-exchange/members/1",
        "seed": None,
        "as_of": today.isoformat(),
        "responding_payer": dict(responding),
        "requesting_payer": dict(requesting),
        "members": members,
        "requests": _loaded_requests(members, responding),
    }


def _loaded_member(
    payer: RespondingPayer, ident: str, patient: dict[str, Any], today: date
) -> dict[str, Any]:
    resources: dict[str, Any] = {}
    coverages = []
    rows = [*payer.repository.rows(Selection(ident)),
            *payer.repository.by_keys(sorted(payer.repository.shared_by(ident)))]  # fmt: skip
    for row in rows:
        if row.compartment not in ("", ident) or (row.type == "Patient" and row.id != ident):
            continue
        reason = payer.settings.scope.withheld(row, "regular", today)
        stripped = not reason and payer.settings.scope.release(row)[1]
        if row.type == "Coverage":
            coverages.append(json.read(row.body))
        resources[f"{row.type}/{row.id}"] = {
            "sha256": hashlib.sha256(row.body).hexdigest(),
            "expect": "withheld" if reason else "stripped" if stripped else "sent",
            "reason": reason or ("money" if stripped else ""),
            "service_date": row.service_date,
            "last_updated": row.last_updated,
        }
    return {
        "key": ident,
        "index": None,
        "patient_id": ident,
        "patient": patient,
        "coverages": coverages,
        "purpose": "Loaded from files.",
        "record": {
            "counts": dict(Counter(k.split("/")[0] for k in resources)),
            "resources": resources,
        },
    }


def _loaded_requests(
    members: list[dict[str, Any]], responding: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """A match request for each member who can be asked for; the first one is named `unique`."""
    requests: list[dict[str, Any]] = []
    for member in members:
        submitted = submitted_by(member, responding)
        if submitted:
            name = f"member-{len(requests)}" if requests else "unique"
            requests.append(
                {"name": name, "case": member["key"], "member": member["key"], "expect": "match",
                 "consent": dict(_GOOD_CONSENT), "purpose": "Finds a loaded member.", **submitted}
            )  # fmt: skip
    if requests:
        first = requests[0]
        stranger = {**first["patient"], "name": [{"family": "Nobody", "given": ["Known"]}]}
        requests.append({**first, "name": "stranger-on-known-card", "member": None,
                         "expect": "no-match", "patient": stranger,
                         "purpose": "A known card with another person's name."})  # fmt: skip
        for name, change in (("consent-expired-a", {"period": "expired"}),
                             ("consent-wrong-recipient-a", {"recipient": "other"})):  # fmt: skip
            requests.append({**first, "name": name, "member": None, "expect": "consent",
                             "consent": {**_GOOD_CONSENT, **change},
                             "purpose": "A consent that cannot be honoured."})  # fmt: skip
    return requests


_GOOD_CONSENT = {"policy": "regular", "period": "current", "recipient": "requesting",
                 "discloser": "responding", "status": "active", "patient": "member"}  # fmt: skip


def submitted_by(member: Mapping[str, Any], responding: Mapping[str, Any]) -> dict[str, Any] | None:
    """The demographics and card to submit, or None for somebody whom no match could find."""
    patient = member["patient"]
    names = [n for n in patient.get("name", []) if n.get("family") and n.get("given")]
    if not names or not patient.get("birthDate") or not member["coverages"]:
        return None
    coverage = member["coverages"][0]
    card = {k: coverage[k] for k in ("identifier", "subscriberId", "dependent", "relationship",
                                     "class") if k in coverage}  # fmt: skip
    return {
        "patient": {
            "resourceType": "Patient",
            "id": "submitted",
            "name": [{k: v for k, v in names[0].items() if k in ("family", "given", "suffix")}],
            "gender": patient.get("gender", "unknown"),
            "birthDate": patient["birthDate"],
        },
        "coverage_to_match": {
            "resourceType": "Coverage",
            "id": "submitted-card",
            "status": "active",
            **card,
            "beneficiary": {"reference": "Patient/submitted"},
            "payor": [{"identifier": responding["identifier"],
                       "display": responding.get("name", "")}],
        },
    }  # fmt: skip


def _batches(items: Iterable[Stored], size: int) -> Iterator[list[Stored]]:
    batch: list[Stored] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
