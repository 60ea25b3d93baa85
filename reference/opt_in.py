"""Opt-in: what a member agreed to and said of the other payer, and what follows from it.

From it come the Consent, the CoverageToMatch and the source payer of a request. A payer nobody
here knows becomes an entry of the work list; missing education is told and stops nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    Column,
    Engine,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)

from .clock import Clock, instant
from .errors import BadRequest
from .fhir import json
from .fhir.dates import day_of
from .registration.servers import Server, ServerRegistry

# The regulation's week between an opt-in and the request (42 CFR 422.121(b)).
REQUEST_WITHIN = timedelta(days=7)
UNKNOWN_PAYER = "unknown-payer"
_PORTION = 500
_EDUCATION_MISSING = "No record that the member was given the education material."
_UNKNOWN_PAYER = (
    "The member names a payer that no server is registered for. Find out who it is and register it."
)

_METADATA = MetaData()
_OPT_IN = Table(
    "opt_in",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("local_patient", String, nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("state", String, nullable=False),
    Column("recorded", String, nullable=False),
    Column("due", String, nullable=False),
    Column("issuer", String, nullable=False),
    # When the source payer was known, and when the permission was taken back.
    Column("informed", String, nullable=False),
    Column("withdrawn", String, nullable=False),
)
_WORK = Table(
    "work_item",
    _METADATA,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("opt_in", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("created", String, nullable=False),
    Column("state", String, nullable=False),
)


@dataclass(frozen=True, slots=True)
class OtherPayer:
    """What the member says of the other payer, as it stands on the card."""

    name: str = ""
    system: str = ""
    value: str = ""
    member_id: str = ""
    member_system: str = ""
    subscriber_id: str = ""
    relationship: str = "self"
    coverage: str = "previous"


@dataclass(frozen=True, slots=True)
class Education:
    """Which education material the member was given, when and how."""

    version: str
    date: str
    channel: str


@dataclass(frozen=True, slots=True)
class OptInEvent:
    """One member's permission, for one other payer."""

    local_patient: str
    start: str
    end: str
    other_payer: OtherPayer
    policy: str = "regular"
    source: str = "DocumentReference/signed-consent"
    performer: str = ""
    education: Education | None = None


