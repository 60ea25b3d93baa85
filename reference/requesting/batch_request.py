"""What `$invoke-bulk-export` is asked for, and how its members are parted among bulk matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import BadRequest
from ..fhir.dates import parse_moment
from ..fhir.parameters import Parameter, parameters_of
from .batches import Part
from .request import InvokeRequest, export_of, read_member

Export = tuple[tuple[str, str], ...]
_NAMES = ("member", "optIns", "sinceLast", "export")


@dataclass(frozen=True, slots=True)
class BulkInvoke:
    """A batch as it was asked for."""

    members: tuple[InvokeRequest, ...]
    opt_ins: bool
    since_last: bool
    export: Export


def read_bulk_invoke(body: Mapping[str, Any]) -> BulkInvoke:
    """The batch in a Parameters body: `member`s, or `optIns` for all that wait to be asked.

    Raises BadRequest naming the parameter, as for a single member (400, or 422).
    """
    found: dict[str, list[Parameter]] = {name: [] for name in _NAMES}
    for parameter in parameters_of(body):
        if parameter.name not in found:
            raise BadRequest(f"This operation knows {', '.join(_NAMES)}.", code="not-supported",
                             expression=f"{parameter.expression}.name")  # fmt: skip
        found[parameter.name].append(parameter)
    for name in _NAMES[1:]:
        if len(found[name]) > 1:
            raise BadRequest(f"The parameter {name} stands twice.", code="structure",
                             expression=found[name][1].expression)  # fmt: skip
    wants_opt_ins = any(p.value("Boolean") is True for p in found["optIns"])
    if wants_opt_ins == bool(found["member"]):
        raise BadRequest("Give either members, or optIns as true.", status=422, code="required",
                         expression="Parameters.parameter")  # fmt: skip
    return BulkInvoke(
        members=tuple(map(read_member, found["member"])),
        opt_ins=wants_opt_ins,
        since_last=any(p.value("Boolean") is True for p in found["sinceLast"]),
        export=export_of(found["export"][0]) if found["export"] else (),
    )


@dataclass(slots=True)
class Partition:
    """Puts members into parts as they come: one source payer, one `_since`, so many at most.

    Members who were last exported on the same day share a part, and it asks for what changed since
    the earliest of their moments: one export a moment would be thousands of exports once members
    have moved, and what a few hours bring twice changes nothing when it is stored again. Members
    who were never exported have parts of their own, without `_since`: they need everything.
    """

    batch_id: str
    size: int
    parts: list[Part] = field(default_factory=list)
    _open: dict[tuple[str, str], int] = field(default_factory=dict)
    _counts: dict[int, int] = field(default_factory=dict)

    def place(self, issuer: str, last: str) -> int:
        """The number of the part that a member goes to."""
        key = (issuer, last[:10])
        number = self._open.get(key)
        if number is None or self._counts[number] >= self.size:
            number = self._open[key] = len(self.parts)
            self.parts.append(Part(self.batch_id, number, issuer, last))
        self._counts[number] = self._counts.get(number, 0) + 1
        part = self.parts[number]
        if _earlier(last, part.since):
            self.parts[number] = replace(part, since=last)
        return number


def export_pairs(export: Sequence[Sequence[str]], since: str) -> Export:
    """The parameters of a part's export; its own `_since` stands only where none was asked for."""
    pairs = tuple((name, value) for name, value in export if name != "_outputFormat")
    if since and "_since" not in dict(pairs):
        return (*pairs, ("_since", since))
    return pairs


def _earlier(one: str, other: str) -> bool:
    first, second = parse_moment(one), parse_moment(other)
    return first is not None and second is not None and first < second
