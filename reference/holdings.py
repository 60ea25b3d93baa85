"""Filling a responding payer: from the population, or from files that anybody made.

Whatever is a FHIR resource with an id is kept and served as it is. What cannot be kept is counted
with its reason, never dropped in silence.
"""

from __future__ import annotations

import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .errors import RecordRejected, SettingsError
from .export.scope import decided
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
    try:
        if name.endswith(_NDJSON_SUFFIXES):
            yield from file_lines(path)
        elif name.endswith(".json"):
            yield from _unbundled(path.read_bytes())
        elif name.endswith((".tgz", ".tar.gz")):
            yield from _package_examples(path)
        else:
            raise SettingsError(f"{path} is neither NDJSON, JSON nor an IG package (.tgz).")
    except (OSError, EOFError, tarfile.TarError, zlib.error, RecordRejected) as error:
        raise SettingsError(f"{path} cannot be read to its end: {error}") from error


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
        resource = None if json.too_deep(body) else json.read(body)
    except ValueError:
        resource = None
    if not isinstance(resource, dict):
        yield body
    elif resource.get("resourceType") != "Bundle":
        yield json.write(json.read_exact(body)) if b"\n" in body else body
    else:
        yield from _entries(json.read_exact(body).get("entry"))


def _entries(found: Any) -> Iterator[bytes]:
    """The resources of a Bundle, pointing at each other as they will be found here."""
    entries = [
        (str(entry.get("fullUrl", "")), dict(entry["resource"]))
        for entry in (found if isinstance(found, list) else [])
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict)
    ]
    places = {}
    for full_url, resource in entries:
        if full_url.startswith("urn:uuid:"):
            resource.setdefault("id", full_url[len("urn:uuid:") :])
            places[full_url] = f"{resource.get('resourceType')}/{resource['id']}"
    for _, resource in entries:
        yield json.write(_relocated(resource, places) if places else resource)


def _relocated(value: Any, places: Mapping[str, str]) -> Any:
    """A value with the references inside a Bundle (urn:uuid) turned into Type/id."""
    if isinstance(value, dict):
        return {
            key: places.get(child, child)
            if key == "reference" and isinstance(child, str)
            else _relocated(child, places)
            for key, child in value.items()
        }
    return [_relocated(child, places) for child in value] if isinstance(value, list) else value


def _facts(payer: RespondingPayer, lines: Iterable[bytes], filled: Filled) -> Iterator[Stored]:
    now = payer.clock.now()
    for line in lines:
        try:
            yield decided(stored_line(line, now=now))
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
        ready.append(replace(resource, compartment=compartment))
    payer.repository.put_many(ready)
    return rest


def _targets(resource: Stored) -> list[Key]:
    provenance = json.read(resource.body)
    found = map(split_reference, references_in({"target": provenance.get("target")}))
    return [key for key in found if key]


def _put_own_organization(payer: RespondingPayer, filled: Filled) -> None:
    """The payer's own Organization, which Provenance names; made unless it was loaded."""
    identity = payer.settings.identity
    if payer.repository.get("Organization", identity.organization_id) is None:
        body = json.write(identity.organization())
        payer.repository.put_many([stored_line(body, now=payer.clock.now())])
        filled.resources["Organization"] += 1


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
            made.append(decided(stored_line(json.write(coverage), now=payer.clock.now())))
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


def _batches(items: Iterable[Stored], size: int) -> Iterator[list[Stored]]:
    batch: list[Stored] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
