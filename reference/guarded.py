"""Member match behind the guard against guessing (hrex-mm-7), for one member and for many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .audit import AuditLog
from .clock import Clock
from .errors import BadRequest
from .matching import Decision, Outcome
from .matching.guard import REASON, MatchGuard
from .member_match import MemberMatchRequest

Decide = Callable[[MemberMatchRequest], Decision]


@dataclass(frozen=True, slots=True)
class GuardedMatch:
    """Asks the guard before the decision, and tells it how the decision went.

    An unknown card and a wrong person take the same way through here: both are written down.
    """

    guard: MatchGuard
    decide: Callable[[MemberMatchRequest, str], Decision]
    audit: AuditLog
    clock: Clock

    def one(self, request: MemberMatchRequest, client_id: str) -> Decision:
        """The decision on one member; raises BadRequest 429 for who was tried too often."""
        now = self.clock.now()
        self.check_client(client_id)
        patient, coverage = request.patient, request.coverage_to_match
        tried = self.guard.for_one(client_id, patient, coverage, now)
        self._let_in(client_id, tried.wait_s(patient, coverage, now))
        decision = self.decide(request, client_id)
        tried.note(decision.outcome, patient, coverage, now)
        tried.write(now)
        return decision

    @contextmanager
    def many(self, client_id: str) -> Iterator[Decide]:
        """A decision for each member of a batch; who was tried too often is nobody (pdex-154c)."""
        tried = self.guard.for_many(client_id, self.clock.now())

        def decide(request: MemberMatchRequest) -> Decision:
            now, patient, coverage = self.clock.now(), request.patient, request.coverage_to_match
            if tried.wait_s(patient, coverage, now):
                return Decision(Outcome.NONE, reason=REASON)
            decision = self.decide(request, client_id)
            tried.note(decision.outcome, patient, coverage, now)
            return decision

        try:
            yield decide
        finally:
            tried.write(self.clock.now())

    def check_client(self, client_id: str) -> None:
        """Raise BadRequest 429 for a client that asked for too many in vain."""
        self._let_in(client_id, self.guard.client_wait_s(client_id, self.clock.now()))

    def _let_in(self, client_id: str, wait_s: float) -> None:
        if not wait_s:
            return
        self.audit.record("member-match", "guard", "refused", reason=REASON, client=client_id)
        raise BadRequest("Too many matches failed. Wait as long as Retry-After says.", status=429,
                         code="throttled",
                         headers={"Retry-After": str(max(1, math.ceil(wait_s)))})  # fmt: skip
