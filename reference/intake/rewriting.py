"""Received lines made local at the speed of bytes: what `transform` makes of them, to the byte.

References are replaced in the text and the text is parsed once more, which is quicker than a walk.
Where that could differ from a walk (a reference to something unknown, a decimal that a fast reader
changes, an attachment that names a Binary), the walk does it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ..fhir import json
from ..fhir.references import split_reference
from ..store.facts import service_date, stored, words_for_scope
from ..store.repository import Key
from .owners import EVERYBODY
from .reading import SHARED
from .transform import Origin, adopt, local_id, localised, own_key
from .vouching import Voucher, provenance_id

_REFERENCE = re.compile(rb'"reference":"([^"\\]*)"')
_NUMBER = re.compile(rb"[:\[,]\s*(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?=\s*[,}\]])")
_SHORT = 18
# Enough for the references of several members; forgotten then, so that memory stays flat.
_REMEMBERED = 50_000
# Owners of what is not of this source, and of what was never received.
_ELSEWHERE, ABSENT = -8, -9
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Part:
    """What all lines of one bulk export have in common, and whose each key is."""

    issuer: str
    base: str
    identifier_system: str
    tag_system: str
    members: tuple[tuple[str, str], ...]
    """(source Patient, local Patient) of each member; an owner is the number of one."""
    tasks: tuple[str, ...]
    """The Task of each member, and as the last one that of the batch."""
    owners: Mapping[str, int] = field(repr=False)
    organization_id: str = ""
    own_organization: str = ""
    received: str = ""
    refused: frozenset[int] = frozenset()
    """Members of whom nothing is stored."""

    def owner(self, key: str) -> int:
        """Whose a "Type/id" is; of nobody here when it was not received or is not stored."""
        found = self.owners.get(key, ABSENT)
        return ABSENT if found in self.refused else found

    def write(self, path: Path) -> None:
        """Put it where worker processes read it."""
        content = {f.name: getattr(self, f.name) for f in fields(self)}
        path.write_bytes(json.write({**content, "refused": sorted(self.refused)}))

    @classmethod
    def read(cls, path: Path) -> Part:
        """What `write` wrote."""
        content = json.read(path.read_bytes())
        members = tuple((source, local) for source, local in content["members"])
        tasks, refused = tuple(content["tasks"]), frozenset(content["refused"])
        return cls(**{**content, "members": members, "tasks": tasks, "refused": refused})

    def origin(self, owner: int) -> Origin:
        """Where a member's resources come from; of what nobody owns, without a Patient."""
        source, local = self.members[owner] if owner >= 0 else ("", "")
        return Origin(self.issuer, self.base, self.identifier_system, self.tag_system, source,
                      local)  # fmt: skip


class LocalLine(NamedTuple):
    """One line made local, with its facts and the Provenance that vouches for it."""

    owner: int
    type: str
    source_id: str
    local_id: str
    compartment: str
    service_date: str | None
    marks: str
    references: tuple[Key, ...]
    body: bytes
    voucher: bytes


class Packed(NamedTuple):
    """Lines made local, as the rows that are written of them: plain, because they travel.

    A row is (compartment, type, id, date of service, marks, body); of each line there is one row,
    one row of Provenance, one entry of the ledger, and what it points at.
    """

    rows: list[tuple[Any, ...]]
    vouchers: list[tuple[Any, ...]]
    entries: list[tuple[str, ...]]
    references: list[tuple[Key, ...]]


class _Target(NamedTuple):
    owner: int
    literal: bytes
    key: Key | None


