"""What of one member's record leaves: the data scope applied, with what it points at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime

from ..fhir import json
from ..fhir.references import references_in, split_reference
from ..fhir.search import PARAMETERS, Filters
from ..store.repository import Key, Repository, Row, Selection
from ..store.sharing import Sharing
from ..trust.scope_filters import passes
from .attachments import DOCUMENTS, absolute_attachments
from .scope import DataScope, Tally


@dataclass(frozen=True, slots=True)
class Released:
    """One resource that leaves, with the bytes that leave."""

    type: str
    id: str
    body: bytes


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """Which part of a member's record is asked for, under which consent policy."""

    member: str
    policy: str
    types: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    filters: Filters | None = None
    start: date | None = None
    end: date | None = None


class Releases:
    """Reads members' records through the data scope."""

    def __init__(self, repository: Repository, scope: DataScope, fhir_base: str) -> None:
        self.repository = repository
        self.scope = scope
        self._base = fhir_base

    def release(self, row: Row) -> tuple[bytes, bool]:
        """The bytes that leave of a resource, and whether anything was taken out of them."""
        body, stripped = self.scope.release(row)
        return self.addressed(row.type, body), stripped

    def addressed(self, kind: str, body: bytes) -> bytes:
        """One resource, or lines of them, with what they name by address at its full address."""
        return absolute_attachments(body, self._base) if kind == DOCUMENTS else body

    def exportable_types(self) -> frozenset[str]:
        """The types that may leave and that this payer knows how to search."""
        return self.scope.types & PARAMETERS.keys()

    def facts(self, asked: ReleaseRequest, today: date, tally: Tally | None = None) -> list[Row]:
        """The rows, without bodies, that may leave, in the order they were stored.

        Own resources first, then what they refer to. Referenced resources come whatever their
        date (Bulk Data: references of a matched resource are exempt from _since).
        """
        selection = Selection(asked.member, _listed(asked.types), asked.since, asked.until)
        own = [
            row
            for row in self.repository.rows(selection, bodies=False)
            if self._passes(row, asked, today, tally)
        ]
        # What is referred to goes along with what refers to it, never alone.
        return own + self._shared(asked, today, tally) if own else []

    def bodies(self, rows: list[Row], asked: ReleaseRequest, tally: Tally) -> Iterator[Released]:
        """What leaves of the rows given, stripped and filtered, batch by batch."""
        for start in range(0, len(rows), 200):
            batch = rows[start : start + 200]
            found = self.repository.with_bodies(batch)
            for row in batch:
                if row.key in found:
                    yield from self._body(found[row.key], asked, tally)

    def _body(self, row: Row, asked: ReleaseRequest, tally: Tally) -> Iterator[Released]:
        body, stripped = self.release(row)
        if asked.filters and not passes(asked.filters, row.type, body):
            return
        tally.released[row.type] += 1
        if stripped:
            tally.stripped[row.type] += 1
        yield Released(row.type, row.id, body)

    def _passes(self, row: Row, asked: ReleaseRequest, today: date, tally: Tally | None) -> bool:
        reason = self.scope.withheld(row, asked.policy, today)
        if reason and tally is not None:
            tally.withheld[reason] += 1
        return not reason and _in_care_dates(row, asked)

    def shared_by(self, member: str, policy: str, today: date) -> set[Key]:
        """Keys of what a member shares with others and that may be told of the member.

        Whom only a sensitive record names, such as the clinic it was made at, stays with it: that
        the member goes there is what the record is withheld for.
        """
        return self.shared_by_many({member: policy}, today)[member]

    def shared_by_many(
        self, policies: Mapping[str, str], today: date, sharing: Sharing | None = None
    ) -> dict[str, set[Key]]:
        """The same for many members, each under a consent policy.

        `sharing` remembers what shared resources refer to from one call to the next.
        """
        pointing = self.repository.outward_of(list(policies))
        for member, hidden in self._sensitive(policies, today).items():
            if member in pointing:
                pointing[member] -= self._suspects(member, hidden, pointing[member])
        asked = {member: pointing.get(member, set()) for member in policies}
        return (sharing or self.repository.sharing()).of(asked)

    def _sensitive(self, policies: Mapping[str, str], today: date) -> dict[str, set[Key]]:
        """The records that are withheld as sensitive, by member; most members have none."""
        marked = [
            (member, marks)
            for member, marks in self.repository.marks_of(list(policies))
            if policies[member] != "sensitive"
            and self.scope.has_sensitive(frozenset(marks.split()))
        ]
        found: dict[str, set[Key]] = {}
        members, marks = {member for member, _ in marked}, {marks for _, marks in marked}
        for row in self.repository.marked(sorted(members), sorted(marks)) if marked else ():
            if self.scope.withheld(row, policies[row.compartment], today) == "sensitive":
                found.setdefault(row.compartment, set()).add(row.key)
        return found

    def _suspects(self, member: str, hidden: set[Key], pointed_at: set[Key]) -> set[Key]:
        """What is named by the hidden records of a member and by no other."""
        names = {f"{kind}/{ident}".encode(): (kind, ident) for kind, ident in pointed_at}
        secret = self.repository.by_keys(sorted(hidden)) if names else ()
        suspects = {key for row in secret for key in _named_in(row.body, names)} & pointed_at
        left = {name: key for name, key in names.items() if key in suspects}
        with closing(self.repository.rows(Selection(member))) as rows:
            for row in rows if left else ():
                if row.key not in hidden:
                    left = {name: key for name, key in left.items() if name not in row.body}
                if not left:
                    break
        return set(left.values())

    def _shared(self, asked: ReleaseRequest, today: date, tally: Tally | None) -> list[Row]:
        keys: list[Key] = sorted(
            key
            for key in self.shared_by(asked.member, asked.policy, today)
            if asked.types is None or key[0] in asked.types
        )
        return [
            row
            for row in self.repository.by_keys(keys, bodies=False)
            # What belongs to another member is never taken along, whoever points at it.
            if row.compartment == ""
            and row.type != "Patient"
            and self._passes(row, ReleaseRequest(asked.member, asked.policy), today, tally)
        ]


def _named_in(body: bytes, names: Iterable[bytes]) -> Iterator[Key]:
    """What a resource refers to; nothing, unread, when it holds none of the names."""
    # An escape may spell any name.
    if b"\\" not in body and not any(name in body for name in names):
        return
    for reference in references_in(json.read(body)):
        key = split_reference(reference)
        if key:
            yield key


def _listed(types: frozenset[str] | None) -> list[str] | None:
    return None if types is None else sorted(types)


def _in_care_dates(row: Row, asked: ReleaseRequest) -> bool:
    """Whether a resource's date of service lies in `start` to `end`; undated ones always do."""
    if row.service_date is None or row.type in ("Patient", "Coverage"):
        return True
    day = row.service_date[:10]
    return not (
        (asked.start and day < asked.start.isoformat()[: len(day)])
        or (asked.end and day[: len(asked.end.isoformat())] > asked.end.isoformat())
    )
