"""Opt-in: what a member agreed to and said of the other payer, and what follows from it.

From it come the Consent, the CoverageToMatch and the source payer of a request. A payer nobody
here knows becomes an entry of the work list; missing education is told and stops nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from datetime import date, timedelta
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

from .asking import coverage_to_link, hrex_consent
from .clock import Clock, instant
from .errors import BadRequest
from .fhir import json
from .fhir.dates import day_of
from .fhir.hrex import SUBSCRIBER_RELATIONSHIP, V2_0203
from .fhir.parameters import make_parameters
from .parties import PayerIdentity
from .registration.servers import Server, ServerRegistry

# The regulation's week between an opt-in and the request (42 CFR 422.121(b)).
REQUEST_WITHIN = timedelta(days=7)
MEMBER = "member"
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
        now = self._clock.now()
        server = self.server_for(event.other_payer)
        found = OptIn(
            f"opt-in-{secrets.token_hex(8)}",
            event,
            "active",
            instant(now),
            instant(now + REQUEST_WITHIN),
            server.issuer if server else "",
        )
        with self._engine.begin() as connection:
            connection.execute(insert(_OPT_IN).values(**_row(found)))
            if server is None:
                connection.execute(insert(_WORK).values(**asdict(self._work_item(found))))
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
            .values(state="withdrawn")
        )
        with self._engine.begin() as connection:
            return connection.execute(statement).rowcount

    def is_withdrawn(self, local_patient: str) -> bool:
        """Whether the member has opted in once and no opt-in is left."""
        states = [found.state for found in self.of(local_patient)]
        return bool(states) and "active" not in states

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
        for item in self.work_list():
            opt_in = self.get(item.opt_in)
            server = self.server_for(opt_in.event.other_payer)
            if server is not None:
                self._settle(item, server)
                found.append(replace(opt_in, issuer=server.issuer))
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
            "unknown-payer",
            opt_in.id,
            _UNKNOWN_PAYER,
            opt_in.recorded,
            "open",
        )

    def _settle(self, item: WorkItem, server: Server) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(_WORK).where(_WORK.c.id == item.id).values(state="done"))
            connection.execute(
                update(_OPT_IN).where(_OPT_IN.c.id == item.opt_in).values(issuer=server.issuer)
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


def request_parameters(
    opt_in: OptIn, patient: Mapping[str, Any], server: Server, own: PayerIdentity, subscriber: str
) -> dict[str, Any]:
    """The body of `$sdh.s2s.invoke-export` that an opt-in stands for (SD-30)."""
    event = opt_in.event
    match = [
        ("MemberPatient", _member_patient(patient)),
        ("CoverageToMatch", coverage_to_match(event.other_payer, server.organization)),
        ("CoverageToLink", coverage_to_link(MEMBER, own, subscriber)),
        ("Consent", _consent(event, server.organization, own)),
    ]
    return make_parameters(
        [
            {"name": "localPatient",
             "valueReference": {"reference": f"Patient/{event.local_patient}"}},
            {"name": "sourceIssuerUrl", "valueString": server.issuer},
            {"name": "memberMatch",
             "part": [{"name": name, "resource": resource} for name, resource in match]},
        ]
    )  # fmt: skip


def coverage_to_match(other: OtherPayer, payer: PayerIdentity) -> dict[str, Any]:
    """The old plan's Coverage as the member tells it."""
    found: dict[str, Any] = {
        "resourceType": "Coverage",
        "id": "coverage-to-match",
        "status": "active",
        "beneficiary": {"reference": f"Patient/{MEMBER}"},
        "relationship": {
            "coding": [{"system": SUBSCRIBER_RELATIONSHIP, "code": other.relationship}]
        },
        "payor": [payer.reference()],
    }
    if other.subscriber_id:
        found["subscriberId"] = other.subscriber_id
    if other.member_id:
        identifier = {"type": {"coding": [{"system": V2_0203, "code": "MB"}]},
                      "value": other.member_id}  # fmt: skip
        if other.member_system:
            identifier["system"] = other.member_system
        found["identifier"] = [identifier]
    return found


def _consent(event: OptInEvent, source: PayerIdentity, own: PayerIdentity) -> dict[str, Any]:
    consent = hrex_consent(
        MEMBER,
        discloser=source,
        recipient=own,
        start=date.fromisoformat(event.start),
        end=date.fromisoformat(event.end),
        policy=event.policy,
        source=event.source,
    )
    if event.performer:
        consent["performer"] = [{"reference": event.performer}]
    return consent


def _member_patient(patient: Mapping[str, Any]) -> dict[str, Any]:
    """The least that HRex demographics ask for, no identifier of this payer among it."""
    wanted = ("name", "gender", "birthDate", "address")
    return {
        "resourceType": "Patient",
        "id": MEMBER,
        **{name: patient[name] for name in wanted if name in patient},
    }


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
    return OptIn(row["id"], event, row["state"], row["recorded"], row["due"], row["issuer"])