@dataclass(frozen=True, slots=True)
class OptIn:
    """A stored opt-in; without an issuer its payer is on the work list."""

    id: str
    event: OptInEvent
    state: str
    recorded: str
    due: str
    issuer: str = ""
    informed: str = ""
    withdrawn: str = ""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a compliance report is to say of it."""
        return () if self.event.education else (_EDUCATION_MISSING,)

    def as_json(self) -> dict[str, Any]:
        """The opt-in as plain objects."""
        return {**asdict(self), "warnings": list(self.warnings)}


@dataclass(frozen=True, slots=True)
class WorkItem:
    """Something a person has to clear up before an exchange can start."""

    id: str
    kind: str
    opt_in: str
    text: str
    created: str
    state: str


class OptIns:
    """The opt-ins of one requesting payer, and the work list that comes of them."""

    def __init__(self, engine: Engine, servers: ServerRegistry, clock: Clock) -> None:
        self._engine = engine
        self._servers = servers
        self._clock = clock
        _METADATA.create_all(engine)

    def record(self, event: OptInEvent) -> OptIn:
        """Store an opt-in, find its source payer, or put that on the work list."""
        return self.record_many([event])[0]

    def record_many(self, events: Sequence[OptInEvent]) -> list[OptIn]:
        """The same for many, all or none of them."""
        now = self._clock.now()
        servers: dict[OtherPayer, Server | None] = {}
        found = []
        for event in events:
            key = replace(event.other_payer, member_id="", subscriber_id="", relationship="")
            if key not in servers:
                servers[key] = self.server_for(key)
            server = servers[key]
            found.append(OptIn(
                f"opt-in-{secrets.token_hex(8)}", event, "active", instant(now),
                instant(now + REQUEST_WITHIN), server.issuer if server else "",
                instant(now) if server else "",
            ))  # fmt: skip
        unknown = [asdict(self._work_item(one)) for one in found if not one.issuer]
        with self._engine.begin() as connection:
            if found:
                connection.execute(insert(_OPT_IN), [_row(one) for one in found])
            if unknown:
                connection.execute(insert(_WORK), unknown)
        return found

    def get(self, ident: str) -> OptIn:
        """The opt-in with that id; raises BadRequest 404 when there is none."""
        with self._engine.connect() as connection:
            row = connection.execute(select(_OPT_IN).where(_OPT_IN.c.id == ident)).mappings()
            found = row.first()
        if found is None:
            raise BadRequest("There is no such opt-in.", status=404, code="not-found")
        return _opt_in(found)

    def of(self, local_patient: str | None = None) -> list[OptIn]:
        """The opt-ins of a member, or all, oldest first."""
        statement = select(_OPT_IN).order_by(_OPT_IN.c.recorded, _OPT_IN.c.id)
        if local_patient is not None:
            statement = statement.where(_OPT_IN.c.local_patient == local_patient)
        with self._engine.connect() as connection:
            return [_opt_in(row) for row in connection.execute(statement).mappings()]

    def withdraw(self, local_patient: str) -> int:
        """The member takes the permission back: nothing is asked for from now on."""
        statement = (
            update(_OPT_IN)
            .where(_OPT_IN.c.local_patient == local_patient, _OPT_IN.c.state == "active")
            .values(state="withdrawn", withdrawn=instant(self._clock.now()))
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount

    def is_withdrawn(self, local_patient: str) -> bool:
        """Whether the member has opted in once and no opt-in is left."""
        states = [found.state for found in self.of(local_patient)]
        return bool(states) and "active" not in states

    def withdrawn(self, local_patients: Sequence[str]) -> set[str]:
        """Those of some members who have opted in once and have no opt-in left."""
        statement = select(_OPT_IN.c.local_patient, _OPT_IN.c.state).where(
            _OPT_IN.c.local_patient.in_(local_patients)
        )
        with self._engine.connect() as connection:
            rows = connection.execute(statement).all()
        active = {patient for patient, state in rows if state == "active"}
        return {patient for patient, _ in rows} - active

    def to_ask(self) -> Iterator[list[OptIn]]:
        """The active opt-ins whose source payer is known, in portions, oldest first."""
        statement = (
            select(_OPT_IN)
            .where(_OPT_IN.c.state == "active", _OPT_IN.c.issuer != "")
            .order_by(_OPT_IN.c.recorded, _OPT_IN.c.id)
        )
        with self._engine.connect() as connection:
            idents = [
                row[0] for row in connection.execute(statement.with_only_columns(_OPT_IN.c.id))
            ]
        for start in range(0, len(idents), _PORTION):
            some = statement.where(_OPT_IN.c.id.in_(idents[start : start + _PORTION]))
            with self._engine.connect() as connection:
                yield [_opt_in(row) for row in connection.execute(some).mappings()]

    def put_on_work_list(self, kind: str, entries: Iterable[tuple[str, str, str]]) -> None:
        """Add (local Patient, issuer, sentence) that a person has to clear up, by their opt-ins."""
        now, found = instant(self._clock.now()), list(entries)
        patients = [patient for patient, _, _ in found]
        statement = select(_OPT_IN.c.local_patient, _OPT_IN.c.issuer, _OPT_IN.c.id)
        known: dict[tuple[str, str], str] = {}
        with self._engine.begin() as connection:
            for start in range(0, len(patients), _PORTION):
                some = _OPT_IN.c.local_patient.in_(patients[start : start + _PORTION])
                rows = connection.execute(statement.where(some).order_by(_OPT_IN.c.recorded))
                known.update({(patient, issuer): ident for patient, issuer, ident in rows})
            items = [
                WorkItem(f"work-{secrets.token_hex(8)}", kind, known.get((p, i), ""), text, now,
                         "open")
                for p, i, text in found
            ]  # fmt: skip
            if items:
                connection.execute(insert(_WORK), [asdict(item) for item in items])

    def education(self, local_patient: str, issuer: str) -> str:
        """What is known of the member's education: recorded, missing, or opt-in-elsewhere."""
        fitting = [o for o in self.of(local_patient) if o.issuer == issuer]
        if not fitting:
            return "opt-in-elsewhere"
        return "recorded" if fitting[-1].event.education else "missing"

    def work_list(self) -> list[WorkItem]:
        """What a person has to clear up, oldest first."""
        statement = select(_WORK).where(_WORK.c.state == "open").order_by(_WORK.c.created)
        with self._engine.connect() as connection:
            return [WorkItem(**row) for row in connection.execute(statement).mappings()]

    def look_again(self) -> list[OptIn]:
        """Find the source payer of what is on the work list; returns the opt-ins that got one."""
        found = []
        for item in (i for i in self.work_list() if i.kind == UNKNOWN_PAYER):
            opt_in = self.get(item.opt_in)
            server = self.server_for(opt_in.event.other_payer)
            if server is not None:
                self._settle(item, server)
                found.append(self.get(opt_in.id))
        return found

    def server_for(self, other: OtherPayer) -> Server | None:
        """The registered server of a payer, by its identifier, else by its name."""
        servers = self._servers.all()
        for fits in (
            lambda p: other.value and (p.system, p.value) == (other.system, other.value),
            lambda p: other.value and not other.system and p.value == other.value,
            lambda p: not other.value and other.name and p.name.casefold() == other.name.casefold(),
        ):
            fitting = [server for server in servers if fits(server.organization)]
            if len(fitting) == 1:
                return fitting[0]
        return None

    def _work_item(self, opt_in: OptIn) -> WorkItem:
        return WorkItem(
            f"work-{secrets.token_hex(8)}",
            UNKNOWN_PAYER,
            opt_in.id,
            _UNKNOWN_PAYER,
            opt_in.recorded,
            "open",
        )

    def _settle(self, item: WorkItem, server: Server) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(_WORK).where(_WORK.c.id == item.id).values(state="done"))
            connection.execute(
                update(_OPT_IN)
                .where(_OPT_IN.c.id == item.opt_in)
                .values(issuer=server.issuer, informed=instant(self._clock.now()))
            )


