"""What a payer owes by when, what it did about it, and where that can be seen.

Each duty is named by the requirement of the catalogue it comes from, and its subject by the id of
an opt-in or a job: a report of duties holds nothing of a member.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import pairwise
from typing import Any

from .clock import instant
from .fhir.dates import parse_moment
from .opt_in import OptIn
from .schedule import Clocks, quarters

REQUEST, QUARTERLY, EDUCATION = (
    "cms0057-request-1week", "cms0057-concurrent-quarterly", "cms0057-education",
)  # fmt: skip
ANSWER = "cms0057-respond-1bd"
_CONCURRENT = "concurrent"
# (when it was made, the Task it was made by)
Requests = Sequence[tuple[datetime, str]]


@dataclass(frozen=True, slots=True)
class Duty:
    """One duty: until when, when it was done, and the record that shows it."""

    requirement: str
    subject: str
    due: datetime
    done: datetime | None = None
    evidence: str = ""
    ended: datetime | None = None
    """When the member took the permission back: from then on nothing is owed."""

    def state(self, now: datetime) -> str:
        """met, late, open, overdue, or ended when it was no more owed on the day it was due."""
        if self.done is not None:
            return "met" if self.done < self.due else "late"
        if self.ended is not None and self.ended < self.due:
            return "ended"
        return "open" if now < self.due else "overdue"

    def as_json(self, now: datetime) -> dict[str, str]:
        """The duty as a line of a report."""
        return {
            "requirement": self.requirement,
            "subject": self.subject,
            "due": instant(self.due),
            "done": instant(self.done) if self.done else "",
            "state": self.state(now),
            "evidence": self.evidence,
        }


def requester_duties(
    opt_ins: Iterable[OptIn],
    requests: Mapping[tuple[str, str], Requests],
    clocks: Clocks,
    now: datetime,
) -> Iterator[Duty]:
    """What a requesting payer owes for each opt-in.

    `requests` are its exchanges by local Patient and issuer, oldest first.
    """
    for found in opt_ins:
        made = requests.get((found.event.local_patient, found.issuer), ())
        recorded = _moment(found.recorded)
        own = [(when, task) for when, task in made if when >= recorded]
        yield _education(found, clocks, now)
        if found.informed:
            yield _first_request(found, own, clocks)
            if found.event.other_payer.coverage == _CONCURRENT and own:
                yield from _quarterly(found, own, clocks, now)


def responder_duties(records: Iterable[Mapping[str, Any]], clocks: Clocks) -> Iterator[Duty]:
    """How fast a responding payer answered, by its audit record of finished jobs."""
    for record in records:
        if record["event"] in ("written", "bulk"):
            asked, done = _moment(record["started"]), _moment(record["ended"])
            yield Duty(ANSWER, record["exchange"], clocks.answer_due(asked), done,
                       f"audit record {record['seq']}")  # fmt: skip


def is_repeat_due(made: Requests, clocks: Clocks, now: datetime, lead_days: int) -> bool:
    """Whether concurrent coverage is to be asked for again: so many days before it must be."""
    if not made:
        return False
    ahead = clocks.day_of(now).toordinal() + lead_days
    for deadline in quarters(made[0][0], clocks):
        if clocks.day_of(deadline).toordinal() > ahead:
            return False
        if _made_for(made, deadline, clocks) is None:
            return True
    return False


def _first_request(found: OptIn, own: Requests, clocks: Clocks) -> Duty:
    due = clocks.request_due(_moment(found.recorded), _moment(found.informed))
    done, task = own[0] if own else (None, "")
    return Duty(REQUEST, found.id, due, done, f"Task/{task}" if task else "", _ended(found))


def _quarterly(found: OptIn, own: Requests, clocks: Clocks, now: datetime) -> Iterator[Duty]:
    """Each quarter that has begun, with the request that was made in it."""
    first = own[0][0]
    for before, deadline in pairwise(_with_start(first, clocks)):
        if before > now or (found.withdrawn and _moment(found.withdrawn) < before):
            return
        made = _made_for(own, deadline, clocks)
        done, task = made or (None, "")
        yield Duty(QUARTERLY, found.id, deadline, done, f"Task/{task}" if task else "",
                   _ended(found))  # fmt: skip


def _with_start(first: datetime, clocks: Clocks) -> Iterator[datetime]:
    yield first
    yield from quarters(first, clocks)


def _made_for(made: Requests, deadline: datetime, clocks: Clocks) -> tuple[datetime, str] | None:
    """The first request after the first one that falls into the quarter that ends then."""
    begin = made[0][0]
    for end in quarters(made[0][0], clocks):
        if end >= deadline:
            break
        begin = end
    later = (one for one in made[1:] if begin <= one[0] < deadline)
    return next(later, None)


def _education(found: OptIn, clocks: Clocks, now: datetime) -> Duty:
    """The material is given with the permission, and then once a year (duty of the payer)."""
    given = found.event.education
    if given is None:
        return Duty(EDUCATION, found.id, clocks.end_of(clocks.day_of(_moment(found.recorded))),
                    ended=_ended(found))  # fmt: skip
    day = date.fromisoformat(given.date)
    again = clocks.education_due(day)
    if now < again:
        return Duty(EDUCATION, found.id, again, _moment(found.recorded), f"version {given.version}")
    return Duty(EDUCATION, found.id, again, ended=_ended(found))


def _ended(found: OptIn) -> datetime | None:
    return _moment(found.withdrawn) if found.withdrawn else None


def _moment(text: str) -> datetime:
    found = parse_moment(text)
    assert found is not None, "stored moments are instants"
    return found
