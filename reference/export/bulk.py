"""The releases of many members at once: stored bytes, filtered and passed on.

What leaves is what `Releases` lets leave of each member; here it is read in one pass a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter

from ..fhir import json
from ..store.repository import Key, Row
from ..store.scan import STRIPPED, UNDECIDED, Scanned, ScanRequest
from .provenance import target
from .release import Releases
from .request import Filters
from .scope import Tally, without_money

Write = Callable[[str, bytes], None]
# So many shared resources are remembered before everything is forgotten: memory stays flat.
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class BulkRequest:
    """Which part of the members' records is asked for."""

    types: frozenset[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    filters: Filters = field(default_factory=dict)
    bound: int | None = None
    """The number of the last resource to send."""


class NumberSet:
    """Numbers of resources, a bit each: millions of them stay small."""

    def __init__(self, bits: bytes = b"") -> None:
        self._bits = bytearray(bits)

    def add(self, number: int) -> bool:
        """Whether the number is new."""
        place, bit = number >> 3, 1 << (number & 7)
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        new = not self._bits[place] & bit
        self._bits[place] |= bit
        return new

    def __bytes__(self) -> bytes:
        return bytes(self._bits)


@dataclass(slots=True)
class _Shared:
    """A resource that members share, with what was found out about it."""

    row: Row
    body: bytes
    stripped: bool
    holds: bool
    reasons: dict[tuple[str, date], str] = field(default_factory=dict)


class BulkRelease:
    """Writes what leaves of members' records; shared resources once in all."""

    def __init__(
        self, releases: Releases, asked: BulkRequest, write: Write, tally: Tally,
        sent: NumberSet | None = None,
    ) -> None:  # fmt: skip
        self._releases = releases
        self._asked = asked
        self._write = write
        self._tally = tally
        self.sent = sent or NumberSet()
        """The numbers of the shared resources that were written."""
        self._sharing = releases.repository.sharing()
        self._known: dict[Key, _Shared | None] = {}
        self._reasons: dict[tuple[str, date], dict[tuple[str, str], str]] = {}

    def members(
        self, policies: Mapping[str, str], today: date
    ) -> Iterator[tuple[str, list[bytes]]]:
        """Write the records of members; each member is told when written, with what it was sent.

        The consent policy of each says what is sensitive. A member of whom nothing is stored is
        not told.
        """
        asked, scope = self._asked, self._releases.scope
        shared = self._shared(policies, today)
        request = ScanRequest(
            list(policies),
            None if asked.types is None else sorted(asked.types),
            asked.since,
            asked.until,
            asked.bound,
            sorted(scope.stripped_types),
        )
        scanned = self._releases.repository.scan(request)
        for member, rows in groupby(scanned, key=itemgetter(0)):
            sent, any_left = self._own(rows, policies[member], today)
            # What is referred to goes along with what refers to it, never alone.
            if any_left:
                sent += self._along(shared[member], policies[member], today)
            yield member, sent

    def _own(self, rows: Iterable[Scanned], policy: str, today: date) -> tuple[list[bytes], bool]:
        """What was sent of one member's own resources, and whether the scope let any leave."""
        scope, tally, filters = self._releases.scope, self._tally, self._asked.filters
        write, released, reasons = self._write, tally.released, self._reasons_under(policy, today)
        sent, any_left = [], False
        for member, kind, ident, marks, served, state, body in rows:
            reason = reasons.get((kind, marks))
            if reason is None:
                reason = scope.withheld(_facts(member, kind, ident, marks, served), policy, today)
                if scope.years is None:
                    reasons[kind, marks] = reason
            if reason:
                tally.withheld[reason] += 1
                continue
            any_left = True
            if state == UNDECIDED:
                leaving = without_money(body)
                state, body = (STRIPPED, leaving) if leaving else (0, body)  # noqa: PLW2901
            if kind in filters and not _holds(filters, kind, body):
                continue
            if state:
                tally.stripped[kind] += 1
            released[kind] += 1
            write(kind, body)
            sent.append(target(kind, ident))
        return sent, any_left

    def _reasons_under(self, policy: str, today: date) -> dict[tuple[str, str], str]:
        """Why resources stay, by type and marks: nothing else decides but a window of years."""
        reasons = self._reasons.setdefault((policy, today), {})
        if len(reasons) > _REMEMBERED:
            reasons.clear()
        return reasons

    def _shared(self, policies: Mapping[str, str], today: date) -> dict[str, list[Key]]:
        """What each member shares and may have asked for, in order; all of it known."""
        types = self._asked.types
        found = {
            member: sorted(key for key in keys if types is None or key[0] in types)
            for member, keys in self._releases.shared_by_many(
                policies, today, self._sharing
            ).items()
        }
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        new = {key for keys in found.values() for key in keys} - self._known.keys()
        self._known.update(dict.fromkeys(new))
        for row in self._releases.repository.by_keys(sorted(new)):
            self._known[row.key] = self._looked_at(row)
        return found

    def _looked_at(self, row: Row) -> _Shared | None:
        late = self._asked.bound is not None and row.seq > self._asked.bound
        # What belongs to another member is never taken along, whoever points at it.
        if row.compartment or row.type == "Patient" or late:
            return None
        body, stripped = self._releases.scope.release(row)
        holds = row.type not in self._asked.filters or _holds(self._asked.filters, row.type, body)
        facts = Row(row.seq, "", row.type, row.id, 1, "", row.service_date, row.marks)
        return _Shared(facts, body, stripped, holds)

    def _along(self, keys: list[Key], policy: str, today: date) -> list[bytes]:
        """Count what goes along with a member's record, and write what nobody was sent yet."""
        tally, sent = self._tally, []
        for key in keys:
            shared = self._known[key]
            if shared is None or self._stays(shared, policy, today) or not shared.holds:
                continue
            tally.released[key[0]] += 1
            if shared.stripped:
                tally.stripped[key[0]] += 1
            if self.sent.add(shared.row.seq):
                self._write(key[0], shared.body)
            shared.body = b""
            sent.append(target(*key))
        return sent

    def _stays(self, shared: _Shared, policy: str, today: date) -> bool:
        reason = shared.reasons.get((policy, today))
        if reason is None:
            reason = self._releases.scope.withheld(shared.row, policy, today)
            shared.reasons[policy, today] = reason
        if reason:
            self._tally.withheld[reason] += 1
        return bool(reason)


def _facts(member: str, kind: str, ident: str, marks: str, served: str | None) -> Row:
    return Row(0, member, kind, ident, 1, "", served, frozenset(marks.split()))


def _holds(filters: Filters, kind: str, body: bytes) -> bool:
    resource = json.read(body)
    return any(all(c.holds(resource) for c in query) for query in filters[kind])
