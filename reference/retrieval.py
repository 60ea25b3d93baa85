"""Synchronous retrieval for one client: read, search and `$everything`, member by member.

A client reaches the members it has matched and whose consent is in force; a token bound to a
member reaches that one. What lies outside is answered as what does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any
from urllib.parse import urlencode

import orjson

from .clock import Clock, instant
from .errors import BadRequest
from .export.provenance import transmitter_provenance
from .export.release import ReleaseRequest, Releases
from .export.scope import Tally
from .fhir import json
from .fhir.dates import day_of, last_day_of, read_instant
from .fhir.references import split_reference
from .fhir.search import PARAMETERS, REFERENCE, Condition, condition, elements
from .matches import Match
from .reach import Reach
from .store.repository import Key, Repository, Row, Selection
from .trust.scope_filters import passes
from .trust.scopes import allows, filters, readable_types

DEFAULT_COUNT, MAX_COUNT = 100, 1000
_CONTROL = frozenset({"_count", "_page", "_format", "_include", "_revinclude", "_total", "_sort",
                      "_summary", "_elements", "_pretty"})  # fmt: skip
_EVERYTHING = frozenset({"_type", "_since", "_count", "_page", "start", "end", "_format"})
NOT_FOUND = "There is no such resource, or it is not yours to read."


@dataclass(frozen=True, slots=True)
class Access:
    """What one token opens: scopes, and the members by id."""

    client_id: str
    scopes: frozenset[str]
    members: Reach


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a searchset."""

    entries: list[tuple[str, str, bytes, str]]
    total: int | None
    self_url: str
    next_url: str | None


