"""The releases of many members at once: stored bytes, filtered and passed on.

What leaves is what `Releases` lets leave of each member; here it is read in one pass a batch, and
passed on by whole types of a member where all of them are decided alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from itertools import groupby
from operator import itemgetter

from ..fhir.search import Filters
from ..store.groups import BIG, Group
from ..store.repository import Key, Row
from ..store.scan import STRIPPED, UNDECIDED, Scanned, ScanRequest
from ..trust.scope_filters import passes
from .files import NdjsonWriter
from .provenance import target
from .release import Releases
from .scope import Tally, without_money

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


@dataclass(slots=True)
class _Sent:
    """What one member was sent, as targets of a Provenance."""

    targets: list[bytes] = field(default_factory=list)
    any_left: bool = False
    """Whether the scope let any of the member's own leave."""


class BulkRelease:
    """Writes what leaves of members' records; shared resources once in all."""

    def __init__(
        self, releases: Releases, asked: BulkRequest, writer: NdjsonWriter, tally: Tally,
        sent: NumberSet | None = None,
    ) -> None:  # fmt: skip
        self._releases = releases
        self._asked = asked
        self._writer = writer
        self._tally = tally
        self.sent = sent or NumberSet()
        """The numbers of the shared resources that were written."""
        self._sharing = releases.repository.sharing()
        self._known: dict[Key, _Shared | None] = {}
        self._reasons: dict[tuple[str, str, str, date], str] = {}

    def members(
        self, policies: Mapping[str, str], today: date
    ) -> Iterator[tuple[str, list[bytes]]]:
        """Write the records of members; each member is told when written, with what it was sent.

        The consent policy of each says what is sensitive. A member of whom nothing is stored may
        be left out.
        """
        shared, joined = self._shared(policies, today), self._joinable(policies)
        others = [member for member in policies if member not in joined]
        scanned = self._releases.repository.scan(self._request(others)) if others else iter(())
        for member, rows in groupby(scanned, key=itemgetter(0)):
            found = _Sent()
            self._own(rows, policies[member], today, found)
            yield member, self._with_shared(found, shared[member], policies[member], today)
        for member, found in self._joined(joined, policies, today).items():
            yield member, self._with_shared(found, shared[member], policies[member], today)

    def _request(self, members: Iterable[str]) -> ScanRequest:
        asked = self._asked
        types = None if asked.types is None else sorted(asked.types)
        stripped = sorted(self._releases.scope.stripped_types)
        return ScanRequest(
            list(members), types, (), None, asked.since, asked.until, asked.bound, stripped
        )

    def _joinable(self, members: Iterable[str]) -> frozenset[str]:
        """The members whose records can be passed on a type at a time."""
        # In a window of years each resource has a date of its own to be looked at.
        if self._releases.scope.years is not None:
            return frozenset()
        return frozenset(self._releases.repository.joinable(list(members)))

    def _joined(
        self, members: frozenset[str], policies: Mapping[str, str], today: date
    ) -> dict[str, _Sent]:
        """What was sent of each member's own: whole groups, and the rest one by one."""
        found = {member: _Sent() for member in sorted(members)}
        if not found:
            return found
        repository, request = self._releases.repository, self._request(found)
        single = sorted({*BIG, *self._asked.filters})
        left = {(kind, member) for kind in single for member in found}
        for group in repository.groups(replace(request, but=single)):
            member = group.compartment
            if not self._pass_group(group, policies[member], today, found[member]):
                left.add((group.type, member))
        for member, rows in groupby(repository.scan(replace(request, pairs=left)), itemgetter(0)):
            self._own(rows, policies[member], today, found[member])
        return found

    def _pass_group(self, group: Group, policy: str, today: date, found: _Sent) -> bool:
        """Pass on a group of which all resources leave, or none for one reason; else do nothing."""
        reasons = {
            self._reason(group.compartment, group.type, marks, None, policy, today)
            for marks in group.distinct_marks()
        }
        if len(reasons) > 1 or group.undecided or group.body.count(b"\n") != group.count - 1:
            return False
        [reason] = reasons
        if reason:
            self._tally.withheld[reason] += group.count
            return True
        self._tally.released[group.type] += group.count
        if group.stripped:
            self._tally.stripped[group.type] += group.stripped
        body = self._releases.addressed(group.type, group.body)
        self._writer.write_all(group.type, body, group.count)
        found.any_left = True
        found.targets += [target(group.type, ident) for ident in group.idents()]
        return True

    def _with_shared(self, found: _Sent, keys: list[Key], policy: str, today: date) -> list[bytes]:
        # What is referred to goes along with what refers to it, never alone.
        if found.any_left:
            found.targets += self._along(keys, policy, today)
        return found.targets

    def _own(self, rows: Iterable[Scanned], policy: str, today: date, found: _Sent) -> None:
        """Write one member's own resources, looking at each."""
        tally, filters = self._tally, self._asked.filters
        for member, kind, ident, marks, served, state, body in rows:
            reason = self._reason(member, kind, marks, served, policy, today)
            if reason:
                tally.withheld[reason] += 1
                continue
            found.any_left = True
            if state == UNDECIDED:
                leaving = without_money(body)
                state, body = (STRIPPED, leaving) if leaving else (0, body)  # noqa: PLW2901
            if not passes(filters, kind, body):
                continue
            if state:
                tally.stripped[kind] += 1
            tally.released[kind] += 1
            self._writer.write(kind, self._releases.addressed(kind, body))
            found.targets.append(target(kind, ident))

    def _reason(
        self, member: str, kind: str, marks: str, served: str | None, policy: str, today: date
    ) -> str:
        """Why a resource stays: by its type and marks, unless there is a window of years."""
        known = self._reasons.get((kind, marks, policy, today))
        if known is None:
            scope = self._releases.scope
            known = scope.withheld(_facts(member, kind, marks, served), policy, today)
            if scope.years is None:
                self._reasons[kind, marks, policy, today] = known
        return known

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
        if len(self._reasons) > _REMEMBERED:
            self._reasons.clear()
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
        body, stripped = self._releases.release(row)
        holds = passes(self._asked.filters, row.type, body)
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
                self._writer.write(key[0], shared.body)
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


def _facts(member: str, kind: str, marks: str, served: str | None) -> Row:
    return Row(0, member, kind, "", 1, "", served, frozenset(marks.split()))