class Rewriter:
    """Makes the lines of one part local."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._targets: dict[bytes, _Target] = {}
        self._origins: dict[int, Origin] = {}
        self._voucher = Voucher(part.base, part.organization_id, part.own_organization,
                                part.received)  # fmt: skip

    def packed(self, lines: Iterable[tuple[bytes, int]], document: str) -> Packed:
        """The rows of lines that are archived in one document, for those that are to be stored."""
        made, out = Packed([], [], [], []), self._part.refused
        for body, owner in lines:
            if owner < EVERYBODY or owner in out:
                continue
            x = self.local(body, owner)
            made.rows.append((x.compartment, x.type, x.local_id, x.service_date, x.marks, x.body))
            voucher = provenance_id(x.type, x.local_id)
            made.vouchers.append((x.compartment, "Provenance", voucher, None, "", x.voucher))
            made.entries.append(self._entry(x, document))
            made.references.append(x.references)
        return made

    def _entry(self, line: LocalLine, document: str) -> tuple[str, ...]:
        """A row of the ledger; what nobody owns stands under the batch's own Task."""
        own = bool(line.compartment)
        local = self._part.members[line.owner][1] if own else ""
        task = self._part.tasks[line.owner if own else EVERYBODY]
        return (task, line.type, line.local_id, line.source_id, self._part.issuer,
                line.compartment, local, document)  # fmt: skip

    def local(self, body: bytes, owner: int) -> LocalLine:
        """The line as it is stored; it has passed all checks, and `owner` is whose it is."""
        origin = self._origin(owner)
        found, keys = self._quick(body, owner) or self._walked(body, origin, owner)
        kind, ident = found["resourceType"], found["id"]
        made = adopt(found, origin)
        compartment = "" if kind in SHARED or owner == EVERYBODY else origin.imported_patient
        voucher = self._voucher.provenance(kind, made["id"], ident, origin.local_patient)
        return LocalLine(owner, kind, ident, made["id"], compartment, service_date(made),
                         words_for_scope(made), keys, json.write(made), voucher)  # fmt: skip

    def _quick(self, body: bytes, owner: int) -> tuple[dict[str, Any], tuple[Key, ...]] | None:
        """The resource with local references and what it points at, or None to walk it.

        Written anew, a line has no space around a colon and no needless escape; one that is so
        written already has its numbers as a fast reader gives them back.
        """
        text = orjson.dumps(orjson.loads(body))
        if text != body and not _reads_exactly(body):
            return None
        pieces = _REFERENCE.split(text)
        if len(pieces) // 2 != text.count(b'reference"') or _hides(text):
            return None
        keys = self._replace(pieces, owner)
        return None if keys is None else (orjson.loads(b"".join(pieces)), keys)

    def _replace(self, pieces: list[bytes], owner: int) -> tuple[Key, ...] | None:
        """Put local references into every other piece; None when one leads to nothing known."""
        keys = set()
        for index in range(1, len(pieces), 2):
            target = self._targets.get(pieces[index]) or self._look_up(pieces[index])
            if not _may_refer(owner, target.owner):
                return None
            pieces[index] = target.literal
            if target.key and target.owner != owner:
                keys.add(target.key)
        return tuple(sorted(keys))

    def _walked(
        self, body: bytes, origin: Origin, owner: int
    ) -> tuple[dict[str, Any], tuple[Key, ...]]:
        part = self._part
        found = localised(
            json.read_exact(body),
            origin,
            lambda key: _may_refer(owner, part.owner("/".join(key))),
        )
        facts = stored(orjson.loads(json.write(found)), b"", now=_EPOCH)
        return found, facts.references

    def _look_up(self, literal: bytes) -> _Target:
        """Where a reference leads; remembered, because a member's resources repeat theirs."""
        if len(self._targets) > _REMEMBERED:
            self._targets.clear()
        text = literal.decode()
        key = own_key(text, self._part.base)
        if key is None:
            found = _Target(_ELSEWHERE, _literal(text), split_reference(text))
        else:
            local = (key[0], local_id(self._part.issuer, *key))
            owner = self._part.owner("/".join(key))
            found = _Target(owner, _literal("/".join(local)), local)
        self._targets[literal] = found
        return found

    def _origin(self, owner: int) -> Origin:
        if owner not in self._origins:
            if len(self._origins) > _REMEMBERED:
                self._origins.clear()
            self._origins[owner] = self._part.origin(owner)
        return self._origins[owner]


def _may_refer(owner: int, target: int) -> bool:
    """Whether a reference stays one: to the member's own, to what all share, or elsewhere."""
    return target in (owner, EVERYBODY, _ELSEWHERE) or (owner == EVERYBODY and target >= 0)


def _hides(text: bytes) -> bool:
    """Whether an attachment may name a Binary, or a key only ends like the one that is meant."""
    return b"Binary/" in text or b'\\"reference' in text


def _reads_exactly(body: bytes) -> bool:
    """Whether a fast reader and writer give back every number as it was written."""
    return all(
        (text.isdigit() and len(text) <= _SHORT)
        or (len(text) <= _SHORT and orjson.dumps(orjson.loads(text)) == text)
        for text in _NUMBER.findall(body)
    )


def _literal(text: str) -> bytes:
    return b'"reference":' + json.write(text)