def event_from_json(content: Mapping[str, Any]) -> OptInEvent:
    """An opt-in from outside; raises BadRequest naming the element that is wrong."""
    other = _of(OtherPayer, content.get("other_payer"), "other_payer")
    education = content.get("education")
    plain = {k: v for k, v in content.items() if k not in ("other_payer", "education")}
    event: OptInEvent = _of(OptInEvent, {**plain, "other_payer": other, "education": None}, "")
    if education is not None:
        event = replace(event, education=_of(Education, education, "education"))
    _check(event)
    return event


def _of(kind: type[Any], content: Any, where: str) -> Any:
    prefix = f"{where}." if where else ""
    if not isinstance(content, Mapping):
        raise BadRequest(f"An opt-in needs {where} as an object.", status=422, code="structure",
                         expression=where)  # fmt: skip
    known = {f.name for f in fields(kind)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise BadRequest(
            f"An opt-in has an unknown key. {where or 'It'} has {', '.join(sorted(known))}.",
            status=422, code="structure", expression=where,
        )  # fmt: skip
    for name, value in content.items():
        if not isinstance(value, str) and name not in ("other_payer", "education"):
            raise BadRequest(f"{prefix}{name} of an opt-in must be a text.", status=422,
                             code="value", expression=f"{prefix}{name}")  # fmt: skip
    try:
        return kind(**content)
    except TypeError as error:
        missing = [f.name for f in fields(kind) if f.name not in content and _is_needed(f)]
        raise BadRequest(f"An opt-in needs {prefix}{missing[0]}.", status=422, code="required",
                         expression=f"{prefix}{missing[0]}") from error  # fmt: skip


def _is_needed(found: Any) -> bool:
    return found.default is MISSING and found.default_factory is MISSING


def _check(event: OptInEvent) -> None:
    other = event.other_payer
    allowed: Sequence[tuple[str, str, tuple[str, ...]]] = (
        ("policy", event.policy, ("regular", "sensitive")),
        ("other_payer.coverage", other.coverage, ("previous", "concurrent")),
        ("other_payer.relationship", other.relationship,
         ("self", "spouse", "child", "parent", "common", "other", "injured")),
    )  # fmt: skip
    for where, value, values in allowed:
        if value not in values:
            raise BadRequest(f"{where} of an opt-in is one of {', '.join(values)}.", status=422,
                             code="value", expression=where)  # fmt: skip
    for where, value in (("start", event.start), ("end", event.end)):
        if len(value) != len("2027-01-01") or day_of(value) is None:
            raise BadRequest(f"{where} of an opt-in must be a date.", status=422, code="value",
                             expression=where)  # fmt: skip
    if not (other.name or other.value):
        raise BadRequest("An opt-in needs the other payer's name or identifier.", status=422,
                         code="required", expression="other_payer")  # fmt: skip


def _row(found: OptIn) -> dict[str, Any]:
    content = json.write(asdict(found.event)).decode()
    plain = {f.name: getattr(found, f.name) for f in fields(OptIn) if f.name != "event"}
    return {**plain, "local_patient": found.event.local_patient, "content": content}


def _opt_in(row: RowMapping) -> OptIn:
    content = json.read(row["content"])
    education = content.pop("education")
    event = OptInEvent(
        **{**content, "other_payer": OtherPayer(**content["other_payer"])},
        education=Education(**education) if education else None,
    )
    plain = {f.name: row[f.name] for f in fields(OptIn) if f.name != "event"}
    return OptIn(event=event, **plain)