class Retrieval:
    """Answers the synchronous requests of one payer."""

    def __init__(
        self,
        repository: Repository,
        releases: Releases,
        clock: Clock,
        *,
        fhir_base: str,
        organization_id: str,
        count: int = DEFAULT_COUNT,
    ) -> None:
        self._repository = repository
        self._releases = releases
        self._clock = clock
        self._base = fhir_base
        self._organization = organization_id
        self._count = count

    def read(self, access: Access, kind: str, ident: str) -> tuple[bytes, Row]:
        """One resource as it leaves; raises BadRequest 403 without the scope, 404 otherwise."""
        require_scope(access, kind, "r")
        row = self._repository.get(kind, ident)
        member = self._member_of(access, row) if row else None
        if row is None or member is None:
            raise BadRequest(NOT_FOUND, status=404, code="not-found")
        policy = access.members[member].consent.policy
        if self._releases.scope.withheld(row, policy, self._today()):
            raise BadRequest(NOT_FOUND, status=404, code="not-found")
        body = self._releases.release(row)[0]
        if not passes(filters(access.scopes, "r"), kind, body):
            raise BadRequest(NOT_FOUND, status=404, code="not-found")
        return body, row

    def search(
        self, access: Access, kind: str, pairs: Sequence[tuple[str, str]], *, strict: bool
    ) -> Page:
        """A page of the matching resources of a type.

        Unknown parameters are left out of the self link, or refused when `strict` (R4 search).
        """
        if kind not in PARAMETERS:
            raise BadRequest("This payer does not hold that resource type.", status=404,
                             code="not-supported")  # fmt: skip
        require_scope(access, kind, "s")
        conditions, used = conditions_of(kind, pairs, strict=strict)
        found = self._matching(access, kind, conditions)
        count, start = window_of(pairs, self._count)
        page = found[start : start + count]
        entries = [(r.type, r.id, body, "match") for r, body, _ in page]
        entries += self._included(access, kind, pairs, page)
        url = f"{self._base}/{kind}"
        following = [*used, ("_count", str(count)), ("_page", str(start + count))]
        controls = [(n, v) for n, v in pairs if n in ("_include", "_revinclude")]
        return Page(
            entries,
            len(found),
            link_to(url, [*used, *((n, v) for n, v in pairs if n in _CONTROL and n != "_format")]),
            link_to(url, following + controls) if 0 < count < len(found) - start else None,
        )

    def everything(self, access: Access, member: str, pairs: Sequence[tuple[str, str]]) -> Page:
        """A page of all that may leave of a member's record (pdex-212, pdex-214)."""
        require_scope(access, "Patient", "r")
        if member not in access.members:
            raise BadRequest(NOT_FOUND, status=404, code="not-found")
        asked = self._everything_request(access, member, pairs)
        rows = self._releases.facts(asked, self._today())
        count, start = window_of(pairs, self._count)
        tally = Tally()
        entries = [
            (r.type, r.id, r.body, "match")
            for r in self._releases.bodies(rows[start : start + count], asked, tally)
        ]
        kept = [(n, v) for n, v in pairs if n in _EVERYTHING - {"_page", "_count", "_format"}]
        # Asked for nothing, as with _count=0, there is nothing to go on with.
        last = count == 0 or start + count >= len(rows)
        if last and count and (asked.types is None or "Provenance" in asked.types):
            entries += self._transmitted(member, [row.key for row in rows])
        url = f"{self._base}/Patient/{member}/$everything"
        window = [("_count", str(count)), ("_page", str(start + count))]
        return Page(
            entries, len(rows), link_to(url, kept), None if last else link_to(url, kept + window)
        )

    def bundle(self, page: Page) -> bytes:
        """The page as a searchset Bundle, each resource in its own bytes."""
        links = [{"relation": "self", "url": page.self_url}]
        if page.next_url:
            links.append({"relation": "next", "url": page.next_url})
        bundle: dict[str, Any] = {
            "resourceType": "Bundle",
            "type": "searchset",
            "timestamp": instant(self._clock.now()),
            "link": links,
        }
        if page.total is not None:
            bundle["total"] = page.total
        if page.entries:
            bundle["entry"] = [
                {
                    "fullUrl": f"{self._base}/{kind}/{ident}",
                    "resource": orjson.Fragment(body),
                    "search": {"mode": mode},
                }
                for kind, ident, body, mode in page.entries
            ]
        return json.write(bundle)

    def _everything_request(
        self, access: Access, member: str, pairs: Sequence[tuple[str, str]]
    ) -> ReleaseRequest:
        values = dict(pairs)
        allowed = readable_types(access.scopes)
        asked = None
        if "_type" in values:
            asked = frozenset(part for n, v in pairs if n == "_type" for part in v.split(","))
            if not asked <= PARAMETERS.keys():
                raise BadRequest("_type names a type that this payer does not hold.",
                                 code="not-supported", expression="_type")  # fmt: skip
        types = asked if allowed is None else (asked & allowed if asked else allowed)
        return ReleaseRequest(
            member,
            access.members[member].consent.policy,
            types=types,
            since=read_instant(values["_since"], "_since") if "_since" in values else None,
            filters=filters(access.scopes, "r"),
            start=_day(values, "start"),
            end=_day(values, "end", last_day_of),
        )

    def _matching(
        self, access: Access, kind: str, conditions: list[Condition]
    ) -> list[tuple[Row, bytes, str]]:
        found: dict[str, tuple[Row, bytes, str]] = {}
        narrowed = filters(access.scopes, "s")
        for member, remaining in self._searched_members(access, conditions):
            for row in self._candidates(access, member, kind):
                if row.id in found or self._withheld(access, member, row):
                    continue
                body = self._releases.release(row)[0]
                if not passes(narrowed, kind, body):
                    continue
                if not remaining or _all_hold(remaining, body, access.members[member]):
                    found[row.id] = (row, body, member)
        return list(found.values())

    def _searched_members(
        self, access: Access, conditions: list[Condition]
    ) -> Iterator[tuple[str, list[Condition]]]:
        """The members to look at: those a patient condition names, else all that are reachable."""
        named = [
            c
            for c in conditions
            if c.name in ("patient", "subject", "beneficiary") and c.modifier != "missing"
        ]
        rest = [c for c in conditions if c not in named]
        if not named:
            yield from ((member, rest) for member in access.members)
            return
        wanted = {value.rsplit("/", 1)[-1] for c in named for value in c.values}
        if not wanted <= set(access.members):
            raise BadRequest(NOT_FOUND, status=404, code="not-found")
        yield from ((member, rest) for member in sorted(wanted))

    def _candidates(self, access: Access, member: str, kind: str) -> Iterator[Row]:
        yield from self._repository.rows(Selection(member, [kind]))
        keys = [key for key in self._shared_by(access, member) if key[0] == kind]
        yield from (r for r in self._repository.by_keys(sorted(keys)) if r.compartment == "")

    def _withheld(self, access: Access, member: str, row: Row) -> str:
        policy = access.members[member].consent.policy
        return self._releases.scope.withheld(row, policy, self._today())

    def _included(
        self,
        access: Access,
        kind: str,
        pairs: Sequence[tuple[str, str]],
        page: list[tuple[Row, bytes, str]],
    ) -> list[tuple[str, str, bytes, str]]:
        entries = {}
        for name, value in pairs:
            if name == "_include":
                entries.update(self._follow(access, kind, value, page))
            elif name == "_revinclude" and value.startswith("Provenance:target"):
                entries.update(self._provenance(access, page))
        keys = {row.key for row, _, _ in page}
        narrowed = filters(access.scopes, "r")
        # What is included needs a scope of its own.
        return [
            (*key, body, "include")
            for key, body in entries.items()
            if key not in keys
            and allows(access.scopes, key[0], "r")
            and passes(narrowed, key[0], body)
        ]

    def _follow(
        self, access: Access, kind: str, value: str, page: list[tuple[Row, bytes, str]]
    ) -> dict[Key, bytes]:
        parts = value.split(":")
        names = [n for n, p in PARAMETERS[kind].items() if p.kind == REFERENCE]
        if value != "*" and (parts[0] != kind or parts[1:2] not in ([n] for n in (*names, "*"))):
            raise BadRequest("_include names no reference parameter of this type.",
                             code="not-supported", expression="_include")  # fmt: skip
        chosen = names if value == "*" or parts[1] == "*" else [parts[1]]
        wanted: dict[str, set[Key]] = {}
        for _, body, member in page:
            resource = json.read(body)
            for name in chosen:
                found = _referenced(resource, PARAMETERS[kind][name].paths)
                wanted.setdefault(member, set()).update(found)
        return {
            row.key: self._releases.release(row)[0]
            for member, keys in wanted.items()
            for row in self._reached(access, member, keys)
        }

    def _reached(self, access: Access, member: str, keys: set[Key]) -> Iterator[Row]:
        """Those of some resources that a member's record holds and that may leave."""
        shared = self._shared_by(access, member)
        for row in self._repository.by_keys(sorted(keys)):
            inside = row.compartment == member or (row.compartment == "" and row.key in shared)
            if inside and not self._withheld(access, member, row):
                yield row

    def _provenance(self, access: Access, page: list[tuple[Row, bytes, str]]) -> dict[Key, bytes]:
        found: dict[Key, bytes] = {}
        by_member: dict[str, set[Key]] = {}
        for row, _, member in page:
            by_member.setdefault(member, set()).add(row.key)
        for member, keys in by_member.items():
            for row in self._repository.rows(Selection(member, ["Provenance"])):
                targets = set(_referenced(json.read(row.body), ("target",)))
                if targets & keys and not self._withheld(access, member, row):
                    found[row.key] = row.body
            for kind, ident, body, _ in self._transmitted(member, sorted(keys)):
                found[kind, ident] = body
        return found

    def _transmitted(self, member: str, keys: Sequence[Key]) -> list[tuple[str, str, bytes, str]]:
        now = instant(self._clock.now())
        return [
            ("Provenance", found["id"], json.write(found), "include")
            for found in transmitter_provenance(member, keys, self._organization, now)
        ]

    def _member_of(self, access: Access, row: Row) -> str | None:
        """The reachable member a resource belongs to, or is shared by."""
        if row.compartment:
            return row.compartment if row.compartment in access.members else None
        return next((m for m in access.members if row.key in self._shared_by(access, m)), None)

    def _shared_by(self, access: Access, member: str) -> set[Key]:
        policy = access.members[member].consent.policy
        return self._releases.shared_by(member, policy, self._today())

    def _today(self) -> date:
        return self._clock.now().astimezone(UTC).date()


def require_scope(access: Access, kind: str, letter: str) -> None:
    """Raise BadRequest 403 when no scope allows the interaction with the type."""
    if not allows(access.scopes, kind, letter):
        raise BadRequest(
            f"The token has no scope for {kind}. Ask for system/{kind}.rs.",
            status=403,
            code="forbidden",
            headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
        )


def _all_hold(conditions: list[Condition], body: bytes, match: Match) -> bool:
    resource = json.read(body)
    return all(c.holds(resource) or _is_issued_identifier(c, resource, match) for c in conditions)


def _is_issued_identifier(found: Condition, resource: Mapping[str, Any], match: Match) -> bool:
    """Whether a search asks for the identifier that the match answered with (pdex-200)."""
    if found.name != "identifier" or resource.get("resourceType") != "Patient":
        return False
    return bool({match.value, f"{match.system}|{match.value}"} & set(found.values))


def conditions_of(
    kind: str, pairs: Sequence[tuple[str, str]], *, strict: bool
) -> tuple[list[Condition], list[tuple[str, str]]]:
    """The conditions of a search, and the parameters they came from.

    Unknown ones are left out, or refused with BadRequest 400 when `strict`.
    """
    conditions, used = [], []
    for name, value in pairs:
        if name in _CONTROL:
            continue
        found = condition(kind, name, value)
        if found is not None:
            conditions.append(found)
            used.append((name, value))
        elif strict:
            raise BadRequest("The search has a parameter that this type does not support.",
                             code="not-supported")  # fmt: skip
    return conditions, used


def window_of(pairs: Sequence[tuple[str, str]], default: int) -> tuple[int, int]:
    """How many entries a page has, and with which it begins; raises BadRequest 400."""
    values = dict(pairs)
    return min(_number(values, "_count", default), MAX_COUNT), _number(values, "_page", 0)


def _number(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name, str(default))
    if not text.isdecimal() or len(text) > 9:
        raise BadRequest(f"{name} must be a whole number.", code="value", expression=name)
    return int(text)


def _day(
    values: Mapping[str, str], name: str, read: Callable[[Any], date | None] = day_of
) -> date | None:
    if name not in values:
        return None
    found = read(values[name])
    if found is None:
        raise BadRequest(f"{name} must be a date.", code="value", expression=name)
    return found


def _referenced(resource: Any, paths: Sequence[str]) -> Iterator[Key]:
    for path in paths:
        for element in elements(resource, path.split(".")):
            reference = element.get("reference") if isinstance(element, Mapping) else None
            key = split_reference(reference)
            if key:
                yield key


def link_to(url: str, pairs: Sequence[tuple[str, str]]) -> str:
    """A URL with its query."""
    return f"{url}?{urlencode(pairs)}" if pairs else url
